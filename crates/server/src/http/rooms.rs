//! Rooms and agents by API: what is here, what is remembered, who is present.

use gateway_domain::{
    AgentId, Code, ConnectionId, Refusal, Role, Room, Timestamp, UserId, history::Epoch, name::NodeName, rooms::Present,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    Call, Site,
    answer::{Answer, Faulty, fault, json},
    caller::Need,
    connections::{OF_ENDPOINT, OF_NODE, OF_ROLE, OF_USER},
    operation::{Access, Content, Declared, Parameter, Place, Topic, Verb, shape},
    page::{CURSOR, LIMIT, Wanted, limit},
};
use crate::{
    clock,
    hub::{Occupant, RoomOverview},
    words,
};

pub(super) const LIST: Declared = Declared {
    id: "listRooms",
    verb: Verb::Get,
    path: "/api/v1/rooms",
    topic: Topic::Rooms,
    summary: "A page of the rooms, by name",
    more: "A room is there while somebody is in it or it remembers something.",
    access: Access::Caller(Need::Service),
    parameters: &[
        PREFIX,
        OF_NODE,
        LIMIT,
        Parameter { shape: shape::<words::Room>, example: "\"agent:press-7\"", ..CURSOR },
    ],
    body: None,
    answers: &[Content::json(shape::<Page>, r#"{"rooms": [], "next": null, "total": 0}"#)],
    also: None,
    refusals: &[Code::InvalidRequest],
};

pub(super) const SHOW: Declared = Declared {
    id: "getRoom",
    path: "/api/v1/rooms/{room}",
    summary: "One room",
    more: "",
    parameters: &[ROOM],
    answers: &[Content::json(shape::<Described>, ROOM_EXAMPLE)],
    refusals: &[Code::InvalidRequest, Code::NotFound],
    ..LIST
};

pub(super) const HISTORY: Declared = Declared {
    id: "getRoomHistory",
    path: "/api/v1/rooms/{room}/history",
    summary: "A room and the latest that it remembers, the oldest first",
    more: "How much a room remembers is a matter of the configuration.",
    parameters: &[ROOM, LIMIT],
    answers: &[Content::json(
        shape::<History>,
        r#"{"room": "agent:press-7", "node": "gateway-1", "connections": 2, "historyBytes": 158,
            "epoch": "4f3448ade8f94ab2-1", "offset": 1, "messages": [{"eventId": "3f0c2b57-9f0e-4c7e-8a51-6f1f6f5f0a6e",
            "type": "reading", "timestamp": "2030-01-01T00:00:00.000Z", "payload": {"bar": 180}}]}"#,
    )],
    ..SHOW
};

pub(super) const PRESENCE: Declared = Declared {
    id: "getRoomPresence",
    path: "/api/v1/rooms/{room}/presence",
    summary: "Everybody who subscribed to a room",
    more: "Whether their coming and going is told to the others or not. A room that is not there has nobody in it.",
    answers: &[Content::json(
        shape::<Presence>,
        r#"{"room": "agent:press-7", "members": [{"userId": "ann", "role": "dashboard", "connections": 1}]}"#,
    )],
    refusals: &[Code::InvalidRequest],
    ..SHOW
};

pub(super) const AGENTS: Declared = Declared {
    id: "listAgents",
    path: "/api/v1/agents",
    topic: Topic::Agents,
    summary: "A page of the agents that are online, by id",
    more: "Filters narrow it; all that are given must fit.",
    parameters: &[
        OF_USER,
        OF_ROLE,
        OF_ENDPOINT,
        OF_NODE,
        LIMIT,
        Parameter { shape: shape::<words::Agent>, example: "\"press-7\"", ..CURSOR },
    ],
    answers: &[Content::json(shape::<AgentPage>, AGENTS_EXAMPLE)],
    ..LIST
};

const PREFIX: Parameter = Parameter {
    name: "prefix",
    place: Place::Query,
    about: "Only those whose names begin like this.",
    shape: shape::<String>,
    example: "\"agent:\"",
};
const ROOM: Parameter = Parameter {
    name: "room",
    place: Place::Path,
    about: "Which room, percent-encoded.",
    shape: shape::<words::Room>,
    example: "\"agent:press-7\"",
};

const ROOM_EXAMPLE: &str = r#"{"room": "agent:press-7", "node": "gateway-1", "connections": 2, "historyBytes": 158,
    "epoch": "4f3448ade8f94ab2-1", "offset": 1}"#;
const AGENTS_EXAMPLE: &str = r#"{"agents": [{"agentId": "press-7", "userId": "press-7", "node": "gateway-1",
    "connectionId": "3f0c2b57-9f0e-4c7e-8a51-6f1f6f5f0a6e", "endpoint": "/ws/agent", "role": "agent",
    "connectedAt": "2030-01-01T00:00:00.000Z", "lastSeen": "2030-01-01T00:00:25.000Z", "openRequests": 0}],
    "next": null, "total": 1}"#;

/// A page of rooms.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RoomPage")]
struct Page {
    rooms: Vec<Described>,
    /// The `cursor` of the next page; null on the last.
    #[schemars(with = "Option<words::Room>")]
    next: Option<Room>,
    /// How many rooms there are, whether they fit the filters or not.
    total: usize,
}

/// One room.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Room")]
struct Described {
    #[schemars(with = "words::Room")]
    room: Room,
    /// The gateway that says so.
    #[schemars(with = "words::Node")]
    node: NodeName,
    /// How many connections are in it; those that hear what is said to their user without having asked are not.
    connections: usize,
    /// How many bytes it remembers.
    history_bytes: usize,
    /// Of which incarnation its offsets are; absent where it has no history.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    epoch: Option<Epoch>,
    /// The offset of its last message, 0 before the first; absent where it has no history.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    offset: Option<u64>,
}

/// A room and what it remembers.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RoomHistory")]
struct History {
    #[serde(flatten)]
    room: Described,
    /// The latest messages, each as its readers got it.
    #[schemars(with = "Vec<serde_json::Map<String, serde_json::Value>>")]
    messages: Vec<Box<RawValue>>,
}

/// Who is in a room.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RoomPresence")]
struct Presence {
    #[schemars(with = "words::Room")]
    room: Room,
    members: Vec<Member>,
}

/// A user who subscribed to a room.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "RoomMember")]
struct Member {
    #[schemars(with = "words::User")]
    user_id: UserId,
    /// As what its first connection came.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "words::Role")]
    role: Option<Role>,
    /// With how many connections.
    connections: u32,
}

/// A page of agents.
#[derive(Serialize, JsonSchema)]
struct AgentPage {
    agents: Vec<Agent>,
    /// The `cursor` of the next page; null on the last.
    #[schemars(with = "Option<words::Agent>")]
    next: Option<AgentId>,
    /// How many agents there are, whether they fit the filters or not.
    total: usize,
}

/// An agent that is online.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Agent {
    #[schemars(with = "words::Agent")]
    agent_id: AgentId,
    #[schemars(with = "words::User")]
    user_id: UserId,
    /// Which gateway holds its connection.
    #[schemars(with = "words::Node")]
    node: NodeName,
    #[schemars(with = "words::Connection")]
    connection_id: ConnectionId,
    /// The path of the endpoint, as the configuration has it.
    endpoint: String,
    /// The role that it was admitted as.
    #[schemars(with = "Option<words::Role>")]
    role: Option<Role>,
    #[schemars(with = "words::Time")]
    connected_at: Timestamp,
    /// When anything at all was last heard of it.
    #[schemars(with = "words::Time")]
    last_seen: Timestamp,
    /// How many requests wait for its answer.
    open_requests: usize,
}

/// A page of the rooms.
pub(super) fn list(site: &Site, call: &Call) -> Answer {
    let query = call.query()?;
    let wanted = Wanted::<Room>::read(&query)?;
    let prefix = query.get("prefix")?.unwrap_or_default();
    let most = if site.is_meant(&query)? { wanted.most } else { 0 };
    let page = site.house.hub.rooms(wanted.after.as_ref(), most, prefix);
    let next = wanted.next(&page, |room| room.room.clone());
    let rooms = page.into_iter().map(|room| described(site, room)).collect();
    json(&Page { rooms, next, total: site.house.hub.counts().rooms.rooms })
}

/// One room.
pub(super) fn show(site: &Site, room: &str) -> Answer {
    json(&described(site, found(site, room)?))
}

/// The latest that a room remembers, the oldest first.
pub(super) fn history(site: &Site, call: &Call, room: &str) -> Answer {
    let most = limit(&call.query()?)?;
    let room = found(site, room)?;
    let latest = site.house.hub.history(&room.room, most);
    // What a room keeps was written by us, as JSON.
    let messages = latest.iter().filter_map(|text| RawValue::from_string(text.as_str().to_owned()).ok()).collect();
    json(&History { room: described(site, room), messages })
}

/// Who subscribed to a room.
pub(super) fn presence(site: &Site, room: &str) -> Answer {
    let room = named(room)?;
    let members = site.house.hub.present(&room).into_iter();
    let members = members.map(|Present { user_id, role, connections }| Member { user_id, role, connections }).collect();
    json(&Presence { room, members })
}

/// A page of the agents that are online.
pub(super) fn agents(site: &Site, call: &Call) -> Answer {
    let query = call.query()?;
    let wanted = Wanted::<AgentId>::read(&query)?;
    let (user, role, endpoint) = (query.get("user")?, query.get("role")?, query.get("endpoint")?);
    let is_meant = site.is_meant(&query)?;
    let meant = |here: &Occupant| {
        is_meant
            && user.is_none_or(|user| here.user().as_str() == user)
            && endpoint.is_none_or(|path| *here.endpoint.path == *path)
            && role.is_none_or(|role| here.stands(|standing| standing.principal.is(role)))
    };
    let page = site.house.hub.agents(wanted.after.as_ref(), wanted.most, meant);
    let next = wanted.next(&page, |(agent, _)| agent.clone());
    let now = clock::now();
    let agents = page.iter().map(|(agent, here)| Agent {
        agent_id: agent.clone(),
        user_id: here.user().clone(),
        node: site.house.node.clone(),
        connection_id: here.id,
        endpoint: here.endpoint.path.to_string(),
        role: here.stands(|standing| standing.role.clone()),
        connected_at: here.connected_at,
        last_seen: here.traffic.last_heard(now),
        open_requests: site.house.hub.open_at(here),
    });
    json(&AgentPage { agents: agents.collect(), next, total: site.house.hub.count_of_agents() })
}

fn described(site: &Site, room: RoomOverview) -> Described {
    let (epoch, offset) = room.position.map(|position| (position.epoch, position.offset)).unzip();
    Described {
        room: room.room,
        node: site.house.node.clone(),
        connections: room.connections,
        history_bytes: room.history_bytes,
        epoch,
        offset,
    }
}

fn found(site: &Site, room: &str) -> Result<RoomOverview, Faulty> {
    let room = named(room)?;
    site.house.hub.room(&room).ok_or_else(|| Refusal::new(Code::NotFound, "there is no such room").into())
}

fn named(segment: &str) -> Result<Room, Faulty> {
    let text = crate::endpoint::decoded(segment).ok_or_else(|| fault("room", "is not UTF-8, or too long"))?;
    Room::parse(&text).map_err(|wrong| fault("room", wrong.to_string()))
}
