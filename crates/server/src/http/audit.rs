//! The latest of the audit by API, one request explained, and the stream of what comes.

use futures_util::StreamExt;
use gateway_domain::{Code, Refusal};
use schemars::{JsonSchema, json_schema};
use serde::Serialize;
use serde_json::json;
use tokio_stream::wrappers::{BroadcastStream, errors::BroadcastStreamRecvError};
use warp::{Reply, reply::Response};

use super::{
    Call, Site,
    answer::{Answer, fault, json},
    caller::Need,
    operation::{Access, Content, Declared, Parameter, Place, Topic, Verb, shape},
    page::{LIMIT, limit},
};
use crate::{audit::Record, gate::Check, words};

pub(super) const LATEST: Declared = Declared {
    id: "listAuditRecords",
    verb: Verb::Get,
    path: "/api/v1/audit",
    topic: Topic::Audit,
    summary: "The latest refusals and security events, the newest first; or those to come, as lines",
    more: "How many are kept in memory is a matter of the configuration; the audit file has all. Who follows and reads too \
           slowly is told how many records it missed.",
    access: Access::Caller(Need::Admin),
    parameters: &[CODE, USER, EVENT, LIMIT, FOLLOW],
    body: None,
    answers: &[
        Content::json(shape::<Records<'_>>, RECORDS),
        Content {
            kind: "application/x-ndjson",
            about: "With `follow=true`: a line for each record from now on, until the caller goes away.",
            shape: shape::<String>,
            example: "\"{\\\"event\\\":\\\"refused\\\"}\\n\"",
        },
    ],
    also: None,
    refusals: &[Code::InvalidRequest],
};

pub(super) const EXPLAIN: Declared = Declared {
    id: "explainRequest",
    path: "/api/v1/audit/{requestId}",
    summary: "What became of one request, and which check decided",
    more: "By the `requestId` that a client was told with its refusal.",
    parameters: &[REQUEST],
    answers: &[Content::json(shape::<Explained<'_>>, EXPLAINED)],
    refusals: &[Code::InvalidRequest, Code::NotFound],
    ..LATEST
};

const CODE: Parameter = Parameter {
    name: "code",
    place: Place::Query,
    about: "Only records with this code.",
    shape: shape::<String>,
    example: "\"TOKEN_EXPIRED\"",
};
const USER: Parameter = Parameter { name: "user", about: "Only records about this user.", example: "\"ann\"", ..CODE };
const EVENT: Parameter =
    Parameter { name: "event", about: "Only records of this event.", example: "\"ban.laid\"", ..CODE };
const FOLLOW: Parameter = Parameter {
    name: "follow",
    about: "`true`: what comes from now on, as it comes.",
    shape: |_| json_schema!({ "type": "boolean", "default": false }),
    example: "false",
    ..CODE
};
const REQUEST: Parameter = Parameter {
    name: "requestId",
    place: Place::Path,
    about: "Which request.",
    shape: shape::<words::Request>,
    example: "\"6b3b8168-e479-47a9-97d7-3cf85d128fe4\"",
};

const RECORDS: &str = r#"{"records": [{"time": "2030-01-01T00:00:00.000Z", "event": "ban.laid",
    "reason": "user mallory is banned: spam, by root, 0 connections ended",
    "requestId": "6b3b8168-e479-47a9-97d7-3cf85d128fe4", "userId": "mallory", "ip": "203.0.113.7",
    "endpoint": "/api/v1/bans", "userAgent": "curl/8.0"}]}"#;
const EXPLAINED: &str = r#"{"records": [{"time": "2030-01-01T00:00:00.000Z", "event": "refused", "code": "TOKEN_EXPIRED",
    "reason": "the token expired at 2029-12-31T23:59:00.000Z", "requestId": "6b3b8168-e479-47a9-97d7-3cf85d128fe4",
    "userId": "ann", "ip": "203.0.113.7", "endpoint": "/ws/dashboard"}],
    "decidedBy": "is it valid, and its time not over"}"#;

/// Records of the audit.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AuditRecords")]
struct Records<'a> {
    records: Vec<&'a Record>,
}

/// The records of one request.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "RequestExplained")]
struct Explained<'a> {
    records: Vec<&'a Record>,
    /// The question that the gate had answered with a no, where it was one of the gate's.
    decided_by: Option<&'static str>,
}

/// The latest records that are wanted, or with `follow=true` all that come from now on, a line each.
pub(super) fn latest(site: &Site, call: &Call) -> Answer {
    let query = call.query()?;
    let own = |name: &str| Ok::<_, Refusal>(query.get(name)?.map(str::to_owned));
    let (code, user, event) = (own("code")?, own("user")?, own("event")?);
    let wanted = move |record: &Record| {
        code.as_deref().is_none_or(|code| record.code.is_some_and(|own| own.name() == code))
            && user.as_deref().is_none_or(|user| record.user_id.as_ref().is_some_and(|own| own.as_str() == user))
            && event.as_deref().is_none_or(|event| record.event.name() == event)
    };
    match query.get("follow")? {
        Some("true") => return Ok(follow(site, wanted)),
        None | Some("false") => {}
        Some(_) => return Err(fault("follow", "`true` or `false`")),
    }
    let most = limit(&query)?;
    let records = site.house.audit.latest(most, wanted);
    json(&Records { records: records.iter().map(AsRef::as_ref).collect() })
}

/// What became of one request, and which check decided.
pub(super) fn explain(site: &Site, id: &str) -> Answer {
    let id = id.parse().map_err(|_| fault("requestId", "is a UUID"))?;
    let records = site.house.audit.find(id);
    if records.is_empty() {
        let why = "no such request among the latest: look into the audit file";
        return Err(Refusal::new(Code::NotFound, why).into());
    }
    let decided = records.iter().find_map(|record| Check::behind(record.code?, record.user_id.is_some()));
    json(&Explained { records: records.iter().collect(), decided_by: decided.map(Check::question) })
}

fn follow(site: &Site, wanted: impl Fn(&Record) -> bool + Send + Sync + 'static) -> Response {
    let lines = BroadcastStream::new(site.house.audit.follow()).filter_map(move |record| {
        let line = match record {
            Ok(record) => wanted(&record).then(|| json!(*record)),
            Err(BroadcastStreamRecvError::Lagged(missed)) => Some(json!({ "event": "audit.missed", "count": missed })),
        };
        std::future::ready(line.map(|line| Ok::<_, std::convert::Infallible>(format!("{line}\n"))))
    });
    let mut response = warp::reply::stream(lines).into_response();
    let kind = http::HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}
