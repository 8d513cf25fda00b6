//! What is counted of hooks. Labels are names of the configuration and words of the program.

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
        let counts = CountsOfHook { all: self.clone(), webhook: webhook.to_owned() };
        counts.wait(0, 0);
        counts.is_open(false);
        counts
    }
}

/// The counters of one hook.
#[derive(Debug)]
pub(super) struct CountsOfHook {
    all: Counts,
    webhook: String,
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
        let set = |family: &Family<Named, Gauge>, count: usize| {
            family.get_or_create(&self.named()).set(i64::try_from(count).unwrap_or(i64::MAX));
        };
        set(&self.all.waiting, events);
        set(&self.all.bytes, bytes);
    }

    /// Whether the circuit is open.
    pub(super) fn is_open(&self, open: bool) {
        self.all.open.get_or_create(&self.named()).set(open.into());
    }

    fn named(&self) -> Named {
        Named { webhook: self.webhook.clone() }
    }
}
