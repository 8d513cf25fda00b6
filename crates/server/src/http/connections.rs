//! Connections and users: who is here, and who shall go.

use gateway_domain::{Code, ConnectionId, Now, Refusal, UserId};
use serde_json::{Value, json};

use super::{
    Call, Site,
    answer::{Answer, fault, json},
    caller::Caller,
    page::Wanted,
};
use crate::{
    audit::{Event, Subject},
    clock,
    hub::Occupant,
};

/// A page of the live connections.
pub(super) fn list(site: &Site, call: &Call) -> Answer {
    let query = call.query()?;
    let (user, role, endpoint) = (query.get("user")?, query.get("role")?, query.get("endpoint")?);
    let page = Wanted::<ConnectionId>::read(&query)?;
    let wanted = |here: &Occupant| {
        user.is_none_or(|user| here.user().as_str() == user)
            && endpoint.is_none_or(|path| &*here.endpoint.path == path)
            && role.is_none_or(|role| here.stands(|standing| standing.principal.is(role)))
    };
    let now = clock::now();
    let here = site.house.hub.page(page.after, page.most, wanted);
    let next = page.next(&here, |(id, _)| *id);
    let connections: Vec<Value> = here.iter().map(|(_, here)| described(site, here, now)).collect();
    json(&json!({ "connections": connections, "next": next, "total": site.house.hub.counts().connections }))
}

/// One connection.
pub(super) fn show(site: &Site, id: &str) -> Answer {
    let here = id.parse().ok().and_then(|id| site.house.hub.occupant(id)).ok_or_else(gone)?;
    json(&described(site, &here, clock::now()))
}

/// Ends one connection.
pub(super) fn end(site: &Site, call: &Call, caller: &Caller, id: &str) -> Answer {
    let here = id.parse().ok().and_then(|id| site.house.hub.occupant(id)).ok_or_else(gone)?;
    here.end(kicked(caller));
    let subject = Subject { user: Some(here.user()), connection: Some(here.id), ..call.subject() };
    site.house.audit.event(Event::Kicked, &subject, format!("by {}", caller.user), clock::now());
    json(&json!({ "disconnected": 1 }))
}

/// A user, its limits and its connections.
pub(super) fn user(site: &Site, user: &str) -> Answer {
    let user = named(user)?;
    let now = clock::now();
    let here = site.house.hub.of_user(&user);
    let (violations, penalty) = site.house.accounts.peek(&user).map_or((0, None), |account| account.standing(now));
    let connections: Vec<Value> = here.iter().map(|here| described(site, here, now)).collect();
    json(&json!({
        "userId": user,
        "connected": !connections.is_empty(),
        "connections": connections,
        "violations": violations,
        "penaltySeconds": penalty.map(|left| left.as_secs_f64().ceil()),
        "banned": crate::ledger::banned_user(&site.house.ledger, &user, now).is_some(),
    }))
}

/// Ends all connections of a user.
pub(super) fn end_user(site: &Site, call: &Call, caller: &Caller, user: &str) -> Answer {
    let user = named(user)?;
    let here = site.house.hub.of_user(&user);
    here.iter().for_each(|here| here.end(kicked(caller)));
    let subject = Subject { user: Some(&user), ..call.subject() };
    let reason = format!("{} connections, by {}", here.len(), caller.user);
    site.house.audit.event(Event::Kicked, &subject, reason, clock::now());
    json(&json!({ "disconnected": here.len() }))
}

/// All that is known of a connection.
fn described(site: &Site, here: &Occupant, now: Now) -> Value {
    let standing = here.standing();
    let principal = &standing.principal;
    let [messages_in, messages_out, bytes_in, bytes_out] = here.traffic.counts();
    let (violations, penalty) = standing.account.standing(now);
    json!({
        "connectionId": here.id,
        "requestId": here.request_id,
        "userId": principal.user,
        "agentId": principal.agent,
        "issuer": principal.issuer,
        "roles": principal.roles,
        "role": standing.role,
        "permissions": principal.permissions,
        "plan": standing.plan.name,
        "limits": {
            "connections": standing.plan.connections,
            "messages": standing.plan.messages,
            "messageBytes": here.endpoint.max_message,
        },
        "usage": {
            "connections": site.house.hub.of_user(here.user()).len(),
            "violations": violations,
            "penaltySeconds": penalty.map(|left| left.as_secs_f64().ceil()),
        },
        "endpoint": here.endpoint.path,
        "transport": here.transport,
        "ip": here.address.to_string(),
        "userAgent": here.user_agent,
        "connectedAt": here.connected_at,
        "authenticatedAt": standing.authenticated_at,
        "expiresAt": principal.expires_at,
        "keptPastExpiry": here.endpoint.session.on_expiry == gateway_domain::session::OnExpiry::Keep,
        "lastActivityAt": here.traffic.last_heard(now),
        "messagesIn": messages_in,
        "messagesOut": messages_out,
        "bytesIn": bytes_in,
        "bytesOut": bytes_out,
    })
}

fn named(segment: &str) -> Result<UserId, super::answer::Faulty> {
    let text = crate::endpoint::decoded(segment).ok_or_else(|| fault("user", "is not UTF-8"))?;
    UserId::parse(&text).map_err(|wrong| fault("user", wrong.to_string()))
}

fn kicked(caller: &Caller) -> Refusal {
    Refusal::plain(Code::Disconnected).because(format!("by {}", caller.user))
}

fn gone() -> Refusal {
    Refusal::new(Code::NotFound, "there is no such connection")
}
