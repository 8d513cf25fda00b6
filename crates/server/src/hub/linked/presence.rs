//! Who is in a room, over all nodes. The link counts; who comes first and who goes last is told to those who subscribed.

use std::{collections::BTreeMap, future::Future, sync::Arc};

use gateway_domain::{
    ConnectionId, Role, Room, UserId,
    link::{Act, Answer, Channel, Hearer},
    rooms::{Departed, Present},
};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::{
    cluster::{Letter, Link, PATIENCE},
    hub::{Hub, Occupant, books::Books},
};

/// A member, in words that are the same for all of its connections of one role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Member {
    user_id: UserId,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    role: Option<Role>,
}

impl Member {
    fn of(here: &Occupant) -> Self {
        Self { user_id: here.user().clone(), role: here.stands(|standing| standing.role.clone()) }
    }

    fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    fn present(self, connections: u32) -> Present {
        Present { user_id: self.user_id, role: self.role, connections }
    }
}

/// The users among those who are counted, in the order of their names.
fn users(members: &[(String, u32)]) -> Vec<Present> {
    let mut users: BTreeMap<UserId, Present> = BTreeMap::new();
    for (text, connections) in members {
        let Ok(member) = serde_json::from_str::<Member>(text) else { continue };
        let user = users.entry(member.user_id.clone()).or_insert_with(|| member.present(0));
        user.connections += connections;
    }
    users.into_values().collect()
}

impl Hub {
    /// Counts a connection among those who are present, where it is not yet: whether it is its user's first, and who is
    /// there. None: nobody could say.
    pub(super) fn comes_present(
        self: &Arc<Self>,
        link: &Link,
        here: &Arc<Occupant>,
        room: &Room,
    ) -> impl Future<Output = Option<(bool, Vec<Present>)>> + Send + use<> {
        let before = self.books.lock().linked.entered.insert((here.id, room.clone()), Member::of(here).to_text());
        let is_new = before.is_none();
        let (tells, told) = oneshot::channel();
        let user = here.user().clone();
        let next = move |_, answer| {
            let told = match answer {
                Answer::Present { is_turn, members } => {
                    let members = users(&members);
                    // Where it is here in another role already, it has not just come.
                    let alone = members.iter().all(|other| other.user_id != user || other.connections == 1);
                    Some((is_turn && alone && is_new, members))
                }
                _ => None,
            };
            drop(tells.send(told));
        };
        let act = if is_new {
            Act::Enter { room: room.clone(), member: Member::of(here).to_text() }
        } else {
            Act::Members(room.clone())
        };
        link.must_then(act, next);
        async { tokio::time::timeout(PATIENCE, told).await.ok()?.ok()? }
    }

    /// Counts it no more.
    pub(super) fn goes_absent(&self, books: &mut Books, connection: ConnectionId, room: &Room) {
        let Some(link) = self.link.clone() else { return };
        let Some(member) = books.linked.entered.remove(&(connection, room.clone())) else { return };
        let Ok(read) = serde_json::from_str::<Member>(&member) else { return };
        let most = books.laws.law(room).presence.unwrap_or_default();
        let (told, left) = (Arc::clone(&link), room.clone());
        let next = move |_, answer| {
            let Answer::Present { is_turn: true, members } = answer else { return };
            let members = users(&members);
            if members.len() < most && members.iter().all(|other| other.user_id != read.user_id) {
                told.tell_present(&left, read.present(0), false);
            }
        };
        link.must_then(Act::Exit { room: room.clone(), member }, next);
    }

    /// It has left a room of all nodes.
    pub(in crate::hub) fn leave_room_abroad(
        &self,
        books: &mut Books,
        id: ConnectionId,
        room: &Room,
        departed: Option<&Departed>,
    ) {
        self.goes_absent(books, id, room);
        if departed.is_some_and(|departed| departed.was_subscribed) {
            self.release(books, &Channel::Room(room.clone()), crate::clock::now());
        }
    }

    /// Tells those who subscribed, wherever they are, that somebody came. Whoever subscribes once this is done finds it there,
    /// and is not told.
    pub(super) fn announce_everywhere(
        link: &Arc<Link>,
        here: &Occupant,
        room: &Room,
    ) -> impl Future<Output = ()> + Send + use<> {
        let letter = Letter::Present { room: room.clone(), member: Member::of(here).present(1), came: true };
        let told = link.tell_all(Hearer::Channel(Channel::Room(room.clone())), &letter);
        async { drop(told.answer().await) }
    }

    /// The last connection of a member went with its node.
    pub(crate) fn member_lost(&self, room: &Room, member: &str) {
        self.tell_member(room, member, false);
    }

    /// Others were told that a member left with this node, and it is here.
    pub(crate) fn member_found(&self, room: &Room, member: &str) {
        self.tell_member(room, member, true);
    }

    fn tell_member(&self, room: &Room, member: &str, came: bool) {
        let (Some(link), Ok(member)) = (&self.link, serde_json::from_str::<Member>(member)) else { return };
        if self.books.lock().laws.law(room).presence.is_some() {
            link.tell_present(room, member.present(came.into()), came);
        }
    }

    /// Everybody who subscribed to the room, at whatever node; none where nobody can say.
    #[cfg_attr(not(feature = "net"), allow(dead_code, reason = "the HTTP API alone asks for it"))]
    pub(crate) async fn present_everywhere(&self, room: &Room) -> Option<Vec<Present>> {
        match self.link.as_ref()?.ask(Act::Members(room.clone())).answer().await {
            Answer::Present { members, .. } => Some(users(&members)),
            _ => None,
        }
    }
}

impl Link {
    fn tell_present(&self, room: &Room, member: Present, came: bool) {
        let letter = Letter::Present { room: room.clone(), member, came };
        self.tell(Hearer::Channel(Channel::Room(room.clone())), &letter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_in_two_roles_is_one_member() {
        let text = |role: &str| Member { user_id: "ann".parse().unwrap(), role: Some(role.parse().unwrap()) }.to_text();
        let present = users(&[(text("agent"), 2), (text("dashboard"), 1), ("nonsense".into(), 1)]);
        assert_eq!(present.len(), 1);
        assert_eq!((present[0].connections, present[0].role.as_ref().unwrap().as_str()), (3, "agent"));
    }
}
