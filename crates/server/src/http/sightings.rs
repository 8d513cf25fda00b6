//! Agents by API, those that went included: when each was last seen, how steadily it stays, how far away it is.

use gateway_domain::{AgentId, Timestamp, UserId, name::NodeName};
use schemars::{JsonSchema, json_schema};
use serde::Serialize;

use super::{
    Call, Site,
    answer::{Answer, fault, json},
    caller::Need,
    connections::OF_NODE,
    operation::{Access, Content, Declared, Parameter, Place, Topic, Verb, shape},
    page::{CURSOR, LIMIT, Wanted},
};
use crate::{clock, hub::Gone, words};

pub(super) const LIST: Declared = Declared {
    id: "listSightings",
    verb: Verb::Get,
    path: "/api/v1/sightings",
    topic: Topic::Agents,
    summary: "A page of the agents that are online or were, by id: last seen, how steadily, round trip",
    more: "Of those that are not online the latest 10,000 are remembered, until a restart. An agent that came four times or more \
           within ten minutes is flapping.",
    access: Access::Caller(Need::Service),
    parameters: &[ONLINE, OF_NODE, LIMIT, Parameter { shape: shape::<words::Agent>, example: "\"press-7\"", ..CURSOR }],
    body: None,
    answers: &[Content::json(shape::<Page>, EXAMPLE)],
    also: None,
    refusals: &[gateway_domain::Code::InvalidRequest],
};

const ONLINE: Parameter = Parameter {
    name: "online",
    place: Place::Query,
    about: "`true`: only those that are online; `false`: only those that are not.",
    shape: |_| json_schema!({ "type": "boolean" }),
    example: "true",
};

const EXAMPLE: &str = r#"{"sightings": [{"agentId": "press-7", "userId": "press-7", "node": "gateway-1", "online": true,
    "lastSeen": "2030-01-01T00:00:25.000Z", "connectionId": "3f0c2b57-9f0e-4c7e-8a51-6f1f6f5f0a6e",
    "roundTripMillis": 1.25, "arrivals": 2, "flapping": false, "lastReason": "timeout"}], "next": null, "total": 1}"#;

/// A page of agents that are here or were.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SightingPage")]
struct Page {
    sightings: Vec<Seen>,
    /// The `cursor` of the next page; null on the last.
    #[schemars(with = "Option<words::Agent>")]
    next: Option<AgentId>,
    /// How many agents are remembered, whether they fit the filters or not.
    total: usize,
}

/// An agent that is here or was.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Sighting")]
struct Seen {
    #[schemars(with = "words::Agent")]
    agent_id: AgentId,
    #[schemars(with = "words::User")]
    user_id: UserId,
    /// The gateway that says so.
    #[schemars(with = "words::Node")]
    node: NodeName,
    online: bool,
    /// When anything at all was last heard of it.
    #[schemars(with = "words::Time")]
    last_seen: Timestamp,
    /// Its connection, while it is online.
    #[schemars(with = "Option<words::Connection>")]
    connection_id: Option<gateway_domain::ConnectionId>,
    /// How long its latest ping and the answer took; null where none was answered yet. Socket.IO measures none.
    round_trip_millis: Option<f64>,
    /// How often it came in the last ten minutes.
    arrivals: usize,
    /// Whether that is too often for one that is well.
    flapping: bool,
    /// Why it went the last time; null while it never went.
    last_reason: Option<Gone>,
}

/// A page of those who are here or were.
pub(super) fn list(site: &Site, call: &Call) -> Answer {
    let query = call.query()?;
    let online = match query.get("online")? {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => return Err(fault("online", "`true` or `false`")),
    };
    let wanted = Wanted::<AgentId>::read(&query)?;
    let is_meant = query.get("node")?.is_none_or(|node| node == site.house.node.as_str());
    let most = if is_meant { wanted.most } else { 0 };
    let hub = &site.house.hub;
    let page =
        hub.sightings(wanted.after.as_ref(), most, |sighting| online.is_none_or(|online| sighting.is_here() == online));
    let next = wanted.next(&page, |(agent, ..)| agent.clone());
    let now = clock::now();
    let sightings = page.into_iter().map(|(agent_id, sighting, here)| Seen {
        agent_id,
        node: site.house.node.clone(),
        online: here.is_some(),
        last_seen: match (&here, &sighting.left) {
            (Some(here), _) => here.traffic.last_heard(now),
            (None, Some(left)) => left.last_seen,
            (None, None) => now.wall,
        },
        connection_id: here.as_ref().map(|here| here.id),
        round_trip_millis: here.and_then(|here| here.round_trip()).map(|time| time.as_secs_f64() * 1e3),
        arrivals: sighting.arrivals(now),
        flapping: sighting.is_flapping(now),
        last_reason: sighting.left.as_ref().map(|left| left.why),
        user_id: sighting.user,
    });
    json(&Page { sightings: sightings.collect(), next, total: hub.count_of_sightings() })
}
