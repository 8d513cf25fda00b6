//! The gateway in one look: what it is, who is here, how much went by. What went by is told as totals since it began;
//! whoever wants a rate asks twice.

use std::collections::{BTreeMap, BTreeSet};

use gateway_domain::{Code, Role, Timestamp, UserId, name::NodeName};
use gateway_transport::TokenSource;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Site,
    answer::{Answer, json},
    caller::{Caller, Need},
    operation::{Access, Content, Declared, Topic, Verb, shape},
};
use crate::{clock, hub, words};

pub(super) const SHOW: Declared = Declared {
    id: "getOverview",
    verb: Verb::Get,
    path: "/api/v1/overview",
    topic: Topic::Gateway,
    summary: "The gateway in one look: who is here, what went by, what was refused",
    more: "Of this node. Totals are counted since `since` and never fall but with a restart; a rate is the difference of two looks.",
    access: Access::Caller(Need::Service),
    parameters: &[],
    body: None,
    answers: &[Content::json(shape::<Overview>, EXAMPLE)],
    also: None,
    refusals: &[],
};

const EXAMPLE: &str = r#"{"node": "gateway-1", "version": "0.1.0", "time": "2030-01-01T00:10:00.000Z",
    "since": "2030-01-01T00:00:00.000Z", "dev": false, "draining": false, "caller": {"userId": "root", "role": "admin"},
    "here": {"connections": 1, "users": 1, "agents": 0, "rooms": 1, "memberships": 1, "historyBytes": 0, "openRequests": 0},
    "endpoints": [{"path": "/ws/dashboard", "roles": ["dashboard"], "agents": false, "connections": 1}],
    "roles": [{"role": "dashboard", "connections": 1}],
    "totals": {"connections": 1, "messagesIn": 3, "messagesOut": 4, "bytesIn": 210, "bytesOut": 812, "refusals": 1},
    "refusals": {"TOKEN_EXPIRED": 1}, "tokenSources": ["query", "header"], "opensDoors": true}"#;

/// The gateway in one look.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Overview {
    #[schemars(with = "words::Node")]
    node: NodeName,
    /// Of the program.
    version: &'static str,
    /// When this was looked at.
    #[schemars(with = "words::Time")]
    time: Timestamp,
    /// Since when the totals are counted.
    #[schemars(with = "words::Time")]
    since: Timestamp,
    /// Whether it runs with made-up keys, for trying out.
    dev: bool,
    /// Whether it is leaving.
    draining: bool,
    caller: Asking,
    here: Here,
    /// The endpoints, with who came through each.
    endpoints: Vec<Door>,
    /// How many connections were admitted as each role that an endpoint names.
    roles: Vec<OfRole>,
    totals: Totals,
    /// Handshakes and calls that were refused, by code.
    #[schemars(with = "BTreeMap<String, u64>")]
    refusals: BTreeMap<&'static str, u64>,
    /// Where a token is looked for at the endpoints, in this order.
    token_sources: Vec<String>,
    /// Whether the endpoints are on the listener that answers this.
    opens_doors: bool,
}

/// Who asks.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "OverviewCaller")]
struct Asking {
    #[schemars(with = "words::User")]
    user_id: UserId,
    #[schemars(with = "words::Role")]
    role: &'static str,
}

/// What is here now.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "OverviewCounts")]
struct Here {
    connections: usize,
    users: usize,
    agents: usize,
    rooms: usize,
    /// Connections in rooms, once for each room.
    memberships: usize,
    /// What rooms remember.
    history_bytes: usize,
    /// Requests that wait for a reply.
    open_requests: usize,
}

/// An endpoint.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OverviewEndpoint")]
struct Door {
    path: String,
    /// Whom it admits; empty: everybody with a token.
    #[schemars(with = "Vec<words::Role>")]
    roles: Vec<Role>,
    /// Whether its connections are agents.
    agents: bool,
    connections: usize,
}

/// A role and how many have it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OverviewRole")]
struct OfRole {
    #[schemars(with = "words::Role")]
    role: Role,
    connections: usize,
}

/// What went by.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "OverviewTotals")]
struct Totals {
    /// Connections that were admitted.
    connections: u64,
    messages_in: u64,
    messages_out: u64,
    bytes_in: u64,
    bytes_out: u64,
    /// Handshakes and calls that were refused.
    refusals: u64,
}

/// Takes the look.
pub(super) fn show(site: &Site, caller: &Caller) -> Answer {
    let (house, hub) = (&site.house, &site.house.hub);
    let counts = hub.counts();
    let refused: Vec<(Code, u64)> = house.metrics.doors.refusals();
    let hub::Totals { connections, messages_in, messages_out, bytes_in, bytes_out } = hub.totals();
    let endpoints = house.endpoints.iter().map(|door| Door {
        path: door.path.to_string(),
        roles: door.roles.clone(),
        agents: door.agents,
        connections: hub.count_at(&door.path),
    });
    let roles: BTreeSet<&Role> = house.endpoints.iter().flat_map(|door| &door.roles).collect();
    let roles = roles.into_iter().map(|role| OfRole { role: role.clone(), connections: hub.count_as(role) });
    json(&Overview {
        node: house.node.clone(),
        version: env!("CARGO_PKG_VERSION"),
        time: clock::now().wall,
        since: hub.began(),
        dev: house.dev,
        draining: hub.is_draining(),
        caller: Asking { user_id: caller.user.clone(), role: caller.role },
        here: Here {
            connections: counts.connections,
            users: counts.users,
            agents: hub.count_of_agents(),
            rooms: counts.rooms.rooms,
            memberships: counts.rooms.memberships,
            history_bytes: counts.rooms.history_bytes,
            open_requests: counts.requests,
        },
        endpoints: endpoints.collect(),
        roles: roles.collect(),
        totals: Totals {
            connections,
            messages_in,
            messages_out,
            bytes_in,
            bytes_out,
            refusals: refused.iter().map(|(_, count)| count).sum(),
        },
        refusals: refused.into_iter().map(|(code, count)| (code.name(), count)).collect(),
        token_sources: house.gate.token_sources.as_slice().iter().map(named).collect(),
        opens_doors: site.doors,
    })
}

fn named(source: &TokenSource) -> String {
    match source {
        TokenSource::Query => "query".into(),
        TokenSource::Header => "header".into(),
        TokenSource::Subprotocol => "subprotocol".into(),
        TokenSource::Cookie(name) => format!("cookie:{name}"),
    }
}
