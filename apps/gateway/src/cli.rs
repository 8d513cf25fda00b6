//! The command line: what an operator can ask of this program. Secrets never stand on it: they come from a file, from
//! the environment, or from standard input.

mod api;
mod check;
mod completion;
mod config;
mod connect;
mod corridor;
mod doctor;
mod events;
mod explain;
mod health;
mod keys;
mod operate;
mod page;
mod policy;
mod serve;
mod token;
mod vitals;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use serve::Serve;

/// The environment as it was when the program began.
pub type Environment = Vec<(String, String)>;

/// A gateway where agents and dashboards meet over WebSockets.
#[derive(Debug, Parser)]
#[command(name = "gateway", version, about, long_about = None)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway (what happens without a command).
    Serve(Serve),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(config::Config),
    /// Try routes and rules of rooms without a gateway that runs, and see what each role may do.
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Write what backends publish events with.
    #[command(subcommand)]
    Events(events::Events),
    /// Make tokens, look into them, and try them at the gate.
    #[command(subcommand)]
    Token(token::Token),
    /// Say why a request was refused, by the id that the client was told.
    Explain(explain::Explain),
    /// Make keys and hashes.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Look at the machine, the configuration and what it needs, and say what to change before it serves.
    Doctor(doctor::Doctor),
    /// Ask the gateway on this machine whether it answers (exit code 0), or not (1).
    Health(health::Health),
    /// Print the completion of a shell.
    Completion(completion::Completion),
    #[command(flatten)]
    Operate(operate::Operate),
    /// Print the OpenAPI document of the HTTP API of this version.
    Openapi,
    /// Connect to an endpoint: print what comes, send what is typed. The token is read from GATEWAY_TOKEN.
    Connect(connect::Connect),
}

/// Where the configuration is.
#[derive(Clone, Debug, Default, Args)]
pub struct Where {
    /// The configuration file [default: gateway.toml, where it exists].
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A value that goes before the file and the environment, such as server.listen=127.0.0.1:9000.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
}

fn key_value(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE, such as server.listen=127.0.0.1:9000")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

/// How the program ends where it does not end well.
#[derive(Debug)]
pub enum Failure {
    /// The configuration is wrong: exit code 2.
    Configuration(String),
    /// A check came out with a no: exit code 1, and all was said on standard output.
    No,
    /// Anything else: exit code 1.
    Other(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

impl Cli {
    /// Does what was asked.
    pub fn run(self, environment: Environment) -> Result<(), Failure> {
        match self.command {
            None => self.serve.run(environment),
            Some(Command::Serve(serve)) => serve.run(environment),
            Some(Command::Config(command)) => command.run(environment),
            Some(Command::Policy(command)) => command.run(environment),
            Some(Command::Events(command)) => command.run(environment),
            Some(Command::Token(command)) => command.run(environment),
            Some(Command::Explain(command)) => command.run(environment),
            Some(Command::Keys(command)) => command.run(),
            Some(Command::Doctor(command)) => command.run(environment),
            Some(Command::Health(command)) => command.run(environment),
            Some(Command::Completion(command)) => command.run(),
            Some(Command::Operate(command)) => command.run(environment),
            Some(Command::Openapi) => Ok(page::print(&openapi()?)?),
            Some(Command::Connect(command)) => command.run(environment),
        }
    }
}

/// The document as it is committed, and as anybody reads it who has no gateway at hand.
fn openapi() -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string_pretty(&gateway_server::http::document())? + "\n")
}
