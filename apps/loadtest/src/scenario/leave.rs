//! All go at once, while others come: what a goodbye costs, and whether newcomers notice.

use anyhow::Result;

use super::{
    Bench, Round,
    arrivals::{Arrivals, drop_all},
    bar,
};
use crate::{
    crowd::{Crowd, Entrance},
    sample::{Row, Sample, median},
    subject::Subject,
    tally::Tally,
};

/// One newcomer for so many who go.
const GO_BETWEEN: usize = 100;
/// So many come at least, and one at a time.
const NEWCOMERS: usize = 50;

pub(super) fn run(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let sizes = bench.sizes;
    let mut subject = bench.gateway()?;
    let doors = |name: &str, count: usize, subject: &Subject| -> Result<Vec<Entrance>> {
        (0..count).map(|n| subject.door("/ws/dashboard", &format!("{name}-{n}"), "dashboard", "/echo")).collect()
    };
    let many = doors("user", sizes.crowd, &subject)?;
    let few = doors("newcomer", NEWCOMERS.max(sizes.crowd / GO_BETWEEN), &subject)?;
    let mut crowd = Crowd::new()?;
    let bar = bar("leave", sizes.rounds as u64);
    let (mut samples, mut calm_p99) = (Vec::new(), Vec::new());
    for _ in 0..sizes.rounds {
        let here = Arrivals::through(&mut crowd, &many, sizes.in_flight)?;
        // What newcomers cost while nobody goes.
        let calm = newcomers(&mut crowd, &mut subject, &few, &[])?;
        let with_leave = newcomers(&mut crowd, &mut subject, &few, &here.members)?;
        let cpu = with_leave.cpu.zip(calm.cpu).map(|(both, calm)| both.saturating_sub(calm));
        calm_p99.extend(calm.latency.percentile_millis(99.0));
        let failed = here.failed + calm.failed + with_leave.failed;
        samples.push(Sample { cpu, units: many.len() as u64, failed, ..with_leave });
        bar.inc(1);
    }
    bar.finish_and_clear();
    let row = Row::new("leave", format!("{} at once", many.len()), "goodbye", &samples, &[])
        .with("calmNewcomersP99Millis", median(&calm_p99));
    Ok(vec![row])
}

/// Newcomers one at a time, while others go; the times are the newcomers'.
fn newcomers(
    crowd: &mut Crowd,
    subject: &mut Subject,
    doors: &[Entrance],
    leaving: &[Option<usize>],
) -> Result<Sample> {
    let round = Round::begin(subject);
    // The kernel takes its time for so many: those who come first meet the crowd at the door.
    drop_all(crowd, leaving);
    let came = Arrivals::through(crowd, doors, 1)?;
    let sample = round.end(subject, doors.len() as u64, came.latency, &mut Tally::default(), came.failed)?;
    drop_all(crowd, &came.members);
    Ok(sample)
}
