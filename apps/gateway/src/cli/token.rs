//! `gateway token`: make tokens, look into them, and try them at the gate. A token is read from standard input or from
//! a file, never from the command line, where every user of the machine could read it.

pub(super) mod given;
mod inspect;
mod mint;

pub(super) use mint::period;

use clap::Subcommand;

use super::{Environment, Failure, check::Check};

/// Make tokens, look into them, and try them at the gate.
#[derive(Debug, Subcommand)]
pub(super) enum Token {
    /// Sign a token with a key of the configuration, and print it alone.
    Mint(mint::Mint),
    /// Print what a token says, without verifying anything.
    Inspect(inspect::Inspect),
    /// Try a token at the gate: every check in its order, which one decided, and the line of the configuration behind
    /// it. Exit code 0: admitted; 1: refused.
    Check(Check),
}

impl Token {
    pub(super) fn run(self, environment: Environment) -> Result<(), Failure> {
        match self {
            Self::Mint(mint) => mint.run(&environment),
            Self::Inspect(inspect) => inspect.run(),
            Self::Check(check) => check.run(&environment),
        }
    }
}
