//! What is counted of hooks. Labels are names of the configuration and words of the program.

use parking_lot::Mutex;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::happening::Kind;

/// What became of an event. Each has exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The receiver said yes.
    Delivered,
    /// It was given up.
    Failed,
    /// There was no room for it.
    QueueFull,
    /// The circuit was open.
    CircuitOpen,
    /// The process ended before.
    Shutdown,
}

impl Fate {
    const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::QueueFull => "queue_full",
            Self::CircuitOpen => "circuit_open",
            Self::Shutdown => "shutdown",
        }
    }
}

/// The counters of all hooks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    events: Family<Told, Counter>,
    attempts: Family<Tried, Counter>,
    waiting: Family<Named, Gauge>,
    bytes: Family<Named, Gauge>,
    open: Family<Named, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Named {
    webhook: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Told {
    webhook: String,
    event: &'static str,
    fate: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Tried {
    webhook: String,
    outcome: &'static str,
}

impl Counts {
    /// Hands them to the register.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("webhook_events", "Events for webhooks, by what became of them", self.events.clone());
        registry.register("webhook_attempts", "Requests to webhooks, by their outcome", self.attempts.clone());
        registry.register("webhook_waiting", "Events that wait for their turn", self.waiting.clone());
        registry.register("webhook_waiting_bytes", "Bytes of the events that wait", self.bytes.clone());
        registry.register("webhook_circuit_open", "1 where a webhook is not tried for a while", self.open.clone());
    }

    /// Those of one hook.
    pub(super) fn of(&self, webhook: &str) -> CountsOfHook {
        let counts = CountsOfHook { all: self.clone(), webhook: webhook.to_owned(), own: Mutex::default() };
        counts.wait(0, 0);
        counts.is_open(false);
        counts
    }
}

/// The counters of one hook. While another comes in its place under its name, what both say is added up; of one that is
/// over nothing is left in the gauges.
#[derive(Debug)]
pub(super) struct CountsOfHook {
    all: Counts,
    webhook: String,
    /// What it has put into the gauges: events, bytes, and whether its circuit is open.
    own: Mutex<[i64; 3]>,
}

impl CountsOfHook {
    /// An event has its fate.
    pub(super) fn fate(&self, kind: Kind, fate: Fate) {
        let labels = Told { webhook: self.webhook.clone(), event: kind.name(), fate: fate.name() };
        self.all.events.get_or_create(&labels).inc();
    }

    /// A request had that outcome.
    pub(super) fn attempt(&self, outcome: &'static str) {
        let labels = Tried { webhook: self.webhook.clone(), outcome };
        self.all.attempts.get_or_create(&labels).inc();
    }

    /// So much waits now.
    pub(super) fn wait(&self, events: usize, bytes: usize) {
        self.say(0, events);
        self.say(1, bytes);
    }

    /// Whether the circuit is open.
    pub(super) fn is_open(&self, open: bool) {
        self.say(2, open.into());
    }

    fn say(&self, nth: usize, now: usize) {
        let gauges = [&self.all.waiting, &self.all.bytes, &self.all.open];
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let mut own = self.own.lock();
        if let (Some(gauge), Some(before)) = (gauges.get(nth), own.get_mut(nth)) {
            let gauge = gauge.get_or_create(&Named { webhook: self.webhook.clone() });
            gauge.inc_by(now - std::mem::replace(before, now));
        }
    }
}

impl Drop for CountsOfHook {
    fn drop(&mut self) {
        self.wait(0, 0);
        self.is_open(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_under_one_name_the_gauges_say_the_sum_and_of_one_that_is_over_nothing() {
        let all = Counts::default();
        let named = Named { webhook: "h".into() };
        let told = || [&all.waiting, &all.bytes, &all.open].map(|gauge| gauge.get_or_create(&named).get());
        let before = all.of("h");
        before.wait(3, 300);
        before.is_open(true);
        before.is_open(true);
        let after = all.of("h");
        after.wait(1, 50);
        assert_eq!(told(), [4, 350, 1]);
        before.wait(2, 200);
        drop(before);
        assert_eq!(told(), [1, 50, 0]);
        drop(after);
        assert_eq!(told(), [0, 0, 0]);
    }
}
