//! The refusals of the document: by call and status the codes that there can be, each with the answer that the program
//! itself gives for it.

use std::collections::BTreeMap;

use gateway_domain::{Code, Detail, Refusal, RequestId, Timestamp, plan::Rate};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Schemas, shape};
use crate::{
    http::operation::{Access, Declared},
    refusal::{self, Body, Fault},
};

/// Any call at all: by another method, or in a form that no call has.
const ALWAYS: &[Code] = &[Code::InvalidRequest, Code::MethodNotAllowed];
const OF_CALLERS: &[Code] = &[
    Code::AuthRequired,
    Code::TokenInvalid,
    Code::TokenExpired,
    Code::TokenRevoked,
    Code::Banned,
    Code::Forbidden,
    Code::RateLimited,
    Code::AuthError,
];
const OF_KEYS: &[Code] = &[Code::AuthRequired, Code::TokenInvalid, Code::Banned, Code::RateLimited, Code::AuthError];
const OF_BODIES: &[Code] = &[Code::MessageTooBig, Code::UnsupportedData];

/// The answers that calls share, by name.
#[derive(Default)]
pub(super) struct Refused(BTreeMap<String, (u16, Vec<Code>)>);

/// What a call can be refused with, in the order of the table of codes.
pub(super) fn by_status(declared: &Declared) -> BTreeMap<u16, Vec<Code>> {
    let of_access = match declared.access {
        Access::Caller(_) | Access::HereOr(_) => OF_CALLERS,
        Access::ApiKey => OF_KEYS,
        Access::Everybody => &[],
    };
    let of_body = if declared.body.is_some() { OF_BODIES } else { &[] };
    let sources = [ALWAYS, of_access, of_body, declared.refusals];
    let mut by_status = BTreeMap::<u16, Vec<Code>>::new();
    for code in Code::ALL.iter().filter(|code| sources.iter().any(|codes| codes.contains(code))) {
        if let Some(status) = code.http_status() {
            by_status.entry(status).or_default().push(*code);
        }
    }
    by_status
}

impl Refused {
    pub(super) fn reference(&mut self, status: u16, codes: Vec<Code>) -> Value {
        let names: Vec<_> = codes.iter().map(|code| code.name()).collect();
        let name = names.join(".");
        let reference = json!({ "$ref": format!("#/components/responses/{name}") });
        self.0.insert(name, (status, codes));
        reference
    }

    pub(super) fn into_components(self, schemas: &mut Schemas) -> Map<String, Value> {
        let body = shape::<Body<'_>>(&mut schemas.of_answers);
        let answers =
            self.0.into_iter().map(|(name, (status, codes))| (name, response(status, &codes, body.as_value())));
        answers.collect()
    }
}

fn response(status: u16, codes: &[Code], body: &Value) -> Value {
    let names: Vec<_> = codes.iter().map(|code| code.name()).collect();
    let meanings: Vec<_> = codes.iter().map(|code| format!("`{}`: {}.", code.name(), code.meaning())).collect();
    let examples = codes.iter().map(|code| (code.name().to_owned(), json!({ "value": example(*code) })));
    let narrowed = json!({ "properties": { "error": { "properties": { "code": { "enum": names } } } } });
    let mut response = json!({
        "description": meanings.join(" "),
        "content": { "application/json": {
            "schema": { "allOf": [body, narrowed] },
            "examples": examples.collect::<Map<_, _>>(),
        } },
    });
    let headers = headers_of(status);
    if headers.as_object().is_some_and(|headers| !headers.is_empty()) {
        response["headers"] = headers;
    }
    response
}

/// What the program answers.
fn example(code: Code) -> Value {
    let plain = Refusal::plain(code);
    let refusal = match code {
        Code::TokenInvalid => Refusal::invalid_token(Detail::Signature, "the signature does not fit"),
        Code::TokenExpired => Refusal::expired(Timestamp::from_seconds(1_893_456_000)),
        Code::RateLimited => match "2000/s".parse::<Rate>() {
            Ok(rate) => plain.retry_after(std::time::Duration::from_secs(1)).limit(rate),
            Err(_) => plain,
        },
        _ => plain,
    };
    let details = match code {
        Code::InvalidRequest => vec![Fault { path: "limit".into(), message: "a number from 1 to 1000".into() }],
        Code::SchemaMismatch => {
            vec![Fault { path: "/payload/total".into(), message: "\"7\" is not of type \"integer\"".into() }]
        }
        _ => Vec::new(),
    };
    let request_id = RequestId::new(Uuid::from_u128(0x6b3b_8168_e479_47a9_97d7_3cf8_5d12_8fe4));
    serde_json::from_slice(refusal::response_with(&refusal, request_id, &details).body()).unwrap_or_default()
}

/// The headers that refusals have.
pub(super) fn headers() -> Value {
    let number = |about: &str, required: bool| json!({ "description": about, "required": required, "schema": { "type": "integer", "minimum": 0 } });
    let text = |about: &str| json!({ "description": about, "required": true, "schema": { "type": "string" } });
    json!({
        "Allow": text("The methods that this address takes."),
        "RetryAfter": number("After so many seconds it makes sense to try again.", true),
        "WwwAuthenticate": text("What kind of failure it was (RFC 6750)."),
        "RateLimitLimit": number("How many calls there may be in the period.", true),
        "RateLimitRemaining": number("How many of them are left: none.", true),
        "RateLimitPeriod": number("How many seconds the period has.", true),
    })
}

/// Those of that status.
pub(super) fn headers_of(status: u16) -> Value {
    let of = |names: &[(&str, &str)]| -> Value {
        let reference = |name: &str| json!({ "$ref": format!("#/components/headers/{name}") });
        names.iter().map(|(header, name)| ((*header).to_owned(), reference(name))).collect::<Map<_, _>>().into()
    };
    match status {
        401 => of(&[("www-authenticate", "WwwAuthenticate")]),
        405 => of(&[("allow", "Allow")]),
        429 => of(&[
            ("retry-after", "RetryAfter"),
            ("x-ratelimit-limit", "RateLimitLimit"),
            ("x-ratelimit-remaining", "RateLimitRemaining"),
            ("x-ratelimit-period", "RateLimitPeriod"),
        ]),
        503 => of(&[("retry-after", "RetryAfter")]),
        _ => of(&[]),
    }
}
