//! `/auth/token` and `/auth/refresh`: the only calls in snake_case, since they speak OAuth.

use gateway_domain::{Code, Refusal, Token};
use serde::Deserialize;

use super::{
    Call, Site,
    answer::{Answer, BodyStream, json, read},
    caller::{api_key, wrong_key},
};
use crate::{
    audit::{Event, Subject},
    clock,
    issuing::{Issued, Issuing},
    ledger::banned,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NothingAsked {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefreshBody {
    refresh_token: String,
}

/// Tokens for an API key.
pub(super) async fn issue(site: &Site, call: &Call, body: impl BodyStream) -> Answer {
    let issuing = may_try(site, call)?;
    let key = api_key(call)?.ok_or_else(|| Refusal::new(Code::AuthRequired, "send the API key as X-API-Key"))?;
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
