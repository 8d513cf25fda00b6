//! The door from outside: tokens as they come in, keys as they are configured, sets of keys as issuers serve them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what the tests share is test code too")]

mod callers;
mod forms;
mod issuing;
mod key_material;
mod key_set_outages;
mod key_sets;
mod properties;
mod refreshing;
mod support;
mod traps;
