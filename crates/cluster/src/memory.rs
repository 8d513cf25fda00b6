//! What a node holds and follows, as the orders of its house say.
//!
//! The law: every order that changes it is noted the moment it is seen, whatever becomes of the order. So whoever lost
//! it (a lease that ended, an engine that began anew) can be told all of it again.

use std::collections::{HashMap, HashSet};

use gateway_domain::{
    ConnectionId, Room,
    link::{Act, Answer, Channel, SeatAnswer, SeatClaim},
};

/// All of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    seats: HashMap<ConnectionId, SeatClaim>,
    /// Seats that are asked for: one that is given back before it is given is not held.
    asked: HashSet<ConnectionId>,
    follows: HashSet<Channel>,
    members: HashMap<(Room, String), u32>,
}

impl Memory {
    /// Takes down what an order changes by being given.
    pub(crate) fn note(&mut self, act: &Act) {
        match act {
            Act::TakeSeat(claim) => {
                self.asked.insert(claim.connection);
            }
            Act::KeepSeat(claim) => {
                self.asked.remove(&claim.connection);
                self.seats.insert(claim.connection, claim.clone());
            }
            Act::LeaveSeat { connection, .. } => {
                self.asked.remove(connection);
                self.seats.remove(connection);
            }
            Act::Follow(channel) => {
                self.follows.insert(channel.clone());
            }
            Act::Unfollow(channel) => {
                self.follows.remove(channel);
            }
            Act::Enter { room, member } => {
                *self.members.entry((room.clone(), member.clone())).or_default() += 1;
            }
            Act::Exit { room, member } => {
                let key = (room.clone(), member.clone());
                if let Some(count) = self.members.get_mut(&key) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        self.members.remove(&key);
                    }
                }
            }
            Act::Leave => *self = Self::default(),
            Act::Post(_)
            | Act::Tell { .. }
            | Act::Recall { .. }
            | Act::Members(_)
            | Act::Write { .. }
            | Act::Read { .. }
            | Act::Knock { .. }
            | Act::Spend(_) => {}
        }
    }

    /// Whether somebody still wants the seat that was asked for.
    pub(crate) fn is_asked(&self, claim: &SeatClaim) -> bool {
        self.asked.contains(&claim.connection)
    }

    /// Takes down a seat by how its claim came out.
    pub(crate) fn note_seat(&mut self, claim: &SeatClaim, answer: &Answer) {
        if self.asked.remove(&claim.connection) && matches!(answer, Answer::Seat(SeatAnswer::Taken { .. })) {
            self.seats.insert(claim.connection, claim.clone());
        }
    }

    /// With how many connections a member is in a room.
    pub(crate) fn count(&self, room: &Room, member: &str) -> u32 {
        self.members.get(&(room.clone(), member.to_owned())).copied().unwrap_or(0)
    }

    /// The seats, in no order.
    pub(crate) fn seats(&self) -> impl Iterator<Item = &SeatClaim> {
        self.seats.values()
    }

    /// What is followed.
    pub(crate) fn follows(&self) -> &HashSet<Channel> {
        &self.follows
    }

    /// Which members are in which rooms, and with how many connections.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&Room, &str, u32)> {
        self.members.iter().map(|((room, member), count)| (room, member.as_str(), *count))
    }
}

#[cfg(test)]
mod tests {
    use gateway_domain::{Timestamp, plan::OnConnectionLimit};

    use super::*;

    #[test]
    fn a_seat_that_is_given_back_before_it_is_given_is_not_held() {
        let claim = SeatClaim {
            user: "ann".parse().unwrap(),
            connection: ConnectionId::new(uuid::Uuid::from_u128(1)),
            agent: None,
            limit: Some(1),
            on_limit: OnConnectionLimit::RejectNew,
            since: Timestamp::from_millis(0),
            note: None,
        };
        let given = Answer::Seat(SeatAnswer::Taken { evicted: None, replaced: None });
        let mut memory = Memory::default();
        memory.note(&Act::TakeSeat(claim.clone()));
        assert!(memory.is_asked(&claim));
        memory.note_seat(&claim, &given);
        assert!(!memory.is_asked(&claim) && memory.seats().count() == 1);
        let leave = Act::LeaveSeat { user: claim.user.clone(), connection: claim.connection, agent: None };
        memory.note(&leave);
        memory.note(&Act::TakeSeat(claim.clone()));
        memory.note(&leave);
        assert!(!memory.is_asked(&claim));
        memory.note_seat(&claim, &given);
        assert_eq!(memory.seats().count(), 0);
    }
}
