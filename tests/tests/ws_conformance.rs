//! The WebSocket protocol held to its letter (RFC 6455), byte by byte, at the real program: each case is a line that says
//! what is sent and what must come back, and all that comes back is looked at. What a proper library makes of proper
//! messages is another story.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

#[path = "ws_conformance/case.rs"]
mod case;
#[path = "ws_conformance/closing.rs"]
mod closing;
#[path = "ws_conformance/control.rs"]
mod control;
#[path = "ws_conformance/fragments.rs"]
mod fragments;
#[path = "ws_conformance/framing.rs"]
mod framing;
#[path = "ws_conformance/limits.rs"]
mod limits;
#[path = "ws_conformance/utf8.rs"]
mod utf8;
