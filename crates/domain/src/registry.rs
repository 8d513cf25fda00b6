//! Who is here: seats and connections in one set of books, which change together or not at all.
//!
//! Admission takes a seat; the connection then sits on it, and leaves it when it ends. A connection that was
//! evicted on its way through the door finds its seat gone when it comes to sit.

use std::{collections::BTreeMap, ops::Bound};

use crate::{
    name::{ConnectionId, UserId},
    seats::{NoSeat, Seats},
};

/// The books. `H` is what the house keeps of a connection.
#[derive(Debug)]
pub struct Registry<H> {
    seats: Seats,
    present: BTreeMap<ConnectionId, H>,
}

impl<H> Registry<H> {
    /// Empty books of a house with that many seats.
    pub fn new(capacity: usize) -> Self {
        Self { seats: Seats::new(capacity), present: BTreeMap::new() }
    }

    /// Takes a seat for a connection that is about to come.
    pub fn admit(&mut self, user: &UserId, id: ConnectionId, limit: Option<u32>) -> Result<(), NoSeat> {
        self.seats.take(user, id, limit)
    }

    /// Sits down. Where the seat is gone by now, the connection gets its handle back and must go.
    pub fn enter(&mut self, user: &UserId, id: ConnectionId, handle: H) -> Result<(), H> {
        if !self.seats.of(user).contains(&id) {
            return Err(handle);
        }
        self.present.insert(id, handle);
        Ok(())
    }

    /// Gives the seat back and strikes the connection out; a second time does nothing.
    pub fn leave(&mut self, user: &UserId, id: ConnectionId) -> Option<H> {
        self.seats.leave(user, id);
        self.present.remove(&id)
    }

    /// The connection of that id.
    pub fn get(&self, id: ConnectionId) -> Option<&H> {
        self.present.get(&id)
    }

    /// The user's connections, the oldest first.
    pub fn of_user<'a>(&'a self, user: &UserId) -> impl Iterator<Item = &'a H> + use<'a, H> {
        self.seats.of(user).iter().filter_map(|id| self.present.get(id))
    }

    /// Every connection in the order of ids, from behind that one on.
    pub fn after(&self, last: Option<ConnectionId>) -> impl Iterator<Item = (ConnectionId, &H)> {
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        self.present.range((from, Bound::Unbounded)).map(|(id, handle)| (*id, handle))
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn id(n: u128) -> ConnectionId {
        ConnectionId::new(Uuid::from_u128(n))
    }

    fn ann() -> UserId {
        "ann".parse().unwrap()
    }

    #[test]
    fn a_connection_is_found_from_its_entry_to_its_end() {
        let mut registry = Registry::new(10);
        registry.admit(&ann(), id(2), Some(3)).unwrap();
        assert!(registry.get(id(2)).is_none() && registry.is_empty(), "a seat alone is nobody yet");
        registry.enter(&ann(), id(2), "second").unwrap();
        registry.admit(&ann(), id(1), Some(3)).unwrap();
        registry.enter(&ann(), id(1), "first").unwrap();
        assert_eq!(registry.of_user(&ann()).collect::<Vec<_>>(), [&"second", &"first"], "by age");
        assert_eq!(registry.after(None).map(|(_, handle)| *handle).collect::<Vec<_>>(), ["first", "second"], "by id");
        assert_eq!(registry.after(Some(id(1))).count(), 1);
        assert_eq!(registry.leave(&ann(), id(2)), Some("second"));
        assert_eq!(registry.leave(&ann(), id(2)), None);
        assert_eq!((registry.len(), registry.seats().taken()), (1, 1));
    }

    #[test]
    fn who_was_evicted_at_the_door_does_not_sit() {
        let mut registry = Registry::new(10);
        registry.admit(&ann(), id(1), None).unwrap();
        registry.leave(&ann(), id(1));
        assert_eq!(registry.enter(&ann(), id(1), "late"), Err("late"));
        assert!(registry.is_empty());
    }
}
