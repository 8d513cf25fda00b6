//! A service of one's own on the gateway's rooms: no configuration file, no app. One endpoint, one key, one listener.
//!
//! `cargo run -p gateway-server --example embedded` prints a token and serves until it is interrupted.
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::{error::Error, num::NonZeroU32, sync::Arc, time::Duration};

use gateway_auth::{
    AgentSource, Algorithm, ApiKeys, Authenticator, ClaimPath, Fetch, FetchFault, Grant, Issuer, IssuerRules, Key,
    KeySpec, Keyring, RefreshFamilies, RefreshRules, SigningKey, SigningMaterial, TokenRules, generate,
};
use gateway_domain::{
    plan::{Messages, OnConnectionLimit, Plan, Rate},
    route::Routes,
};
use gateway_server::{
    Drain, Gateway, House, Opening,
    audit::{AddressDetail, Audit, Destination},
    clock,
    endpoint::{Endpoint, Endpoints, Handler, Namespaces},
    gate::Gate,
    house::Successor,
    http::Site,
    hub::{Hub, HubRules},
    ledger::Ledger,
    limits::{Accounts, CallLimits, HandshakeLimits},
    metrics::Metrics,
    plans::Plans,
    publish::{Publisher, Schemas},
};
use gateway_transport::{AddressLaw, Counters, Limits, Listener, OriginLaw, TokenSources};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let secret = SigningMaterial::Secret(generate(Algorithm::Hs256)?.private.into_bytes());
    let signing = SigningKey::new(None, Algorithm::Hs256, secret)?;
    let house = Arc::new(house(&signing)?);
    println!("a token: {}", token(signing)?);

    let listener = Listener::bind(&"127.0.0.1:8090".parse()?)?;
    println!("a door:  ws://{}/echo", listener.local_addr()?);
    let (tasks, counters) = (TaskTracker::new(), Arc::new(Counters::default()));
    let site = Site {
        house: Arc::clone(&house),
        addresses: Arc::new(AddressLaw::default()),
        doors: true,
        socketio: None,
        api: false,
        console: false,
        max_body: 64 << 10,
        tasks: tasks.clone(),
        counters: Arc::clone(&counters),
        helm: None,
    };
    let opening = Opening { listener, limits: Limits::default(), tls: None, site: Arc::new(site) };
    let drain = Drain { window: Duration::from_secs(1), timeout: Duration::from_secs(5) };
    let gateway = Gateway { house, openings: vec![opening], tasks, counters, drain, hurry: CancellationToken::new() };
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    tokio::spawn(async move {
        let _ = tokio::signal::ctrl_c().await;
        stop.cancel();
    });
    gateway.run(shutdown).await;
    Ok(())
}

fn house(signing: &SigningKey) -> Result<House, Box<dyn Error>> {
    let audit = Arc::new(Audit::new(Destination::Stderr, AddressDetail::Full, 1_000)?);
    let metrics = Arc::new(Metrics::new());
    let families = RefreshFamilies::new(RefreshRules::new(Duration::from_secs(3600)));
    let ledger = Arc::new(Ledger::open(None, Vec::new(), families, clock::now())?);
    let hub = Arc::new(Hub::new(HubRules::seating(1_000), Arc::clone(&audit), Arc::clone(&metrics)));
    let (handshakes, accounts) = (Arc::new(HandshakeLimits::new(None, None, None)), Arc::new(Accounts::default()));
    let key = Key::new(KeySpec {
        kid: None,
        name: "own".into(),
        algorithm: Algorithm::Hs256,
        issuer: None,
        user_prefix: None,
        roles: None,
        material: signing.verifying_material(),
    })?;
    // No key set is fetched here; a service that wants one hands in its own client.
    let fetch: Fetch = Arc::new(|_| Box::pin(async { Err(FetchFault("no key set is used".into())) }));
    let gate = Gate {
        authenticator: Arc::new(Authenticator::new(
            TokenRules::default(),
            Arc::new(Keyring::new(vec![key], vec![], fetch)?),
        )),
        agent_source: AgentSource::Claim(ClaimPath::first_of(["sub"])?),
        token_sources: TokenSources::default(),
        ledger: Arc::clone(&ledger),
        handshakes: Arc::clone(&handshakes),
        accounts: Arc::clone(&accounts),
        plans: Plans::new([], plan()?),
        seats: Arc::clone(&hub),
    };
    let endpoints: Endpoints = [endpoint()?].into_iter().collect();
    let api_keys = ApiKeys::default();
    Ok(House {
        node: "node".parse()?,
        calls: CallLimits::default(),
        endpoints,
        gate,
        publisher: Publisher::new(Arc::clone(&hub), Schemas::default()),
        hub,
        routes: Routes::default(),
        ledger,
        handshakes,
        accounts,
        audit,
        metrics,
        issuing: None,
        api_keys,
        dev: false,
        namespaces: Namespaces::default(),
        api_origins: OriginLaw::default(),
        configuration: serde_json::Value::Null,
        successor: Successor::default(),
    })
}

fn endpoint() -> Result<Endpoint, Box<dyn Error>> {
    Ok(Endpoint {
        roles: vec!["robot".parse()?],
        handler: Handler::Echo,
        max_message: 64 << 10,
        ..Endpoint::at("/echo")
    })
}

fn plan() -> Result<Plan, Box<dyn Error>> {
    let twenty = NonZeroU32::new(20).ok_or("twenty is not zero")?;
    let messages = Messages { rate: None, burst: Some(Rate::new(twenty, Duration::from_secs(1))) };
    Ok(Plan {
        name: "default".parse()?,
        connections: Some(10),
        on_connection_limit: OnConnectionLimit::EvictStale,
        messages,
    })
}

fn token(signing: SigningKey) -> Result<String, Box<dyn Error>> {
    let rules = IssuerRules {
        issuer: None,
        audience: Vec::new(),
        access_ttl: Duration::from_secs(3600),
        claims: TokenRules::default().claims,
    };
    let grant =
        Grant { user: "r2".parse()?, roles: vec!["robot".parse()?], permissions: Vec::new(), plan: None, agent: None };
    Ok(Issuer::new(signing, rules)?.mint(&grant, clock::now())?.token.expose().to_owned())
}
