//! Being there: what a connection that says nothing costs in memory, and what all of them cost in processor time while
//! they answer the gateway's pings.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Bench, Round, arrivals::Arrivals, bar, field::peers};
use crate::{
    crowd::{Crowd, Entrance, Heard, Voices},
    sample::{Latency, Row, Sample},
    subject::Subject,
    tally::Tally,
};

/// So many come first, so that what is allocated once is not counted.
const WARM: usize = 64;

pub(super) fn run(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let sizes = bench.sizes;
    let bar = bar("idle", 2 + bench.peers.chosen.len() as u64);
    let (gateway, kib) = sit(&mut bench.gateway()?, sizes.connections, sizes.idle)?;
    bar.inc(1);
    let floor = match bench.floor()? {
        Some(mut floor) => Some(sit(&mut floor, sizes.connections, sizes.idle)?),
        None => None,
    };
    bar.inc(1);
    let beside = peers(bench, |mut peer| sit(&mut peer, sizes.connections, sizes.idle))?;
    bar.finish_and_clear();
    let percent = gateway.cpu.map(|cpu| 100.0 * cpu.as_secs_f64() / gateway.elapsed.as_secs_f64());
    let floor_kib = floor.as_ref().and_then(|(_, kib)| *kib);
    let floor: Vec<Sample> = floor.into_iter().map(|(sample, _)| sample).collect();
    let case = format!("{} connections for {} s", sizes.connections, sizes.idle.as_secs());
    let mut row = Row::new("idle", case, "connection", &[gateway], &floor)
        .with("kibPerConnection", kib)
        .with("cpuPercent", percent)
        .with("floorKibPerConnection", floor_kib);
    for (peer, (sample, kib)) in beside {
        row = row
            .beside(peer.name(), std::slice::from_ref(&sample), &[])
            .with(&format!("{}KibPerConnection", peer.name()), kib);
    }
    // Doing next to nothing beside doing nothing is no ratio.
    row.ratio = None;
    Ok(vec![row])
}

fn sit(subject: &mut Subject, count: usize, time: Duration) -> Result<(Sample, Option<f64>)> {
    let door = |n: usize| subject.door("/ws/dashboard", &format!("user-{n}"), "dashboard", "/echo");
    let doors: Result<Vec<Entrance>> = (0..WARM + count).map(door).collect();
    let doors = doors?;
    let (warm, more) = doors.split_at(WARM);
    let mut crowd = Crowd::new()?;
    Arrivals::all_through(&mut crowd, warm, WARM)?;
    subject.rest();
    let before = subject.resident_kib();
    Arrivals::all_through(&mut crowd, more, WARM)?;
    subject.rest();
    let after = subject.resident_kib();
    let kib = before.zip(after).map(|(before, after)| after.saturating_sub(before) as f64 / count as f64);
    let round = Round::begin(subject);
    let end = Instant::now() + time;
    let mut gone = 0_u64;
    let mut hear = |gone: &mut u64, _: &mut Voices, _: usize, heard: Heard<'_>, _: Instant| {
        *gone += u64::from(matches!(heard, Heard::Over(_)));
    };
    while Instant::now() < end {
        crowd.turn(&mut gone, Duration::from_millis(100), &mut hear)?;
    }
    let sample = round.end(subject, count as u64, Latency::default(), &mut Tally::default(), gone)?;
    Ok((sample, kib))
}
