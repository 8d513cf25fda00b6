//! The command line.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use gateway_auth::Algorithm;

use crate::{
    machine::Cores,
    peers::Peers,
    protocol::Tongue,
    scenario::Scenario,
    sizes::Choices,
    subject::{Running, Source},
    verdict::Thresholds,
};

/// Measures a gateway on this machine: what a handshake, a message, an idle connection cost it, beside a bare server
/// that does nothing but the system calls.
///
/// By default it starts the gateway that lies beside this program, with every feature on, on a free port. Processor
/// times are the server's own, so that other work on the machine disturbs them little; ratios disturb least.
#[derive(Parser, Debug)]
#[command(name = "loadtest", version, args_conflicts_with_subcommands = true)]
pub struct Options {
    /// A part of it alone
    #[command(subcommand)]
    pub part: Option<Part>,
    /// What to measure; absent: everything but `cluster`
    #[arg(value_enum)]
    pub scenarios: Vec<Scenario>,
    /// How much
    #[command(flatten)]
    pub sizes: Choices,
    /// Which gateway
    #[command(flatten)]
    pub target: Target,
    /// What dashboards speak to the gateway; by Socket.IO: `handshake`, `idle`, `fanout`, `echo` and `targeted`
    #[arg(long, value_enum, default_value = "native")]
    pub protocol: Tongue,
    /// Which other servers
    #[command(flatten)]
    pub peers: Peers,
    /// The algorithms of the tokens of `handshake`
    #[arg(long, value_delimiter = ',', default_value = "HS256,RS256,ES256,EdDSA")]
    pub algorithms: Vec<Algorithm>,
    /// Measure the gateway alone, without the floor
    #[arg(long)]
    pub no_floor: bool,
    /// Where it is told
    #[command(flatten)]
    pub place: Place,
    /// What is allowed
    #[command(flatten)]
    pub thresholds: Thresholds,
    /// Print the configuration that the gateway is started with, but for its keys, and measure nothing
    #[arg(long)]
    pub show_config: bool,
}

/// Parts of the load test that run as processes of their own.
#[derive(Subcommand, Debug)]
pub enum Part {
    /// The bare server
    #[command(hide = true)]
    Floor {
        /// Where it listens
        #[arg(long)]
        listen: SocketAddr,
    },
    /// Everything that the targets are about, in one run, and each of them beside what was measured: some minutes
    Targets(Targets),
}

/// What the targets are held against.
#[derive(Args, Debug)]
pub struct Targets {
    /// How much
    #[command(flatten)]
    pub sizes: Choices,
    /// The program of the gateway; absent: the one beside this program
    #[arg(long, value_name = "PROGRAM")]
    pub gateway: Option<PathBuf>,
    /// Which other servers; absent: those that are installed
    #[command(flatten)]
    pub peers: Peers,
    /// Leave out other servers, installed or not
    #[arg(long, conflicts_with = "chosen")]
    pub no_peers: bool,
    /// Where it is told
    #[command(flatten)]
    pub place: Place,
}

/// Where things run, and where they are told.
#[derive(Args, Clone, Debug)]
pub struct Place {
    /// Whether server and client each get a processor of their own
    #[arg(long, value_enum, default_value = "auto")]
    pub pin: Pin,
    /// Write everything that was measured to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a report with plots to this file, one page that needs no other
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write the chart of what a unit of work costs to this file, as SVG
    #[arg(long, value_name = "FILE")]
    pub chart: Option<PathBuf>,
}

/// Which gateway.
#[derive(Args, Debug)]
pub struct Target {
    /// The program of the gateway; absent: the one beside this program
    #[arg(long, value_name = "PROGRAM", conflicts_with = "url")]
    gateway: Option<PathBuf>,
    /// A gateway that runs already, ws://HOST:PORT; it needs the doors of `--show-config`
    #[arg(long)]
    url: Option<String>,
    /// Its process, where it is on this machine: without it there are no processor times
    #[arg(long, requires = "url")]
    pid: Option<u32>,
    /// The file with the secret of its HS256 tokens
    #[arg(long, value_name = "FILE", requires = "url")]
    secret_file: Option<PathBuf>,
    /// The environment variable with that secret
    #[arg(long, value_name = "NAME", requires = "url", conflicts_with = "secret_file")]
    secret_env: Option<String>,
    /// The `kid` of that secret
    #[arg(long, requires = "url")]
    kid: Option<String>,
}

/// Whether processes stay on their processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pin {
    /// Where there are two
    Auto,
    /// They go where the system puts them
    Off,
}

impl Options {
    /// Which scenarios.
    pub fn scenarios(&self) -> Result<&[Scenario]> {
        let spoken = self.protocol.scenarios();
        if let Some(other) = self.scenarios.iter().find(|scenario| !spoken.contains(scenario)) {
            bail!("`{}` is not measured by Socket.IO: leave it out, or leave out --protocol", other.name());
        }
        if self.target.url.is_some() && self.scenarios.contains(&Scenario::Cluster) {
            bail!("`cluster` starts gateways of its own: leave out --url, or leave it out");
        }
        Ok(if self.scenarios.is_empty() { self.protocol.usual() } else { &self.scenarios })
    }
}

impl Place {
    /// The processors to stay on.
    pub fn cores(&self) -> Option<Cores> {
        match self.pin {
            Pin::Auto => Cores::found(),
            Pin::Off => None,
        }
    }
}

impl Target {
    /// The gateways to be loaded.
    pub fn source(&self) -> Result<Source> {
        let Some(url) = &self.url else { return program(self.gateway.as_deref()) };
        let secret = match (&self.secret_file, &self.secret_env) {
            (Some(file), _) => {
                std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?
            }
            (None, Some(name)) => std::env::var(name).with_context(|| format!("the variable {name} is not set"))?,
            (None, None) => bail!(
                "to load a gateway that runs, clients need tokens: give the secret of one of its HS256 keys with \
                 --secret-file or --secret-env"
            ),
        };
        let secret = secret.trim_end_matches(['\r', '\n']).as_bytes().to_vec();
        Ok(Source::Running(Running { url: url.clone(), pid: self.pid, secret, kid: self.kid.clone() }))
    }
}

/// A gateway that is started: that program, or the one beside this.
pub fn program(named: Option<&Path>) -> Result<Source> {
    let program = match named {
        Some(program) => program.to_owned(),
        None => {
            let own = std::env::current_exe().context("this program does not know where it is")?;
            own.with_file_name("gateway")
        }
    };
    if !program.is_file() {
        bail!(
            "there is no gateway at {}: build it as this program was built (`cargo build --release -p gateway`), \
             or name it with --gateway",
            program.display()
        );
    }
    // It is started in another folder.
    let program = program.canonicalize().with_context(|| format!("{} cannot be found", program.display()))?;
    Ok(Source::Program(program))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Options::command().debug_assert();
        let options = Options::parse_from(["loadtest", "echo", "fanout", "--size", "tiny", "--algorithms", "EdDSA"]);
        assert_eq!(options.scenarios().unwrap(), [Scenario::Echo, Scenario::Fanout]);
        let by_socketio = Options::parse_from(["loadtest", "--protocol", "socketio"]);
        assert_eq!(by_socketio.scenarios().unwrap().len(), 5);
        assert!(Options::parse_from(["loadtest", "slow", "--protocol", "socketio"]).scenarios().is_err());
        assert_eq!(options.algorithms, [Algorithm::EdDsa]);
        assert_eq!(
            Options::parse_from(["loadtest"]).scenarios().unwrap().len(),
            11,
            "nothing named is all that needs no Redis"
        );
        let running = ["loadtest", "cluster", "--url", "ws://127.0.0.1:1"];
        assert!(Options::parse_from(running).scenarios().is_err(), "a gateway that runs is not joined to another");
    }

    #[test]
    fn a_gateway_that_is_not_there_is_missed_kindly() {
        let options = Options::parse_from(["loadtest", "--gateway", "/nowhere/gateway"]);
        let told = options.target.source().err().unwrap().to_string();
        assert!(told.contains("cargo build --release -p gateway"), "{told}");
        let options = Options::parse_from(["loadtest", "--url", "ws://127.0.0.1:1"]);
        assert!(options.target.source().err().unwrap().to_string().contains("--secret-file"));
    }
}
