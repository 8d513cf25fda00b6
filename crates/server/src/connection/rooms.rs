//! `subscribe` and `unsubscribe`.

use std::sync::Arc;

use gateway_domain::{Now, Room, envelope::Message, history::Position};

use super::{Connection, line::Line, routing::Errand};
use crate::intent::Subscription;

impl<L: Line> Connection<L> {
    pub(super) fn on_subscribe(&mut self, message: &Message<'_>, now: Now) {
        let id = message.id.as_deref();
        match Subscription::read(message) {
            Ok(wish) => self.subscribe(&[(id, wish.room)], wish.since.as_ref(), now),
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

    /// Subscribes to rooms, each under the id of what asked for it.
    pub(super) fn subscribe(&mut self, rooms: &[(Option<&str>, Room)], since: Option<&Position>, now: Now) {
        if self.house.hub.link().is_some() {
            return self.subscribe_abroad(rooms, since);
        }
        for (id, room) in rooms {
            let refused = self.house.hub.subscribe(&self.occupant, *id, room, since, now).err();
            if let Some(refusal) = refused {
                self.refuse(*id, &refusal, now);
            }
        }
    }

    /// Rooms of all nodes are asked for first.
    fn subscribe_abroad(&mut self, rooms: &[(Option<&str>, Room)], since: Option<&Position>) {
        let (hub, here) = (Arc::clone(&self.house.hub), Arc::clone(&self.occupant));
        let wanted = |(id, room): &(Option<&str>, Room)| (id.map(Box::<str>::from), room.clone());
        let (rooms, since): (Vec<_>, _) = (rooms.iter().map(wanted).collect(), since.cloned());
        self.runs(async move {
            let mut refused = Vec::new();
            for (id, room) in rooms {
                let subscribing = Arc::clone(&hub).subscribe_abroad(Arc::clone(&here), id.clone(), room, since.clone());
                if let Err(refusal) = subscribing.await {
                    refused.push((id, refusal));
                }
            }
            Errand::Rooms(refused)
        });
    }
}
