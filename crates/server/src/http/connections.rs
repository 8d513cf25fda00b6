//! Connections and users: who is here, and who shall go.

mod told;

use gateway_domain::{Code, ConnectionId, Refusal, UserId};
use gateway_transport::Query;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Call, Site,
    answer::{Answer, fault, json},
    caller::{Caller, Need},
    operation::{Access, Content, Declared, Parameter, Place, Topic, Verb, shape},
    page::{CURSOR, LIMIT, Wanted},
};
use crate::{
    audit::{Event, Subject},
    clock,
    hub::Occupant,
    words,
};
use told::{Connection, described, in_seconds};

pub(super) const LIST: Declared = Declared {
    id: "listConnections",
    verb: Verb::Get,
    path: "/api/v1/connections",
    topic: Topic::Connections,
    summary: "A page of the live connections",
    more: "Filters narrow it; all that are given must fit. Connections that come and go between two pages move none of the others.",
    access: Access::Caller(Need::Service),
    parameters: &[OF_USER, OF_ROLE, OF_ENDPOINT, OF_NODE, LIMIT, CURSOR],
    body: None,
    answers: &[Content::json(shape::<Page>, r#"{"connections": [], "next": null, "total": 0}"#)],
    also: None,
    refusals: &[Code::InvalidRequest],
};

pub(super) const SHOW: Declared = Declared {
    id: "getConnection",
    verb: Verb::Get,
    path: "/api/v1/connections/{connectionId}",
    summary: "One connection: who, since when, from where, until when, limits, counts",
    more: "",
    parameters: &[CONNECTION],
    answers: &[Content::json(shape::<Connection>, told::EXAMPLE)],
    refusals: &[Code::NotFound],
    ..LIST
};

pub(super) const END: Declared = Declared {
    id: "endConnection",
    verb: Verb::Delete,
    summary: "Closes a connection with 4011",
    answers: &[Content::json(shape::<Gone>, r#"{"disconnected": 1}"#)],
    ..SHOW
};

pub(super) const USER: Declared = Declared {
    id: "getUser",
    verb: Verb::Get,
    path: "/api/v1/users/{userId}",
    summary: "A user: its connections, violations and penalty, and whether it is banned",
    more: "A user whom nobody has seen has no connections and no violations: there is no list of users that it could be missing from.",
    parameters: &[USER_ID],
    answers: &[Content::json(
        shape::<User>,
        r#"{"userId": "ann", "connected": false, "connections": [], "violations": 0, "penaltySeconds": null, "banned": false}"#,
    )],
    refusals: &[Code::InvalidRequest],
    ..LIST
};

pub(super) const END_USER: Declared = Declared {
    id: "disconnectUser",
    verb: Verb::Post,
    path: "/api/v1/users/{userId}/disconnect",
    summary: "Closes all connections of a user with 4011",
    more: "It may come back: a ban or a revocation keeps it out.",
    answers: &[Content::json(shape::<Gone>, r#"{"disconnected": 2}"#)],
    ..USER
};

pub(super) const OF_USER: Parameter = Parameter {
    name: "user",
    place: Place::Query,
    about: "Only those of this user.",
    shape: shape::<String>,
    example: "\"ann\"",
};
pub(super) const OF_ROLE: Parameter =
    Parameter { name: "role", about: "Only those whose token has this role.", example: "\"dashboard\"", ..OF_USER };
pub(super) const OF_ENDPOINT: Parameter = Parameter {
    name: "endpoint",
    about: "Only those at this endpoint, by its path as the configuration has it.",
    example: "\"/ws/dashboard\"",
    ..OF_USER
};
pub(super) const OF_NODE: Parameter =
    Parameter { name: "node", about: "Only those of this node.", example: "\"gateway-1\"", ..OF_USER };
const CONNECTION: Parameter = Parameter {
    name: "connectionId",
    place: Place::Path,
    about: "Which connection.",
    shape: shape::<words::Connection>,
    example: "\"3f0c2b57-9f0e-4c7e-8a51-6f1f6f5f0a6e\"",
};
const USER_ID: Parameter = Parameter {
    name: "userId",
    place: Place::Path,
    about: "Which user, percent-encoded.",
    shape: shape::<words::User>,
    example: "\"ann\"",
};

/// A page of connections.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ConnectionPage")]
struct Page {
    connections: Vec<Connection>,
    /// The `cursor` of the next page; null on the last.
    #[schemars(with = "Option<words::Connection>")]
    next: Option<ConnectionId>,
    /// How many connections there are, whether they fit the filters or not.
    total: usize,
}

/// A user as it stands.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct User {
    #[schemars(with = "words::User")]
    user_id: UserId,
    /// Whether it has a connection.
    connected: bool,
    connections: Vec<Connection>,
    /// How many violations of the quotas are remembered.
    violations: u32,
    /// How long its messages are still refused for them.
    penalty_seconds: Option<u64>,
    /// Whether a ban on the user holds.
    banned: bool,
}

/// How many were told to go.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Disconnected")]
struct Gone {
    disconnected: usize,
}

/// A page of the live connections.
pub(super) fn list(site: &Site, call: &Call) -> Answer {
    let query = call.query()?;
    let (user, role, endpoint) = (query.get("user")?, query.get("role")?, query.get("endpoint")?);
    let is_meant = site.is_meant(&query)?;
    let page = Wanted::<ConnectionId>::read(&query)?;
    let wanted = |here: &Occupant| {
        is_meant
            && user.is_none_or(|user| here.user().as_str() == user)
            && endpoint.is_none_or(|path| &*here.endpoint.path == path)
            && role.is_none_or(|role| here.stands(|standing| standing.principal.is(role)))
    };
    let now = clock::now();
    let here = site.house.hub.page(page.after, page.most, wanted);
    let next = page.next(&here, |(id, _)| *id);
    let connections = here.iter().map(|(_, here)| described(site, here, now)).collect();
    json(&Page { connections, next, total: site.house.hub.counts().connections })
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
    json(&Gone { disconnected: 1 })
}

/// A user, its limits and its connections.
pub(super) fn user(site: &Site, user: &str) -> Answer {
    let user = named(user)?;
    let now = clock::now();
    let here = site.house.hub.of_user(&user);
    let (violations, penalty) = site.house.accounts.peek(&user).map_or((0, None), |account| account.standing(now));
    json(&User {
        connected: !here.is_empty(),
        connections: here.iter().map(|here| described(site, here, now)).collect(),
        violations,
        penalty_seconds: penalty.map(in_seconds),
        banned: crate::ledger::banned_user(&site.house.ledger, &user, now).is_some(),
        user_id: user,
    })
}

/// Ends all connections of a user.
pub(super) fn end_user(site: &Site, call: &Call, caller: &Caller, user: &str) -> Answer {
    let user = named(user)?;
    let here = site.house.hub.of_user(&user);
    here.iter().for_each(|here| here.end(kicked(caller)));
    let subject = Subject { user: Some(&user), ..call.subject() };
    let reason = format!("{} connections, by {}", here.len(), caller.user);
    site.house.audit.event(Event::Kicked, &subject, reason, clock::now());
    json(&Gone { disconnected: here.len() })
}

impl Site {
    /// Whether the `node` of a list is this one, or none.
    pub(super) fn is_meant(&self, query: &Query) -> Result<bool, Refusal> {
        Ok(query.get("node")?.is_none_or(|node| node == self.house.node.as_str()))
    }
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
