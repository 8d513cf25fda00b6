//! The command line from outside: the program itself, in a folder of its own, with its exit codes and its words.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what the tests share is test code too")]

mod completing;
mod configuration;
mod connecting;
mod doctor;
mod explaining;
mod health;
mod judging;
mod keys;
mod operating;
mod policy;
mod support;
mod tokens;
