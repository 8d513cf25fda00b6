//! What the rooms share: each is a part of its own, made by whoever composes the gateway. A house stands on a [`Foundation`],
//! which stays, and has one [`Policy`]: another policy is another house, with the same hub, books and counts.
//!
//! Both have everything that is not said: a service of one's own writes down what it wants otherwise, and nothing else.
//! What nobody can choose for it are the keys; and as long as it names no door, nobody comes in.
//!
//! ```
//! use gateway_auth::{Algorithm, Key, Keyring, SigningKey, SigningMaterial};
//! use gateway_server::{
//!     House,
//!     audit::Destination,
//!     endpoint::{Endpoint, Handler},
//!     house::{Foundation, Policy},
//! };
//!
//! let secret = SigningMaterial::Secret(b"a secret of 32 bytes at the least".to_vec());
//! let signing = SigningKey::new(None, Algorithm::Hs256, secret)?;
//! let policy = Policy {
//!     endpoints: [Endpoint { handler: Handler::Echo, ..Endpoint::at("/echo") }].into_iter().collect(),
//!     ..Policy::trusting(Keyring::of(vec![Key::verifying(&signing, "own")?])?)
//! };
//! let house = House::new(Foundation::in_memory(Destination::Nowhere)?, policy);
//! assert!(house.endpoints.at("/echo").is_some() && house.endpoints.at("/elsewhere").is_none());
//! assert_eq!(house.hub.rules().seats, 1_000);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod foundation;
mod policy;

use std::sync::Arc;

use gateway_auth::{ApiKeys, Authenticator};
use gateway_domain::{name::NodeName, route::Routes};

use gateway_transport::OriginLaw;
use serde_json::Value;

pub use crate::succession::Successor;
use crate::{
    audit::Audit,
    endpoint::{Endpoints, Namespaces},
    gate::Gate,
    hub::Hub,
    issuing::Issuing,
    ledger::Ledger,
    limits::Accounts,
    limits::CallLimits,
    limits::HandshakeLimits,
    metrics::{Metrics, Sight},
    publish::{Publisher, Schemas},
};
pub use foundation::Foundation;
pub use policy::Policy;

/// The rooms of a running gateway.
#[derive(Debug)]
pub struct House {
    /// What this gateway is called among several.
    pub node: NodeName,
    /// The doors.
    pub endpoints: Endpoints,
    /// The doors of Socket.IO.
    pub namespaces: Namespaces,
    /// Which pages may call the API.
    pub api_origins: OriginLaw,
    /// The checks behind each of them.
    pub gate: Gate,
    /// Who is here.
    pub hub: Arc<Hub>,
    /// Who may say what, and where it goes.
    pub routes: Routes,
    /// What backends tell.
    pub publisher: Publisher,
    /// Who may not come in.
    pub ledger: Arc<Ledger>,
    /// How often one may knock.
    pub handshakes: Arc<HandshakeLimits>,
    /// How often a backend may call.
    pub calls: CallLimits,
    /// How much one may say.
    pub accounts: Arc<Accounts>,
    /// What happened.
    pub audit: Arc<Audit>,
    /// How much of it.
    pub metrics: Arc<Metrics>,
    /// Who gets tokens here, where anybody does.
    pub issuing: Option<Issuing>,
    /// Which backends are known by a key.
    pub api_keys: ApiKeys,
    /// Whether the gateway runs with made-up keys, for trying out.
    pub dev: bool,
    /// The configuration that it was made of, without its secrets, for those who look at it by the API.
    pub configuration: Value,
    /// What came in its place.
    pub successor: Successor,
}

impl House {
    /// A house on that foundation, under that policy.
    pub fn new(foundation: Foundation, policy: Policy) -> Self {
        let Foundation { node, audit, metrics, rules, mut ledger, webhooks, link, dev } = foundation;
        let mut hub = Hub::new(rules, Arc::clone(&audit), Arc::clone(&metrics)).telling(webhooks);
        if let Some(link) = link {
            ledger = ledger.linked(Arc::clone(&link));
            hub = hub.linked(link);
        }
        if dev {
            metrics.dev_mode();
        }
        let hub = Arc::new(hub);
        let publisher = Publisher::new(Arc::clone(&hub), Schemas::default());
        let ground =
            Ground { node, hub, publisher, ledger: Arc::new(ledger), accounts: Arc::default(), audit, metrics, dev };
        ground.under(policy)
    }

    /// The house that another policy makes of this one, with the same hub, ledger and books. Nothing changes before it
    /// comes in this one's place, by [`succeeded_by`](Self::succeeded_by).
    pub fn heir(&self, policy: Policy) -> Self {
        let ground = Ground {
            node: self.node.clone(),
            hub: Arc::clone(&self.hub),
            publisher: self.publisher.with(Schemas::default()),
            ledger: Arc::clone(&self.ledger),
            accounts: Arc::clone(&self.accounts),
            audit: Arc::clone(&self.audit),
            metrics: Arc::clone(&self.metrics),
            dev: self.dev,
        };
        ground.under(policy)
    }

    /// What the metrics tell of it now. `listener` is what happened to sockets before a handshake.
    pub async fn sight(&self, listener: Vec<(&'static str, u64)>) -> Sight {
        let now = crate::clock::now();
        Sight {
            counts: self.hub.counts(),
            rules: Some(self.hub.rules()),
            survey: self.hub.survey(now).await,
            audit: self.audit.counts(),
            listener,
            ledger: self.ledger.counts(now),
            keys: Some((self.gate.authenticator.keys().status(now), now)),
            draining: self.hub.is_draining(),
            link: self.hub.link().cloned(),
        }
    }

    /// Forgets what is over and writes down what is due, at the `nth` second of a life: what is large is looked through
    /// the more seldom.
    pub fn sweep(&self, nth: u64) {
        let now = crate::clock::now();
        self.audit.sweep(now);
        self.hub.sweep(now);
        if nth.is_multiple_of(5) {
            self.handshakes.sweep(now);
            self.accounts.sweep(now);
            self.calls.sweep();
        }
        if nth.is_multiple_of(60) {
            self.publisher.sweep(now);
            self.ledger.sweep(now);
        }
    }
}

/// What a foundation has become, once somebody stands on it.
struct Ground {
    node: NodeName,
    hub: Arc<Hub>,
    publisher: Publisher,
    ledger: Arc<Ledger>,
    accounts: Arc<Accounts>,
    audit: Arc<Audit>,
    metrics: Arc<Metrics>,
    dev: bool,
}

impl Ground {
    fn under(self, policy: Policy) -> House {
        let Self { node, hub, publisher, ledger, accounts, audit, metrics, dev } = self;
        let gate = Gate {
            agent_source: policy.tokens.claims.agent.clone(),
            authenticator: Arc::new(Authenticator::new(policy.tokens, Arc::new(policy.keys))),
            token_sources: policy.token_sources,
            ledger: Arc::clone(&ledger),
            accounts: Arc::clone(&accounts),
            plans: policy.plans,
            handshakes: Arc::clone(&policy.handshakes),
            seats: Arc::clone(&hub),
        };
        House {
            node,
            endpoints: policy.endpoints,
            namespaces: policy.namespaces,
            api_origins: policy.api_origins,
            gate,
            publisher: publisher.with(policy.schemas),
            hub,
            routes: policy.routes,
            handshakes: policy.handshakes,
            calls: policy.calls,
            accounts,
            audit,
            metrics,
            issuing: policy.issuing.map(|signer| Issuing::new(signer, Arc::clone(&ledger))),
            ledger,
            api_keys: policy.api_keys,
            dev,
            configuration: policy.configuration,
            successor: Successor::default(),
        }
    }
}
