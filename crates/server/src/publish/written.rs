//! Events as backends write them: read, held against what is expected of them, and answered. Of many all are checked
//! before any is told. Whoever carries the bodies (HTTP, a queue) adds nothing to that.

use gateway_domain::{Code, EventId, Refusal, event::MOST_KIND_BYTES, target::Target, trace::Trace};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Draft, MOST_TARGETS, Publisher};
use crate::{refusal::Fault, words};

/// What every target looks like; what it must be besides is said where it is not.
const TARGET: &str = "^(user|agent|connection|room|role|endpoint|webhook):.+$";
/// A body of one event has at most this many bytes, as a message of a client has.
pub const MOST_BYTES: usize = 1 << 20;
/// A body of many.
pub const MOST_BATCH_BYTES: usize = 4 << 20;
const MOST_EVENTS: usize = 1_000;
/// How many faults of a batch are told.
const MOST_FAULTS: usize = 100;

/// An event to be told.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "EventDraft")]
pub struct Written {
    /// To whom: `user:ID`, `agent:ID`, `connection:ID`, `room:NAME`, `role:NAME`, `endpoint:PATH` or `webhook:NAME`.
    #[schemars(length(min = 1, max = MOST_TARGETS), inner(regex(pattern = TARGET)))]
    to: Vec<String>,
    /// What it is: a word of the backend's own, 1 to 128 bytes.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = MOST_KIND_BYTES))]
    kind: String,
    /// What it says: passed on byte for byte.
    #[schemars(with = "serde_json::Value")]
    payload: Box<RawValue>,
    /// The backend's own id of it.
    #[schemars(with = "Option<words::Event>")]
    event_id: Option<String>,
}

/// Many events.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EventBatch")]
pub struct Batch {
    #[schemars(length(min = 1, max = MOST_EVENTS))]
    events: Vec<Written>,
}

/// What is wrong with events, and whether it is only that they do not fit what is expected of them.
#[derive(Debug, Default)]
pub struct Unfit {
    of_schema: bool,
    faults: Vec<Fault>,
}

impl Unfit {
    fn join(&mut self, more: Self) {
        self.of_schema = more.of_schema && (self.of_schema || self.faults.is_empty());
        self.faults.extend(more.faults);
        self.faults.truncate(MOST_FAULTS);
    }

    /// The refusal, and what is wrong in which place.
    pub fn into_refusal(self) -> (Refusal, Vec<Fault>) {
        let refusal = if self.of_schema {
            Refusal::new(Code::SchemaMismatch, "the event does not fit what is expected of it")
        } else {
            Refusal::new(Code::InvalidRequest, "the event cannot be told like this")
        };
        (refusal, self.faults)
    }
}

impl Written {
    /// The draft of it, in the trace of its caller.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn draft(self, publisher: &Publisher, trace: Option<Trace>) -> Result<Draft, Unfit> {
        drafted(self, "", publisher, trace)
    }
}

impl Batch {
    /// The drafts of all, in their order.
    ///
    /// # Errors
    /// What is wrong with any of them.
    pub fn drafts(self, publisher: &Publisher, trace: Option<Trace>) -> Result<Vec<Draft>, Unfit> {
        if self.events.is_empty() || self.events.len() > MOST_EVENTS {
            let message = format!("send 1 to {MOST_EVENTS} events at a time");
            return Err(Unfit { of_schema: false, faults: vec![Fault { path: "/events".into(), message }] });
        }
        let mut unfit = Unfit::default();
        let mut drafts = Vec::with_capacity(self.events.len());
        for (at, written) in self.events.into_iter().enumerate() {
            match drafted(written, &format!("/events/{at}"), publisher, trace) {
                Ok(draft) => drafts.push(draft),
                Err(more) => unfit.join(more),
            }
            // Whoever has so many has read enough, and to look for more costs.
            if unfit.faults.len() >= MOST_FAULTS {
                break;
            }
        }
        if unfit.faults.is_empty() { Ok(drafts) } else { Err(unfit) }
    }
}

/// The draft that was written at that place in the body.
fn drafted(written: Written, place: &str, publisher: &Publisher, trace: Option<Trace>) -> Result<Draft, Unfit> {
    let at = |fault: Fault| Fault { path: format!("{place}{}", fault.path), ..fault };
    let (mut to, mut faults) = (Vec::new(), Vec::new());
    for (nth, target) in written.to.iter().enumerate() {
        match target.parse::<Target>() {
            Ok(target) => to.push(target),
            Err(fault) => faults.push(Fault { path: format!("/to/{nth}"), message: fault.to_string() }),
        }
    }
    let event_id = written.event_id.as_deref().map(str::parse::<EventId>).transpose();
    let event = event_id.clone().unwrap_or(None);
    let draft = Draft { to, kind: written.kind, payload: written.payload, event_id: event, trace, request: None };
    if faults.is_empty() {
        faults = publisher.faults(&draft);
    }
    let of_schema = faults.is_empty();
    if of_schema {
        faults = publisher.mismatches(&draft);
    }
    if event_id.is_err() {
        faults.push(Fault { path: "/eventId".into(), message: "is no UUID".into() });
    }
    if faults.is_empty() { Ok(draft) } else { Err(Unfit { of_schema, faults: faults.into_iter().map(at).collect() }) }
}
