//! Who is in one room: connections by id, and the users behind those that subscribed.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    ops::Bound,
};

use super::outcome::{Joining, Member, Present};
use crate::name::{ConnectionId, Role, UserId};

/// The members of a room.
#[derive(Debug, Default)]
pub(super) struct Members {
    connections: BTreeMap<ConnectionId, (Member, UserId)>,
    users: BTreeMap<UserId, Person>,
}

#[derive(Debug)]
struct Person {
    role: Option<Role>,
    connections: u32,
}

impl Members {
    /// Lets somebody in, from behind that sequence on; the user, where this is its first connection that subscribed.
    /// Who comes again begins anew, except that nobody is moved by itself where it has subscribed.
    pub(super) fn join(&mut self, joining: &Joining<'_>, sequence: u64) -> Option<Present> {
        let member = Member { subscribed: joining.subscribed, since: sequence, floor: joining.floor };
        match self.connections.entry(joining.connection) {
            Entry::Vacant(place) => {
                place.insert((member, joining.user.clone()));
            }
            Entry::Occupied(place) => {
                let (before, _) = place.into_mut();
                if !joining.subscribed {
                    return None;
                }
                let was_subscribed = before.subscribed;
                *before = member;
                if was_subscribed {
                    return None;
                }
            }
        }
        if !joining.subscribed {
            return None;
        }
        let new = || Person { role: joining.role.cloned(), connections: 0 };
        let person = self.users.entry(joining.user.clone()).or_insert_with(new);
        person.connections += 1;
        (person.connections == 1).then(|| person.present(joining.user))
    }

    /// Lets somebody go: how it was here, and the user, where this was its last connection that subscribed.
    pub(super) fn leave(&mut self, connection: ConnectionId) -> Option<(Member, Option<Present>)> {
        let (member, user) = self.connections.remove(&connection)?;
        let person = self.users.get_mut(&user).filter(|_| member.subscribed);
        let Some(person) = person else { return Some((member, None)) };
        person.connections -= 1;
        let gone = (person.connections == 0).then(|| person.present(&user));
        if gone.is_some() {
            self.users.remove(&user);
        }
        Some((member, gone))
    }

    /// Members behind that one, in the order of ids.
    pub(super) fn after(&self, last: Option<ConnectionId>) -> impl Iterator<Item = (ConnectionId, Member)> {
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        self.connections.range((from, Bound::Unbounded)).map(|(id, (member, _))| (*id, *member))
    }

    /// Another epoch begins behind that offset: whoever subscribed wants nothing of it before that.
    pub(super) fn begin_anew(&mut self, offset: u64) {
        for (member, _) in self.connections.values_mut() {
            member.floor = if member.subscribed { offset } else { 0 };
        }
    }

    /// How many connections have subscribed.
    pub(super) fn subscribers(&self) -> usize {
        self.connections.values().filter(|(member, _)| member.subscribed).count()
    }

    pub(super) fn get(&self, connection: ConnectionId) -> Option<Member> {
        self.connections.get(&connection).map(|(member, _)| *member)
    }

    pub(super) fn contains(&self, connection: ConnectionId) -> bool {
        self.connections.contains_key(&connection)
    }

    pub(super) fn len(&self) -> usize {
        self.connections.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    /// How many users have subscribed.
    pub(super) fn users(&self) -> usize {
        self.users.len()
    }

    /// The users who have subscribed.
    pub(super) fn present(&self) -> Vec<Present> {
        self.users.iter().map(|(user, person)| person.present(user)).collect()
    }
}

impl Person {
    fn present(&self, user: &UserId) -> Present {
        Present { user_id: user.clone(), role: self.role.clone(), connections: self.connections }
    }
}
