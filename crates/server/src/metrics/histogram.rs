//! How long things take, in fixed buckets: noting a time is two additions to shared memory, without a lock.
//!
//! All histograms of the house have the same bounds, so that a page can lay them over each other.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, TypedMetric},
};

/// The bounds, in microseconds: from a tenth of a millisecond to a minute.
const BOUNDS: [u64; 18] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000, 60_000_000,
];

/// Times, counted by how long they were. Clones count into the same.
#[derive(Clone, Debug, Default)]
pub struct Histogram(Arc<Cells>);

#[derive(Debug, Default)]
struct Cells {
    /// How many fell under each bound and above the one before it.
    under: [AtomicU64; BOUNDS.len()],
    /// How many took longer than any bound.
    longer: AtomicU64,
    micros: AtomicU64,
}

impl Histogram {
    /// Notes one time.
    pub fn observe(&self, took: Duration) {
        self.observe_many(took, 1);
    }

    /// Notes so many that took as long as each other.
    pub fn observe_many(&self, took: Duration, times: u64) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < micros);
        let cells = &*self.0;
        cells.under.get(bucket).unwrap_or(&cells.longer).fetch_add(times, Ordering::Relaxed);
        cells.micros.fetch_add(micros.saturating_mul(times), Ordering::Relaxed);
    }

    /// How many were noted.
    pub fn count(&self) -> u64 {
        let longer = self.0.longer.load(Ordering::Relaxed);
        self.0.under.iter().map(|count| count.load(Ordering::Relaxed)).sum::<u64>() + longer
    }
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let seconds = |micros: u64| Duration::from_micros(micros).as_secs_f64();
        let bounds = BOUNDS.iter().map(|bound| seconds(*bound)).chain([f64::INFINITY]);
        let counts = self.0.under.iter().chain([&self.0.longer]).map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        // The sum of what is told, whatever is noted meanwhile.
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = seconds(self.0.micros.load(Ordering::Relaxed));
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::{encoding::text::encode, registry::Registry};

    #[test]
    fn a_time_is_told_under_its_bound_and_under_every_larger_one() {
        let (histogram, mut registry) = (Histogram::default(), Registry::default());
        registry.register("took_seconds", "A time", histogram.clone());
        histogram.observe(Duration::from_micros(100));
        histogram.observe(Duration::from_micros(101));
        histogram.observe_many(Duration::from_millis(3), 2);
        histogram.observe(Duration::from_secs(61));
        histogram.observe(Duration::ZERO);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let told =
            |end: &str| text.lines().find_map(|line| line.strip_prefix(&format!("took_seconds_{end} "))).unwrap();
        assert_eq!(told("bucket{le=\"0.0001\"}"), "2", "{text}");
        assert_eq!(told("bucket{le=\"0.00025\"}"), "3");
        assert_eq!(told("bucket{le=\"0.0025\"}"), "3");
        assert_eq!(told("bucket{le=\"0.005\"}"), "5");
        assert_eq!(told("bucket{le=\"60.0\"}"), "5");
        assert_eq!(told("bucket{le=\"+Inf\"}"), "6");
        assert_eq!((told("count"), histogram.count()), ("6", 6));
        assert_eq!(told("sum").parse::<f64>().unwrap(), 61.006_201);
        assert!(BOUNDS.is_sorted());
    }
}
