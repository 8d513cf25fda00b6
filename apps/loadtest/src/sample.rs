//! What was measured: a round is a [`Sample`], the rounds of one server are a [`Side`], and a [`Row`] holds the gateway's
//! side against the floor's. Rounds of both are taken in turn, and a ratio is the median of the rounds' own, so that
//! whatever else the machine did weighs on both alike.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;
use serde::Serialize;

/// Latencies are kept in microseconds, up to ten minutes, to three digits.
const LONGEST_MICROS: u64 = 600_000_000;
const DIGITS: u8 = 3;
/// Where a curve of latencies is drawn, in per cent.
const CURVE: [f64; 12] = [0.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.9, 100.0];

/// One round.
#[derive(Clone, Debug)]
pub struct Sample {
    /// How many units of work were done.
    pub units: u64,
    /// What they cost the server on its processors, where that is known.
    pub cpu: Option<Duration>,
    /// How long they took.
    pub elapsed: Duration,
    /// How long each took.
    pub latency: Latency,
    /// What was not heard.
    pub lost: u64,
    /// What was heard out of order.
    pub disordered: u64,
    /// What went wrong besides: refused, cut off, not done in time.
    pub failed: u64,
}

/// A histogram of times.
#[derive(Clone, Debug)]
pub struct Latency(Option<Histogram<u64>>);

/// One server's rounds, summed up.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Side {
    /// Units of work in all rounds.
    pub units: u64,
    /// Microseconds of processor time for a unit: the median of the rounds.
    pub cpu_micros: Option<f64>,
    /// The same, round by round.
    pub cpu_micros_by_round: Vec<f64>,
    /// Units of work in a second: the median of the rounds.
    pub per_second: f64,
    /// How long a unit took, in milliseconds, all rounds together.
    pub latency: Option<Millis>,
    /// What was not heard.
    pub lost: u64,
    /// What was heard out of order.
    pub disordered: u64,
    /// What went wrong besides.
    pub failed: u64,
}

/// Latencies in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Millis {
    /// The median.
    pub p50: f64,
    /// Nine of ten are not slower.
    pub p90: f64,
    /// Ninety-nine of a hundred.
    pub p99: f64,
    /// Nine hundred and ninety-nine of a thousand.
    pub p999: f64,
    /// The slowest.
    pub max: f64,
    /// Pairs of per cent and milliseconds, to be drawn.
    pub curve: Vec<(f64, f64)>,
}

/// A server that did the same work between the rounds of the gateway.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Beside {
    /// Which.
    pub name: String,
    /// Its rounds.
    pub side: Side,
    /// Its processor time over that of the floor.
    pub ratio: Option<f64>,
}

/// One line of the result.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The scenario.
    pub scenario: String,
    /// Which case of it.
    pub case: String,
    /// What a unit of work is.
    pub unit: String,
    /// The server under test.
    pub gateway: Side,
    /// The floor, where the same work can be done there.
    pub floor: Option<Side>,
    /// Processor time of the gateway over that of the floor.
    pub ratio: Option<f64>,
    /// Other servers that did the same work.
    pub peers: Vec<Beside>,
    /// Other figures, by their names.
    pub figures: BTreeMap<String, f64>,
}

impl Default for Latency {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST_MICROS, DIGITS).ok())
    }
}

impl Latency {
    /// Notes a time.
    pub fn note(&mut self, time: Duration) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(u64::try_from(time.as_micros()).unwrap_or(LONGEST_MICROS).max(1));
        }
    }

    /// How many were noted.
    pub fn noted(&self) -> u64 {
        self.0.as_ref().map_or(0, Histogram::len)
    }

    /// So many per cent were not slower, in milliseconds.
    pub fn percentile_millis(&self, percent: f64) -> Option<f64> {
        let histogram = self.0.as_ref().filter(|histogram| !histogram.is_empty())?;
        Some(histogram.value_at_percentile(percent) as f64 / 1000.0)
    }

    /// Takes in those of another.
    pub fn add(&mut self, other: &Self) {
        if let (Some(own), Some(other)) = (&mut self.0, &other.0) {
            // Both have the same bounds.
            let _ = own.add(other);
        }
    }

    fn millis(&self) -> Option<Millis> {
        let histogram = self.0.as_ref().filter(|histogram| !histogram.is_empty())?;
        let at = |percent: f64| histogram.value_at_percentile(percent) as f64 / 1000.0;
        Some(Millis {
            p50: at(50.0),
            p90: at(90.0),
            p99: at(99.0),
            p999: at(99.9),
            max: histogram.max() as f64 / 1000.0,
            curve: CURVE.iter().map(|percent| (*percent, at(*percent))).collect(),
        })
    }
}

impl Sample {
    /// The same, counted in other units.
    #[must_use]
    pub fn in_units(self, units: u64) -> Self {
        Self { units, ..self }
    }

    /// Microseconds of processor time for a unit.
    pub fn cpu_micros(&self) -> Option<f64> {
        let cpu = self.cpu?;
        (self.units > 0).then(|| cpu.as_secs_f64() * 1e6 / self.units as f64)
    }
}

impl Side {
    /// The rounds of one server.
    pub fn of(samples: &[Sample]) -> Self {
        let rounds: Vec<f64> = samples.iter().filter_map(Sample::cpu_micros).collect();
        let speeds: Vec<f64> = samples
            .iter()
            .filter(|sample| !sample.elapsed.is_zero())
            .map(|sample| sample.units as f64 / sample.elapsed.as_secs_f64())
            .collect();
        let mut latency = Latency::default();
        samples.iter().for_each(|sample| latency.add(&sample.latency));
        let sum = |what: fn(&Sample) -> u64| samples.iter().map(what).sum();
        Self {
            units: sum(|sample| sample.units),
            cpu_micros: median(&rounds),
            cpu_micros_by_round: rounds,
            per_second: median(&speeds).unwrap_or_default(),
            latency: latency.millis(),
            lost: sum(|sample| sample.lost),
            disordered: sum(|sample| sample.disordered),
            failed: sum(|sample| sample.failed),
        }
    }
}

impl Row {
    /// The rounds of the gateway, and those of the floor that were taken between them.
    pub fn new(scenario: &str, case: impl Into<String>, unit: &str, gateway: &[Sample], floor: &[Sample]) -> Self {
        Self {
            scenario: scenario.to_owned(),
            case: case.into(),
            unit: unit.to_owned(),
            gateway: Side::of(gateway),
            floor: (!floor.is_empty()).then(|| Side::of(floor)),
            ratio: ratio(gateway, floor),
            peers: Vec::new(),
            figures: BTreeMap::new(),
        }
    }

    /// With another server, whose rounds were taken in turn with those of the floor.
    #[must_use]
    pub fn beside(mut self, name: &str, samples: &[Sample], floor: &[Sample]) -> Self {
        let beside = Beside { name: name.to_owned(), side: Side::of(samples), ratio: ratio(samples, floor) };
        self.peers.push(beside);
        self
    }

    /// With another figure.
    #[must_use]
    pub fn with(mut self, name: &str, figure: Option<f64>) -> Self {
        if let Some(figure) = figure {
            self.figures.insert(name.to_owned(), figure);
        }
        self
    }
}

/// The median of the rounds' own ratios.
fn ratio(samples: &[Sample], floor: &[Sample]) -> Option<f64> {
    let pairs = samples.iter().zip(floor).filter_map(|(sample, floor)| {
        let (cost, floor) = (sample.cpu_micros()?, floor.cpu_micros()?);
        (floor > 0.0).then(|| cost / floor)
    });
    median(&pairs.collect::<Vec<f64>>())
}

/// The middle one; between two, their mean.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    let upper = *sorted.get(half)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get(half.checked_sub(1)?)?;
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(units: u64, cpu_micros: u64, millis: &[u64]) -> Sample {
        let mut latency = Latency::default();
        millis.iter().for_each(|millis| latency.note(Duration::from_millis(*millis)));
        Sample {
            units,
            cpu: Some(Duration::from_micros(cpu_micros)),
            elapsed: Duration::from_secs(2),
            latency,
            lost: 1,
            disordered: 2,
            failed: 3,
        }
    }

    #[test]
    fn a_median_is_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), Some(3.0));
    }

    #[test]
    fn rounds_become_one_side() {
        let side = Side::of(&[sample(100, 300, &[1, 2]), sample(100, 500, &[3]), sample(200, 20_000, &[100])]);
        assert_eq!(side.units, 400);
        assert_eq!(side.cpu_micros_by_round, [3.0, 5.0, 100.0]);
        assert_eq!(side.cpu_micros, Some(5.0), "one bad round moves no median");
        assert!((side.per_second - 50.0).abs() < 1e-9);
        assert_eq!((side.lost, side.disordered, side.failed), (3, 6, 9));
        let latency = side.latency.unwrap();
        assert!((latency.max - 100.0).abs() < 0.2 && (latency.p50 - 2.0).abs() < 0.01, "{latency:?}");
        assert!(latency.curve.is_sorted_by(|one, next| one.1 <= next.1));
    }

    #[test]
    fn a_ratio_is_the_median_of_the_rounds_own() {
        // The machine became twice as slow after the first round, for both.
        let gateway = [sample(10, 30, &[]), sample(10, 60, &[]), sample(10, 66, &[])];
        let floor = [sample(10, 20, &[]), sample(10, 40, &[]), sample(10, 40, &[])];
        let row = Row::new("echo", "", "echo", &gateway, &floor).beside("other", &floor, &floor);
        assert_eq!((row.ratio, row.peers[0].ratio), (Some(1.5), Some(1.0)));
        assert!(row.gateway.latency.is_none(), "no time was noted");
    }

    #[test]
    fn without_processor_times_there_is_no_ratio() {
        let unknown = Sample { cpu: None, ..sample(10, 0, &[1]) };
        let row = Row::new("echo", "", "echo", std::slice::from_ref(&unknown), &[sample(10, 20, &[])]);
        assert_eq!((row.ratio, row.gateway.cpu_micros), (None, None));
        assert_eq!(Row::new("echo", "", "echo", &[unknown], &[]).floor.map(|floor| floor.units), None);
        assert_eq!(sample(0, 20, &[]).cpu_micros(), None, "nothing was done");
    }
}
