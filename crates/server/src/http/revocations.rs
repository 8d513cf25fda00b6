//! Revocations by API: a token by its id, or a user's tokens up to a time. Live connections end at once.

use gateway_domain::{
    Code, Refusal, Timestamp, UserId,
    revocation::{Revocation, RevokedSubject},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Call, MAX_BODY, Site,
    answer::{Answer, BodyStream, fault, json, read},
    bans::lasting,
    caller::{Caller, Need},
    operation::{Access, Body, Content, Declared, Topic, Verb, either, shape},
};
use crate::{
    audit::{Event, Subject},
    clock,
    cluster::Question,
    ledger::LedgerFault,
    words,
};

pub(super) const LAY: Declared = Declared {
    id: "revokeTokens",
    verb: Verb::Post,
    path: "/api/v1/revocations",
    topic: Topic::Bans,
    summary: "Revokes a token by its id, or a user's tokens up to a time",
    more: "Live connections that it meets end at once, with 4009. A revocation is never taken back; a token that is issued \
           later is not met.",
    access: Access::Caller(Need::Admin),
    parameters: &[],
    body: Some(Body {
        shape: shape::<Order>,
        required: true,
        most_bytes: MAX_BODY,
        examples: &[
            ("user", r#"{"user": "mallory"}"#),
            ("token", r#"{"jti": "b1946ac9", "until": "2030-01-01T00:00:00Z"}"#),
        ],
    }),
    answers: &[Content::json(
        shape::<Laid>,
        r#"{"matches": 1, "revocation": {"user": "mallory", "before": "2030-01-01T00:00:00.000Z"}}"#,
    )],
    also: None,
    refusals: &[Code::LimitExceeded, Code::Internal],
};

const MOST_ID: usize = 256;

/// A token or a user, one of them.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RevocationOrder", extend("oneOf" = either(&["jti"], &["user", "before"])))]
struct Order {
    /// The token's own id.
    #[schemars(length(min = 1, max = MOST_ID))]
    jti: Option<String>,
    #[schemars(with = "Option<words::User>")]
    user: Option<UserId>,
    /// With `user`: tokens that were issued up to this moment; now, where it is left out.
    #[schemars(with = "Option<words::Time>")]
    before: Option<Timestamp>,
    /// When it may be forgotten, since all tokens that it meets are over; absent: never.
    #[schemars(with = "Option<words::Time>")]
    until: Option<Timestamp>,
}

/// What a revocation met.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RevocationAnswer")]
struct Laid {
    /// So many connections.
    matches: usize,
    revocation: Told,
    /// The nodes that did not answer in time: it holds there too, as soon as they hear of it, and whom it meets there is not
    /// counted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    missing: Vec<String>,
}

/// A revocation, as it is told.
#[derive(Default, Serialize, JsonSchema)]
#[schemars(rename = "Revocation")]
struct Told {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "words::User")]
    user: Option<UserId>,
    /// Tokens that were issued up to this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "words::Time")]
    before: Option<Timestamp>,
    /// When it is forgotten; absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "words::Time")]
    until: Option<Timestamp>,
}

impl From<Revocation> for Told {
    fn from(Revocation { subject, until }: Revocation) -> Self {
        match subject {
            RevokedSubject::Token { jti } => Self { jti: Some(jti), until, ..Self::default() },
            RevokedSubject::User { user, before } => {
                Self { user: Some(user), before: Some(before), until, ..Self::default() }
            }
        }
    }
}

/// Revokes; whom it meets is gone at once.
pub(super) async fn lay(site: &Site, call: &Call, caller: &Caller, body: impl BodyStream) -> Answer {
    let order: Order = read(&call.headers, body, site.max_body, None).await?;
    let now = clock::now();
    let subject = match (order.jti, order.user) {
        (Some(jti), None) if jti.is_empty() || jti.len() > MOST_ID => {
            return Err(fault("jti", format!("1 to {MOST_ID} bytes")));
        }
        (Some(_), None) if order.before.is_some() => return Err(fault("before", "goes with `user`")),
        (Some(jti), None) => RevokedSubject::Token { jti },
        (None, Some(user)) => RevokedSubject::User { user, before: order.before.unwrap_or(now.wall) },
        _ => return Err(fault("user", "a revocation has a `jti` or a `user`, one of them")),
    };
    if order.until.is_some_and(|until| until <= now.wall) {
        return Err(fault("until", "lies in the past"));
    }
    let revocation = Revocation { subject, until: order.until };
    // The others first: what they hear of it besides is heard later, and counted by nobody.
    let question = Question::Revoked { revocation: revocation.clone(), by: caller.user.clone() };
    let there = site.asked_of_others(question).await;
    let laid = site.house.ledger.revoke(revocation.clone()).await;
    if let Err(LedgerFault::TooManyRevocations(full)) = &laid {
        return Err(Refusal::new(Code::LimitExceeded, full.to_string()).into());
    }
    let gone = Refusal::new(Code::TokenRevoked, "the token was revoked").because(format!("by {}", caller.user));
    let hub = &site.house.hub;
    let matches =
        there.total + hub.end_where(|here| here.stands(|standing| revocation.meets(&standing.principal)), &gone);
    let user = match &revocation.subject {
        RevokedSubject::User { user, .. } => Some(user),
        RevokedSubject::Token { .. } => None,
    };
    let reason = format!("by {}, {matches} connections ended", caller.user);
    site.house.audit.event(Event::Revoked, &Subject { user, ..call.subject() }, reason, now);
    lasting(laid)?;
    json(&Laid { matches, revocation: revocation.into(), missing: there.missing })
}
