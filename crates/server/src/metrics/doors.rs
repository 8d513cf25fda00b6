//! Who comes, who goes, who is turned away, and what it costs them: connections, handshakes, closes, penalties, bans.

use std::{collections::BTreeSet, time::Duration};

use gateway_domain::Code;
use parking_lot::Mutex;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{Histogram, level};
use crate::{
    hub::{Occupant, Survey, Transport},
    ledger::LedgerCounts,
};

/// The roles that ship. Any other is a label only where an endpoint names it: a token may name what it likes.
const SHIPPED: [&str; 4] = ["admin", "agent", "dashboard", "service"];

/// What is counted at the doors.
#[derive(Debug, Default)]
pub struct Doors {
    connections: Family<Place, Gauge>,
    /// Where somebody has been: told as 0 when nobody is there any more.
    known: Mutex<BTreeSet<Place>>,
    limit: Gauge,
    admitted: Family<Place, Counter>,
    handshakes: Family<Verdict, Histogram>,
    refusals: Family<Refused, Counter>,
    closes: Family<Closed, Counter>,
    violations: Family<Violation, Counter>,
    penalised: Gauge,
    bans: Family<Banned, Gauge>,
    bans_laid: Family<Laid, Counter>,
    revocations: Gauge,
}

/// Where a connection is, in words that stand in the configuration or in the program.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub(crate) struct Place {
    endpoint: String,
    role: String,
    transport: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Verdict {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Closed {
    by: &'static str,
    code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Violation {
    penalty: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Banned {
    subject: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Laid {
    by: &'static str,
}

/// Who laid a ban.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaidBy {
    /// An operator, by the API.
    Operator,
    /// The gateway itself, for an address that was refused too often.
    Gateway,
}

impl Doors {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("connections", "Live connections", self.connections.clone());
        registry.register("connections_limit", "Connections that the node holds at most", self.limit.clone());
        registry.register("connections_admitted", "Connections that were admitted", self.admitted.clone());
        registry.register(
            "connections_penalised",
            "Live connections whose messages are refused for a while",
            self.penalised.clone(),
        );
        registry.register("handshake_seconds", "From a request to the gate's verdict", self.handshakes.clone());
        registry.register("refusals", "Handshakes and calls that were refused", self.refusals.clone());
        registry.register("connections_closed", "Connections that ended, by whom and why", self.closes.clone());
        registry.register(
            "violations",
            "Passages over a limit of messages, by what they cost",
            self.violations.clone(),
        );
        registry.register("bans", "Bans that hold", self.bans.clone());
        registry.register("bans_laid", "Bans that were laid", self.bans_laid.clone());
        registry.register("revocations", "Revocations that hold", self.revocations.clone());
        for outcome in ["admitted", "refused"] {
            drop(self.handshakes.get_or_create(&Verdict { outcome }));
        }
    }

    /// A connection began.
    pub fn connected(&self, here: &Occupant) {
        let place = Place::of(here);
        if let Some(admitted) = self.admitted.get(&place) {
            // Whoever was the first there has made it known.
            admitted.inc();
            return;
        }
        self.admitted.get_or_create(&place).inc();
        self.known.lock().insert(place);
    }

    /// A connection ended.
    pub fn disconnected(&self, by: &'static str, code: &str) {
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

    /// The gate took so long to say yes or no.
    pub fn judged(&self, admitted: bool, took: Duration) {
        let outcome = if admitted { "admitted" } else { "refused" };
        self.handshakes.get_or_create(&Verdict { outcome }).observe(took);
    }

    /// Somebody went over the limit of messages for the `nth` time.
    pub fn violated(&self, nth: u32) {
        let penalty = match nth {
            0 | 1 => "warning",
            2 => "1m",
            3 => "5m",
            _ => "30m",
        };
        self.violations.get_or_create(&Violation { penalty }).inc();
    }

    /// A ban was laid.
    pub fn ban_laid(&self, by: LaidBy) {
        let by = match by {
            LaidBy::Operator => "operator",
            LaidBy::Gateway => "gateway",
        };
        self.bans_laid.get_or_create(&Laid { by }).inc();
    }

    pub(super) fn read(&self, survey: &Survey, limit: usize, ledger: LedgerCounts) {
        let mut known = self.known.lock();
        for place in &*known {
            self.connections.get_or_create(place).set(0);
        }
        for (place, count) in &survey.places {
            level(&self.connections.get_or_create(place), *count);
            // It may be in another place than where it came in: by another transport, in another role.
            known.insert(place.clone());
        }
        level(&self.limit, limit);
        level(&self.penalised, survey.penalised);
        level(&self.bans.get_or_create(&Banned { subject: "address" }), ledger.addresses);
        level(&self.bans.get_or_create(&Banned { subject: "user" }), ledger.users);
        level(&self.revocations, ledger.revocations);
    }
}

impl Place {
    /// Where that connection is now.
    pub(crate) fn of(here: &Occupant) -> Self {
        let role = here.stands(|standing| match &standing.role {
            None => "none".to_owned(),
            Some(role) if here.endpoint.roles.contains(role) || SHIPPED.contains(&role.as_str()) => role.to_string(),
            Some(_) => "other".to_owned(),
        });
        let transport = match here.transport() {
            Transport::Websocket => "websocket",
            Transport::SocketioPolling => "socketio-polling",
            Transport::SocketioWebsocket => "socketio-websocket",
        };
        Self { endpoint: here.endpoint.path.to_string(), role, transport }
    }
}
