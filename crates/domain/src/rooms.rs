//! The rooms of a node: who is in them, what was posted there, and the order in which rooms make way.
//!
//! The law: a room is there while it has members, and outlives the last of them by the age of its history, so that
//! who comes back in time recovers what was posted meanwhile. Names come from strangers: at either bound the
//! rooms that were posted to least recently make way, members are never put out, and an act touches only its own
//! room and those that make way for it.
//!
//! Presence is of users who subscribed, and is told in rooms of at most so many of them: who comes or goes while
//! there are more is not announced.

mod members;
mod order;
mod outcome;
mod place;

use std::{
    collections::{BTreeSet, HashMap},
    ops::Bound,
};

use order::Order;
pub use outcome::{Departed, Joined, Joining, Member, Posted, Present, Recovery, RoomCounts, RoomsBounds, RoomsFull};
use place::Place;

use crate::{
    history::{EpochSource, Position},
    name::{ConnectionId, Room},
    rules::RoomLaw,
    time::Tick,
};

/// The most rooms that one sweep looks at, so that it is short.
const SWEPT_AT_ONCE: usize = 1024;

/// The rooms. `T` is a message as it is sent.
#[derive(Debug)]
pub struct Rooms<T> {
    bounds: RoomsBounds,
    epochs: EpochSource,
    places: HashMap<Room, Place<T>>,
    /// The same rooms by name, to be leafed through.
    names: BTreeSet<Room>,
    order: Order,
    /// The latest moment that anybody told.
    clock: Tick,
    posts: u64,
    births: u64,
    /// No room that is forgotten had a higher sequence. A room begins here, so that a message that is still under way
    /// to the members of an earlier room of this name finds none of the new ones.
    floor: u64,
}

impl<T: Clone> Rooms<T> {
    /// No rooms yet.
    pub fn new(bounds: RoomsBounds, epochs: EpochSource) -> Self {
        Self {
            bounds,
            epochs,
            places: HashMap::new(),
            names: BTreeSet::new(),
            order: Order::default(),
            clock: Tick::ZERO,
            posts: 0,
            births: 0,
            floor: 0,
        }
    }

    /// Keeps to other bounds from now on; what is over them goes as room is made.
    pub const fn bound(&mut self, bounds: RoomsBounds) {
        self.bounds = bounds;
    }

    /// Comes in, and finds out what it missed. A connection that has subscribed already begins anew, and presence is
    /// not told twice; one that is here is not moved by joining without being asked.
    pub fn join(
        &mut self,
        room: &Room,
        joining: Joining<'_>,
        law: &RoomLaw,
        now: Tick,
    ) -> Result<Joined<T>, RoomsFull> {
        let now = self.reads(now);
        if !self.open(room, law) {
            return Err(RoomsFull(self.bounds.rooms));
        }
        let law = self.within_budget(law);
        let joined = self.change(room, |place, epochs| {
            place.govern(law, epochs);
            place.join(&joining, now)
        });
        joined.ok_or(RoomsFull(self.bounds.rooms))
    }

    /// Leaves; nothing where it was not there.
    pub fn leave(&mut self, room: &Room, connection: ConnectionId) -> Option<Departed> {
        let now = self.clock;
        self.change(room, |place, _| place.leave(connection, now)).flatten()
    }

    /// Gives a message its place among all of the room, and where there is a history, an offset. Then, and only then,
    /// `make` is called with the offset, and gives the text and how many bytes it counts for.
    pub fn post(&mut self, room: &Room, law: &RoomLaw, now: Tick, make: impl FnOnce(u64) -> (T, usize)) -> Posted<T> {
        let now = self.reads(now);
        if !self.places.contains_key(room) && (law.history.is_none() || !self.open(room, law)) {
            self.floor += 1;
            return Posted { sequence: self.floor, kept: None };
        }
        self.posts += 1;
        let (law, nth) = (self.within_budget(law), self.posts);
        let posted = self.change(room, |place, epochs| {
            place.govern(law, epochs);
            place.post(nth, now, make)
        });
        while self.order.counts().history_bytes > self.bounds.history_bytes {
            let Some(oldest) = self.order.stalest_history() else { break };
            self.change(&oldest, |place, _| place.give_up());
        }
        posted.unwrap_or(Posted { sequence: self.floor, kept: None })
    }

    /// Members behind that one, in the order of ids, who were here when that sequence was posted.
    pub fn members(
        &self,
        room: &Room,
        after: Option<ConnectionId>,
        posted: u64,
    ) -> impl Iterator<Item = (ConnectionId, Member)> {
        let members = self.places.get(room).map(|place| place.members().after(after));
        members.into_iter().flatten().filter(move |(_, member)| member.since < posted)
    }

    /// How that connection is in the room.
    pub fn member(&self, room: &Room, connection: ConnectionId) -> Option<Member> {
        self.places.get(room)?.members().get(connection)
    }

    /// Whether that connection is in the room.
    pub fn is_member(&self, room: &Room, connection: ConnectionId) -> bool {
        self.places.get(room).is_some_and(|place| place.members().contains(connection))
    }

    /// How many connections are in the room.
    pub fn size(&self, room: &Room) -> usize {
        self.places.get(room).map_or(0, |place| place.members().len())
    }

    /// The users who have subscribed, in the order of names; none where that is not told.
    pub fn presence(&self, room: &Room, law: &RoomLaw) -> Option<Vec<Present>> {
        let Some(place) = self.places.get(room) else { return law.presence.map(|_| Vec::new()) };
        law.presence.filter(|most| place.members().users() <= *most).map(|_| place.members().present())
    }

    /// Every room in the order of names, from behind that one on.
    pub fn after(&self, last: Option<&Room>) -> impl Iterator<Item = &Room> {
        self.names.range::<Room, _>((last.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded))
    }

    /// Whether the room is there.
    pub fn is_there(&self, room: &Room) -> bool {
        self.places.contains_key(room)
    }

    /// How many bytes the room remembers.
    pub fn history_bytes(&self, room: &Room) -> usize {
        self.places.get(room).and_then(Place::history).map_or(0, crate::history::History::bytes)
    }

    /// Where the history of the room stands.
    pub fn position(&self, room: &Room) -> Option<Position> {
        self.places.get(room)?.history().map(crate::history::History::position)
    }

    /// The last so many messages that are kept, the oldest first; as of the last post or sweep.
    pub fn latest(&self, room: &Room, most: usize) -> Vec<T> {
        self.places.get(room).and_then(Place::history).map_or_else(Vec::new, |history| history.latest(most))
    }

    /// Lets go of messages that are too old, and of rooms that nobody came back to. True: there is more to do, and it
    /// is time to let others pass first.
    pub fn sweep(&mut self, now: Tick) -> bool {
        let now = self.reads(now);
        for _ in 0..SWEPT_AT_ONCE {
            let Some(room) = self.order.due(now) else { return false };
            self.change(&room, |place, _| place.trim(now));
        }
        self.order.due(now).is_some()
    }

    /// How much there is of everything.
    pub fn counts(&self) -> RoomCounts {
        RoomCounts { rooms: self.places.len(), ..self.order.counts() }
    }

    /// Time, as it is told to us: it does not run backwards.
    fn reads(&mut self, now: Tick) -> Tick {
        self.clock = self.clock.max(now);
        self.clock
    }

    /// One history is never larger than all may be: a message that does not fit puts nobody else's out.
    fn within_budget(&self, law: &RoomLaw) -> RoomLaw {
        let mut law = *law;
        if let Some(history) = &mut law.history {
            history.bytes = history.bytes.min(self.bounds.history_bytes);
        }
        law
    }

    /// Sees to it that the room is there, where another has to make way for it, too.
    fn open(&mut self, room: &Room, law: &RoomLaw) -> bool {
        if self.places.contains_key(room) {
            return true;
        }
        while self.places.len() >= self.bounds.rooms {
            let Some(stalest) = self.order.stalest_without_members() else { return false };
            self.forget(&stalest);
        }
        self.births += 1;
        let place = Place::new(self.births, self.floor, self.within_budget(law));
        self.order.shift(room, &order::Standing::default(), &place.standing());
        self.places.insert(room.clone(), place);
        self.names.insert(room.clone());
        true
    }

    /// The one way in which a room changes: the order follows, and a room that is over is forgotten.
    fn change<R>(&mut self, room: &Room, act: impl FnOnce(&mut Place<T>, &mut EpochSource) -> R) -> Option<R> {
        let place = self.places.get_mut(room)?;
        let before = place.standing();
        let result = act(place, &mut self.epochs);
        self.order.shift(room, &before, &place.standing());
        if place.is_over(self.clock) {
            self.forget(room);
        }
        Some(result)
    }

    fn forget(&mut self, room: &Room) {
        self.names.remove(room);
        if let Some(place) = self.places.remove(room) {
            self.order.shift(room, &place.standing(), &order::Standing::default());
            self.floor = self.floor.max(place.sequence());
        }
    }
}

#[cfg(test)]
mod tests;
