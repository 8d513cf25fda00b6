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
pub use outcome::{
    Departed, Joined, Joining, Member, Placed, Posted, Present, Recovery, RoomCounts, RoomsBounds, RoomsFull,
};
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
    /// Epochs and offsets are given elsewhere.
    is_fed: bool,
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
            is_fed: false,
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

    /// From now on epochs and offsets are given elsewhere, and told by [`Self::place`] and [`Self::stand_at`].
    pub fn fed(mut self) -> Self {
        self.is_fed = true;
        self
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
        self.keep_within_budget();
        posted.unwrap_or(Posted { sequence: self.floor, kept: None })
    }

    /// Gives a message that was posted elsewhere its place, at the offset that it got there. Then, and only then, `make`
    /// is called with the offset, and gives the text and how many bytes it counts for. A room that nobody is in is not
    /// remembered here.
    pub fn place(
        &mut self,
        room: &Room,
        law: &RoomLaw,
        at: &Position,
        now: Tick,
        make: impl FnOnce(u64) -> (T, usize),
    ) -> Placed<T> {
        let now = self.reads(now);
        if law.history.is_none() || !self.places.contains_key(room) {
            return Placed::Next(self.post(room, &RoomLaw { history: None, ..*law }, now, make));
        }
        self.posts += 1;
        let (law, nth) = (self.within_budget(law), self.posts);
        let placed = self.change(room, |place, epochs| {
            place.govern(law, epochs);
            place.place(nth, at, now, make)
        });
        self.keep_within_budget();
        placed.unwrap_or(Placed::Again)
    }

    /// Notes where a room stands, which was looked up, unless that is known already. Whether another epoch has begun: then
    /// whoever subscribed is to be told that nothing before it can be recovered.
    pub fn stand_at(&mut self, room: &Room, position: &Position) -> bool {
        self.change(room, |place, _| place.stand_at(position)).unwrap_or(false)
    }

    /// Goes on behind that position: what is before it, and did not come yet, can be told to nobody any more.
    pub fn skip_to(&mut self, room: &Room, position: &Position) {
        self.change(room, |place, _| place.skip_to(position));
    }

    /// Everybody in the room has had everything up to where it stands: what of that still arrives is not for anybody.
    pub fn caught_up(&mut self, room: &Room) {
        self.change(room, |place, _| place.caught_up());
    }

    /// Begins an epoch of this node's own, since nobody else can give one.
    pub fn part(&mut self, room: &Room) -> Option<Position> {
        self.places.get(room)?;
        let own = Position { epoch: self.epochs.draw(), offset: 0 };
        self.skip_to(room, &own);
        Some(own)
    }

    /// Nobody tells this room any more what is posted: what it remembers is let go.
    pub fn let_go(&mut self, room: &Room) {
        self.change(room, |place, _| place.let_go());
    }

    /// Everything behind that position, the oldest first, where the room still has all of it.
    pub fn since(&mut self, room: &Room, position: &Position, law: &RoomLaw, now: Tick) -> Option<Vec<T>> {
        let (now, law) = (self.reads(now), self.within_budget(law));
        self.change(room, |place, _| place.since(position, &law, now)).flatten()
    }

    /// Members behind that one, in the order of ids, who were here when that sequence was posted. Where offsets are given
    /// elsewhere, those are not among them who have this offset already.
    pub fn members(
        &self,
        room: &Room,
        after: Option<ConnectionId>,
        posted: u64,
        offset: Option<u64>,
    ) -> impl Iterator<Item = (ConnectionId, Member)> {
        let members = self.places.get(room).map(|place| place.members().after(after));
        let wants = move |member: &Member| offset.is_none_or(|offset| member.floor < offset);
        members.into_iter().flatten().filter(move |(_, member)| member.since < posted && wants(member))
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

    fn keep_within_budget(&mut self) {
        while self.order.counts().history_bytes > self.bounds.history_bytes {
            let Some(oldest) = self.order.stalest_history() else { break };
            self.change(&oldest, |place, _| place.give_up());
        }
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
    fn change<R>(&mut self, room: &Room, act: impl FnOnce(&mut Place<T>, Option<&mut EpochSource>) -> R) -> Option<R> {
        let place = self.places.get_mut(room)?;
        let before = place.standing();
        let result = act(place, (!self.is_fed).then_some(&mut self.epochs));
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
