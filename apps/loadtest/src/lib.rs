//! The load test: what the gateway costs on this machine, beside the floor.
//!
//! Read it in the order of a run. [`options`] and [`sizes`] say what is wanted; [`subject`] is a server under load,
//! a gateway, the [`floor`] or one of its [`peers`]; [`scenario`] loads it with a [`crowd`] of clients, who come in with tokens of the [`mint`],
//! speak a [`protocol`] in the frames of [`wire`], and hold everything that they hear against a [`tally`]. [`machine`] tells
//! what it cost, [`sample`] sums it up, [`verdict`] judges and [`report`] tells.
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
pub mod report;
pub mod sample;
pub mod scenario;
pub mod sizes;
pub mod subject;
pub mod tally;
pub mod verdict;
pub mod wire;

use std::fs;

use anyhow::{Context, Result};

use options::{Options, Part};
use report::Report;
use scenario::Bench;

/// Measures what is wanted, and tells it; what did not go well comes back.
pub fn run(options: &Options) -> Result<Vec<String>> {
    if let Some(Part::Floor { listen }) = options.part {
        floor::serve(listen)?;
        return Ok(Vec::new());
    }
    if options.show_config {
        say(subject::CONFIGURATION);
        return Ok(Vec::new());
    }
    let sizes = options.sizes.sizes(2 + options.peers.chosen.len())?;
    options.peers.check()?;
    let source = options.target.source()?;
    let scenarios = options.scenarios()?;
    let processors = machine::processors();
    let cores = options.cores();
    if let Some(cores) = cores {
        cores.take_client();
    }
    let bench = Bench {
        source: &source,
        cores,
        sizes: &sizes,
        algorithms: &options.algorithms,
        with_floor: !options.no_floor,
        peers: &options.peers,
        tongue: options.protocol,
    };
    let mut rows = Vec::new();
    for scenario in scenarios {
        rows.extend(scenario.run(&bench).with_context(|| format!("`{}` could not be measured", scenario.name()))?);
    }
    let faults = verdict::faults(&rows, &options.thresholds);
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        size: options.sizes.size,
        sizes: &sizes,
        processors,
        pinned: cores.is_some(),
        system: machine::system(),
        protocol: options.protocol,
        peers: options.peers.versions()?,
        rows: &rows,
        faults: &faults,
    };
    say(&report::table(&rows));
    for (file, text) in [(&options.json, report.json()?), (&options.html, report.html())] {
        if let Some(file) = file {
            fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))?;
        }
    }
    Ok(faults)
}

#[allow(clippy::print_stdout, reason = "what was asked for")]
fn say(text: &str) {
    print!("{text}");
}
