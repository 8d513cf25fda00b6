//! `gateway explain`.
use super::{Environment, Failure};
use clap::Args;
/// .
#[derive(Debug, Args)]
pub(super) struct Explain {}
impl Explain {
    pub(super) fn run(self, _environment: Environment) -> Result<(), Failure> {
        Ok(())
    }
}
