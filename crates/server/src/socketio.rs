//! The door of Socket.IO: pages that use the ordinary client come in here, and are connections like all others.
//!
//! Read it in the order of a visit. `http::engineio` takes a request and finds or opens a session in the table
//! (`sessions`). A `session` is one task: it has a `carrier` (a held poll, or a WebSocket), maybe a second that it is
//! being moved to (`moving`), and reads what the client says (`reading`). A CONNECT goes to the gate (`admission`); who is
//! let into a namespace is served by the loop of all connections, through its own `line` to this session. What is said
//! to a client is written as a whole packet where vocabularies are written, once for all who hear it.
//!
//! Until its first CONNECT is granted, a session is a stranger: it has a place in the vestibule, little room, and
//! `connect_timeout`.

mod admission;
mod carrier;
mod line;
mod moving;
mod reading;
mod session;
mod sessions;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use gateway_transport::engineio::PayloadLimits;

pub(crate) use session::{Request, Visitor, open};
use sessions::Sessions;
pub(crate) use sessions::{EngineFault, Shared};

/// What a stranger may send in one message, or in one body.
pub(crate) const STRANGERS_PAYLOAD: usize = 64 << 10;
/// The framing of a packet around a message of the largest size.
const FRAMING: usize = 1 << 10;
/// The packets of one body, either way.
const PACKETS: usize = 64;

/// How sessions are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimes {
    /// How often a client is asked whether it is there.
    pub ping_interval: Duration,
    /// How long its answer may take.
    pub ping_timeout: Duration,
    /// How long it may be in no namespace.
    pub connect_timeout: Duration,
}

/// The door: its path, and the sessions that are open. Its namespaces are the house's.
#[derive(Debug)]
pub struct Socketio {
    path: Box<str>,
    times: SessionTimes,
    max_payload: usize,
    sessions: Arc<Sessions>,
}

impl Socketio {
    /// A door at that path, for at most so many sessions at once, whose messages have so many bytes.
    pub fn new(path: &str, times: SessionTimes, largest: usize, most_sessions: usize) -> Self {
        let max_payload = largest.saturating_add(FRAMING);
        let sessions = Sessions::of_at_most(most_sessions);
        Self { path: path.trim_end_matches('/').into(), times, max_payload, sessions }
    }

    /// Whether that path is the door's, be it without the slash at its end.
    pub(crate) fn is_at(&self, path: &str) -> bool {
        path.strip_suffix('/').unwrap_or(path) == &*self.path
    }

    pub(crate) fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    /// The most bytes that a client may send at once.
    pub(crate) fn most_bytes(&self, is_in: bool) -> usize {
        if is_in { self.max_payload } else { self.max_payload.min(STRANGERS_PAYLOAD) }
    }

    /// How large a body may be.
    pub(crate) fn payload_limits(&self, is_in: bool) -> PayloadLimits {
        PayloadLimits { bytes: self.most_bytes(is_in), packets: PACKETS }
    }
}
