//! `subscribe` and `unsubscribe`.

use gateway_domain::{Now, Room, envelope::Message, history::Position};

use super::{Connection, line::Line};
use crate::intent::Subscription;

impl<L: Line> Connection<L> {
    pub(super) fn on_subscribe(&self, message: &Message<'_>, now: Now) {
        let id = message.id.as_deref();
        match Subscription::read(message) {
            Ok(wish) => self.subscribe(id, &wish.room, wish.since.as_ref(), now),
            Err(fault) => self.not_understood(id, &fault, now),
        }
    }

    pub(super) fn on_unsubscribe(&self, message: &Message<'_>, now: Now) {
        let id = message.id.as_deref();
        match Subscription::read(message) {
            Ok(wish) => self.house.hub.unsubscribe(&self.occupant, id, &wish.room),
            Err(fault) => self.not_understood(id, &fault, now),
        }
    }

    pub(super) fn subscribe(&self, id: Option<&str>, room: &Room, since: Option<&Position>, now: Now) {
        let refused = self.house.hub.subscribe(&self.occupant, id, room, since, now).err();
        if let Some(refusal) = refused {
            self.refuse(id, &refusal, now);
        }
    }
}
