//! Sets of keys that are fetched: how old they are, whether they are of use, and how often they could not be had.

use std::sync::atomic::{AtomicU64, Ordering};

use gateway_auth::keyring::SourceStatus;
use gateway_domain::Timestamp;
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
        for status in sets.iter().filter(|status| status.is_fetched) {
            let set = Set { set: status.name.to_string() };
            self.usable.get_or_create(&set).set(status.usable.into());
            if let Some(read) = status.last_success {
                self.age.get_or_create(&set).set(now.since(read).as_secs_f64());
            }
            self.fetches.get_or_create(&set).inner().fetch_max(status.fetches, Ordering::Relaxed);
            self.failures.get_or_create(&set).inner().fetch_max(status.failures, Ordering::Relaxed);
        }
    }
}
