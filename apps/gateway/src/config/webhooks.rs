//! The section about webhooks: backends that are told what happens. Where their secrets are, not what they are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{Count, EndpointPath, FilePath, HookName, HookUrl, Period, Size, Variable};

/// Each is an address that gets signed requests; routes and events mean it by `webhook:NAME`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Its name.
    pub name: HookName,
    /// Where the requests go: https, or http on this machine. A redirect is not followed.
    pub url: HookUrl,
    /// The file with the secret that signs them, of at least 32 bytes; or `secret_env`.
    pub secret_file: Option<FilePath>,
    /// The environment variable with that secret; or `secret_file`.
    pub secret_env: Option<Variable>,
    /// The file with the secret before this one, while it is exchanged: every request has a signature by each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_secret_file: Option<FilePath>,
    /// The environment variable with that secret; or `previous_secret_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_secret_env: Option<Variable>,
    /// What it is told.
    #[serde(default = "Webhook::events")]
    pub events: Vec<HookEvent>,
    /// Of the connections of which endpoints; none: of all. Messages come by routes, wherever they are from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<EndpointPath>,
    /// How long an answer may take: at most 8 s, so that three attempts fit into half a minute.
    #[serde(default = "Webhook::timeout")]
    pub timeout: Period,
    /// How many requests are under way at once: at most 256, and one for each connection.
    #[serde(default = "Webhook::at_once")]
    pub at_once: Count,
    /// What may wait to be told.
    #[serde(default)]
    pub queue: HookQueue,
    /// When it is not tried for a while.
    #[serde(default)]
    pub breaker: HookBreaker,
}

/// What a webhook is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HookEvent {
    /// A connection began.
    Connect,
    /// A connection ended, and why.
    Disconnect,
    /// A message or an event for `webhook:NAME`.
    Message,
}

/// What finds no room is dropped and counted; the last quarter is for `connect` and `disconnect` alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HookQueue {
    /// So many events.
    pub events: Count,
    /// So many bytes.
    pub bytes: Size,
}

/// A webhook that took none of so many events in a row is not tried for a while: what comes then is dropped at once.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HookBreaker {
    /// So many events that had to be given up.
    pub failures: Count,
    /// How long it is not tried.
    pub pause: Period,
}

impl Webhook {
    fn events() -> Vec<HookEvent> {
        vec![HookEvent::Connect, HookEvent::Disconnect, HookEvent::Message]
    }

    fn timeout() -> Period {
        Period::seconds(8)
    }

    fn at_once() -> Count {
        Count::new(8)
    }
}

impl Default for HookQueue {
    fn default() -> Self {
        Self { events: Count::new(10_000), bytes: Size::mib(16) }
    }
}

impl Default for HookBreaker {
    fn default() -> Self {
        Self { failures: Count::new(5), pause: Period::seconds(10) }
    }
}
