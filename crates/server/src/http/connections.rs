//! Connections and users: who is here, and who shall go.

mod told;

use std::sync::Arc;

use gateway_domain::{Code, ConnectionId, Now, Refusal, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    Call, Site,
    answer::{Answer, fault, json},
    caller::{Caller, Need},
    operation::{Access, Content, Declared, Parameter, Place, Topic, Verb, shape},
    page::{CURSOR, LIMIT, Wanted},
    spread::entry,
};
use crate::{
    audit::{Event, Subject},
    clock,
    cluster::{Found, Question, Spread},
    house::House,
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
    #[schemars(with = "Vec<Connection>")]
    connections: Vec<Box<RawValue>>,
    /// The `cursor` of the next page; null on the last.
    #[schemars(with = "Option<words::Connection>")]
    next: Option<String>,
    /// How many connections there are, whether they fit the filters or not.
    total: usize,
    /// The nodes that did not answer: what they have is not among these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    missing: Vec<String>,
}

/// A user as it stands.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct User {
    #[schemars(with = "words::User")]
    user_id: UserId,
    /// Whether it has a connection.
    connected: bool,
    #[schemars(with = "Vec<Connection>")]
    connections: Vec<Box<RawValue>>,
    /// How many violations of the quotas are remembered.
    violations: u32,
    /// How long its messages are still refused for them.
    penalty_seconds: Option<u64>,
    /// Whether a ban on the user holds.
    banned: bool,
    /// The nodes that did not answer: what they have is not among these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    missing: Vec<String>,
}

/// How many were told to go.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Disconnected")]
struct Gone {
    disconnected: usize,
    /// The nodes that did not answer: theirs are not among these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    missing: Vec<String>,
}

/// A page of the live connections.
pub(super) async fn list(site: &Site, call: &Call) -> Answer {
    let query = call.query()?;
    let wanted = Wanted::<ConnectionId>::read(&query)?;
    let spread = Spread {
        after: wanted.after.map(|after| after.to_string()),
        most: wanted.most,
        user: query.get("user")?.map(str::to_owned),
        role: query.get("role")?.map(str::to_owned),
        endpoint: query.get("endpoint")?.map(str::to_owned),
        prefix: None,
    };
    let all = site.asked(Question::Connections(spread), query.get("node")?).await;
    let (connections, next) = all.page(wanted.most);
    json(&Page { connections, next, total: all.total, missing: all.missing })
}

/// What this node has of a page.
pub(super) fn page(house: &House, spread: &Spread, now: Now) -> Found {
    let here = house.hub.page(spread.after_as(), spread.most, |here| spread.means(here));
    let entries = here.iter().filter_map(|(id, here)| entry(id.to_string(), &described(house, here, now)));
    Found { total: house.hub.counts().connections, entries: entries.collect(), ..Found::default() }
}

/// What this node has of one connection, or of a user's.
pub(super) fn some(house: &House, here: &[Arc<Occupant>], now: Now) -> Found {
    let entries = here.iter().filter_map(|here| entry(here.id.to_string(), &described(house, here, now)));
    Found { total: here.len(), entries: entries.collect(), ..Found::default() }
}

/// What this node has of a user.
pub(super) fn of_user(house: &House, user: &UserId, now: Now) -> Found {
    let account = house.accounts.peek(user);
    let (violations, penalty) = account.map_or((0, None), |account| account.standing(now));
    let penalty_seconds = penalty.map(in_seconds);
    Found { violations, penalty_seconds, ..some(house, &house.hub.of_user(user), now) }
}

/// One connection.
pub(super) async fn show(site: &Site, id: &str) -> Answer {
    let id: ConnectionId = id.parse().map_err(|_| gone())?;
    let all = site.asked(Question::Connection(id), None).await;
    let (_, found) = all.entries.into_iter().next().ok_or_else(gone)?;
    json(&found)
}

/// Ends one connection.
pub(super) async fn end(site: &Site, call: &Call, caller: &Caller, id: &str) -> Answer {
    let connection: ConnectionId = id.parse().map_err(|_| gone())?;
    let all = site.asked(Question::EndConnection { connection, by: caller.user.clone() }, None).await;
    let (_, found) = all.entries.into_iter().next().ok_or_else(gone)?;
    let user = serde_json::from_str::<Whose>(found.get()).ok().map(|whose| whose.user_id);
    let subject = Subject { user: user.as_ref(), connection: Some(connection), ..call.subject() };
    site.house.audit.event(Event::Kicked, &subject, format!("by {}", caller.user), clock::now());
    json(&Gone { disconnected: 1, missing: all.missing })
}

/// A user, its limits and its connections.
pub(super) async fn user(site: &Site, user: &str) -> Answer {
    let user = named(user)?;
    let now = clock::now();
    let all = site.asked(Question::User(user.clone()), None).await;
    json(&User {
        connected: !all.entries.is_empty(),
        violations: all.violations,
        penalty_seconds: all.penalty_seconds,
        banned: crate::ledger::banned_user(&site.house.ledger, &user, now).is_some(),
        connections: all.entries.into_iter().map(|(_, connection)| connection).collect(),
        missing: all.missing,
        user_id: user,
    })
}

/// Ends all connections of a user.
pub(super) async fn end_user(site: &Site, call: &Call, caller: &Caller, user: &str) -> Answer {
    let user = named(user)?;
    let all = site.asked(Question::EndUser { user: user.clone(), by: caller.user.clone() }, None).await;
    let subject = Subject { user: Some(&user), ..call.subject() };
    let reason = format!("{} connections, by {}", all.total, caller.user);
    site.house.audit.event(Event::Kicked, &subject, reason, clock::now());
    json(&Gone { disconnected: all.total, missing: all.missing })
}

/// Whose a connection is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Whose {
    user_id: UserId,
}

fn named(segment: &str) -> Result<UserId, super::answer::Faulty> {
    let text = crate::endpoint::decoded(segment).ok_or_else(|| fault("user", "is not UTF-8"))?;
    UserId::parse(&text).map_err(|wrong| fault("user", wrong.to_string()))
}

pub(super) fn kicked(by: &UserId) -> Refusal {
    Refusal::plain(Code::Disconnected).because(format!("by {by}"))
}

fn gone() -> Refusal {
    Refusal::new(Code::NotFound, "there is no such connection")
}
