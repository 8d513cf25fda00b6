//! Agents: each is one live connection at most, and those who follow it learn when it comes and goes.

use std::sync::Arc;

use gateway_domain::{AgentId, Code, Now, Room, Timestamp, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Ending, Hub, Occupant, books::Books};

/// The room of those who follow every agent.
pub const EVERY_AGENT: &str = "agents";

/// How many agents are remembered that are not here any more.
pub(super) const MOST_GONE: usize = 10_000;

/// Why an agent is not here any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "AgentGone")]
pub enum Gone {
    /// Its connection ended.
    Closed,
    /// Nothing was heard of it.
    Timeout,
    /// The gateway closed its connection.
    Kicked,
    /// A newer connection took its place.
    Replaced,
    /// The node is leaving.
    Drained,
    /// Its node is gone without a word.
    NodeLost,
}

impl Gone {
    /// Why, by the end of its connection.
    pub(super) fn by(ending: &Ending) -> Self {
        match ending {
            Ending::Ours(refusal) => match refusal.code {
                Code::HeartbeatTimeout | Code::IdleTimeout => Self::Timeout,
                Code::Replaced => Self::Replaced,
                Code::Draining => Self::Drained,
                _ => Self::Kicked,
            },
            Ending::Peer(_) | Ending::Lost(_) | Ending::Aborted => Self::Closed,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sighting<'a> {
    agent_id: &'a AgentId,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Gone>,
    last_seen: Timestamp,
}

/// An agent that is here, as a follower of all of them reads it when it comes.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Online {
    agent_id: AgentId,
    user_id: UserId,
    role: Option<gateway_domain::Role>,
    connections: u32,
    last_seen: Timestamp,
}

impl Hub {
    pub(super) fn agent_came(self: &Arc<Self>, books: &mut Books, agent: &AgentId, user: &UserId, now: Now) {
        books.sightings.came(agent, user, now);
        let sighting = Sighting { agent_id: agent, reason: None, last_seen: now.wall };
        self.post_own(books, &followed(agent), super::notice("agent.online", None, &sighting), now);
    }

    /// An agent went with its node, which was heard of last then.
    pub(crate) fn agent_lost(self: &Arc<Self>, agent: &AgentId, last_seen: Timestamp, now: Now) {
        let sighting = Sighting { agent_id: agent, reason: Some(Gone::NodeLost), last_seen };
        let text = super::notice("agent.offline", None, &sighting);
        self.post_own(&mut self.books.lock(), &followed(agent), text, now);
    }

    pub(super) fn agent_went(
        self: &Arc<Self>,
        books: &mut Books,
        agent: &AgentId,
        was: &Occupant,
        gone: Gone,
        now: Now,
    ) {
        let last_seen = was.traffic.last_heard(now);
        books.sightings.went(agent, last_seen, gone, now);
        let sighting = Sighting { agent_id: agent, reason: Some(gone), last_seen };
        self.post_own(books, &followed(agent), super::notice("agent.offline", None, &sighting), now);
    }
}

impl Books {
    /// Who is online, for a newcomer in a room that follows agents; nothing for any other room.
    pub(super) fn online(&self, room: &Room, now: Now) -> Option<Vec<Online>> {
        let online = |(agent, user, here): (&AgentId, &UserId, &Arc<Occupant>)| Online {
            agent_id: agent.clone(),
            user_id: user.clone(),
            role: here.stands(|standing| standing.role.clone()),
            connections: 1,
            last_seen: here.traffic.last_heard(now),
        };
        (room.as_str() == EVERY_AGENT).then(|| self.registry.agents(None).map(online).collect())
    }

    /// The same with those of other nodes, in the order of their names.
    pub(super) fn online_with(&self, others: Vec<Online>, now: Now) -> Vec<Online> {
        let every = Room::parse(EVERY_AGENT).ok();
        let mut all = every.and_then(|every| self.online(&every, now)).unwrap_or_default();
        let own: std::collections::HashSet<AgentId> = all.iter().map(|own| own.agent_id.clone()).collect();
        all.extend(others.into_iter().filter(|other| !own.contains(&other.agent_id)));
        all.sort_by(|one, other| one.agent_id.cmp(&other.agent_id));
        all.dedup_by(|one, other| one.agent_id == other.agent_id);
        all
    }
}

/// The rooms of those who follow an agent.
fn followed(agent: &AgentId) -> Vec<Room> {
    let names = [format!("agent:{agent}"), EVERY_AGENT.to_owned()];
    // An agent's id is shorter than a room's name may be.
    names.iter().filter_map(|name| Room::parse(name).ok()).collect()
}
