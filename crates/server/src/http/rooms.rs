//! Rooms and agents by API: what is here, what is remembered, who is present.

use gateway_domain::{AgentId, Code, Refusal, Room};
use serde_json::{Value, json};

use super::{
    Call, Site,
    answer::{Answer, Faulty, fault, json},
    page::{Wanted, limit},
};
use crate::{
    clock,
    hub::{Occupant, RoomOverview},
};

/// A page of the rooms.
pub(super) fn list(site: &Site, call: &Call) -> Answer {
    let query = call.query()?;
    let wanted = Wanted::<Room>::read(&query)?;
    let prefix = query.get("prefix")?.unwrap_or_default();
    let page = site.house.hub.rooms(wanted.after.as_ref(), wanted.most, prefix);
    let next = wanted.next(&page, |room| room.room.clone());
    let rooms: Vec<Value> = page.iter().map(described).collect();
    json(&json!({ "rooms": rooms, "next": next, "total": site.house.hub.counts().rooms.rooms }))
}

/// One room.
pub(super) fn show(site: &Site, room: &str) -> Answer {
    json(&described(&found(site, room)?))
}

/// The latest that a room remembers, the oldest first.
pub(super) fn history(site: &Site, call: &Call, room: &str) -> Answer {
    let most = limit(&call.query()?)?;
    let room = found(site, room)?;
    let latest = site.house.hub.history(&room.room, most);
    let messages: Vec<Value> = latest.iter().filter_map(|text| serde_json::from_str(text.as_str()).ok()).collect();
    let mut answer = described(&room);
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("messages".into(), messages.into());
    }
    json(&answer)
}

/// Who subscribed to a room.
pub(super) fn presence(site: &Site, room: &str) -> Answer {
    let room = named(room)?;
    json(&json!({ "room": room, "members": site.house.hub.present(&room) }))
}

/// A page of the agents that are online.
pub(super) fn agents(site: &Site, call: &Call) -> Answer {
    let query = call.query()?;
    let wanted = Wanted::<AgentId>::read(&query)?;
    let (user, endpoint) = (query.get("user")?, query.get("endpoint")?);
    let meant = |here: &Occupant| {
        user.is_none_or(|user| here.user().as_str() == user) && endpoint.is_none_or(|path| *here.endpoint.path == *path)
    };
    let page = site.house.hub.agents(wanted.after.as_ref(), wanted.most, meant);
    let next = wanted.next(&page, |(agent, _)| agent.clone());
    let now = clock::now();
    let agents: Vec<Value> = page
        .iter()
        .map(|(agent, here)| {
            json!({
                "agentId": agent,
                "userId": here.user(),
                "connectionId": here.id,
                "endpoint": here.endpoint.path,
                "role": here.stands(|standing| standing.role.clone()),
                "connectedAt": here.connected_at,
                "lastSeen": here.traffic.last_heard(now),
                "openRequests": site.house.hub.open_at(here),
            })
        })
        .collect();
    json(&json!({ "agents": agents, "next": next, "total": site.house.hub.count_of_agents() }))
}

fn described(room: &RoomOverview) -> Value {
    let mut described = json!({
        "room": room.room,
        "connections": room.connections,
        "historyBytes": room.history_bytes,
    });
    if let (Some(described), Some(position)) = (described.as_object_mut(), &room.position) {
        described.insert("epoch".into(), json!(position.epoch));
        described.insert("offset".into(), json!(position.offset));
    }
    described
}

fn found(site: &Site, room: &str) -> Result<RoomOverview, Faulty> {
    let room = named(room)?;
    site.house.hub.room(&room).ok_or_else(|| Refusal::new(Code::NotFound, "there is no such room").into())
}

fn named(segment: &str) -> Result<Room, Faulty> {
    let text = crate::endpoint::decoded(segment).ok_or_else(|| fault("room", "is not UTF-8, or too long"))?;
    Room::parse(&text).map_err(|wrong| fault("room", wrong.to_string()))
}
