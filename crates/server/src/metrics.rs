//! What the house counts, for Prometheus. Off the hot path: a connection keeps its own counts of messages and hands
//! them in when it ends, and the rest happens once a handshake.

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use gateway_domain::Code;

use crate::{hub::Counts, webhook};

/// The counters.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    connections: Family<Door, Gauge>,
    admitted: Family<Door, Counter>,
    refusals: Family<Refused, Counter>,
    calls: Family<Answered, Counter>,
    closes: Family<Closed, Counter>,
    messages: Counter,
    errors: Family<Refused, Counter>,
    dropped: Counter,
    requests: Family<Ended, Counter>,
    rooms: Gauge,
    memberships: Gauge,
    history_bytes: Gauge,
    requests_open: Gauge,
    listener: Family<Happened, Gauge>,
    webhooks: webhook::Counts,
    audit_lost: Gauge,
    audit_lines: Gauge,
    dev_mode: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Door {
    endpoint: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Happened {
    what: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    operation: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    by: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Closed {
    by: &'static str,
    code: String,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("gateway");
        let metrics = Self {
            connections: Family::default(),
            admitted: Family::default(),
            refusals: Family::default(),
            calls: Family::default(),
            closes: Family::default(),
            messages: Counter::default(),
            errors: Family::default(),
            dropped: Counter::default(),
            requests: Family::default(),
            rooms: Gauge::default(),
            memberships: Gauge::default(),
            history_bytes: Gauge::default(),
            requests_open: Gauge::default(),
            listener: Family::default(),
            webhooks: webhook::Counts::default(),
            audit_lost: Gauge::default(),
            audit_lines: Gauge::default(),
            dev_mode: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register("connections", "Live connections", metrics.connections.clone());
        registry.register("connections_admitted", "Connections that were admitted", metrics.admitted.clone());
        registry.register("refusals", "Handshakes and calls that were refused", metrics.refusals.clone());
        registry.register(
            "http_calls",
            "Calls of the HTTP API, by what they did and how they were answered",
            metrics.calls.clone(),
        );
        registry.register("connections_closed", "Connections that ended, by whom and why", metrics.closes.clone());
        registry.register("messages_received", "Messages of clients", metrics.messages.clone());
        registry.register("message_errors", "Messages that were answered by an error", metrics.errors.clone());
        registry.register("messages_dropped", "Events that a full outbox let go", metrics.dropped.clone());
        registry.register("requests_ended", "Requests that ended, by what", metrics.requests.clone());
        registry.register("requests_open", "Requests that wait for a reply", metrics.requests_open.clone());
        registry.register("rooms", "Rooms with members or a memory", metrics.rooms.clone());
        registry.register("room_memberships", "Connections in rooms", metrics.memberships.clone());
        registry.register("room_history_bytes", "What rooms remember", metrics.history_bytes.clone());
        registry.register("listener_events", "What happened to sockets before a handshake", metrics.listener.clone());
        metrics.webhooks.register(&mut registry);
        registry.register("audit_lines", "Audit lines that were queued for writing", metrics.audit_lines.clone());
        registry.register("audit_lines_lost", "Audit lines that could not be written", metrics.audit_lost.clone());
        registry.register(
            "dev_mode",
            "1 where the gateway runs with made-up keys, for trying out",
            metrics.dev_mode.clone(),
        );
        Self { registry, ..metrics }
    }

    /// The text that Prometheus reads.
    pub fn render(&self, counts: Counts, audit: (u64, u64), listener: &[(&'static str, u64)]) -> String {
        let gauges = [
            (&self.rooms, counts.rooms.rooms),
            (&self.memberships, counts.rooms.memberships),
            (&self.history_bytes, counts.rooms.history_bytes),
            (&self.requests_open, counts.requests),
        ];
        for (gauge, count) in gauges {
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        for (what, count) in listener {
            self.listener.get_or_create(&Happened { what }).set(i64::try_from(*count).unwrap_or(i64::MAX));
        }
        self.audit_lines.set(i64::try_from(audit.0).unwrap_or(i64::MAX));
        self.audit_lost.set(i64::try_from(audit.1).unwrap_or(i64::MAX));
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
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

    /// A connection began.
    pub fn connected(&self, endpoint: &str) {
        let door = Door { endpoint: endpoint.into() };
        self.connections.get_or_create(&door).inc();
        self.admitted.get_or_create(&door).inc();
    }

    /// A connection ended.
    pub fn disconnected(&self, endpoint: &str, by: &'static str, code: &str) {
        self.connections.get_or_create(&Door { endpoint: endpoint.into() }).dec();
        // A peer's code is its own choice: only those that a protocol gives a meaning are told apart.
        let code = match (by, code.parse::<u16>()) {
            ("peer", Ok(1000..=1015)) | (_, Err(_)) => code.to_owned(),
            _ => "other".to_owned(),
        };
        self.closes.get_or_create(&Closed { by, code }).inc();
    }

    /// A handshake or call was refused.
    pub fn refused(&self, code: Code) {
        self.refusals.get_or_create(&Refused { code: code.name() }).inc();
    }

    /// How many handshakes and calls were refused with each code that was ever given.
    pub fn refusals(&self) -> Vec<(Code, u64)> {
        let of = |code: Code| self.refusals.get(&Refused { code: code.name() }).map(|count| (code, count.get()));
        Code::ALL.iter().filter_map(|code| of(*code)).collect()
    }

    /// A call of the HTTP API was answered.
    pub fn called(&self, operation: &'static str, status: u16) {
        self.calls.get_or_create(&Answered { operation, status }).inc();
    }

    /// A message was answered by an error.
    pub fn message_error(&self, code: Code) {
        self.errors.get_or_create(&Refused { code: code.name() }).inc();
    }

    /// Events were let go for want of room.
    pub fn dropped(&self, count: u64) {
        self.dropped.inc_by(count);
    }

    /// A request ended: by a reply, or with that code.
    pub fn request_ended(&self, by: &'static str) {
        self.requests.get_or_create(&Ended { by }).inc();
    }

    /// A connection hands in how many messages it took.
    pub fn messages(&self, count: u64) {
        self.messages.inc_by(count);
    }
}
