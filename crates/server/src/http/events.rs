//! Events by API: one, or many of which all are checked before any is told.

use gateway_domain::{Code, EventId, Refusal, event::MOST_KIND_BYTES, target::Target, trace::Trace};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    Call, Site,
    answer::{Answer, BodyStream, Faulty, json, read},
    caller::Need,
    operation::{Access, Body, Content, Declared, Topic, Verb, shape},
};
use crate::{
    clock,
    publish::{Draft, MOST_TARGETS, Published, Publisher},
    refusal::{ErrorPayload, Fault},
    words,
};

pub(super) const PUBLISH: Declared = Declared {
    id: "publishEvent",
    verb: Verb::Post,
    path: "/api/v1/events",
    topic: Topic::Events,
    summary: "Tells an event to all whom it is for",
    more: "With an `eventId` it is told once, however often it is sent within five minutes: whoever sends the same again gets the \
           first answer with `duplicate: true`, and another body under the same id is CONFLICT. Where the configuration has a \
           schema for the type, the payload must fit it.",
    access: Access::Caller(Need::Service),
    parameters: &[],
    body: Some(Body {
        shape: shape::<Written>,
        required: true,
        most_bytes: MOST_BYTES,
        examples: &[
            (
                "toUsersAndRooms",
                r#"{"to": ["user:ann", "room:agents"], "type": "dashboard:summaryUpdated", "payload": {"total": 7}}"#,
            ),
            (
                "once",
                r#"{"to": ["user:ann"], "type": "invoice.paid", "payload": {"number": 17},
                    "eventId": "3f0c2b57-9f0e-4c7e-8a51-6f1f6f5f0a6e"}"#,
            ),
        ],
    }),
    answers: &[Content::json(shape::<Told>, TOLD)],
    also: None,
    refusals: &[Code::LimitExceeded, Code::Conflict, Code::SchemaMismatch],
};

pub(super) const PUBLISH_ALL: Declared = Declared {
    id: "publishEvents",
    path: "/api/v1/events/batch",
    summary: "Tells many events in their order, or none of them",
    more: "All are checked before any is told, and one that does not fit stops them all. What can only be found out by telling \
           (a CONFLICT of its `eventId`, LIMIT_EXCEEDED) is said in the place of its result.",
    body: Some(Body {
        shape: shape::<Batch>,
        required: true,
        most_bytes: MOST_BATCH_BYTES,
        examples: &[(
            "two",
            r#"{"events": [{"to": ["user:ann"], "type": "invoice.paid", "payload": {"number": 17}},
                           {"to": ["user:bob"], "type": "invoice.paid", "payload": {"number": 18}}]}"#,
        )],
    }),
    answers: &[Content::json(
        shape::<Results>,
        r#"{"results": [{"eventId": "3f0c2b57-9f0e-4c7e-8a51-6f1f6f5f0a6e", "delivered": 1, "scope": "node"}]}"#,
    )],
    refusals: &[Code::SchemaMismatch],
    ..PUBLISH
};

const TOLD: &str = r#"{"eventId": "3f0c2b57-9f0e-4c7e-8a51-6f1f6f5f0a6e", "delivered": 3, "scope": "node"}"#;

/// What every target looks like; what it must be besides is said where it is not.
const TARGET: &str = "^(user|agent|connection|room|role|endpoint|webhook):.+$";
/// A body of one event has at most this many bytes, as a message of a client has.
const MOST_BYTES: usize = 1 << 20;
/// A body of many.
const MOST_BATCH_BYTES: usize = 4 << 20;
const MOST_EVENTS: usize = 1_000;
/// How many faults of a batch are told.
const MOST_FAULTS: usize = 100;

/// An event to be told.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "EventDraft")]
struct Written {
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
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EventBatch")]
struct Batch {
    #[schemars(length(min = 1, max = MOST_EVENTS))]
    events: Vec<Written>,
}

/// An event that was told.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "EventTold")]
struct Told {
    #[schemars(with = "words::Event")]
    event_id: EventId,
    /// Into how many outboxes it was put: not how many people read it.
    delivered: usize,
    scope: Scope,
    /// It had been published before, and nobody was told again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(with = "Option<bool>")]
    duplicate: bool,
}

/// Whose outboxes were counted.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Scope {
    /// Those of this gateway.
    Node,
}

/// What became of each event of a batch, in their order.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EventResults")]
struct Results {
    results: Vec<Outcome>,
}

/// What became of one event of a batch.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "EventResult")]
enum Outcome {
    Told(Told),
    NotTold { error: ErrorPayload<'static> },
}

/// Publishes one event.
pub(super) async fn publish(site: &Site, call: &Call, body: impl BodyStream) -> Answer {
    let written: Written = read(&call.headers, body, MOST_BYTES, None).await?;
    let draft = drafted(written, "", &site.house.publisher, call.trace).map_err(Unfit::into_faulty)?;
    let published = site.house.publisher.publish(&draft, clock::now()).await?;
    let Published { event_id, delivered, .. } = &published;
    tracing::debug!(eventId = %event_id, delivered, "published");
    json(&told(published))
}

/// Publishes many, in their order; where one is at fault, none.
pub(super) async fn publish_all(site: &Site, call: &Call, body: impl BodyStream) -> Answer {
    let batch: Batch = read(&call.headers, body, MOST_BATCH_BYTES, None).await?;
    if batch.events.is_empty() || batch.events.len() > MOST_EVENTS {
        let message = format!("send 1 to {MOST_EVENTS} events at a time");
        return Err(Unfit { of_schema: false, faults: vec![Fault { path: "/events".into(), message }] }.into_faulty());
    }
    let mut unfit = Unfit::default();
    let mut drafts = Vec::with_capacity(batch.events.len());
    for (at, written) in batch.events.into_iter().enumerate() {
        match drafted(written, &format!("/events/{at}"), &site.house.publisher, call.trace) {
            Ok(draft) => drafts.push(draft),
            Err(more) => unfit.join(more),
        }
        // Whoever has so many has read enough, and to look for more costs.
        if unfit.faults.len() >= MOST_FAULTS {
            break;
        }
    }
    if !unfit.faults.is_empty() {
        return Err(unfit.into_faulty());
    }
    let mut results = Vec::with_capacity(drafts.len());
    for draft in &drafts {
        // One that cannot be told any more does not take back those before it: each says what became of it.
        results.push(match site.house.publisher.publish(draft, clock::now()).await {
            Ok(published) => Outcome::Told(told(published)),
            Err(refusal) => Outcome::NotTold { error: ErrorPayload::of(&refusal).into_owned() },
        });
    }
    json(&Results { results })
}

fn told(published: Published) -> Told {
    let Published { event_id, delivered, duplicate } = published;
    Told { event_id, delivered, scope: Scope::Node, duplicate }
}

/// What is wrong with events, and whether it is only that they do not fit what is expected of them.
#[derive(Default)]
struct Unfit {
    of_schema: bool,
    faults: Vec<Fault>,
}

impl Unfit {
    fn join(&mut self, more: Self) {
        self.of_schema = more.of_schema && (self.of_schema || self.faults.is_empty());
        self.faults.extend(more.faults);
        self.faults.truncate(MOST_FAULTS);
    }

    fn into_faulty(self) -> Faulty {
        let refusal = if self.of_schema {
            Refusal::new(Code::SchemaMismatch, "the event does not fit what is expected of it")
        } else {
            Refusal::new(Code::InvalidRequest, "the event cannot be told like this")
        };
        Faulty { details: self.faults, ..refusal.into() }
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
    let draft = Draft { to, kind: written.kind, payload: written.payload, event_id: event, trace };
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
