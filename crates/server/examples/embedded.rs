//! A service of one's own on the gateway's rooms: no configuration file, no app. One endpoint, one key, one listener.
//!
//! `cargo run -p gateway-server --example embedded` prints a token and serves until it is interrupted.
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::{error::Error, sync::Arc, time::Duration};

use gateway_auth::{Algorithm, Grant, Issuer, IssuerRules, Key, Keyring, SigningKey, SigningMaterial, generate};
use gateway_server::{
    Gateway, House,
    audit::Destination,
    clock,
    endpoint::{Endpoint, Handler},
    house::{Foundation, Policy},
    http::Site,
};
use gateway_transport::Listener;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let secret = SigningMaterial::Secret(generate(Algorithm::Hs256)?.private.into_bytes());
    let signing = SigningKey::new(None, Algorithm::Hs256, secret)?;
    let policy = Policy {
        endpoints: [endpoint()?].into_iter().collect(),
        ..Policy::trusting(Keyring::of(vec![Key::verifying(&signing, "own")?])?)
    };
    let house = House::new(Foundation::in_memory(Destination::Stderr)?, policy);
    println!("a token: {}", token(signing)?);

    let listener = Listener::bind(&"127.0.0.1:8090".parse()?)?;
    println!("a door:  ws://{}/echo", listener.local_addr()?);
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    tokio::spawn(async move {
        let _ = tokio::signal::ctrl_c().await;
        stop.cancel();
    });
    Gateway::on(listener, Site::of(Arc::new(house))).run(shutdown).await;
    Ok(())
}

fn endpoint() -> Result<Endpoint, Box<dyn Error>> {
    Ok(Endpoint {
        roles: vec!["robot".parse()?],
        handler: Handler::Echo,
        max_message: 64 << 10,
        ..Endpoint::at("/echo")
    })
}

fn token(signing: SigningKey) -> Result<String, Box<dyn Error>> {
    let rules = IssuerRules { access_ttl: Duration::from_secs(3600), ..IssuerRules::default() };
    let grant =
        Grant { user: "r2".parse()?, roles: vec!["robot".parse()?], permissions: Vec::new(), plan: None, agent: None };
    Ok(Issuer::new(signing, rules)?.mint(&grant, clock::now())?.token.expose().to_owned())
}
