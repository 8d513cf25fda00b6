//! `gateway config`.
use super::{Environment, Failure};
use clap::Subcommand;
/// .
#[derive(Debug, Subcommand)]
pub(super) enum Config {}
impl Config {
    pub(super) fn run(self, _environment: Environment) -> Result<(), Failure> {
        match self {}
    }
}
