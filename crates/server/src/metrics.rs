//! What the house counts, for Prometheus, by subject: the `doors`, the `messages`, the `keys`, the `process`, the `cluster`, the hooks,
//! and what other parts have `added`.
//!
//! Labels are words of the program or of the configuration, never a stranger's: there are never more series than those
//! have. What happens once a handshake is counted as it happens; what happens with every message is kept by the
//! connection itself, and read off the house ([`Sight`]) when somebody asks.

mod added;
mod cluster;
mod doors;
mod histogram;
mod keys;
mod messages;
mod process;

use std::sync::Arc;

use gateway_auth::keyring::SourceStatus;
use gateway_domain::Now;
use parking_lot::Mutex;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::{
    cluster::Link,
    hub::{Counts, HubRules, Survey},
    ledger::LedgerCounts,
    webhook,
};
use added::Added;
pub use added::{Count, Labels, Level};
pub use cluster::Cluster;
pub(crate) use doors::Place;
pub use doors::{Doors, LaidBy};
pub use histogram::Histogram;
pub use keys::Keys;
pub use messages::Messages;
pub(crate) use messages::{Totals, add};
pub use process::{Probe, Process, Usage};

/// All that is counted.
#[derive(Debug)]
pub struct Metrics {
    /// Who comes and goes.
    pub doors: Doors,
    /// What is said.
    pub messages: Messages,
    /// Key sets.
    pub keys: Keys,
    /// The process.
    pub process: Process,
    /// The link to other gateways.
    pub cluster: Cluster,
    calls: Family<Answered, Counter>,
    listener: Family<Happened, Gauge>,
    webhooks: webhook::Counts,
    audit_lost: Gauge,
    audit_lines: Gauge,
    draining: Gauge,
    reloads: Family<Reload, Counter>,
    dev_mode: Gauge,
    added: Added,
    registry: Mutex<Registry>,
    /// Held while what was read is written down, so that one reader's figures are not another's.
    reading: Mutex<()>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Happened {
    what: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    operation: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reload {
    outcome: &'static str,
}

/// What is read off the house when somebody asks, instead of being counted as it happens.
#[derive(Debug, Default)]
pub struct Sight {
    /// How full the house is.
    pub counts: Counts,
    /// What its bounds are.
    pub rules: Option<Arc<HubRules>>,
    /// What its connections say of themselves.
    pub survey: Survey,
    /// Audit lines that were queued, and those that were lost.
    pub audit: (u64, u64),
    /// What happened to sockets before a handshake.
    pub listener: Vec<(&'static str, u64)>,
    /// Bans and revocations.
    pub ledger: LedgerCounts,
    /// The key sets, and when they were looked at.
    pub keys: Option<(Vec<SourceStatus>, Now)>,
    /// Whether the house is leaving.
    pub draining: bool,
    /// The link to other gateways, where there is one.
    pub link: Option<Arc<Link>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let metrics = Self {
            doors: Doors::default(),
            messages: Messages::default(),
            keys: Keys::default(),
            process: Process::default(),
            cluster: Cluster::default(),
            calls: Family::default(),
            listener: Family::default(),
            webhooks: webhook::Counts::default(),
            audit_lost: Gauge::default(),
            audit_lines: Gauge::default(),
            draining: Gauge::default(),
            reloads: Family::default(),
            dev_mode: Gauge::default(),
            added: Added::default(),
            registry: Mutex::new(Registry::with_prefix("gateway")),
            reading: Mutex::default(),
        };
        metrics.register(&mut metrics.registry.lock());
        metrics
    }

    fn register(&self, registry: &mut Registry) {
        self.doors.register(registry);
        self.messages.register(registry);
        self.keys.register(registry);
        self.process.register(registry);
        self.cluster.register(registry);
        self.webhooks.register(registry);
        let about = "Calls of the HTTP API, by what they did and how they were answered";
        registry.register("http_calls", about, self.calls.clone());
        registry.register("listener_events", "What happened to sockets before a handshake", self.listener.clone());
        registry.register("audit_lines", "Audit lines that were queued for writing", self.audit_lines.clone());
        registry.register("audit_lines_lost", "Audit lines that could not be written", self.audit_lost.clone());
        registry.register(
            "reloads",
            "Configurations that were read again, by whether they were sound",
            self.reloads.clone(),
        );
        registry.register("draining", "1 while the node is leaving", self.draining.clone());
        let about = "1 where the gateway runs with made-up keys, for trying out";
        registry.register("dev_mode", about, self.dev_mode.clone());
    }

    /// The text that Prometheus reads.
    pub fn render(&self, sight: &Sight) -> String {
        let _held = self.reading.lock();
        self.doors.read(&sight.survey, sight.rules.as_ref().map_or(0, |rules| rules.seats), sight.ledger);
        self.messages.read(&sight.survey, sight.counts, sight.rules.as_deref());
        if let Some((sets, now)) = &sight.keys {
            self.keys.read(sets, now.wall);
        }
        self.process.read();
        self.cluster.read(sight.link.as_deref());
        for (what, count) in &sight.listener {
            self.listener.get_or_create(&Happened { what }).set(i64::try_from(*count).unwrap_or(i64::MAX));
        }
        self.audit_lines.set(i64::try_from(sight.audit.0).unwrap_or(i64::MAX));
        self.audit_lost.set(i64::try_from(sight.audit.1).unwrap_or(i64::MAX));
        self.draining.set(sight.draining.into());
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry.lock());
        text
    }

    /// What is counted of webhooks.
    pub(crate) const fn webhooks(&self) -> &webhook::Counts {
        &self.webhooks
    }

    /// Says that this is dev mode.
    pub fn dev_mode(&self) {
        self.dev_mode.set(1);
    }

    /// A configuration was read again: it is in force, or was faulty.
    pub fn reloaded(&self, is_sound: bool) {
        let outcome = if is_sound { "in_force" } else { "faulty" };
        self.reloads.get_or_create(&Reload { outcome }).inc();
    }

    /// A call of the HTTP API was answered.
    pub fn called(&self, operation: &'static str, status: u16) {
        self.calls.get_or_create(&Answered { operation, status }).inc();
    }

    /// A counter of another part's own, `gateway_NAME_total`. The same name may be asked for again with other labels.
    pub fn count(&self, name: &'static str, help: &str, labels: Labels) -> Count {
        self.added.count(&self.registry, name, help, labels)
    }

    /// A gauge of another part's own, `gateway_NAME`.
    pub fn level(&self, name: &'static str, help: &str, labels: Labels) -> Level {
        self.added.level(&self.registry, name, help, labels)
    }

    /// A histogram of another part's own, `gateway_NAME`; name it `..._seconds`.
    pub fn histogram(&self, name: &'static str, help: &str, labels: Labels) -> Histogram {
        self.added.histogram(&self.registry, name, help, labels)
    }
}

/// Sets a gauge to a count.
fn level(gauge: &Gauge, count: usize) {
    gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_another_part_counts_is_told_among_the_rest() {
        let metrics = Metrics::new();
        let there = metrics.count("cluster_messages", "Messages between nodes", &[("direction", "out")]);
        metrics.count("cluster_messages", "Messages between nodes", &[("direction", "in")]).add(1);
        there.add(2);
        metrics.level("cluster_nodes", "Nodes", &[]).set(3);
        metrics.histogram("cluster_round_trip_seconds", "A round trip", &[]).observe(Duration::from_millis(2));
        let text = metrics.render(&Sight::default());
        for line in [
            "gateway_cluster_messages_total{direction=\"out\"} 2",
            "gateway_cluster_messages_total{direction=\"in\"} 1",
            "gateway_cluster_nodes 3",
            "gateway_cluster_round_trip_seconds_bucket{le=\"0.0025\"} 1",
        ] {
            assert!(text.lines().any(|told| told == line), "{line} is not in:\n{text}");
        }
        assert_eq!(text.matches("# TYPE gateway_cluster_messages counter").count(), 1, "one family");
    }
}
