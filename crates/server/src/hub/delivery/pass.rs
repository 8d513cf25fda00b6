//! One pass over a group: so many of its members at a time, each met once however often the pass is taken up again.

use std::sync::Arc;

use gateway_domain::{ConnectionId, registry::Registry, rooms::Rooms};
use gateway_transport::Text;

use super::group::Group;
use crate::hub::{Letter, Occupant};

#[derive(Debug)]
pub(super) struct Pass {
    pub(super) group: Group,
    pub(super) part: Part,
    /// Of the post in its room: who came later has it from the history, or came too late.
    pub(super) sequence: u64,
    /// Where offsets are given elsewhere: who has this one already is not meant.
    pub(super) offset: Option<u64>,
    /// For those who subscribed to a room with a history.
    pub(super) placed: Option<Letter>,
    pub(super) cursor: Option<ConnectionId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Everybody,
    Subscribers,
    Others,
}

/// Those whom a pass comes to next: each, and whether it asked for the room.
pub(super) type Members<'a> = Vec<(ConnectionId, &'a Arc<Occupant>, bool)>;

pub(super) struct Reached<'a> {
    pub(super) members: Members<'a>,
    /// Those among whom they were found: looking takes time, too.
    pub(super) looked_at: usize,
    pub(super) is_over: bool,
}

impl<'a> Reached<'a> {
    /// All that there were.
    fn all(members: Members<'a>) -> Self {
        Self { looked_at: members.len(), members, is_over: true }
    }
}

impl Pass {
    /// All of a group.
    pub(super) const fn over(group: Group) -> Self {
        Self { group, part: Part::Everybody, sequence: u64::MAX, offset: None, placed: None, cursor: None }
    }

    /// The next so many of the group, and whether these were the last.
    pub(super) fn next<'a>(
        &mut self,
        registry: &'a Registry<Arc<Occupant>>,
        rooms: &Rooms<Text>,
        most: usize,
    ) -> Reached<'a> {
        let plain = |(id, here): (ConnectionId, &'a Arc<Occupant>)| (id, here, false);
        let members: Members<'a> = match &self.group {
            Group::Room(room) | Group::User(room, _) => {
                let part = self.part;
                let meant = |subscribed| match part {
                    Part::Everybody => true,
                    Part::Subscribers => subscribed,
                    Part::Others => !subscribed,
                };
                let mut last = None;
                let mut seen = 0;
                let mut members: Members<'a> = Vec::new();
                for (id, member) in rooms.members(room, self.cursor, self.sequence, self.offset).take(most) {
                    last = Some(id);
                    seen += 1;
                    if let (true, Some(here)) = (meant(member.subscribed), registry.get(id)) {
                        members.push((id, here, member.subscribed));
                    }
                }
                if seen == most {
                    self.cursor = last;
                    return Reached { members, looked_at: seen, is_over: false };
                }
                // Those who hear what is said to their user without having asked for it.
                if let Group::User(_, user) = &self.group
                    && part != Part::Subscribers
                {
                    let nobody_is_in_it = self.cursor.is_none() && seen == 0;
                    let is_member = |id| !nobody_is_in_it && rooms.is_member(room, id);
                    members.extend(registry.hearing(user).filter(|(id, _)| !is_member(*id)).map(plain));
                }
                return Reached { members, looked_at: seen, is_over: true };
            }
            Group::Role(role) => registry.of_role(role, self.cursor).take(most).map(plain).collect(),
            Group::Endpoint(path) => registry.of_endpoint(path, self.cursor).take(most).map(plain).collect(),
            Group::Narrowed(user, role) => {
                let own = registry.of_user(user).filter(|here| here.stands(|s| s.role.as_ref() == Some(role)));
                return Reached::all(own.map(|here| (here.id, here, false)).collect());
            }
            Group::One(id) => {
                return Reached::all(registry.get(*id).map(|here| (*id, here, false)).into_iter().collect());
            }
        };
        self.cursor = members.last().map(|(id, ..)| *id);
        Reached { looked_at: members.len(), is_over: members.len() < most, members }
    }
}
