//! Seats: how many connections a user holds, counted from admission to the end. A seat is taken before the
//! upgrade, so that a race of fifty for ten has ten winners.

use std::collections::{HashMap, HashSet};

use crate::name::{ConnectionId, UserId};

/// Who sits, user by user, the oldest first.
#[derive(Debug, Default)]
pub struct Seats {
    by_user: HashMap<UserId, Vec<ConnectionId>>,
    taken: usize,
    capacity: usize,
}

/// Why there is no seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoSeat {
    /// The node's are all taken.
    NodeFull,
    /// The user's are all taken, by these, the oldest first.
    UserFull(Vec<ConnectionId>),
}

impl Seats {
    /// A house with that many seats in all.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, ..Self::default() }
    }

    /// Changes how many seats there are in all. Whoever sits stays, be it one too many.
    pub const fn resize(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    /// Whether any seat is free in the house.
    pub const fn is_full(&self) -> bool {
        self.taken >= self.capacity
    }

    /// Takes a seat, where fewer than `limit` are taken by the user.
    pub fn take(&mut self, user: &UserId, id: ConnectionId, limit: Option<u32>) -> Result<(), NoSeat> {
        if self.is_full() {
            return Err(NoSeat::NodeFull);
        }
        let held = self.by_user.get(user).map_or(&[][..], Vec::as_slice);
        if limit.is_some_and(|limit| held.len() >= limit as usize) {
            return Err(NoSeat::UserFull(held.to_vec()));
        }
        self.by_user.entry(user.clone()).or_default().push(id);
        self.taken += 1;
        Ok(())
    }

    /// Gives a seat back; a second time does nothing.
    pub fn leave(&mut self, user: &UserId, id: ConnectionId) -> bool {
        let Some(held) = self.by_user.get_mut(user) else { return false };
        let Some(at) = held.iter().position(|other| *other == id) else { return false };
        held.remove(at);
        if held.is_empty() {
            self.by_user.remove(user);
        }
        self.taken -= 1;
        true
    }

    /// The user's connections, the oldest first; those on their way through the door included.
    pub fn of(&self, user: &UserId) -> &[ConnectionId] {
        self.by_user.get(user).map_or(&[], Vec::as_slice)
    }

    /// How many seats are taken.
    pub const fn taken(&self) -> usize {
        self.taken
    }

    /// How many users sit.
    pub fn users(&self) -> usize {
        self.by_user.len()
    }

    /// Whether the books agree with each other; for tests of whoever keeps them.
    pub fn is_sound(&self) -> bool {
        let ids: HashSet<_> = self.by_user.values().flatten().collect();
        ids.len() == self.taken && self.by_user.values().all(|held| !held.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn id(n: u128) -> ConnectionId {
        ConnectionId::new(Uuid::from_u128(n))
    }

    fn user(name: &str) -> UserId {
        name.parse().unwrap()
    }

    #[test]
    fn one_more_than_the_limit_is_told_who_sits_there() {
        let mut seats = Seats::new(100);
        for n in 0..10 {
            seats.take(&user("ann"), id(n), Some(10)).unwrap();
        }
        let held: Vec<_> = (0..10).map(id).collect();
        assert_eq!(seats.take(&user("ann"), id(10), Some(10)), Err(NoSeat::UserFull(held)));
        assert_eq!(seats.take(&user("bob"), id(10), Some(10)), Ok(()), "another user's are free");
        assert!(seats.leave(&user("ann"), id(3)));
        assert!(!seats.leave(&user("ann"), id(3)), "twice is once");
        assert_eq!(seats.take(&user("ann"), id(11), Some(10)), Ok(()));
        assert_eq!(seats.of(&user("ann")).last(), Some(&id(11)));
    }

    #[test]
    fn the_house_has_an_end_and_no_limit_means_none() {
        let mut seats = Seats::new(2);
        seats.take(&user("ann"), id(1), None).unwrap();
        seats.take(&user("ann"), id(2), None).unwrap();
        assert_eq!(seats.take(&user("bob"), id(3), None), Err(NoSeat::NodeFull));
        assert!(seats.is_full());
        assert!(!seats.leave(&user("bob"), id(3)));
        assert_eq!((seats.taken(), seats.users()), (2, 1));
    }

    proptest! {
        #[test]
        fn the_books_agree_with_a_naive_list(steps in prop::collection::vec((0u8..4, 0u128..12, any::<bool>()), 0..200)) {
            let mut seats = Seats::new(15);
            let mut naive: Vec<(u8, u128)> = Vec::new();
            for (who, n, comes) in steps {
                let name = user(&who.to_string());
                let held = naive.iter().filter(|(other, _)| *other == who).count();
                // An id is one connection's: it never sits twice.
                let unique = u128::from(who) * 100 + n;
                let sits = naive.contains(&(who, unique));
                if comes && !sits {
                    let taken = seats.take(&name, id(unique), Some(5)).is_ok();
                    prop_assert_eq!(taken, held < 5 && naive.len() < 15);
                    if taken { naive.push((who, unique)); }
                } else if !comes {
                    prop_assert_eq!(seats.leave(&name, id(unique)), sits);
                    naive.retain(|entry| *entry != (who, unique));
                }
                prop_assert!(seats.is_sound());
                prop_assert_eq!(seats.taken(), naive.len());
            }
        }
    }
}
