//! Measures a gateway: the exit code is 0 where all went well, 1 where something was lost, disordered, refused or above
//! a threshold, and 2 where nothing could be measured.

use std::process::ExitCode;

use clap::Parser;
use loadtest::options::Options;

fn main() -> ExitCode {
    match loadtest::run(&Options::parse()) {
        Ok(faults) if faults.is_empty() => ExitCode::SUCCESS,
        Ok(faults) => {
            complain(&faults.join("\nloadtest: "));
            ExitCode::FAILURE
        }
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::from(2)
        }
    }
}

#[allow(clippy::print_stderr, reason = "the last words of the program")]
fn complain(what: &str) {
    eprintln!("loadtest: {what}");
}
