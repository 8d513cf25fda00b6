//! The running gateway: one corridor from a handshake to a seat, one loop a connection, one way out.
//!
//! Read it in the order of a visit. [`http`] takes a request and finds its door ([`endpoint`]). [`gate`] makes the
//! checks, each a `?`, and asks [`ledger`] (who may not), [`limits`] (how often, how much), [`plans`] (which limits)
//! and [`hub`] (a seat). What is refused becomes an answer in [`refusal`] and a line in [`audit`]. Who is let in is
//! served by [`connection`]: one task, one select; what it says goes by the routes of the [`house`], or to a [`handler`] of
//! the embedding service, to those whom the hub finds; when it ends, dropping the seat undoes everything. [`socketio`]
//! is the other door, for pages: the same gate in two halves, the same loop for each of its namespaces. [`issuing`]
//! gives tokens, where this gateway issues any, and [`publish`] tells and asks for backends, which [`webhook`] tells what
//! happens. [`cluster`] is the house's end of the link to other gateways. [`clock`] is the only clock, [`words`] says what the domain's words look like over HTTP, [`trace`] follows the
//! traces of others, [`house`] is what the rooms share, [`helm`] is what an operator steers by, `succession` puts one policy
//! in the place of another, and [`gateway`] opens the listeners and closes the house.
//!
//! Without the default feature `net` (no sockets, no warp) what is decided stands alone, for a front of another kind: the
//! gate over [`gate::Seats`] of that front's own, the ledger, the limits, the plans, what a message asks for ([`intent`]),
//! a [`refresh`], who calls ([`caller`]), what is published ([`publish::written`]), the [`greeting`], the refusals:
//!
//! ```
//! use gateway_domain::{Code, Refusal, RequestId};
//! use gateway_server::refusal;
//!
//! let answer = refusal::response(&Refusal::plain(Code::AuthRequired), RequestId::new(uuid::Uuid::nil()));
//! assert_eq!(answer.status(), 401);
//! assert!(answer.headers()["www-authenticate"].to_str()?.starts_with("Bearer"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod audit;
pub mod caller;
pub mod clock;
pub mod cluster;
pub mod endpoint;
pub mod gate;
pub mod greeting;
pub mod handler;
pub mod house;
pub mod hub;
pub mod intent;
pub mod issuing;
mod journal;
pub mod ledger;
pub mod limits;
pub mod metrics;
pub mod plans;
pub mod publish;
pub mod refresh;
pub mod refusal;
mod succession;
pub mod trace;
pub mod webhook;
pub mod words;

#[cfg(feature = "net")]
pub mod connection;
#[cfg(feature = "net")]
pub mod gateway;
#[cfg(feature = "net")]
pub mod helm;
#[cfg(feature = "net")]
pub mod http;
#[cfg(feature = "net")]
pub mod socketio;

#[cfg(feature = "net")]
pub use gateway::{Drain, Gateway, Opening};
pub use house::House;
