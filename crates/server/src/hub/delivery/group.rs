//! Whom a target means: a room, or those of a role, an endpoint, a user, or one connection.

use gateway_domain::{ConnectionId, Role, Room, UserId, target::Target};

use crate::hub::books::Books;

const USER_ROOM: &str = "user:";

/// Those whom one target means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::hub) enum Group {
    Room(Room),
    Role(Role),
    Endpoint(Box<str>),
    Narrowed(UserId, Role),
    One(ConnectionId),
}

impl Books {
    pub(super) fn group(&self, target: &Target, sender: Option<ConnectionId>) -> Option<Group> {
        match target {
            Target::User { user, role: None } => Room::parse(&format!("{USER_ROOM}{user}")).ok().map(Group::Room),
            Target::User { user, role: Some(role) } => Some(Group::Narrowed(user.clone(), role.clone())),
            // Whoever names itself is not told: that is what `sender` is for.
            Target::Agent(agent) => {
                let live = self.registry.agent(agent).map(|(id, _)| id);
                live.filter(|id| Some(*id) != sender).map(Group::One)
            }
            Target::Connection(id) => Some(*id).filter(|id| Some(*id) != sender).map(Group::One),
            Target::Room(room) => Some(Group::Room(room.clone())),
            Target::Role(role) => Some(Group::Role(role.clone())),
            Target::Endpoint(path) => Some(Group::Endpoint(path.clone())),
            Target::Sender => sender.map(Group::One),
            // No connection is told by these.
            Target::Webhook(_) | Target::Subscribe(_) => None,
        }
    }

    pub(super) fn size(&self, group: &Group) -> usize {
        match group {
            Group::Room(room) => {
                let hearing = user_of(room).map_or(0, |user| self.registry.hearing(&user).count());
                self.rooms.size(room) + hearing
            }
            Group::Role(role) => self.registry.count_of_role(role),
            Group::Endpoint(path) => self.registry.count_of_endpoint(path),
            Group::Narrowed(user, _) => self.registry.of_user(user).count(),
            Group::One(_) => 1,
        }
    }
}

/// Whose room that is: everybody's own is joined by itself.
pub(in crate::hub) fn user_of(room: &Room) -> Option<UserId> {
    room.as_str().strip_prefix(USER_ROOM).and_then(|user| user.parse().ok())
}
