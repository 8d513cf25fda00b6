//! What is here, for those who look from outside: agents and rooms, a page at a time, and how much went by.

use std::sync::Arc;

use gateway_domain::{AgentId, Role, Room, history::Position, rooms::Present, rules::RoomLaw, sightings::Sighting};
use gateway_transport::Text;

use super::{Hub, Occupant, agents::Gone, books::Books, occupant::Traffic};

/// Looking at everybody lets go of the lock after so many.
const AT_ONCE: usize = 512;

/// How much connections said and heard, since this life of the house began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// So many connections.
    pub connections: u64,
    /// What clients said.
    pub messages_in: u64,
    /// What they were told.
    pub messages_out: u64,
    /// How many bytes they said.
    pub bytes_in: u64,
    /// How many they were told.
    pub bytes_out: u64,
}

impl Totals {
    /// One connection more.
    pub(super) fn add(&mut self, traffic: &Traffic) {
        let [messages_in, messages_out, bytes_in, bytes_out] = traffic.counts();
        self.connections += 1;
        self.messages_in += messages_in;
        self.messages_out += messages_out;
        self.bytes_in += bytes_in;
        self.bytes_out += bytes_out;
    }
}

/// One room as it stands.
#[derive(Clone, Debug)]
pub struct RoomOverview {
    /// Its name.
    pub room: Room,
    /// How many connections are in it; those that hear what is said to their user without having asked are not.
    pub connections: usize,
    /// Where its history stands, where it has one.
    pub position: Option<Position>,
    /// How many bytes it remembers.
    pub history_bytes: usize,
}

impl Hub {
    /// The live connection of each agent that is wanted, by agent, from behind that one on; at most so many.
    pub fn agents(
        &self,
        after: Option<&AgentId>,
        most: usize,
        wanted: impl Fn(&Occupant) -> bool,
    ) -> Vec<(AgentId, Arc<Occupant>)> {
        let books = self.books.lock();
        let here = books.registry.agents(after).filter(|(_, _, here)| wanted(here));
        here.take(most).map(|(agent, _, here)| (agent.clone(), Arc::clone(here))).collect()
    }

    /// What all connections said and heard that are here or were. It looks at everybody, a few hundred at a time, so that
    /// nobody waits for it; who leaves meanwhile may be counted twice, until the next look.
    pub fn totals(&self) -> Totals {
        let (mut totals, mut last) = (Totals::default(), None);
        loop {
            let page = self.page(last, AT_ONCE, |_| true);
            page.iter().for_each(|(_, here)| totals.add(&here.traffic));
            match page.last() {
                Some((id, _)) if page.len() == AT_ONCE => last = Some(*id),
                _ => break,
            }
        }
        let departed = self.books.lock().departed;
        Totals {
            connections: totals.connections + departed.connections,
            messages_in: totals.messages_in + departed.messages_in,
            messages_out: totals.messages_out + departed.messages_out,
            bytes_in: totals.bytes_in + departed.bytes_in,
            bytes_out: totals.bytes_out + departed.bytes_out,
        }
    }

    /// How many connections came through the door at that path.
    pub fn count_at(&self, path: &str) -> usize {
        self.books.lock().registry.count_of_endpoint(path)
    }

    /// How many connections were admitted as that role.
    pub fn count_as(&self, role: &Role) -> usize {
        self.books.lock().registry.count_of_role(role)
    }

    /// The agents that are here or were lately and are wanted, by agent, from behind that one on; at most so many. Each with its
    /// live connection, where it has one.
    pub fn sightings(
        &self,
        after: Option<&AgentId>,
        most: usize,
        wanted: impl Fn(&Sighting<Gone>) -> bool,
    ) -> Vec<(AgentId, Sighting<Gone>, Option<Arc<Occupant>>)> {
        let books = self.books.lock();
        let seen = books.sightings.after(after).filter(|(_, sighting)| wanted(sighting)).take(most);
        seen.map(|(agent, sighting)| {
            let here = books.registry.agent(agent).map(|(_, here)| Arc::clone(here));
            (agent.clone(), sighting.clone(), here)
        })
        .collect()
    }

    /// How many agents are here or were lately.
    pub fn count_of_sightings(&self) -> usize {
        self.books.lock().sightings.len()
    }

    /// How many agents there are.
    pub fn count_of_agents(&self) -> usize {
        self.books.lock().registry.count_of_agents()
    }

    /// The rooms that begin with that, by name, from behind that one on; at most so many.
    pub fn rooms(&self, after: Option<&Room>, most: usize, prefix: &str) -> Vec<RoomOverview> {
        let books = self.books.lock();
        let first = Room::parse(prefix).ok();
        // Names that begin alike stand together: the first of them may be the prefix itself.
        let start = after.filter(|after| after.as_str() >= prefix);
        let own = first.as_ref().filter(|first| start.is_none() && books.rooms.is_there(first));
        let behind = start.or(first.as_ref());
        let rest = books.rooms.after(behind).take_while(|room| room.as_str().starts_with(prefix));
        own.into_iter().chain(rest).take(most).map(|room| books.overview(room)).collect()
    }

    /// One room, where it is there.
    pub fn room(&self, room: &Room) -> Option<RoomOverview> {
        let books = self.books.lock();
        books.rooms.is_there(room).then(|| books.overview(room))
    }

    /// The latest that the room remembers, the oldest first; at most so many.
    pub fn history(&self, room: &Room, most: usize) -> Vec<Text> {
        self.books.lock().rooms.latest(room, most)
    }

    /// Everybody who subscribed to the room, told to its members or not.
    pub fn present(&self, room: &Room) -> Vec<Present> {
        let all = RoomLaw { presence: Some(usize::MAX), ..RoomLaw::default() };
        self.books.lock().rooms.presence(room, &all).unwrap_or_default()
    }

    /// How many requests wait for that connection's answer.
    pub fn open_at(&self, here: &Occupant) -> usize {
        self.books.lock().pending.open_at(here.id)
    }
}

impl Books {
    fn overview(&self, room: &Room) -> RoomOverview {
        RoomOverview {
            room: room.clone(),
            connections: self.rooms.size(room),
            position: self.rooms.position(room),
            history_bytes: self.rooms.history_bytes(room),
        }
    }
}
