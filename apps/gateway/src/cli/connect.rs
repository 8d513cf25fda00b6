//! `gateway connect`.
use super::{Environment, Failure};
use clap::Args;
/// .
#[derive(Debug, Args)]
pub(super) struct Connect {}
impl Connect {
    pub(super) fn run(self, _environment: Environment) -> Result<(), Failure> {
        Ok(())
    }
}
