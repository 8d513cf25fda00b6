//! Socket.IO packet by packet, spoken by hand: long polling by plain HTTP, the WebSocket by a plain client of it. What
//! the library for browsers makes of it is another story.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

#[path = "socketio_raw/by_hand.rs"]
mod by_hand;
#[path = "socketio_raw/carrying.rs"]
mod carrying;
#[path = "socketio_raw/ending.rs"]
mod ending;
#[path = "socketio_raw/entering.rs"]
mod entering;
#[path = "socketio_raw/speaking.rs"]
mod speaking;
