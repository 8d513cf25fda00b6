//! `gateway keys`.
use super::Failure;
use clap::Subcommand;
/// Make keys and hashes.
#[derive(Debug, Subcommand)]
pub(super) enum Keys {}
impl Keys {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {}
    }
}
