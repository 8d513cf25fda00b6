//! Sets of keys that are fetched: how old they are, whether they are of use, and how often they could not be had.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::AtomicU64,
};

use gateway_auth::keyring::SourceStatus;
use gateway_domain::Timestamp;
use parking_lot::Mutex;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// What is told of key sets, by their names in the configuration.
#[derive(Debug, Default)]
pub struct Keys {
    usable: Family<Set, Gauge>,
    age: Family<Set, Gauge<f64, AtomicU64>>,
    fetches: Family<Set, Counter>,
    failures: Family<Set, Counter>,
    /// What each set said of its fetches and failures when it was looked at last.
    last: Mutex<BTreeMap<String, [u64; 2]>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Set {
    set: String,
}

impl Keys {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("jwks_usable", "1 where the keys of a set verify tokens", self.usable.clone());
        registry.register("jwks_age_seconds", "Since a key set was last read", self.age.clone());
        registry.register("jwks_fetches", "Attempts to fetch a key set", self.fetches.clone());
        registry.register("jwks_failures", "Attempts to fetch a key set that failed", self.failures.clone());
    }

    pub(super) fn read(&self, sets: &[SourceStatus], now: Timestamp) {
        let mut last = self.last.lock();
        let fetched = || sets.iter().filter(|status| status.is_fetched);
        let names: BTreeSet<&str> = fetched().map(|status| &*status.name).collect();
        last.retain(|name, _| {
            let is_here = names.contains(name.as_str());
            if !is_here {
                // Of a set that another configuration took away nothing is true any more.
                let set = Set { set: name.clone() };
                self.usable.remove(&set);
                self.age.remove(&set);
            }
            is_here
        });
        for status in fetched() {
            let set = Set { set: status.name.to_string() };
            self.usable.get_or_create(&set).set(status.usable.into());
            if let Some(read) = status.last_success {
                self.age.get_or_create(&set).set(now.since(read).as_secs_f64());
            }
            let told = [status.fetches, status.failures];
            let before = last.insert(set.set.clone(), told).unwrap_or_default();
            for (family, (told, before)) in
                [&self.fetches, &self.failures].into_iter().zip(told.into_iter().zip(before))
            {
                // A set of which something else is said now begins to count anew.
                family.get_or_create(&set).inc_by(told.checked_sub(before).unwrap_or(told));
            }
        }
    }
}
