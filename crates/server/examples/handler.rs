//! A service of one's own that answers messages itself, with the gateway's rooms around it: a dictionary. `define` it
//! answers at once, `search` when the search is over, and whatever else is said goes by the routes: `say` reaches
//! everybody in the hall.
//!
//! `cargo run -p gateway-server --example handler` prints a token and serves until it is interrupted.
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::{collections::BTreeMap, error::Error, num::NonZeroU32, sync::Arc, time::Duration};

use gateway_auth::{
    AgentSource, Algorithm, ApiKeys, Authenticator, ClaimPath, Fetch, FetchFault, Grant, Issuer, IssuerRules, Key,
    KeySpec, Keyring, RefreshFamilies, RefreshRules, SigningKey, SigningMaterial, TokenRules, generate,
};
use gateway_domain::{
    Code, Refusal,
    envelope::Message,
    plan::{Messages, OnConnectionLimit, Plan, Rate},
    route::{RouteSpec, Routes, Surroundings},
    rules::{JoinSpec, RoomLaw, RoomRules, RuleSpec},
};
use gateway_server::{
    Drain, Gateway, House, Opening,
    audit::{AddressDetail, Audit, Destination},
    clock,
    endpoint::{Endpoint, Handler, Namespaces},
    gate::Gate,
    handler::{Handled, MessageHandler, Visit},
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
use serde_json::json;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

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
    let house = Arc::new(house(&signing)?);
    let listener = Listener::bind(&"127.0.0.1:8091".parse()?)?;
    println!("export GATEWAY_TOKEN={}", token(signing)?);
    println!("gateway connect ws://{}/dictionary", listener.local_addr()?);

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
    let rules = HubRules { laws: rooms()?, ..HubRules::seating(1_000) };
    let hub = Arc::new(Hub::new(rules, Arc::clone(&audit), Arc::clone(&metrics)));
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
    let fetch: Fetch = Arc::new(|_| Box::pin(async { Err(FetchFault("no key set is used".into())) }));
    let keyring = Arc::new(Keyring::new(vec![key], vec![], fetch)?);
    let gate = Gate {
        authenticator: Arc::new(Authenticator::new(TokenRules::default(), keyring)),
        agent_source: AgentSource::Claim(ClaimPath::first_of(["sub"])?),
        token_sources: TokenSources::default(),
        ledger: Arc::clone(&ledger),
        handshakes: Arc::clone(&handshakes),
        accounts: Arc::clone(&accounts),
        plans: Plans::new([], plan()?),
        seats: Arc::clone(&hub),
    };
    Ok(House {
        node: "node".parse()?,
        calls: CallLimits::default(),
        endpoints: [endpoint()].into_iter().collect(),
        gate,
        publisher: Publisher::new(Arc::clone(&hub), Schemas::default()),
        hub,
        routes: routes()?,
        ledger,
        handshakes,
        accounts,
        audit,
        metrics,
        issuing: None,
        api_keys: ApiKeys::default(),
        dev: false,
        namespaces: Namespaces::default(),
        api_origins: OriginLaw::default(),
        configuration: serde_json::Value::Null,
        successor: Successor::default(),
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
    let grant = Grant { user: "ann".parse()?, roles: Vec::new(), permissions: Vec::new(), plan: None, agent: None };
    Ok(Issuer::new(signing, rules)?.mint(&grant, clock::now())?.token.expose().to_owned())
}
