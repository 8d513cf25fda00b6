//! Doors: what an operator configures for each WebSocket path.

mod namespaces;
mod paths;

use std::{sync::Arc, time::Duration};

use gateway_domain::{
    Code, PlanName, Refusal, Role,
    session::{OnExpiry, SessionRules},
    template::RoomTemplate,
    vocabulary::Vocabulary,
};
use gateway_transport::{origin::OriginLaw, query::Query};

use crate::handler::MessageHandler;
pub use namespaces::Namespaces;
#[cfg(feature = "net")]
pub(crate) use paths::decoded;
pub use paths::{Endpoints, Parameters};

/// One door and its laws.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Where it is; a segment may be a parameter, such as `{agentId}`, which must equal the token's own value.
    pub path: Arc<str>,
    /// Who may pass: any of these roles; an empty list admits every authenticated user.
    pub roles: Vec<Role>,
    /// Which pages may connect.
    pub origins: OriginLaw,
    /// Whether its connections are agents: each the one live connection of its agent id.
    pub agents: bool,
    /// How somebody is turned away.
    pub reject_with: RejectWith,
    /// Heartbeat, expiry and idleness of its sessions.
    pub session: SessionRules,
    /// Whether clients are asked for a sign of life by a message, too, because they cannot see ping frames.
    pub heartbeat_message: bool,
    /// What becomes of the messages.
    pub handler: Handler,
    /// What clients here call the gateway's types and members.
    pub vocabulary: Arc<Vocabulary>,
    /// The rooms that a connection is put into by itself.
    pub join: Vec<RoomTemplate>,
    /// The largest message, in bytes.
    pub max_message: usize,
    /// The plan of a user whose token names none.
    pub plan: Option<PlanName>,
    /// Where messages are counted.
    pub messages_scope: MessagesScope,
}

impl Endpoint {
    /// A door for everybody with a token and for no page, with the limits that ship.
    pub fn at(path: &str) -> Self {
        Self {
            path: path.into(),
            roles: Vec::new(),
            origins: OriginLaw::default(),
            agents: false,
            reject_with: RejectWith::Http,
            session: SessionRules {
                on_expiry: OnExpiry::Close,
                expiry_warning: Duration::from_secs(60),
                heartbeat: Some(Duration::from_secs(25)),
                heartbeat_timeout: Duration::from_secs(10),
                idle_timeout: None,
            },
            heartbeat_message: false,
            handler: Handler::Routes,
            vocabulary: Arc::new(Vocabulary::native()),
            join: Vec::new(),
            max_message: 1 << 20,
            plan: None,
            messages_scope: MessagesScope::User,
        }
    }

    /// Whether its clients speak messages, and so can be told anything.
    pub const fn hears(&self) -> bool {
        !matches!(self.handler, Handler::Echo)
    }
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
#[derive(Clone, Debug)]
pub enum Handler {
    /// They are read and routed.
    Routes,
    /// They are read and shown to a service of the embedder's own; what it does not take is routed.
    Own(Arc<dyn MessageHandler>),
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

/// Whether a connection is put into the rooms that one is put into by itself; who wants to recover them is not.
pub fn autojoin(query: &Query) -> Result<bool, Refusal> {
    match query.get("autojoin")? {
        None | Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(_) => Err(Refusal::new(Code::InvalidRequest, "`autojoin` is true or false")),
    }
}
