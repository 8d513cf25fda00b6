//! `gateway completion`: what a shell needs to complete commands, options and values.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Failure, page};

/// Print the completion of a shell.
#[derive(Debug, Args)]
pub(super) struct Completion {
    /// The shell that it is for.
    #[arg(value_enum)]
    shell: Shell,
}

impl Completion {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "gateway", &mut script);
        script.flush()?;
        Ok(page::print(&String::from_utf8_lossy(&script))?)
    }
}
