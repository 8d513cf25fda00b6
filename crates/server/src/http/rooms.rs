//! Rooms and agents by API: what is here, what is remembered, who is present.

use gateway_domain::{
    AgentId, Code, ConnectionId, Now, Refusal, Role, Room, Timestamp, UserId, history::Epoch, name::NodeName,
    rooms::Present,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    Call, Site,
    answer::{Answer, Faulty, fault, json},
    caller::Need,
    connections::{OF_ENDPOINT, OF_NODE, OF_ROLE, OF_USER},
    operation::{Access, Content, Declared, Parameter, Place, Topic, Verb, shape},
    page::{CURSOR, LIMIT, Wanted, limit},
    spread::entry,
};
use crate::{
    cluster::{Found, Question, Spread},
    house::House,
    hub::RoomOverview,
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
    /// How many rooms there are, whether they fit the filters or not. One that several nodes hold counts once where
    /// this page has it, else at each.
    total: usize,
    /// The nodes that did not answer: what they have is not among these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    missing: Vec<String>,
}

/// One room.
#[derive(Serialize, Deserialize, JsonSchema)]
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
    #[schemars(with = "Vec<Agent>")]
    agents: Vec<Box<RawValue>>,
    /// The `cursor` of the next page; null on the last.
    #[schemars(with = "Option<words::Agent>")]
    next: Option<String>,
    /// How many agents there are, whether they fit the filters or not.
    total: usize,
    /// The nodes that did not answer: what they have is not among these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    missing: Vec<String>,
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
pub(super) async fn list(site: &Site, call: &Call) -> Answer {
    let query = call.query()?;
    let wanted = Wanted::<Room>::read(&query)?;
    let prefix = query.get("prefix")?.unwrap_or_default().to_owned();
    let after = wanted.after.as_ref().map(ToString::to_string);
    let spread = Spread { after, most: wanted.most, prefix: Some(prefix), ..Spread::default() };
    let all = site.asked(Question::Rooms(spread), query.get("node")?).await;
    let mut rooms = merged(&all.entries);
    let total = all.total.saturating_sub(all.entries.len().saturating_sub(rooms.len()));
    rooms.truncate(wanted.most);
    let next = wanted.next(&rooms, |room| room.room.clone());
    json(&Page { rooms, next, total, missing: all.missing })
}

/// What this node has of a page of rooms.
pub(super) fn page(house: &House, spread: &Spread) -> Found {
    let after = spread.after.as_deref().and_then(|after| Room::parse(after).ok());
    let rooms = house.hub.rooms(after.as_ref(), spread.most, spread.prefix.as_deref().unwrap_or_default());
    let entries = rooms.into_iter().filter_map(|room| entry(room.room.to_string(), &described(house, room)));
    Found { total: house.hub.counts().rooms.rooms, entries: entries.collect(), ..Found::default() }
}

/// What this node has of one room.
pub(super) fn one(house: &House, room: &Room) -> Found {
    let found = house.hub.room(room);
    let entries = found.into_iter().filter_map(|room| entry(room.room.to_string(), &described(house, room)));
    Found { entries: entries.collect(), ..Found::default() }
}

/// One room.
pub(super) async fn show(site: &Site, room: &str) -> Answer {
    json(&found(site, named(room)?, 0).await?.room)
}

/// The latest that a room remembers, the oldest first.
pub(super) async fn history(site: &Site, call: &Call, room: &str) -> Answer {
    let most = limit(&call.query()?)?;
    json(&found(site, named(room)?, most).await?)
}

/// Who subscribed to a room.
pub(super) async fn presence(site: &Site, room: &str) -> Answer {
    let room = named(room)?;
    let everywhere = site.house.hub.present_everywhere(&room).await;
    let members = everywhere.unwrap_or_else(|| site.house.hub.present(&room)).into_iter();
    let members = members.map(|Present { user_id, role, connections }| Member { user_id, role, connections }).collect();
    json(&Presence { room, members })
}

/// A page of the agents that are online.
pub(super) async fn agents(site: &Site, call: &Call) -> Answer {
    let query = call.query()?;
    let wanted = Wanted::<AgentId>::read(&query)?;
    let spread = Spread {
        after: wanted.after.as_ref().map(ToString::to_string),
        most: wanted.most,
        user: query.get("user")?.map(str::to_owned),
        role: query.get("role")?.map(str::to_owned),
        endpoint: query.get("endpoint")?.map(str::to_owned),
        prefix: None,
    };
    let all = site.asked(Question::Agents(spread), query.get("node")?).await;
    let (agents, next) = all.page(wanted.most);
    json(&AgentPage { agents, next, total: all.total, missing: all.missing })
}

/// What this node has of a page of agents.
pub(super) fn agents_here(house: &House, spread: &Spread, now: Now) -> Found {
    let after = spread.after.as_deref().and_then(|after| AgentId::parse(after).ok());
    let page = house.hub.agents(after.as_ref(), spread.most, |here| spread.means(here));
    let agents = page.iter().filter_map(|(agent, here)| {
        let told = Agent {
            agent_id: agent.clone(),
            user_id: here.user().clone(),
            node: house.node.clone(),
            connection_id: here.id,
            endpoint: here.endpoint.path.to_string(),
            role: here.stands(|standing| standing.role.clone()),
            connected_at: here.connected_at,
            last_seen: here.traffic.last_heard(now),
            open_requests: house.hub.open_at(here),
        };
        entry(agent.to_string(), &told)
    });
    Found { total: house.hub.count_of_agents(), entries: agents.collect(), ..Found::default() }
}

fn described(house: &House, room: RoomOverview) -> Described {
    let (epoch, offset) = room.position.map(|position| (position.epoch, position.offset)).unzip();
    Described {
        room: room.room,
        node: house.node.clone(),
        connections: room.connections,
        history_bytes: room.history_bytes,
        epoch,
        offset,
    }
}

/// Rooms as several nodes have them, each once, with everybody who is in it.
fn merged(entries: &[(String, Box<RawValue>)]) -> Vec<Described> {
    let mut rooms: Vec<Described> = Vec::with_capacity(entries.len());
    for room in entries.iter().filter_map(|(_, room)| serde_json::from_str::<Described>(room.get()).ok()) {
        match rooms.last_mut().filter(|last| last.room == room.room) {
            Some(last) => {
                last.connections += room.connections;
                last.history_bytes = last.history_bytes.max(room.history_bytes);
                if last.offset < room.offset {
                    (last.epoch, last.offset) = (room.epoch, room.offset);
                }
            }
            None => rooms.push(room),
        }
    }
    rooms
}

/// A room, and so much of what it remembers.
async fn found(site: &Site, room: Room, most: usize) -> Result<History, Faulty> {
    let all = site.asked(Question::Room(room.clone()), None).await;
    let here = merged(&all.entries).into_iter().next();
    let recalled = site.house.hub.recalled(&room, most).await;
    let (position, texts) = match recalled {
        Some(recalled) => recalled,
        None => {
            let latest = site.house.hub.history(&room, most);
            (None, latest.iter().map(|text| text.as_str().to_owned()).collect())
        }
    };
    let is_there = here.is_some() || position.as_ref().is_some_and(|position| position.offset > 0);
    let mut described = here.filter(|_| is_there).or_else(|| {
        let (node, connections) = (site.house.node.clone(), 0);
        let bare = Described { room, node, connections, history_bytes: 0, epoch: None, offset: None };
        is_there.then_some(bare)
    });
    if let (Some(described), Some(position)) = (&mut described, position) {
        (described.epoch, described.offset) = (Some(position.epoch), Some(position.offset));
    }
    let room = described.ok_or_else(|| Refusal::new(Code::NotFound, "there is no such room"))?;
    // What a room keeps was written by us, as JSON.
    let messages = texts.into_iter().filter_map(|text| RawValue::from_string(text).ok()).collect();
    Ok(History { room, messages })
}

fn named(segment: &str) -> Result<Room, Faulty> {
    let text = crate::endpoint::decoded(segment).ok_or_else(|| fault("room", "is not UTF-8, or too long"))?;
    Room::parse(&text).map_err(|wrong| fault("room", wrong.to_string()))
}
