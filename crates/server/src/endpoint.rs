//! Doors: what an operator configures for each WebSocket path.

use std::{collections::BTreeMap, sync::Arc};

use gateway_domain::{PlanName, Role, session::SessionRules};
use gateway_transport::origin::OriginLaw;

/// One door and its laws.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Where it is.
    pub path: Box<str>,
    /// Who may pass: any of these roles; an empty list admits every authenticated user.
    pub roles: Vec<Role>,
    /// Which pages may connect.
    pub origins: OriginLaw,
    /// Whether its connections are agents.
    pub agents: bool,
    /// How somebody is turned away.
    pub reject_with: RejectWith,
    /// Heartbeat, expiry and idleness of its sessions.
    pub session: SessionRules,
    /// What becomes of the messages.
    pub handler: Handler,
    /// The largest message, in bytes.
    pub max_message: usize,
    /// The plan of a user whose token names none.
    pub plan: Option<PlanName>,
    /// Where messages are counted.
    pub messages_scope: MessagesScope,
}

/// How a handshake is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectWith {
    /// By an HTTP status: nothing is upgraded.
    Http,
    /// By a close code, which a browser can read: upgraded only to be closed at once.
    CloseCode,
}

/// What becomes of the messages of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handler {
    /// They are read and routed.
    Routes,
    /// They come back unchanged.
    Echo,
}

/// Where messages are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessagesScope {
    /// Over all of the user's connections.
    User,
    /// Each connection for itself.
    Connection,
}

/// All doors, by path.
#[derive(Clone, Debug, Default)]
pub struct Endpoints(BTreeMap<Box<str>, Arc<Endpoint>>);

impl Endpoints {
    /// The door at that path.
    pub fn at(&self, path: &str) -> Option<&Arc<Endpoint>> {
        self.0.get(path)
    }

    /// Every door, by path.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.0.values()
    }
}

impl FromIterator<Endpoint> for Endpoints {
    fn from_iter<I: IntoIterator<Item = Endpoint>>(endpoints: I) -> Self {
        Self(endpoints.into_iter().map(|endpoint| (endpoint.path.clone(), Arc::new(endpoint))).collect())
    }
}
