//! Whom a target means: a room, or those of a role, an endpoint, a user, or one connection.

use gateway_domain::{ConnectionId, Role, Room, UserId, target::Target};

use crate::hub::books::Books;

/// How everybody's own room is named.
const USER_ROOM: &str = "user:";

/// Those whom one target means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::hub) enum Group {
    Room(Room),
    /// Everybody's own room: those who are in it, and those who hear what is said to the user without having asked.
    User(Room, UserId),
    Role(Role),
    Endpoint(Box<str>),
    Narrowed(UserId, Role),
    One(ConnectionId),
}

impl Books {
    pub(super) fn group(&self, target: &Target, sender: Option<ConnectionId>) -> Option<Group> {
        match target {
            Target::User { user, role: None } => {
                let room = Room::parse(&[USER_ROOM, user.as_str()].concat()).ok();
                room.map(|room| Group::User(room, user.clone()))
            }
            Target::User { user, role: Some(role) } => Some(Group::Narrowed(user.clone(), role.clone())),
            // Whoever names itself is not told: that is what `sender` is for.
            Target::Agent(agent) => {
                let live = self.registry.agent(agent).map(|(id, _)| id);
                live.filter(|id| Some(*id) != sender).map(Group::One)
            }
            Target::Connection(id) => Some(*id).filter(|id| Some(*id) != sender).map(Group::One),
            // Under whatever name a group is meant, it is one group.
            Target::Room(room) => Some(match user_of(room) {
                Some(user) => Group::User(room.clone(), user),
                None => Group::Room(room.clone()),
            }),
            Target::Role(role) => Some(Group::Role(role.clone())),
            Target::Endpoint(path) => Some(Group::Endpoint(path.clone())),
            Target::Sender => sender.map(Group::One),
            // No connection is told by these.
            Target::Webhook(_) | Target::Subscribe(_) => None,
        }
    }

    pub(super) fn size(&self, group: &Group) -> usize {
        match group {
            Group::Room(room) => self.rooms.size(room),
            Group::User(room, user) => self.rooms.size(room) + self.registry.hearing(user).count(),
            Group::Role(role) => self.registry.count_of_role(role),
            Group::Endpoint(path) => self.registry.count_of_endpoint(path),
            Group::Narrowed(user, _) => self.registry.of_user(user).count(),
            Group::One(_) => 1,
        }
    }
}

impl Group {
    /// The room that it is, where it is one.
    pub(super) const fn room(&self) -> Option<&Room> {
        match self {
            Self::Room(room) | Self::User(room, _) => Some(room),
            Self::Role(_) | Self::Endpoint(_) | Self::Narrowed(..) | Self::One(_) => None,
        }
    }
}

/// Whose room that is: everybody's own is joined by itself.
pub(in crate::hub) fn user_of(room: &Room) -> Option<UserId> {
    room.as_str().strip_prefix(USER_ROOM).and_then(|user| user.parse().ok())
}
