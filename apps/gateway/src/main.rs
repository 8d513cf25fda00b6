//! Reads the environment, once and only here, and does what the command line asks.

use std::process::ExitCode;

use clap::Parser;
use gateway::cli::{Cli, Failure};
use mimalloc::MiMalloc;

/// Connections come and go by the thousand, each with a handful of allocations: with the system's allocator these cost an
/// eighth of a handshake more, and lie further apart.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[allow(clippy::disallowed_methods, reason = "the only reader of the environment")]
fn main() -> ExitCode {
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    match Cli::parse().run(environment.collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::No) => ExitCode::FAILURE,
        Err(Failure::Configuration(faults)) => {
            complain(&faults);
            ExitCode::from(2)
        }
        Err(Failure::Other(error)) => {
            complain(&format!("gateway: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stderr, reason = "the last words of the program")]
fn complain(what: &str) {
    eprintln!("{what}");
}
