//! A service of one's own that answers messages itself, with the gateway's rooms around it: a dictionary. `define` it
//! answers at once, `search` when the search is over, and whatever else is said goes by the routes: `say` reaches
//! everybody in the hall.
//!
//! `cargo run -p gateway-server --example handler` prints a token and serves until it is interrupted.
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::{collections::BTreeMap, error::Error, sync::Arc, time::Duration};

use gateway_auth::{Algorithm, Grant, Issuer, IssuerRules, Key, Keyring, SigningKey, SigningMaterial, generate};
use gateway_domain::{
    Code, Refusal,
    envelope::Message,
    route::{RouteSpec, Routes, Surroundings},
    rules::{JoinSpec, RoomLaw, RoomRules, RuleSpec},
};
use gateway_server::{
    Gateway, House,
    audit::Destination,
    clock,
    endpoint::{Endpoint, Handler},
    handler::{Handled, MessageHandler, Visit},
    house::{Foundation, Policy},
    http::Site,
    hub::HubRules,
};
use gateway_transport::Listener;
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// The service.
#[derive(Debug)]
struct Dictionary {
    words: Arc<BTreeMap<&'static str, &'static str>>,
}

impl MessageHandler for Dictionary {
    fn handle(&self, message: &Message<'_>, visit: &Visit<'_>) -> Handled {
        match &*message.kind {
            // At once: the client gets a `reply` with this payload.
            "define" => match message.payload_as::<String>() {
                Ok(word) => Handled::Answer(json!({ "word": word, "means": self.words.get(word.as_str()) })),
                Err(fault) => Handled::Refused(Refusal::new(Code::InvalidMessage, fault.to_string())),
            },
            // Later: the client's next message waits until this is over, and what others tell it goes on.
            "search" => {
                let (words, who) = (Arc::clone(&self.words), visit.sender.principal.user.clone());
                let part: String = message.payload_as().unwrap_or_default();
                Handled::Later(Box::pin(async move {
                    tokio::time::sleep(Duration::from_millis(200)).await; // A search takes its time.
                    let found: Vec<_> = words.keys().filter(|word| word.contains(&part)).collect();
                    Handled::Answer(json!({ "for": who, "found": found }))
                }))
            }
            // Not of this service: it goes by the routes.
            _ => Handled::NotMine,
        }
    }
}

/// Whoever says something in the hall is heard by all who subscribed to it.
fn routes() -> Result<Routes, Box<dyn Error>> {
    let say = RouteSpec {
        from: vec!["*".into()],
        types: vec!["say".into()],
        to: vec!["room:hall".into()],
        ..RouteSpec::default()
    };
    Ok(Routes::compile(&[say], &Surroundings::default()).map_err(|faults| format!("{faults:?}"))?)
}

fn rooms() -> Result<RoomRules, Box<dyn Error>> {
    let hall = RuleSpec { pattern: "hall".into(), join: vec![JoinSpec::default()], ..RuleSpec::default() };
    let law = RoomLaw { history: None, presence: Some(100) };
    Ok(RoomRules::compile(&[hall], law, &Surroundings::default()).map_err(|faults| format!("{faults:?}"))?)
}

fn endpoint() -> Endpoint {
    let words = [("gate", "what keeps strangers out"), ("hub", "where ways meet"), ("hall", "where all hear all")];
    let service = Dictionary { words: Arc::new(words.into()) };
    Endpoint { handler: Handler::Own(Arc::new(service)), ..Endpoint::at("/dictionary") }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let secret = SigningMaterial::Secret(generate(Algorithm::Hs256)?.private.into_bytes());
    let signing = SigningKey::new(None, Algorithm::Hs256, secret)?;
    let house = house(&signing)?;
    let listener = Listener::bind(&"127.0.0.1:8091".parse()?)?;
    println!("export GATEWAY_TOKEN={}", token(signing)?);
    println!("gateway connect ws://{}/dictionary", listener.local_addr()?);

    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    tokio::spawn(async move {
        let _ = tokio::signal::ctrl_c().await;
        stop.cancel();
    });
    Gateway::on(listener, Site::of(Arc::new(house))).run(shutdown).await;
    Ok(())
}

fn house(signing: &SigningKey) -> Result<House, Box<dyn Error>> {
    let foundation = Foundation {
        rules: HubRules { laws: rooms()?, ..HubRules::seating(1_000) },
        ..Foundation::in_memory(Destination::Stderr)?
    };
    let policy = Policy {
        endpoints: [endpoint()].into_iter().collect(),
        routes: routes()?,
        ..Policy::trusting(Keyring::of(vec![Key::verifying(signing, "own")?])?)
    };
    Ok(House::new(foundation, policy))
}

fn token(signing: SigningKey) -> Result<String, Box<dyn Error>> {
    let rules = IssuerRules { access_ttl: Duration::from_secs(3600), ..IssuerRules::default() };
    let grant = Grant { user: "ann".parse()?, roles: Vec::new(), permissions: Vec::new(), plan: None, agent: None };
    Ok(Issuer::new(signing, rules)?.mint(&grant, clock::now())?.token.expose().to_owned())
}
