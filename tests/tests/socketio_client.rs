//! Dashboards by the ordinary clients of Socket.IO: the npm package `socket.io-client` under Node.js, and `python-socketio`;
//! over long polling, over a WebSocket, and moved from the one to the other.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

#[path = "socketio_client/door.rs"]
mod door;
#[path = "socketio_client/ending.rs"]
mod ending;
#[path = "socketio_client/hearing.rs"]
mod hearing;
#[path = "socketio_client/moving.rs"]
mod moving;
#[path = "socketio_client/python.rs"]
mod python;
#[path = "socketio_client/sharing.rs"]
mod sharing;
#[path = "socketio_client/speaking.rs"]
mod speaking;
#[path = "socketio_client/told.rs"]
mod told;
