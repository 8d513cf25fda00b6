//! Requests by API: an agent is asked, and the call waits for its reply, or for the end that the request comes to.
//!
//! With `Accept: application/x-ndjson` the answer is a stream of lines: each progress, then the reply or the error. With
//! an `Idempotency-Key` the request is made once: who calls again with the same key and the same body gets the answer of
//! the first call, be it still under way.

use std::time::Duration;

use futures_util::stream;
use gateway_domain::{AgentId, Role, event::check_kind, route::LONGEST_REPLY_TIMEOUT};
use gateway_transport::Text;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use warp::{Reply, reply::Response};

use super::{
    Call, Site,
    answer::{Answer, BodyStream, Faulty, fault, json, read},
    caller::Caller,
};
use crate::{
    clock,
    hub::Calling,
    publish::{Backend, Outcome, Question},
    refusal::ErrorPayload,
};

const MOST_BYTES: usize = 1 << 20;
const USUAL_TIMEOUT: Duration = Duration::from_secs(30);
const MOST_KEY_BYTES: usize = 128;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(rename = "type")]
    kind: String,
    payload: Option<Box<RawValue>>,
    timeout: Option<String>,
}

/// Asks an agent.
pub(super) async fn ask(site: &Site, call: &Call, caller: &Caller, agent: &str, body: impl BodyStream) -> Answer {
    let agent = crate::endpoint::decoded(agent).ok_or_else(|| fault("agent", "is not UTF-8, or too long"))?;
    let agent = AgentId::parse(&agent).map_err(|wrong| fault("agent", wrong.to_string()))?;
    let Written { kind, payload, timeout } = read(&call.headers, body, MOST_BYTES, None).await?;
    check_kind(&kind).map_err(|wrong| fault("/type", wrong.to_string()))?;
    let timeout = timeout.as_deref().map_or(Ok(USUAL_TIMEOUT), duration)?;
    let question = Question { agent, kind, payload, timeout };
    let role = Role::parse(caller.role).map_err(|wrong| fault("role", wrong.to_string()))?;
    let backend = Backend { user: caller.user.clone(), role };
    let publisher = &site.house.publisher;
    match (idempotency_key(call)?, accepts_lines(call)) {
        (Some(_), true) => {
            Err(fault("Idempotency-Key", "goes with one answer: leave it out, or accept application/json"))
        }
        (Some(key), false) => answered(publisher.ask_once(&backend, key, &question, clock::now()).await?),
        (None, true) => Ok(lines(publisher.ask(&backend, &question, clock::now())?)),
        (None, false) => answered(publisher.ask(&backend, &question, clock::now())?.outcome().await),
    }
}

fn answered(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Replied(text) => json(&reply(&text)),
        Outcome::Refused(refusal) => Err(refusal.into()),
    }
}

/// Each progress as a line, then the reply or the error.
fn lines(calling: Calling) -> Response {
    let lines = stream::unfold(Some(calling), |calling| async {
        let mut calling = calling?;
        let (line, rest) = tokio::select! {
            biased;
            Some(text) = calling.progress.recv() => (json!({ "progress": reply(&text) }), Some(calling)),
            end = &mut calling.end => (match end.into() {
                Outcome::Replied(text) => json!({ "reply": reply(&text) }),
                Outcome::Refused(refusal) => json!({ "error": ErrorPayload::of(&refusal) }),
            }, None),
        };
        Some((Ok::<_, std::convert::Infallible>(format!("{line}\n")), rest))
    });
    let mut response = warp::reply::stream(lines).into_response();
    let kind = http::HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}

/// What a caller reads of a reply: who answered, and what.
fn reply(text: &Text) -> Value {
    let mut whole: Value = serde_json::from_str(text.as_str()).unwrap_or_default();
    if let Some(members) = whole.as_object_mut() {
        members.retain(|name, _| matches!(name.as_str(), "requestId" | "from" | "payload"));
    }
    whole
}

/// `30s`, `500ms`, `2m`: at least a millisecond, and at most as long as a route may wait.
fn duration(text: &str) -> Result<Duration, Faulty> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: Option<u64> = number.parse().ok();
    let timeout = number.and_then(|number| match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        _ => None,
    });
    let longest = LONGEST_REPLY_TIMEOUT;
    timeout
        .filter(|timeout| !timeout.is_zero() && *timeout <= longest)
        .ok_or_else(|| fault("/timeout", format!("a time such as \"30s\", at most {} s", longest.as_secs())))
}

fn accepts_lines(call: &Call) -> bool {
    let accepts = call.headers.get_all(http::header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut kinds = accepts.flat_map(|value| value.split(','));
    kinds.any(|kind| kind.split(';').next().unwrap_or_default().trim() == "application/x-ndjson")
}

fn idempotency_key(call: &Call) -> Result<Option<String>, Faulty> {
    let mut keys = call.headers.get_all("idempotency-key").iter();
    let Some(key) = keys.next() else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| (1..=MOST_KEY_BYTES).contains(&key.len()) && keys.next().is_none());
    let key = key.ok_or_else(|| fault("Idempotency-Key", format!("one text of 1 to {MOST_KEY_BYTES} bytes")))?;
    Ok(Some(key.to_owned()))
}
