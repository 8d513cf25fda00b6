//! Events by API: one, or many of which all are checked before any is told.

use std::sync::Arc;

use gateway_domain::{Code, EventId, Refusal};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Call, Site,
    answer::{Answer, BodyStream, Faulty, json, read},
    caller::Need,
    operation::{Access, Body, Content, Declared, Topic, Verb, shape},
};
use crate::{
    clock, hub,
    publish::{
        Draft, Published,
        written::{Batch, MOST_BATCH_BYTES, MOST_BYTES, Unfit, Written},
    },
    refusal::ErrorPayload,
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
    /// Those of all gateways.
    Cluster,
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
    let draft = Draft { request: Some(call.request_id), ..written.draft(&site.house.publisher, call.trace)? };
    let published = to_its_end(site, draft).await?;
    let Published { event_id, delivered, .. } = &published;
    tracing::debug!(eventId = %event_id, delivered, "published");
    json(&told(published))
}

/// Publishes many, in their order; where one is at fault, none.
pub(super) async fn publish_all(site: &Site, call: &Call, body: impl BodyStream) -> Answer {
    let batch: Batch = read(&call.headers, body, MOST_BATCH_BYTES, None).await?;
    let drafts = batch.drafts(&site.house.publisher, call.trace)?;
    let mut results = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let draft = Draft { request: Some(call.request_id), ..draft };
        // One that cannot be told any more does not take back those before it: each says what became of it.
        results.push(match to_its_end(site, draft).await {
            Ok(published) => Outcome::Told(told(published)),
            Err(refusal) => Outcome::NotTold { error: ErrorPayload::of(&refusal).into_owned() },
        });
    }
    json(&Results { results })
}

/// Tells it. Where other gateways know its id, what came of it is written down for them, even if the caller hangs up.
async fn to_its_end(site: &Site, draft: Draft) -> Result<Published, Refusal> {
    if draft.event_id.is_none() || site.house.hub.link().is_none() {
        return site.house.publisher.publish(&draft, clock::now()).await;
    }
    let house = Arc::clone(&site.house);
    let telling = tokio::spawn(async move { house.publisher.publish(&draft, clock::now()).await });
    telling
        .await
        .unwrap_or_else(|fault| Err(Refusal::plain(Code::Internal).because(format!("an event was not told: {fault}"))))
}

fn told(published: Published) -> Told {
    let Published { event_id, delivered, scope, duplicate } = published;
    let scope = match scope {
        hub::Scope::Node => Scope::Node,
        hub::Scope::Cluster => Scope::Cluster,
    };
    Told { event_id, delivered, scope, duplicate }
}

impl From<Unfit> for Faulty {
    fn from(unfit: Unfit) -> Self {
        let (refusal, details) = unfit.into_refusal();
        Self { details, ..refusal.into() }
    }
}
