//! The endpoints: the doors, each with its own law.

use std::collections::BTreeMap;

use gateway_domain::{PlanName, Role};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{Described, EndpointPath, Label, Limit, Origin, Period, Size};

/// Where the file has any, exactly those exist; where it has none, those that ship do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Where it is. A segment may be `{agentId}` or `{userId}`: then it must equal the token's own value. An exact path
    /// goes before one with parameters.
    pub path: EndpointPath,
    /// Who may come in: somebody with one of these roles; the first that fits is the one they are admitted as. None:
    /// any authenticated user.
    #[serde(default)]
    #[schemars(with = "Vec<Described<Role>>")]
    pub roles: Vec<Role>,
    /// The pages that may connect from a browser: exact, or `"self"`, or `"*"`. None: no page may. A request without an
    /// Origin passes, `null` never does.
    #[serde(default)]
    pub origins: Vec<Origin>,
    /// Whether its connections are agents.
    #[serde(default)]
    pub agents: bool,
    /// How it refuses.
    #[serde(default)]
    pub reject_with: RejectWith,
    /// What happens to a connection whose token expires.
    #[serde(default)]
    pub on_expiry: OnExpiry,
    /// How long before its expiry a connection is warned.
    #[serde(default = "Endpoint::expiry_warning")]
    pub expiry_warning: Limit<Period>,
    /// Rooms that a connection is put into by itself; may hold `{sender.userId}` and the like, as routes do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub join: Vec<Label>,
    /// How often the gateway asks a silent client whether it is there.
    #[serde(default = "Endpoint::heartbeat")]
    pub heartbeat: Period,
    /// How long it waits for the answer; any inbound frame is one.
    #[serde(default = "Endpoint::heartbeat_timeout")]
    pub heartbeat_timeout: Period,
    /// Whether the gateway asks by a `ping` message, too, for clients that cannot see ping frames.
    #[serde(default)]
    pub heartbeat_message: bool,
    /// How long a client may send no message.
    #[serde(default = "Endpoint::idle_timeout")]
    pub idle_timeout: Limit<Period>,
    /// What happens to messages.
    #[serde(default)]
    pub handler: Handler,
    /// The largest message that is taken.
    #[serde(default = "Endpoint::max_message")]
    pub max_message: Size,
    /// Which plan limits a user whose token names none; absent: `default`.
    #[schemars(with = "Option<Described<PlanName>>")]
    pub plan: Option<PlanName>,
    /// What the plan's messages are counted by.
    #[serde(default)]
    pub messages_scope: MessagesScope,
    /// What clients here call the gateway's own types: `{ ping = "PING", "auth.refresh" = "TOKEN_REFRESH" }`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<String, Label>,
    /// What clients here call the members of a message.
    #[serde(default, skip_serializing_if = "Envelope::is_native")]
    pub envelope: Envelope,
}

impl Endpoint {
    pub(super) fn expiry_warning() -> Limit<Period> {
        Limit::At(Period::seconds(60))
    }

    pub(super) fn heartbeat() -> Period {
        Period::seconds(25)
    }

    pub(super) fn heartbeat_timeout() -> Period {
        Period::seconds(10)
    }

    pub(super) fn idle_timeout() -> Limit<Period> {
        Limit::Off
    }

    pub(super) fn max_message() -> Size {
        Size::kib(1024)
    }
}

/// What is absent has its own name. It holds for everything that is sent and received at the endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Envelope {
    /// What `id` is called.
    pub id: Option<Label>,
    /// What `payload` is called.
    pub payload: Option<Label>,
    /// What `replyTo` is called; may be the name of `id`.
    pub reply_to: Option<Label>,
}

impl Envelope {
    /// Whether every member has its own name.
    pub const fn is_native(&self) -> bool {
        self.id.is_none() && self.payload.is_none() && self.reply_to.is_none()
    }
}

/// How a door refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RejectWith {
    /// By an HTTP status, before the upgrade.
    #[default]
    Http,
    /// By a close code, right after the upgrade: browsers can read that.
    CloseCode,
}

/// What happens to a connection whose token expires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnExpiry {
    /// It is warned, then closed with 4003; no message after the deadline is handled.
    #[default]
    Close,
    /// It stays.
    Keep,
}

/// What happens to messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Handler {
    /// They are JSON, and routed.
    #[default]
    Routes,
    /// They come back unchanged, text and binary; no greeting.
    Echo,
}

/// What messages are counted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessagesScope {
    /// By user, across all its connections.
    #[default]
    User,
    /// By connection.
    Connection,
}
