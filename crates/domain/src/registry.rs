//! Who is here: seats, connections and agents in one set of books, which change together or not at all.
//!
//! Admission takes a seat (and an agent's name); the connection then sits on it, is found by what it is, and leaves
//! all of it when it ends. A connection that was evicted on its way through the door finds its seat gone when it
//! comes to sit.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::Hash,
    ops::Bound,
    sync::Arc,
};

use crate::{
    name::{AgentId, ConnectionId, Role, Room, UserId},
    seats::{NoSeat, Seats},
};

/// The books. `H` is what the house keeps of a connection.
#[derive(Debug)]
pub struct Registry<H> {
    seats: Seats,
    present: BTreeMap<ConnectionId, Entry<H>>,
    agents: BTreeMap<AgentId, (UserId, ConnectionId)>,
    by_role: HashMap<Role, BTreeSet<ConnectionId>>,
    by_endpoint: HashMap<Arc<str>, BTreeSet<ConnectionId>>,
}

/// How a connection is found.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The door that it came through.
    pub endpoint: Arc<str>,
    /// The role that it was admitted as.
    pub role: Option<Role>,
    /// Whether it hears what is said to its user.
    pub hears_user: bool,
}

#[derive(Debug)]
struct Entry<H> {
    handle: H,
    listing: Listing,
    rooms: Vec<Room>,
}

/// Why there is no place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoPlace {
    /// No seat.
    Seat(NoSeat),
    /// The agent is here already, by that connection of another user.
    AgentTaken(ConnectionId),
}

/// What a connection leaves behind, to be settled elsewhere.
#[derive(Debug, PartialEq, Eq)]
pub struct Left<H> {
    /// What the house kept of it.
    pub handle: H,
    /// The rooms that it was in.
    pub rooms: Vec<Room>,
    /// The agent that is gone with it.
    pub agent: Option<AgentId>,
}

impl<H> Registry<H> {
    /// Empty books of a house with that many seats.
    pub fn new(capacity: usize) -> Self {
        Self {
            seats: Seats::new(capacity),
            present: BTreeMap::new(),
            agents: BTreeMap::new(),
            by_role: HashMap::new(),
            by_endpoint: HashMap::new(),
        }
    }

    /// Takes a seat for a connection that is about to come, and the agent's name, where it is one.
    ///
    /// An agent that is here already by a connection of the same user is to be struck out first: see
    /// [`Self::holder`].
    pub fn admit(
        &mut self,
        user: &UserId,
        id: ConnectionId,
        limit: Option<u32>,
        agent: Option<&AgentId>,
    ) -> Result<(), NoPlace> {
        if let Some((_, holder)) = agent.and_then(|agent| self.agents.get(agent)) {
            return Err(NoPlace::AgentTaken(*holder));
        }
        self.seats.take(user, id, limit).map_err(NoPlace::Seat)?;
        if let Some(agent) = agent {
            self.agents.insert(agent.clone(), (user.clone(), id));
        }
        Ok(())
    }

    /// Sits down. Where the seat is gone by now, the connection gets its handle back and must go.
    pub fn enter(&mut self, user: &UserId, id: ConnectionId, handle: H, listing: Listing) -> Result<(), H> {
        if !self.seats.of(user).contains(&id) {
            return Err(handle);
        }
        if let Some(role) = &listing.role {
            self.by_role.entry(role.clone()).or_default().insert(id);
        }
        self.by_endpoint.entry(Arc::clone(&listing.endpoint)).or_default().insert(id);
        self.present.insert(id, Entry { handle, listing, rooms: Vec::new() });
        Ok(())
    }

    /// Gives the seat and the agent's name back and strikes the connection out; a second time does nothing.
    pub fn leave(&mut self, user: &UserId, id: ConnectionId, agent: Option<&AgentId>) -> Option<Left<H>> {
        self.seats.leave(user, id);
        let agent = agent.filter(|agent| self.agents.get(*agent).is_some_and(|(_, holder)| *holder == id));
        let agent = agent.and_then(|agent| self.agents.remove_entry(agent)).map(|(agent, _)| agent);
        let Entry { handle, listing, rooms } = self.present.remove(&id)?;
        if let Some(role) = &listing.role {
            strike(&mut self.by_role, role, id);
        }
        strike(&mut self.by_endpoint, &listing.endpoint, id);
        Some(Left { handle, rooms, agent })
    }

    /// Lists the connection under another role.
    pub fn rerole(&mut self, id: ConnectionId, role: Option<&Role>) {
        let Some(entry) = self.present.get_mut(&id) else { return };
        if entry.listing.role.as_ref() == role {
            return;
        }
        if let Some(old) = std::mem::replace(&mut entry.listing.role, role.cloned()) {
            strike(&mut self.by_role, &old, id);
        }
        if let Some(role) = role {
            self.by_role.entry(role.clone()).or_default().insert(id);
        }
    }

    /// Lets the connection hear no more what is said to its user without its having asked.
    pub fn stop_hearing_user(&mut self, id: ConnectionId) {
        if let Some(entry) = self.present.get_mut(&id) {
            entry.listing.hears_user = false;
        }
    }

    /// The connection of that id.
    pub fn get(&self, id: ConnectionId) -> Option<&H> {
        self.present.get(&id).map(|entry| &entry.handle)
    }

    /// The rooms that the connection is in.
    pub fn rooms(&self, id: ConnectionId) -> &[Room] {
        self.present.get(&id).map_or(&[], |entry| &entry.rooms)
    }

    /// Notes that the connection is in that room.
    pub fn note_room(&mut self, id: ConnectionId, room: &Room) {
        if let Some(entry) = self.present.get_mut(&id)
            && !entry.rooms.contains(room)
        {
            entry.rooms.push(room.clone());
        }
    }

    /// Notes that the connection has left that room; whether it was in it.
    pub fn forget_room(&mut self, id: ConnectionId, room: &Room) -> bool {
        let Some(entry) = self.present.get_mut(&id) else { return false };
        let at = entry.rooms.iter().position(|own| own == room);
        at.map(|at| entry.rooms.swap_remove(at)).is_some()
    }

    /// The user's connections, the oldest first.
    pub fn of_user<'a>(&'a self, user: &UserId) -> impl Iterator<Item = &'a H> + use<'a, H> {
        self.seats.of(user).iter().filter_map(|id| self.get(*id))
    }

    /// Those of the user's connections that hear what is said to the user, the oldest first.
    pub fn hearing<'a>(&'a self, user: &UserId) -> impl Iterator<Item = (ConnectionId, &'a H)> + use<'a, H> {
        let present = self.seats.of(user).iter().filter_map(|id| Some((*id, self.present.get(id)?)));
        present.filter(|(_, entry)| entry.listing.hears_user).map(|(id, entry)| (id, &entry.handle))
    }

    /// Whose connection an agent is, be it on its way through the door.
    pub fn holder(&self, agent: &AgentId) -> Option<(&UserId, ConnectionId)> {
        self.agents.get(agent).map(|(user, id)| (user, *id))
    }

    /// The live connection of an agent.
    pub fn agent(&self, agent: &AgentId) -> Option<(ConnectionId, &H)> {
        let (_, id) = self.holder(agent)?;
        self.get(id).map(|handle| (id, handle))
    }

    /// How many agents are here, those on their way through the door included.
    pub fn count_of_agents(&self) -> usize {
        self.agents.len()
    }

    /// Every agent that is here, by its id, from behind that one on.
    pub fn agents(&self, last: Option<&AgentId>) -> impl Iterator<Item = (&AgentId, &UserId, &H)> {
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        self.agents
            .range::<AgentId, _>((from, Bound::Unbounded))
            .filter_map(|(agent, (user, id))| Some((agent, user, self.get(*id)?)))
    }

    /// Those who were admitted as that, in the order of ids, from behind that one on.
    pub fn of_role(
        &self,
        role: &Role,
        last: Option<ConnectionId>,
    ) -> impl Iterator<Item = (ConnectionId, &H)> + use<'_, H> {
        self.listed(self.by_role.get(role), last)
    }

    /// Those who came through that door, in the order of ids, from behind that one on.
    pub fn of_endpoint(
        &self,
        path: &str,
        last: Option<ConnectionId>,
    ) -> impl Iterator<Item = (ConnectionId, &H)> + use<'_, H> {
        self.listed(self.by_endpoint.get(path), last)
    }

    /// How many were admitted as that.
    pub fn count_of_role(&self, role: &Role) -> usize {
        self.by_role.get(role).map_or(0, BTreeSet::len)
    }

    /// How many came through that door.
    pub fn count_of_endpoint(&self, path: &str) -> usize {
        self.by_endpoint.get(path).map_or(0, BTreeSet::len)
    }

    fn listed<'a>(
        &'a self,
        list: Option<&'a BTreeSet<ConnectionId>>,
        last: Option<ConnectionId>,
    ) -> impl Iterator<Item = (ConnectionId, &'a H)> + use<'a, H> {
        let ids = list.into_iter().flat_map(move |list| list.range((behind(last), Bound::Unbounded)));
        ids.filter_map(|id| Some((*id, self.get(*id)?)))
    }

    /// Every connection in the order of ids, from behind that one on.
    pub fn after(&self, last: Option<ConnectionId>) -> impl Iterator<Item = (ConnectionId, &H)> {
        self.present.range((behind(last), Bound::Unbounded)).map(|(id, entry)| (*id, &entry.handle))
    }

    /// How many are here.
    pub fn len(&self) -> usize {
        self.present.len()
    }

    /// Whether nobody is here.
    pub fn is_empty(&self) -> bool {
        self.present.is_empty()
    }

    /// The seats, to be read.
    pub const fn seats(&self) -> &Seats {
        &self.seats
    }

    /// Changes how many seats there are in all.
    pub const fn resize(&mut self, capacity: usize) {
        self.seats.resize(capacity);
    }

    /// Whether the books agree with each other; for tests of whoever keeps them.
    pub fn is_sound(&self) -> bool {
        let in_list = |id: &ConnectionId, list: Option<&BTreeSet<ConnectionId>>| list.is_some_and(|l| l.contains(id));
        let listed = self.present.iter().all(|(id, entry)| {
            in_list(id, self.by_endpoint.get(&entry.listing.endpoint))
                && entry.listing.role.as_ref().is_none_or(|role| in_list(id, self.by_role.get(role)))
        });
        let with_role = self.present.values().filter(|entry| entry.listing.role.is_some()).count();
        self.seats.is_sound()
            && listed
            && self.by_endpoint.values().map(BTreeSet::len).sum::<usize>() == self.present.len()
            && self.by_role.values().map(BTreeSet::len).sum::<usize>() == with_role
            && self.by_role.values().chain(self.by_endpoint.values()).all(|list| !list.is_empty())
            && self.agents.values().all(|(user, id)| self.seats.of(user).contains(id))
    }
}

const fn behind(last: Option<ConnectionId>) -> Bound<ConnectionId> {
    match last {
        None => Bound::Unbounded,
        Some(last) => Bound::Excluded(last),
    }
}

fn strike<K, Q>(lists: &mut HashMap<K, BTreeSet<ConnectionId>>, key: &Q, id: ConnectionId)
where
    K: std::borrow::Borrow<Q> + Hash + Eq,
    Q: Hash + Eq + ?Sized,
{
    if let Some(list) = lists.get_mut(key) {
        list.remove(&id);
        if list.is_empty() {
            lists.remove(key);
        }
    }
}

#[cfg(test)]
mod tests;
