//! What is here, for those who look from outside: agents and rooms, a page at a time.

use std::sync::Arc;

use gateway_domain::{AgentId, Room, history::Position, rooms::Present, rules::RoomLaw};
use gateway_transport::Text;

use super::{Hub, Occupant, books::Books};

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
