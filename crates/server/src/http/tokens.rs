//! `/auth/token` and `/auth/refresh`: the only calls in snake_case, since they speak OAuth.

use gateway_domain::{Code, Refusal, Token};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Call, MAX_BODY, Site,
    answer::{Answer, BodyStream, json, read},
    operation::{Access, Body, Content, Declared, Topic, Verb, shape},
};
use crate::{
    audit::{Event, Subject},
    caller::{api_key, wrong_key},
    clock,
    issuing::{Issued, Issuing},
    ledger::banned,
};

pub(super) const ISSUE: Declared = Declared {
    id: "issueToken",
    verb: Verb::Post,
    path: "/auth/token",
    topic: Topic::Tokens,
    summary: "Tokens for an API key",
    more: "There where `[auth.issuer]` is configured, beside the endpoints. Members are in snake_case, as OAuth has them.",
    access: Access::ApiKey,
    parameters: &[],
    body: Some(Body {
        shape: shape::<NothingAsked>,
        required: false,
        most_bytes: MAX_BODY,
        examples: &[("nothing", "{}")],
    }),
    answers: &[Content::json(shape::<Issued>, ISSUED)],
    also: None,
    refusals: &[],
};

pub(super) const REFRESH: Declared = Declared {
    id: "refreshToken",
    path: "/auth/refresh",
    summary: "The next tokens for a refresh token, which is spent by it",
    more: "A spent one that comes again ends everything that came from the same login. There where `[auth.issuer]` is \
           configured, beside the endpoints.",
    access: Access::Everybody,
    body: Some(Body {
        shape: shape::<RefreshBody>,
        required: true,
        most_bytes: MAX_BODY,
        examples: &[("spent", r#"{"refresh_token": "an opaque text"}"#)],
    }),
    refusals: &[
        Code::TokenInvalid,
        Code::TokenExpired,
        Code::TokenRevoked,
        Code::Banned,
        Code::RateLimited,
        Code::AuthError,
    ],
    ..ISSUE
};

const ISSUED: &str = r#"{"access_token": "a JWT", "refresh_token": "an opaque text", "token_type": "Bearer",
    "expires_in": 900, "user_id": "backend", "plan": "free"}"#;

/// An empty object.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TokenOrder")]
struct NothingAsked {}

/// A refresh token.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RefreshOrder")]
struct RefreshBody {
    refresh_token: String,
}

/// Tokens for an API key.
pub(super) async fn issue(site: &Site, call: &Call, body: impl BodyStream) -> Answer {
    let issuing = may_try(site, call)?;
    let key =
        api_key(&call.headers)?.ok_or_else(|| Refusal::new(Code::AuthRequired, "send the API key as X-API-Key"))?;
    let NothingAsked {} = read(&call.headers, body, site.max_body, Some(NothingAsked {})).await?;
    let key = site.house.api_keys.find(&key).ok_or_else(wrong_key)?;
    let issued = issuing.issue(&key.grant, clock::now()).await?;
    told(site, call, &issued, format!("for API key `{}`", key.id));
    json(&issued)
}

/// New tokens for a refresh token.
pub(super) async fn refresh(site: &Site, call: &Call, body: impl BodyStream) -> Answer {
    let issuing = may_try(site, call)?;
    let RefreshBody { refresh_token } = read(&call.headers, body, site.max_body, None).await?;
    let issued = issuing.refresh(&Token::new(refresh_token), clock::now()).await.inspect_err(|refusal| {
        if refusal.code == Code::TokenRevoked && refusal.user.is_some() {
            let subject = Subject { user: refusal.user.as_ref(), ..call.subject() };
            site.house.audit.event_of(Event::TokenReused, refusal, &subject, clock::now());
        }
    })?;
    told(site, call, &issued, "for a refresh token".into());
    json(&issued)
}

/// Before any credential is looked at, the address must be welcome and keep to its rate.
fn may_try<'a>(site: &'a Site, call: &Call) -> Result<&'a Issuing, Refusal> {
    if let Some(ban) = site.house.ledger.ban_on(&call.address, clock::now()) {
        return Err(banned(&ban));
    }
    if let Some(ip) = call.address.as_ip() {
        site.house.handshakes.knock_from(ip)?;
    }
    site.house.issuing.as_ref().ok_or_else(|| Refusal::plain(Code::NotFound))
}

fn told(site: &Site, call: &Call, issued: &Issued, reason: String) {
    let subject = Subject { user: Some(&issued.user_id), ..call.subject() };
    site.house.audit.event(Event::TokenIssued, &subject, reason, clock::now());
}
