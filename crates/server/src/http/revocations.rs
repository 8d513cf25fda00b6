//! Revocations by API: a token by its id, or a user's tokens up to a time. Live connections end at once.

use gateway_domain::{
    Code, Refusal, Timestamp, UserId,
    revocation::{Revocation, RevokedSubject},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    Call, Site,
    answer::{Answer, BodyStream, fault, json, read},
    bans::lasting,
    caller::Caller,
};
use crate::{
    audit::{Event, Subject},
    clock,
    ledger::LedgerFault,
};

const MOST_ID: usize = 256;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    jti: Option<String>,
    user: Option<UserId>,
    before: Option<Timestamp>,
    until: Option<Timestamp>,
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
    let laid = site.house.ledger.revoke(revocation.clone()).await;
    if let Err(LedgerFault::TooManyRevocations(full)) = &laid {
        return Err(Refusal::new(Code::LimitExceeded, full.to_string()).into());
    }
    let gone = Refusal::new(Code::TokenRevoked, "the token was revoked").because(format!("by {}", caller.user));
    let hub = &site.house.hub;
    let matches = hub.end_where(|here| here.stands(|standing| revocation.meets(&standing.principal)), &gone);
    let user = match &revocation.subject {
        RevokedSubject::User { user, .. } => Some(user),
        RevokedSubject::Token { .. } => None,
    };
    let reason = format!("by {}, {matches} connections ended", caller.user);
    site.house.audit.event(Event::Revoked, &Subject { user, ..call.subject() }, reason, now);
    lasting(laid)?;
    json(&json!({ "matches": matches, "revocation": revocation }))
}
