//! Requests by API: an agent is asked, and the call waits for its reply, or for the end that the request comes to.
//!
//! With `Accept: application/x-ndjson` the answer is a stream of lines: each progress, then the reply or the error. With
//! an `Idempotency-Key` the request is made once: who calls again with the same key and the same body gets the answer of
//! the first call, be it still under way.

use std::time::Duration;

use futures_util::stream;
use gateway_domain::{
    AgentId, Code, Refusal, Role,
    event::{MOST_KIND_BYTES, check_kind},
    route::LONGEST_REPLY_TIMEOUT,
};
use gateway_transport::Text;
use schemars::{JsonSchema, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use warp::{Reply as _, reply::Response};

use super::{
    Call, Site,
    answer::{Answer, BodyStream, Faulty, fault, json, read},
    caller::{Caller, Need},
    operation::{Access, Body, Content, Declared, Parameter, Place, Topic, Verb, shape},
};
use crate::{
    clock,
    hub::Calling,
    publish::{Backend, Outcome, Question},
    refusal::ErrorPayload,
    words,
};

pub(super) const ASK: Declared = Declared {
    id: "askAgent",
    verb: Verb::Post,
    path: "/api/v1/agents/{agentId}/requests",
    topic: Topic::Agents,
    summary: "Asks an agent, and waits for its reply or for the end that the request comes to",
    more: "The agent gets a message of that type and payload, as from a client. The time is how long each of its replies may \
           take: one with more to come starts it anew. A caller that goes away and gave no `Idempotency-Key` is a `cancel` to \
           the agent.",
    access: Access::Caller(Need::Service),
    parameters: &[AGENT, KEY],
    body: Some(Body {
        shape: shape::<Written>,
        required: true,
        most_bytes: MOST_BYTES,
        examples: &[("stop", r#"{"type": "command", "payload": {"do": "stop"}, "timeout": "5s"}"#)],
    }),
    answers: &[
        Content::json(shape::<Reply>, REPLY),
        Content {
            kind: "application/x-ndjson",
            about: "A line for each progress (`{\"progress\": ...}`), then one with the reply (`{\"reply\": ...}`) or with the \
                    error that it ended with (`{\"error\": ...}`).",
            shape: shape::<String>,
            example: LINES,
        },
    ],
    also: None,
    refusals: &[
        Code::LimitExceeded,
        Code::TargetOffline,
        Code::Conflict,
        Code::TargetLost,
        Code::ReplyTimeout,
        Code::Internal,
    ],
};

const AGENT: Parameter = Parameter {
    name: "agentId",
    place: Place::Path,
    about: "Which agent, percent-encoded.",
    shape: shape::<words::Agent>,
    example: "\"press-7\"",
};
const KEY: Parameter = Parameter {
    name: "Idempotency-Key",
    place: Place::Header,
    about: "The agent is asked once within five minutes, whoever calls again with the same key and body, and every caller \
            gets that one answer. It does not go with an answer in lines.",
    shape: |_| json_schema!({ "type": "string", "minLength": 1, "maxLength": MOST_KEY_BYTES, "pattern": "^[!-~]+$" }),
    example: "\"stop-2030-01-01\"",
};

const REPLY: &str = r#"{"requestId": "6b3b8168-e479-47a9-97d7-3cf85d128fe4", "from": {
    "connectionId": "3f0c2b57-9f0e-4c7e-8a51-6f1f6f5f0a6e", "userId": "press-7", "agentId": "press-7", "role": "agent"},
    "payload": {"stopped": true}}"#;
const LINES: &str = r#""{\"progress\":{\"payload\":50}}\n{\"reply\":{\"payload\":{\"stopped\":true}}}\n""#;

const MOST_BYTES: usize = 1 << 20;
const USUAL_TIMEOUT: Duration = Duration::from_secs(30);
const MOST_KEY_BYTES: usize = 128;

/// What an agent is asked.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AgentRequest")]
struct Written {
    /// The type of the message, 1 to 128 bytes.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = MOST_KIND_BYTES))]
    kind: String,
    /// What it says: passed on byte for byte.
    #[schemars(with = "Option<serde_json::Value>")]
    payload: Option<Box<RawValue>>,
    /// How long each reply may take, such as `500ms`, `30s` or `2m`; 30 s where it is left out.
    #[schemars(regex(pattern = r"^0*([1-9][0-9]{0,6}ms|[1-9][0-9]{0,3}s|[1-9][0-9]?m)$"))]
    timeout: Option<String>,
}

/// What a caller reads of a reply: who answered, and what.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Reply {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "words::Request")]
    request_id: Option<String>,
    /// Which connection it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Replier")]
    from: Option<Box<RawValue>>,
    /// What it said, byte for byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "serde_json::Value")]
    payload: Option<Box<RawValue>>,
}

/// The connection that answered.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code, reason = "it is the schema of what the hub has written already")]
struct Replier {
    #[schemars(with = "words::Connection")]
    connection_id: String,
    #[schemars(with = "words::User")]
    user_id: String,
    #[schemars(with = "Option<words::Agent>")]
    agent_id: Option<String>,
    #[schemars(with = "Option<words::Role>")]
    role: Option<String>,
}

/// One line of an answer in lines.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Line<'a> {
    Progress(Reply),
    Reply(Reply),
    Error(ErrorPayload<'a>),
}

/// Asks an agent.
pub(super) async fn ask(site: &Site, call: &Call, caller: &Caller, agent: &str, body: impl BodyStream) -> Answer {
    let agent = crate::endpoint::decoded(agent).ok_or_else(|| fault("agent", "is not UTF-8, or too long"))?;
    let agent = AgentId::parse(&agent).map_err(|wrong| fault("agent", wrong.to_string()))?;
    let Written { kind, payload, timeout } = read(&call.headers, body, MOST_BYTES, None).await?;
    check_kind(&kind).map_err(|wrong| fault("/type", wrong.to_string()))?;
    let timeout = timeout.as_deref().map_or(Ok(USUAL_TIMEOUT), duration)?;
    let question = Question { agent, kind, payload, timeout, trace: call.trace };
    let role = Role::parse(caller.role).map_err(|wrong| fault("role", wrong.to_string()))?;
    let backend = Backend { user: caller.user.clone(), role };
    let publisher = &site.house.publisher;
    match (idempotency_key(call)?, accepts_lines(call)) {
        (Some(_), true) => {
            Err(fault("Idempotency-Key", "goes with one answer: leave it out, or accept application/json"))
        }
        (Some(key), false) => answered(publisher.ask_once(&backend, key, &question, clock::now()).await?),
        (None, true) => Ok(lines(publisher.ask(&backend, &question, clock::now()).await?)),
        (None, false) => answered(publisher.ask(&backend, &question, clock::now()).await?.outcome().await),
    }
}

fn answered(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Replied(text) => json(&reply(&text)?),
        Outcome::Refused(refusal) => Err(refusal.into()),
    }
}

/// Each progress as a line, then the reply or the error.
fn lines(calling: Calling) -> Response {
    let lines = stream::unfold(Some(calling), |calling| async {
        let mut calling = calling?;
        let (line, rest) = tokio::select! {
            biased;
            Some(text) = calling.progress.recv() => (line(Outcome::Replied(text), Line::Progress), Some(calling)),
            end = &mut calling.end => (line(end.into(), Line::Reply), None),
        };
        Some((Ok::<_, std::convert::Infallible>(line), rest))
    });
    let mut response = warp::reply::stream(lines).into_response();
    let kind = http::HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}

fn line(outcome: Outcome, said: fn(Reply) -> Line<'static>) -> String {
    let written = |line: &Line<'_>| serde_json::to_string(line).map(|line| line + "\n").unwrap_or_default();
    let reply = match outcome {
        Outcome::Replied(text) => reply(&text),
        Outcome::Refused(refusal) => Err(refusal),
    };
    match reply {
        Ok(reply) => written(&said(reply)),
        Err(refusal) => written(&Line::Error(ErrorPayload::of(&refusal))),
    }
}

/// Takes from a reply what is a caller's business.
fn reply(text: &Text) -> Result<Reply, Refusal> {
    serde_json::from_str(text.as_str())
        .map_err(|fault| Refusal::plain(Code::Internal).because(format!("a reply has not the form: {fault}")))
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
