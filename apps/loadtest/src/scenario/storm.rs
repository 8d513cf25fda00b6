//! All are cut off at once, and all come back at once: how long it takes until the last is in, how long anybody waits, and
//! what each costs beside an arrival in calm.

use anyhow::Result;

use super::{
    Bench, Round,
    arrivals::{Arrivals, drop_all},
    bar,
};
use crate::{
    crowd::{Crowd, Entrance},
    sample::{Row, Sample, median},
    tally::Tally,
};

pub(super) fn run(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let sizes = bench.sizes;
    let mut subject = bench.gateway()?;
    let door = |n: usize| subject.door("/ws/dashboard", &format!("user-{n}"), "dashboard", "/echo");
    let doors: Vec<Entrance> = (0..sizes.crowd).map(door).collect::<Result<_>>()?;
    let mut crowd = Crowd::new()?;
    let bar = bar("storm", 1 + sizes.rounds as u64);
    let calm = Round::begin(&subject);
    let mut here = Arrivals::through(&mut crowd, &doors, sizes.in_flight)?;
    let latency = std::mem::take(&mut here.latency);
    let calm = calm.end(&mut subject, doors.len() as u64, latency, &mut Tally::default(), here.failed)?;
    bar.inc(1);
    let mut samples: Vec<Sample> = Vec::new();
    for _ in 0..sizes.rounds {
        let round = Round::begin(&subject);
        drop_all(&mut crowd, &here.members);
        here = Arrivals::through(&mut crowd, &doors, doors.len())?;
        let latency = std::mem::take(&mut here.latency);
        samples.push(round.end(&mut subject, latency.noted(), latency, &mut Tally::default(), here.failed)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let seconds: Vec<f64> = samples.iter().map(|sample| sample.elapsed.as_secs_f64()).collect();
    let row = Row::new("storm", format!("{} at once", doors.len()), "return", &samples, &[])
        .with("calmCpuMicros", calm.cpu_micros())
        .with("secondsUntilAllAreBack", median(&seconds));
    Ok(vec![row])
}
