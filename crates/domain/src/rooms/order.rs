//! In which order rooms make way, and when each is due to be looked at; and the sums over all of them.

use std::collections::BTreeMap;

use super::outcome::RoomCounts;
use crate::{name::Room, time::Tick};

/// Which room makes way before which: the one posted to least recently, and of those never posted to, the oldest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Rank {
    /// The last post among all of the node; 0 for none.
    pub(super) posted: u64,
    /// The room among all that there were.
    pub(super) born: u64,
}

/// What the order has to know of a room; of a room that is not there, nothing.
#[derive(Default)]
pub(super) struct Standing {
    /// It has no members.
    pub(super) without_members: Option<Rank>,
    /// It has bytes to give up.
    pub(super) with_history: Option<Rank>,
    /// When its oldest message, or the room itself, is over.
    pub(super) due: Option<(Tick, u64)>,
    pub(super) members: usize,
    pub(super) bytes: usize,
}

/// The indexes over all rooms.
#[derive(Debug, Default)]
pub(super) struct Order {
    without_members: BTreeMap<Rank, Room>,
    with_history: BTreeMap<Rank, Room>,
    due: BTreeMap<(Tick, u64), Room>,
    members: usize,
    bytes: usize,
}

impl Order {
    /// A room stands otherwise than before.
    pub(super) fn shift(&mut self, room: &Room, before: &Standing, after: &Standing) {
        shift(&mut self.without_members, room, before.without_members, after.without_members);
        shift(&mut self.with_history, room, before.with_history, after.with_history);
        shift(&mut self.due, room, before.due, after.due);
        self.members = self.members - before.members + after.members;
        self.bytes = self.bytes - before.bytes + after.bytes;
    }

    pub(super) fn stalest_without_members(&self) -> Option<Room> {
        self.without_members.values().next().cloned()
    }

    pub(super) fn stalest_history(&self) -> Option<Room> {
        self.with_history.values().next().cloned()
    }

    /// A room that is due at that moment.
    pub(super) fn due(&self, now: Tick) -> Option<Room> {
        let ((due, _), room) = self.due.first_key_value()?;
        (*due <= now).then(|| room.clone())
    }

    /// Members and bytes; how many rooms there are is known elsewhere.
    pub(super) fn counts(&self) -> RoomCounts {
        RoomCounts { rooms: 0, memberships: self.members, history_bytes: self.bytes }
    }
}

fn shift<K: Ord>(index: &mut BTreeMap<K, Room>, room: &Room, before: Option<K>, after: Option<K>) {
    if before == after {
        return;
    }
    // The name is moved along where there is one, so that a post clones nothing.
    let moved = before.and_then(|before| index.remove(&before));
    if let Some(after) = after {
        index.insert(after, moved.unwrap_or_else(|| room.clone()));
    }
}
