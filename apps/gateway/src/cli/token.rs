//! `gateway token`.
use super::{Environment, Failure};
use clap::Subcommand;
/// .
#[derive(Debug, Subcommand)]
pub(super) enum Token {}
impl Token {
    pub(super) fn run(self, _environment: Environment) -> Result<(), Failure> {
        match self {}
    }
}
