//! What is measured, scenario by scenario. Where the floor and the peers can do the same work, their rounds and the
//! gateway's are taken in turn, in one run.

mod arrivals;
mod churn;
mod cluster;
mod fanout;
mod field;
mod growth;
mod handshake;
mod idle;
mod leave;
mod newcomers;
mod pairs;
mod room;
mod slow;
mod storm;

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::ValueEnum;
use gateway_auth::Algorithm;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::{
    machine::Cores,
    peers::Peers,
    protocol::Tongue,
    sample::{Latency, Row, Sample},
    sizes::Sizes,
    subject::{Source, Subject},
    tally::Tally,
};

/// What tokens are signed by where nothing else is wanted.
const HS256: [Algorithm; 1] = [Algorithm::Hs256];

/// A scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scenario {
    /// Clients come in, so many at a time, for each algorithm.
    Handshake,
    /// Clients are there and say nothing.
    Idle,
    /// One speaks to a room of many.
    Fanout,
    /// Everybody hears its own words again.
    Echo,
    /// A dashboard commands an agent, which answers.
    Command,
    /// Something is said to one user, by another client and by HTTP.
    Targeted,
    /// Clients come, say one thing, and go.
    Churn,
    /// All are cut off, and come back at once.
    Storm,
    /// All go at once, while others come.
    Leave,
    /// A small room, beside more and more others.
    Growth,
    /// A room in which some do not read.
    Slow,
    /// Two gateways that act as one: what is said at one of them, and heard at the other. Needs a redis-server, and is
    /// measured where it is named.
    Cluster,
}

/// What all scenarios work with.
#[derive(Clone, Copy)]
pub struct Bench<'a> {
    /// The gateways.
    pub source: &'a Source,
    /// Where servers and clients run.
    pub cores: Option<Cores>,
    /// How much.
    pub sizes: &'a Sizes,
    /// The algorithms of handshakes.
    pub algorithms: &'a [Algorithm],
    /// Whether the floor is measured, too.
    pub with_floor: bool,
    /// Who else is.
    pub peers: &'a Peers,
    /// What dashboards speak to the gateway.
    pub tongue: Tongue,
}

impl Scenario {
    /// Runs it.
    pub fn run(self, bench: &Bench<'_>) -> Result<Vec<Row>> {
        match self {
            Self::Handshake => handshake::run(bench),
            Self::Idle => idle::run(bench),
            Self::Fanout => fanout::run(bench),
            Self::Echo => pairs::echo(bench),
            Self::Command => pairs::command(bench),
            Self::Targeted => pairs::targeted(bench),
            Self::Churn => churn::run(bench),
            Self::Storm => storm::run(bench),
            Self::Leave => leave::run(bench),
            Self::Growth => growth::run(bench),
            Self::Slow => slow::run(bench),
            Self::Cluster => cluster::run(bench),
        }
    }

    /// Whether any of the targets is about it.
    pub const fn has_target(self) -> bool {
        !matches!(self, Self::Churn | Self::Slow | Self::Cluster)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Idle => "idle",
            Self::Fanout => "fanout",
            Self::Echo => "echo",
            Self::Command => "command",
            Self::Targeted => "targeted",
            Self::Churn => "churn",
            Self::Storm => "storm",
            Self::Leave => "leave",
            Self::Growth => "growth",
            Self::Slow => "slow",
            Self::Cluster => "cluster",
        }
    }
}

impl Bench<'_> {
    /// A gateway, with the first of the algorithms.
    fn gateway(&self) -> Result<Subject> {
        self.source.open(&HS256, "", self.cores, self.tongue)
    }

    /// The floor, where it is measured.
    fn floor(&self) -> Result<Option<Subject>> {
        self.with_floor.then(|| Subject::floor(self.cores)).transpose()
    }
}

/// A bar that shows how far a case is; nothing where nobody looks.
fn bar(name: &str, steps: u64) -> ProgressBar {
    let bar = ProgressBar::new(steps);
    if let Ok(style) = ProgressStyle::with_template("{prefix:34} {bar:30} {pos}/{len} {elapsed} {msg}") {
        bar.set_style(style);
    }
    bar.set_prefix(name.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A round as it is being measured: from here to [`Round::end`].
struct Round {
    began: Instant,
    cpu: Option<Duration>,
}

impl Round {
    /// Begins when the server is at rest.
    fn begin(subject: &Subject) -> Self {
        subject.rest();
        Self { cpu: subject.cpu(), began: Instant::now() }
    }

    /// Ends with the work; what the server does behind it still counts.
    fn end(
        self,
        subject: &mut Subject,
        units: u64,
        latency: Latency,
        tally: &mut Tally,
        failed: u64,
    ) -> Result<Sample> {
        let elapsed = self.began.elapsed();
        subject.rest();
        subject.check()?;
        let cpu = self.cpu.and_then(|before| Some(subject.cpu()?.saturating_sub(before)));
        let [_, lost, disordered] = tally.take();
        Ok(Sample { units, cpu, elapsed, latency, lost, disordered, failed })
    }
}
