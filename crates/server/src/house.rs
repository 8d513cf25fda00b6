//! What the rooms share: each is a part of its own, made by whoever composes the gateway. A house is one policy: another
//! policy is another house, with the same hub, books and counts.

use std::sync::Arc;

use gateway_auth::ApiKeys;
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
    publish::Publisher,
};

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
