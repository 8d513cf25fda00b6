//! Several gateways that act as one, joined by a switchboard in this process: whoever is meant hears it, wherever it is, once and
//! in one order; what is limited is limited over all of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

mod joined {
    mod away;
    mod limits;
    mod lists;
    mod requests;
    mod rooms;
}

use serde_json::{Value, json};

/// No quotas, and rooms for everybody.
pub(crate) const CONFIG: &str = r#"
[plans.default]
connections = 10
messages = "off"
[plans.agent]
messages = "off"
[limits]
handshakes_per_ip = "off"
handshakes_per_user = "off"
[[rooms.rules]]
match = "agents"
join = [{ role = "dashboard" }]
[[rooms.rules]]
match = "quiet"
join = [{ role = "dashboard" }]
presence = "off"
[[rooms.rules]]
match = "{name}"
join = [{ role = "dashboard" }]
[[routes]]
from = "dashboard"
types = ["say"]
to = "room:{payload.room}"
[[routes]]
from = "dashboard"
types = ["command"]
to = "agent:{payload.agentId}"
reply_timeout = "2s"
[[routes]]
from = "dashboard"
types = ["anyone"]
to = "role:agent"
reply_timeout = "2s"
[[routes]]
from = "agent"
types = ["*"]
to = "room:agent:{sender.agentId}"
"#;

/// An event.
pub(crate) fn event(to: &[&str], n: usize) -> Option<Value> {
    Some(json!({"to": to, "type": "news", "payload": {"n": n}}))
}
