//! What is true about a gateway's connections, sessions and limits, whatever the wire or the clock.
//!
//! The law of this crate: no input or output, no clock, no randomness, no runtime. Time comes in as
//! [`Now`], decisions go out as values, and whoever calls counts and logs them. A front of any kind
//! (a socket, a function behind an API gateway, a test) can stand on it.
//!
//! Reading order: [`name`] and [`time`] are the words; [`refusal`] is the one table of what can go wrong, [`remedy`] what to do about it;
//! [`principal`] and [`plan`] are who somebody is and what they may use; [`ban`], [`revocation`],
//! [`seats`] and [`rate`] decide who comes in and how much they may say; [`session`] is the life of one
//! connection; [`registry`] is who is here, [`sightings`] which agents were, and how steadily; [`envelope`] is what they say. [`route`] decides where that goes, with
//! [`target`], [`template`] and [`path`] as its words, and [`rules`] who may follow a room; both see a [`sender`].
//! [`rooms`] are who hears it, [`history`] what they remember, [`pending`] which requests wait for a reply. [`relay`]
//! writes what goes out, [`trace`] says which trace it belongs to, [`vocabulary`] in the words of an endpoint, and [`event`] is what backends tell. [`link`] is what
//! several gateways that act as one say to what joins them.
//!
//! ```
//! use gateway_domain::{ban::{Ban, Bans, Subject}, time::{Now, Tick, Timestamp}};
//!
//! let now = Now { tick: Tick::ZERO, wall: Timestamp::from_seconds(1_800_000_000) };
//! let mut bans = Bans::default();
//! bans.put(Ban { subject: Subject::Network("203.0.113.0/24".parse()?), until: None, reason: None })?;
//!
//! assert!(bans.on_address("203.0.113.9".parse()?, now).is_some());
//! assert!(bans.on_address("198.51.100.9".parse()?, now).is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod ban;
pub mod envelope;
pub mod event;
pub mod flaw;
pub mod history;
pub mod link;
pub mod name;
pub mod network;
pub mod path;
pub mod pending;
pub mod plan;
pub mod principal;
pub mod rate;
pub mod refusal;
pub mod registry;
pub mod relay;
pub mod remedy;
pub mod revocation;
pub mod rooms;
pub mod route;
pub mod rules;
pub mod seats;
pub mod sender;
pub mod session;
pub mod sightings;
pub mod target;
pub mod template;
pub mod time;
pub mod trace;
pub mod vocabulary;

pub use name::{AgentId, ConnectionId, EventId, Permission, PlanName, RequestId, Role, Room, Token, UserId};
pub use principal::Principal;
pub use refusal::{Advice, Code, Detail, Refusal};
pub use time::{Now, Tick, Timestamp};
