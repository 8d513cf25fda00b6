//! What is said: messages and bytes in both directions, what waits, what is let go, how long it takes, what is asked and
//! what rooms give back.
//!
//! A connection keeps its own counts; they are added up when somebody asks, and kept when it ends. So a message costs
//! nothing here. What is told never runs backwards, though connections end while it is added up.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use gateway_domain::Code;
use parking_lot::Mutex;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{Histogram, level};
use crate::hub::{Counts, HubRules, Occupant, Survey};

/// What is counted of messages.
#[derive(Debug, Default)]
pub struct Messages {
    received: Family<Door, Counter>,
    sent: Family<Door, Counter>,
    received_bytes: Family<Door, Counter>,
    sent_bytes: Family<Door, Counter>,
    /// Of the connections that have ended.
    ended: Mutex<Totals>,
    errors: Family<Refused, Counter>,
    dropped: Counter,
    waiting: Gauge,
    waiting_bytes: Gauge,
    fullest: Gauge,
    delivery: Histogram,
    reply: Histogram,
    requests_ended: Family<Ended, Counter>,
    requests_open: Gauge,
    rooms: Gauge,
    rooms_limit: Gauge,
    memberships: Gauge,
    history_bytes: Gauge,
    history_bytes_limit: Gauge,
    recoveries: Family<Recovery, Counter>,
    recovered: Counter,
}

/// Messages in and out, bytes in and out, by the path of an endpoint.
pub(crate) type Totals = BTreeMap<Arc<str>, [u64; 4]>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Door {
    endpoint: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    by: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Recovery {
    outcome: &'static str,
}

impl Messages {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("messages_received", "Messages of clients", self.received.clone());
        registry.register("messages_sent", "Messages to clients", self.sent.clone());
        registry.register("received_bytes", "Bytes of messages of clients", self.received_bytes.clone());
        registry.register("sent_bytes", "Bytes of messages to clients", self.sent_bytes.clone());
        registry.register("message_errors", "Messages that were answered by an error", self.errors.clone());
        registry.register("messages_dropped", "Events that were let go for want of room", self.dropped.clone());
        registry.register("outbox_messages", "Messages that wait in outboxes", self.waiting.clone());
        registry.register("outbox_bytes", "Bytes that wait in outboxes", self.waiting_bytes.clone());
        registry.register("outbox_fullest_messages", "Messages that wait in the fullest outbox", self.fullest.clone());
        registry.register(
            "delivery_seconds",
            "From taking a post to writing it to a receiver, for the oldest of what is written together",
            self.delivery.clone(),
        );
        registry.register("reply_seconds", "From asking to the last reply", self.reply.clone());
        registry.register("requests_ended", "Requests that ended, by what", self.requests_ended.clone());
        registry.register("requests_open", "Requests that wait for a reply", self.requests_open.clone());
        registry.register("rooms", "Rooms with members or a memory", self.rooms.clone());
        registry.register("rooms_limit", "Rooms that the node holds at most", self.rooms_limit.clone());
        registry.register("room_memberships", "Connections in rooms", self.memberships.clone());
        registry.register("room_history_bytes", "What rooms remember", self.history_bytes.clone());
        registry.register(
            "room_history_bytes_limit",
            "What rooms may remember at most",
            self.history_bytes_limit.clone(),
        );
        registry.register(
            "history_recoveries",
            "Subscriptions that asked for what they missed, by whether it was still there",
            self.recoveries.clone(),
        );
        registry.register("history_recovered_messages", "Messages that were recovered", self.recovered.clone());
        for outcome in ["hit", "miss"] {
            drop(self.recoveries.get_or_create(&Recovery { outcome }));
        }
    }

    /// A connection ended: what it said and heard is kept. It must have left the registry before this, so that nobody
    /// adds it up twice.
    pub(crate) fn keep(&self, gone: &Occupant) {
        add(&mut self.ended.lock(), gone);
    }

    /// What the connections that have ended said and heard.
    pub(crate) fn of_ended(&self) -> Totals {
        self.ended.lock().clone()
    }

    /// A message was answered by an error.
    pub fn error(&self, code: Code) {
        self.errors.get_or_create(&Refused { code: code.name() }).inc();
    }

    /// Events were let go for want of room.
    pub fn dropped(&self, count: u64) {
        self.dropped.inc_by(count);
    }

    /// How long deliveries take.
    pub const fn delivery(&self) -> &Histogram {
        &self.delivery
    }

    /// A request ended by its last reply, so long after it was asked.
    pub fn replied(&self, after: Duration) {
        self.request_ended("reply");
        self.reply.observe(after);
    }

    /// A request ended: by a reply, or with that code.
    pub fn request_ended(&self, by: &'static str) {
        self.requests_ended.get_or_create(&Ended { by }).inc();
    }

    /// Somebody asked for what it missed: so many messages, or they are not there any more.
    pub fn recovered(&self, missed: Option<usize>) {
        let outcome = if missed.is_some() { "hit" } else { "miss" };
        self.recoveries.get_or_create(&Recovery { outcome }).inc();
        self.recovered.inc_by(missed.unwrap_or_default() as u64);
    }

    pub(super) fn read(&self, survey: &Survey, counts: Counts, rules: Option<&HubRules>) {
        let families = [&self.received, &self.sent, &self.received_bytes, &self.sent_bytes];
        for (endpoint, totals) in &survey.totals {
            let door = Door { endpoint: endpoint.to_string() };
            for (family, total) in families.into_iter().zip(totals) {
                // Who ended in the middle of the survey may be missing from it, and is in the next.
                family.get_or_create(&door).inner().fetch_max(*total, Ordering::Relaxed);
            }
        }
        level(&self.waiting, survey.waiting);
        level(&self.waiting_bytes, survey.waiting_bytes);
        level(&self.fullest, survey.fullest);
        level(&self.requests_open, counts.requests);
        level(&self.rooms, counts.rooms.rooms);
        level(&self.memberships, counts.rooms.memberships);
        level(&self.history_bytes, counts.rooms.history_bytes);
        if let Some(rules) = rules {
            level(&self.rooms_limit, rules.rooms.rooms);
            level(&self.history_bytes_limit, rules.rooms.history_bytes);
        }
    }
}

/// Adds what a connection said and heard.
pub(crate) fn add(totals: &mut Totals, of: &Occupant) {
    let path = &of.endpoint.path;
    let counts = of.traffic.counts();
    match totals.get_mut(path) {
        Some(sum) => sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count),
        None => drop(totals.insert(Arc::clone(path), counts)),
    }
}
