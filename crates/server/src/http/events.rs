//! Events by API: one, or many of which all are checked before any is told.

use gateway_domain::{Code, EventId, Refusal, target::Target};
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};

use super::{
    Call, Site,
    answer::{Answer, BodyStream, Faulty, json, read},
};
use crate::{
    clock,
    publish::{Draft, Published, Publisher},
    refusal::Fault,
};

/// A body of one event has at most this many bytes, as a message of a client has.
const MOST_BYTES: usize = 1 << 20;
/// A body of many.
const MOST_BATCH_BYTES: usize = 4 << 20;
const MOST_EVENTS: usize = 1_000;
/// How many faults of a batch are told.
const MOST_FAULTS: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    to: Vec<String>,
    #[serde(rename = "type")]
    kind: String,
    payload: Box<RawValue>,
    event_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    events: Vec<Written>,
}

/// Publishes one event.
pub(super) async fn publish(site: &Site, call: &Call, body: impl BodyStream) -> Answer {
    let written: Written = read(&call.headers, body, MOST_BYTES, None).await?;
    let draft = drafted(written, "", &site.house.publisher).map_err(Unfit::into_faulty)?;
    json(&told(site.house.publisher.publish(&draft, clock::now()).await?))
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
        match drafted(written, &format!("/events/{at}"), &site.house.publisher) {
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
            Ok(published) => json!(told(published)),
            Err(refusal) => json!({ "error": { "code": refusal.code, "message": refusal.message } }),
        });
    }
    json(&json!({ "results": results }))
}

/// What the backend is told of an event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    event_id: EventId,
    delivered: usize,
    scope: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

fn told(published: Published) -> Told {
    let Published { event_id, delivered, duplicate } = published;
    Told { event_id, delivered, scope: "node", duplicate }
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
fn drafted(written: Written, place: &str, publisher: &Publisher) -> Result<Draft, Unfit> {
    let at = |fault: Fault| Fault { path: format!("{place}{}", fault.path), ..fault };
    let (mut to, mut faults) = (Vec::new(), Vec::new());
    for (nth, target) in written.to.iter().enumerate() {
        match target.parse::<Target>() {
            Ok(target) => to.push(target),
            Err(fault) => faults.push(Fault { path: format!("/to/{nth}"), message: fault.to_string() }),
        }
    }
    let event_id = written.event_id.as_deref().map(str::parse::<EventId>).transpose();
    let draft = Draft { to, kind: written.kind, payload: written.payload, event_id: event_id.clone().unwrap_or(None) };
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
