//! All are cut off at once, and all come back at once: how long it takes until the last is in, how long anybody waits, what
//! each costs beside coming and going in calm, and how long those wait who come meanwhile and had no part in it. Beside it,
//! what a storm adds on the floor: what the kernel asks, and what caches that others have filled cost anybody.

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
    let gateway = Storms::on(bench.gateway()?, bench, "storm")?;
    let floor = bench.floor()?.map(|floor| Storms::on(floor, bench, "storm, floor")).transpose()?;
    let seconds: Vec<f64> = gateway.returns.iter().map(|sample| sample.elapsed.as_secs_f64()).collect();
    let row = Row::new("storm", format!("{} at once", bench.sizes.crowd), "return", &gateway.returns, &[])
        .with("calmCpuMicros", median(&gateway.calm))
        .with("timesCalm", median(&gateway.times_calm))
        .with("floorTimesCalm", floor.and_then(|floor| median(&floor.times_calm)))
        .with("secondsUntilAllAreBack", median(&seconds))
        .with("newcomersP99Millis", gateway.newcomers.percentile_millis(99.0))
        .with("newcomersMaxMillis", gateway.newcomers.percentile_millis(100.0));
    Ok(vec![row])
}

/// The rounds of one server. In each all come in calm, are cut off and come back at once, and go again; so the storm and the
/// calm that it is compared with are moments apart.
#[derive(Default)]
struct Storms {
    returns: Vec<Sample>,
    /// What an arrival and a goodbye cost in calm.
    calm: Vec<f64>,
    /// What a return cost beside that.
    times_calm: Vec<f64>,
    newcomers: Latency,
}

impl Storms {
    fn on(mut subject: Subject, bench: &Bench<'_>, name: &str) -> Result<Self> {
        let (sizes, units) = (bench.sizes, bench.sizes.crowd as u64);
        let doors = doors(&subject, "user", sizes.crowd)?;
        let others = self::doors(&subject, "newcomer", NEWCOMERS)?;
        let (mut crowd, mut storms) = (Crowd::new()?, Self::default());
        let bar = bar(name, sizes.rounds as u64);
        for _ in 0..sizes.rounds {
            let round = Round::begin(&subject);
            let here = Arrivals::through(&mut crowd, &doors, sizes.in_flight)?;
            let came = round.end(&mut subject, units, Latency::default(), &mut Tally::default(), here.failed)?;

            let round = Round::begin(&subject);
            let (mut here, newcomers) = beside(&others, || {
                drop_all(&mut crowd, &here.members);
                Arrivals::through(&mut crowd, &doors, doors.len())
            })?;
            let Newcomers { latency: waited, failed } = newcomers;
            storms.newcomers.add(&waited);
            let (latency, failed) = (std::mem::take(&mut here.latency), came.failed + here.failed + failed);
            let back = round.end(&mut subject, latency.noted(), latency, &mut Tally::default(), failed)?;

            let round = Round::begin(&subject);
            drop_all(&mut crowd, &here.members);
            let went = round.end(&mut subject, units, Latency::default(), &mut Tally::default(), 0)?;

            let calm = came.cpu_micros().zip(went.cpu_micros()).map(|(came, went)| came + went);
            storms.calm.extend(calm);
            storms.times_calm.extend(back.cpu_micros().zip(calm).map(|(back, calm)| back / calm));
            storms.returns.push(back);
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(storms)
    }
}

fn doors(subject: &Subject, name: &str, count: usize) -> Result<Vec<Entrance>> {
    (0..count).map(|n| subject.door("/ws/dashboard", &format!("{name}-{n}"), "dashboard", "/echo")).collect()
}
