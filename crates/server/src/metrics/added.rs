//! What other parts count for themselves: a handle for each, told among the rest. Labels are words of the program.

use std::{collections::HashMap, fmt::Debug};

use parking_lot::Mutex;
use prometheus_client::{
    encoding::EncodeMetric,
    metrics::{TypedMetric, counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{Histogram, level};

/// A label, and its value.
pub type Labels = &'static [(&'static str, &'static str)];

type Labelled<M> = Family<Vec<(&'static str, &'static str)>, M>;

/// What only grows.
#[derive(Clone, Debug, Default)]
pub struct Count(Counter);

/// What rises and falls.
#[derive(Clone, Debug, Default)]
pub struct Level(Gauge);

/// The metrics that were added, by name.
#[derive(Debug, Default)]
pub(super) struct Added(Mutex<Kinds>);

#[derive(Debug, Default)]
struct Kinds {
    counts: HashMap<&'static str, Kept<Counter>>,
    levels: HashMap<&'static str, Kept<Gauge>>,
    histograms: HashMap<&'static str, Kept<Histogram>>,
}

/// One that has no labels, or one for each of their values.
#[derive(Debug)]
enum Kept<M> {
    One(M),
    Each(Labelled<M>),
}

impl Count {
    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.inc_by(more);
    }
}

impl Level {
    /// So many now.
    pub fn set(&self, now: usize) {
        level(&self.0, now);
    }
}

impl Added {
    pub(super) fn count(&self, registry: &Mutex<Registry>, name: &'static str, about: &str, labels: Labels) -> Count {
        Count(kept(&mut self.0.lock().counts, &mut registry.lock(), name, about, labels))
    }

    pub(super) fn level(&self, registry: &Mutex<Registry>, name: &'static str, about: &str, labels: Labels) -> Level {
        Level(kept(&mut self.0.lock().levels, &mut registry.lock(), name, about, labels))
    }

    pub(super) fn histogram(
        &self,
        registry: &Mutex<Registry>,
        name: &'static str,
        about: &str,
        labels: Labels,
    ) -> Histogram {
        kept(&mut self.0.lock().histograms, &mut registry.lock(), name, about, labels)
    }
}

/// The metric of that name and those labels, which is registered when it is first asked for.
fn kept<M>(
    all: &mut HashMap<&'static str, Kept<M>>,
    registry: &mut Registry,
    name: &'static str,
    about: &str,
    labels: Labels,
) -> M
where
    M: EncodeMetric + TypedMetric + Clone + Default + Debug + Send + Sync + 'static,
{
    let kept = all.entry(name).or_insert_with(|| {
        if labels.is_empty() {
            let one = M::default();
            registry.register(name, about, one.clone());
            return Kept::One(one);
        }
        let each = Labelled::default();
        registry.register(name, about, each.clone());
        Kept::Each(each)
    });
    match kept {
        Kept::One(one) => one.clone(),
        Kept::Each(each) => each.get_or_create(&labels.to_vec()).clone(),
    }
}
