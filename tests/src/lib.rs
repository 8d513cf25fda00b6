//! One harness that speaks the user's language: a [`TestGateway`] is the real program, started with a configuration and
//! watched to its end; a [`TestClient`] is a real WebSocket client; [`tokens`] are what an identity provider would sign.
//!
//! The law of this crate: nothing is mocked that runs here, and what every process wrote is read at its end, for no
//! token may be in it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a harness that cannot go on says so by panicking"
)]

pub mod actor;
pub mod browser;
pub mod calls;
pub mod chance;
pub mod client;
pub mod crowd;
pub mod dev;
pub mod example;
pub mod fleet;
pub mod forgery;
pub mod gateway;
pub mod house;
pub mod joined;
pub mod jwks;
pub mod kept;
pub mod keys;
pub mod lambda;
pub mod linked;
pub mod node;
pub mod partition;
pub mod plain;
pub mod process;
pub mod program;
pub mod proxy;
pub mod python;
pub mod raw;
pub mod receiver;
pub mod redis;
pub mod rooms;
pub mod runner;
pub mod scrape;
pub mod secure;
pub mod several;
pub mod stage;
pub mod tokens;

pub use actor::Actor;
pub use client::{Refused, TestClient};
pub use gateway::{Options, TestGateway};
pub use tokens::{Claims, SECRET};

/// Tries until it holds, or gives up after that many seconds.
pub async fn eventually<T>(seconds: u64, what: &str, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..seconds * 50 {
        if let Some(value) = attempt().await {
            return value;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("within {seconds} s it never came to this: {what}");
}
