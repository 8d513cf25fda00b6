//! All are cut off at once, and all come back at once: how long it takes until the last is in, how long anybody waits, what
//! each costs beside an arrival in calm, and how long those wait who come meanwhile and had no part in it. Beside it, what
//! a storm adds on the floor: what the kernel asks, and what caches that others have filled cost anybody.

use anyhow::Result;

use super::{
    Bench, Round,
    arrivals::{Arrivals, drop_all},
    bar,
    newcomers::{Newcomers, beside},
};
use crate::{
    crowd::{Crowd, Entrance},
    sample::{Latency, Row, Sample, median},
    subject::Subject,
    tally::Tally,
};

/// So many others take turns to come in meanwhile.
const NEWCOMERS: usize = 64;

pub(super) fn run(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let sizes = bench.sizes;
    let mut subject = bench.gateway()?;
    let doors = doors(&subject, "user", sizes.crowd)?;
    let others = self::doors(&subject, "newcomer", NEWCOMERS)?;
    let mut crowd = Crowd::new()?;
    let bar = bar("storm", 1 + sizes.rounds as u64);
    let calm = Round::begin(&subject);
    let mut here = Arrivals::through(&mut crowd, &doors, sizes.in_flight)?;
    let latency = std::mem::take(&mut here.latency);
    let calm = calm.end(&mut subject, doors.len() as u64, latency, &mut Tally::default(), here.failed)?;
    bar.inc(1);
    let (mut samples, mut waits): (Vec<Sample>, _) = (Vec::new(), Latency::default());
    for _ in 0..sizes.rounds {
        let round = Round::begin(&subject);
        let (back, newcomers) = beside(&others, || {
            drop_all(&mut crowd, &here.members);
            Arrivals::through(&mut crowd, &doors, doors.len())
        })?;
        here = back;
        let Newcomers { latency: waited, failed } = newcomers;
        waits.add(&waited);
        let latency = std::mem::take(&mut here.latency);
        let failed = here.failed + failed;
        samples.push(round.end(&mut subject, latency.noted(), latency, &mut Tally::default(), failed)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    // There are not files for two crowds.
    drop((crowd, subject));
    let on_floor = bench.floor()?.map(|floor| growth_on(floor, bench)).transpose()?.flatten();
    let seconds: Vec<f64> = samples.iter().map(|sample| sample.elapsed.as_secs_f64()).collect();
    let row = Row::new("storm", format!("{} at once", doors.len()), "return", &samples, &[])
        .with("calmCpuMicros", calm.cpu_micros())
        .with("floorTimesCalm", on_floor)
        .with("secondsUntilAllAreBack", median(&seconds))
        .with("newcomersP99Millis", waits.percentile_millis(99.0))
        .with("newcomersMaxMillis", waits.percentile_millis(100.0));
    Ok(vec![row])
}

/// How much more a return costs a server in a storm than in calm: an arrival and a goodbye.
fn growth_on(mut subject: Subject, bench: &Bench<'_>) -> Result<Option<f64>> {
    let sizes = bench.sizes;
    let doors = doors(&subject, "user", sizes.crowd)?;
    let (mut crowd, units) = (Crowd::new()?, sizes.crowd as u64);
    let bar = bar("storm, floor", sizes.rounds as u64);
    let (mut storms, mut calms) = (Vec::new(), Vec::new());
    for _ in 0..sizes.rounds {
        let round = Round::begin(&subject);
        let here = Arrivals::through(&mut crowd, &doors, sizes.in_flight)?;
        let came = round.end(&mut subject, units, Latency::default(), &mut Tally::default(), here.failed)?;
        let round = Round::begin(&subject);
        drop_all(&mut crowd, &here.members);
        let here = Arrivals::through(&mut crowd, &doors, doors.len())?;
        let back = round.end(&mut subject, units, Latency::default(), &mut Tally::default(), here.failed)?;
        let round = Round::begin(&subject);
        drop_all(&mut crowd, &here.members);
        let went = round.end(&mut subject, units, Latency::default(), &mut Tally::default(), 0)?;
        storms.extend(back.cpu_micros());
        calms.extend(came.cpu_micros().zip(went.cpu_micros()).map(|(came, went)| came + went));
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(median(&storms).zip(median(&calms)).map(|(storm, calm)| storm / calm))
}

fn doors(subject: &Subject, name: &str, count: usize) -> Result<Vec<Entrance>> {
    (0..count).map(|n| subject.door("/ws/dashboard", &format!("{name}-{n}"), "dashboard", "/echo")).collect()
}
