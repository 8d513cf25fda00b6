//! The load test: what the gateway costs on this machine, beside the floor.
//!
//! Read it in the order of a run. [`options`] and [`sizes`] say what is wanted; [`subject`] is a server under load,
//! a gateway, the [`floor`] or one of its [`peers`], and gateways meet at a [`redis`]; [`scenario`] loads it with a [`crowd`] of clients, who come in with tokens of the [`mint`],
//! speak a [`protocol`] in the frames of [`wire`], and hold everything that they hear against a [`tally`]. [`machine`] tells
//! what it cost, [`sample`] sums it up, [`verdict`] judges, [`targets`] holds it against where the gateway wants to be, and
//! [`report`] tells.
#![allow(
    clippy::disallowed_methods,
    reason = "a program that measures reads the clock, and its secret where it is told to"
)]

pub mod crowd;
pub mod floor;
pub mod machine;
pub mod mint;
pub mod options;
pub mod peers;
pub mod protocol;
pub mod redis;
pub mod report;
pub mod sample;
pub mod scenario;
pub mod sizes;
pub mod subject;
pub mod tally;
pub mod targets;
pub mod verdict;
pub mod wire;

use std::fs;

use anyhow::{Context, Result};

use gateway_auth::Algorithm;
use machine::Cores;
use options::{Options, Part, Place, Targets};
use peers::{Peer, Peers};
use protocol::Tongue;
use report::Report;
use sample::Row;
use scenario::{Bench, Scenario};
use sizes::Set;
use subject::Subject;
use targets::Line;
use verdict::Thresholds;

/// Measures what is wanted, and tells it; what did not go well comes back.
pub fn run(options: &Options) -> Result<Vec<String>> {
    match &options.part {
        Some(Part::Floor { listen }) => {
            floor::serve(*listen)?;
            return Ok(Vec::new());
        }
        Some(Part::Targets(targets)) => return hold_against_targets(targets),
        None => {}
    }
    if options.show_config {
        say(subject::CONFIGURATION);
        return Ok(Vec::new());
    }
    let sizes = options.sizes.sizes(2 + options.peers.chosen.len())?;
    options.peers.check()?;
    let scenarios = options.scenarios()?;
    let source = options.target.source()?;
    let cores = settle(&options.place);
    let bench = Bench {
        source: &source,
        cores,
        sizes: &sizes,
        algorithms: &options.algorithms,
        with_floor: !options.no_floor,
        peers: &options.peers,
        tongue: options.protocol,
    };
    let rows = measure(&bench, scenarios)?;
    let faults = verdict::faults(&rows, &options.thresholds);
    say(&report::table(&rows));
    let size = options.sizes.size;
    tell(&options.place, &bench, size, (&rows, &[]), &faults)?;
    Ok(faults)
}

/// All that the targets are about, in one run. A target that is not met is told, and no fault: what was lost is.
fn hold_against_targets(wanted: &Targets) -> Result<Vec<String>> {
    let aimed: Vec<_> = Tongue::Native.usual().iter().copied().filter(|scenario| scenario.has_target()).collect();
    let sizes = wanted.sizes.sizes(2)?;
    let chosen = if wanted.no_peers { Peers::default() } else { wanted.peers.clone().or_installed() };
    chosen.check()?;
    let source = options::program(wanted.gateway.as_deref())?;
    let cores = settle(&wanted.place);
    // One that does not start on this machine is left out, and said to be.
    let peers = chosen.only(|peer| match Subject::peer(&chosen, peer, cores) {
        Ok(_) => true,
        Err(fault) => {
            say(&format!("without the peer `{}`: {fault:#}\n", peer.name()));
            false
        }
    });
    let bench = Bench {
        source: &source,
        cores,
        sizes: &sizes,
        algorithms: &[Algorithm::Hs256, Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa],
        with_floor: true,
        peers: &peers,
        tongue: Tongue::Native,
    };
    let mut rows = measure(&bench, &aimed)?;
    let stock = peers.only(|peer| peer == Peer::SocketIo);
    let by_socketio = Bench { peers: &stock, tongue: Tongue::SocketIo, with_floor: false, ..bench };
    let by_socketio = measure(&by_socketio, &[Scenario::Idle])?;
    let lines = targets::lines(&rows, &by_socketio);
    rows.extend(by_socketio.into_iter().map(|row| Row { case: format!("{}, by Socket.IO", row.case), ..row }));
    let faults = verdict::faults(&rows, &Thresholds::default());
    say(&report::table(&rows));
    say(&format!("\n{}", targets::table(&lines)));
    tell(&wanted.place, &bench, wanted.sizes.size, (&rows, &lines), &faults)?;
    Ok(faults)
}

/// Takes the client's processor, where there are two.
fn settle(place: &Place) -> Option<Cores> {
    let cores = place.cores();
    if let Some(cores) = cores {
        cores.take_client();
    }
    cores
}

fn measure(bench: &Bench<'_>, scenarios: &[Scenario]) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for scenario in scenarios {
        rows.extend(scenario.run(bench).with_context(|| format!("`{}` could not be measured", scenario.name()))?);
    }
    Ok(rows)
}

/// Writes the files that were asked for.
fn tell(
    place: &Place,
    bench: &Bench<'_>,
    size: Set,
    (rows, targets): (&[Row], &[Line]),
    faults: &[String],
) -> Result<()> {
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        size,
        sizes: bench.sizes,
        processors: machine::processors(),
        pinned: bench.cores.is_some(),
        system: machine::system(),
        protocol: bench.tongue,
        peers: bench.peers.versions()?,
        targets,
        rows,
        faults,
    };
    for (file, text) in
        [(&place.json, report.json()?), (&place.html, report.html()), (&place.chart, report::chart(rows))]
    {
        if let Some(file) = file {
            fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))?;
        }
    }
    Ok(())
}

#[allow(clippy::print_stdout, reason = "what was asked for")]
fn say(text: &str) {
    print!("{text}");
}
