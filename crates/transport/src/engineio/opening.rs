//! The first word of a server: what the session is called, and how it is kept.

use std::time::Duration;

use serde::Serialize;

use super::Packet;

/// What a client is told when its session opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening<'a> {
    /// What every further request names. It is as good as a credential for the session.
    pub sid: &'a str,
    /// Whether the client may go over to a WebSocket. False where it has one.
    pub upgradable: bool,
    /// How often the server pings.
    pub ping_interval: Duration,
    /// How long a pong may take.
    pub ping_timeout: Duration,
    /// The most bytes in one body, or in one message of a WebSocket.
    pub max_payload: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Words<'a> {
    sid: &'a str,
    upgrades: &'a [&'a str],
    ping_interval: u64,
    ping_timeout: u64,
    max_payload: usize,
}

impl Opening<'_> {
    /// The whole packet as text.
    pub fn to_text(&self) -> String {
        let upgrades: &[&str] = if self.upgradable { &["websocket"] } else { &[] };
        let words = Words {
            sid: self.sid,
            upgrades,
            ping_interval: milliseconds(self.ping_interval),
            ping_timeout: milliseconds(self.ping_timeout),
            max_payload: self.max_payload,
        };
        // Texts and numbers always serialise.
        Packet::Open(&serde_json::to_string(&words).unwrap_or_default()).to_text()
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
