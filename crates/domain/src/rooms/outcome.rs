//! What is said to the rooms, and what they answer.

use serde::{Deserialize, Serialize};

use crate::{
    history::Position,
    name::{ConnectionId, Role, UserId},
};

/// How much all rooms of a node are together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RoomsBounds {
    /// The most rooms.
    pub rooms: usize,
    /// The most bytes of all histories.
    pub history_bytes: usize,
}

/// Who comes into a room.
#[derive(Clone, Copy, Debug)]
pub struct Joining<'a> {
    /// The connection.
    pub connection: ConnectionId,
    /// Whose it is.
    pub user: &'a UserId,
    /// As what it was admitted.
    pub role: Option<&'a Role>,
    /// It asked for this itself, and so gets `room` and `offset`, and is present.
    pub subscribed: bool,
    /// The last message of this room that it received.
    pub since: Option<&'a Position>,
    /// Where offsets are given elsewhere: what has this one or an earlier one is not for it, come when it may.
    pub floor: u64,
}

/// Every room there may be is taken, and has members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are {0} rooms with members, as many as can be: try again when some are left")]
pub struct RoomsFull(pub usize);

/// What somebody finds who came in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Joined<T> {
    /// Where the history stands, in a room that has one.
    pub position: Option<Position>,
    /// What came of `since`, where it was given.
    pub recovery: Option<Recovery<T>>,
    /// Who is here, the joiner among them; none where that is not told.
    pub presence: Option<Vec<Present>>,
    /// The first connection of this user: tell the others.
    pub announced: Option<Present>,
}

/// What came of a `since`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Recovery<T> {
    /// Exactly these were missed, the oldest first.
    Recovered(Vec<T>),
    /// Nobody can say any more what was missed.
    Lost,
}

/// What is left behind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Departed {
    /// That was the last connection of this user: tell the others.
    pub announced: Option<Present>,
    /// Whether it had asked for the room itself.
    pub was_subscribed: bool,
}

/// The place of a message in a room.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Posted<T> {
    /// Its place among all messages of the room: it is for the members that were here before it.
    pub sequence: u64,
    /// In a room with a history: its offset, and the text that was made with it, where anybody has subscribed and is to
    /// hear it.
    pub kept: Option<(u64, Option<T>)>,
}

/// How a connection is in a room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Member {
    /// It asked for this itself.
    pub subscribed: bool,
    /// The sequence of the last message before it came.
    pub since: u64,
    /// The offset up to which it has everything, or wants nothing.
    pub floor: u64,
}

/// Where a message stands whose offset was given elsewhere.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Placed<T> {
    /// Behind the last one; or the room is not remembered here.
    Next(Posted<T>),
    /// At the beginning of another epoch: whoever subscribed must be told that nothing before it can be recovered.
    Anew(Posted<T>),
    /// Before a position that was looked up meanwhile: it is for those who were here before that.
    Late(Posted<T>),
    /// Everybody has had it.
    Again,
    /// Messages before it did not come: everything behind this position is to be looked up.
    Gap(Position),
}

/// A user who is in a room, as others are told of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Present {
    /// Who.
    pub user_id: UserId,
    /// As what its first connection came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// With how many connections.
    pub connections: u32,
}

/// How much there is of everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RoomCounts {
    /// Rooms.
    pub rooms: usize,
    /// Members of all rooms together.
    pub memberships: usize,
    /// Bytes of all histories together.
    pub history_bytes: usize,
}
