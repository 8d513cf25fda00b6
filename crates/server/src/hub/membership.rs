//! Rooms, as a connection comes into them and goes: by its own wish, where the rules let it, or put there by its
//! endpoint.
//!
//! Coming in and finding out what was missed is one act under the lock, so that nothing is lost or doubled between
//! the two: first `subscribed`, then what was missed, then what is posted from now on.

use std::sync::Arc;

use gateway_domain::{
    Code, ConnectionId, Now, Refusal, Room,
    history::Position,
    rooms::{Joining, Present, Recovery},
    sender::Sender,
};
use serde::Serialize;

use super::{Hub, Letter, Occupant, agents::Online, books::Books, outbox::Class};

#[derive(Serialize)]
pub(super) struct Subscribed<'a> {
    pub(super) room: &'a Room,
    #[serde(flatten)]
    pub(super) position: Option<Position>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) recovered: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) missed: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) presence: Option<Who>,
}

/// Who is here: users, or in the room of all agents the agents that are online.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Who {
    Users(Vec<Present>),
    Agents(Vec<Online>),
}

impl Books {
    /// Whether the rules let a connection into a room, and it is not in too many.
    pub(super) fn may_subscribe(&self, here: &Occupant, room: &Room) -> Result<(), Refusal> {
        if !here.stands(|standing| self.laws.may_join(room, &sender(here, standing))) {
            return Err(not_allowed_in(room));
        }
        let own = self.registry.rooms(here.id);
        let most = self.rooms_per_connection;
        if own.len() >= most && !own.contains(room) {
            return Err(too_many_rooms(most));
        }
        Ok(())
    }
}

impl Hub {
    /// Subscribes a connection, where the rules let it, and tells it so.
    pub fn subscribe(
        self: &Arc<Self>,
        here: &Arc<Occupant>,
        id: Option<&str>,
        room: &Room,
        since: Option<&Position>,
        now: Now,
    ) -> Result<(), Refusal> {
        let mut books = self.books.lock();
        let books = &mut *books;
        books.may_subscribe(here, room)?;
        if books.registry.get(here.id).is_none() {
            // It is on its way out.
            return Ok(());
        }
        let role = here.stands(|standing| standing.role.clone());
        let joining =
            Joining { connection: here.id, user: here.user(), role: role.as_ref(), subscribed: true, since, floor: 0 };
        let joined = books
            .rooms
            .join(room, joining, books.laws.law(room), now.tick)
            .map_err(|full| Refusal::new(Code::LimitExceeded, full.to_string()))?;
        books.registry.note_room(here.id, room);
        let recovered = joined.recovery.as_ref().map(|recovery| matches!(recovery, Recovery::Recovered(_)));
        let missed = match joined.recovery {
            Some(Recovery::Recovered(missed)) => Some(missed),
            Some(Recovery::Lost) => Some(Vec::new()),
            None => None,
        };
        if recovered.is_some() {
            self.metrics.messages.recovered(missed.as_ref().filter(|_| recovered == Some(true)).map(Vec::len));
        }
        let payload = Subscribed {
            room,
            position: joined.position,
            recovered,
            missed: missed.as_ref().map(Vec::len),
            presence: books.online(room, now).map(Who::Agents).or(joined.presence.map(Who::Users)),
        };
        self.say(here, &mut Letter::new(super::notice("subscribed", id, &payload)), Class::Control);
        for text in missed.into_iter().flatten() {
            self.say(here, &mut Letter::new(text), Class::Recovered);
        }
        if let Some(present) = joined.announced {
            self.announce(books, "presence.joined", room, &present);
        }
        Ok(())
    }

    /// Takes a connection out of a room, and tells it so, whether it was there or not.
    pub fn unsubscribe(self: &Arc<Self>, here: &Arc<Occupant>, id: Option<&str>, room: &Room) {
        let mut books = self.books.lock();
        self.take_out(&mut books, here, room);
        if super::delivery::user_of(room).is_some_and(|user| user == *here.user()) {
            books.registry.stop_hearing_user(here.id);
        }
        let payload = serde_json::json!({ "room": room });
        self.say(here, &mut Letter::new(super::notice("unsubscribed", id, &payload)), Class::Control);
    }

    /// Judges again who a connection is, after its token was replaced: it is listed under its new role, and leaves the
    /// rooms that it subscribed to and may be in no more.
    pub fn judge_again(self: &Arc<Self>, here: &Arc<Occupant>) {
        let standing = here.standing();
        let mut books = self.books.lock();
        books.registry.rerole(here.id, standing.role.as_ref());
        self.hears_role(&mut books, here.id, standing.role.as_ref());
        for room in books.registry.rooms(here.id).to_vec() {
            let asked_for = books.rooms.member(&room, here.id).is_some_and(|member| member.subscribed);
            if asked_for && !books.laws.may_join(&room, &sender(here, &standing)) {
                self.take_out(&mut books, here, &room);
                let payload = serde_json::json!({ "room": room, "code": Code::Forbidden });
                self.say(here, &mut Letter::new(super::notice("unsubscribed", None, &payload)), Class::Control);
            }
        }
    }

    /// Puts a connection into the rooms of its endpoint.
    pub(super) fn put_into_rooms(&self, books: &mut Books, here: &Occupant, now: Now) {
        let standing = here.standing();
        for template in &here.endpoint.join {
            let Some(room) = template.room(&sender(here, &standing)) else { continue };
            let joining = Joining {
                connection: here.id,
                user: here.user(),
                role: standing.role.as_ref(),
                subscribed: false,
                since: None,
                floor: 0,
            };
            match books.rooms.join(&room, joining, books.laws.law(&room), now.tick) {
                Ok(_) => books.registry.note_room(here.id, &room),
                Err(full) => {
                    tracing::warn!(%room, connectionId = %here.id, requestId = %here.request_id, %full, "not put into its room")
                }
            }
        }
    }

    fn take_out(&self, books: &mut Books, here: &Occupant, room: &Room) {
        if books.registry.forget_room(here.id, room) {
            self.leave_room(books, here.id, room);
        }
    }

    /// Takes a connection out of a room, and tells the others where that was its user's last one.
    pub(super) fn leave_room(&self, books: &mut Books, id: ConnectionId, room: &Room) {
        let departed = books.rooms.leave(room, id);
        if self.link.is_some() {
            return self.leave_room_abroad(books, id, room, departed.as_ref());
        }
        if let Some(present) = departed.and_then(|departed| departed.announced) {
            self.announce(books, "presence.left", room, &present);
        }
    }
}

/// The refusal of whom the rules of rooms do not let in.
pub fn not_allowed_in(room: &Room) -> Refusal {
    Refusal::new(Code::Forbidden, format!("the rules of rooms do not let you into `{room}`"))
}

/// The refusal of who is in so many rooms already.
pub fn too_many_rooms(most: usize) -> Refusal {
    Refusal::new(Code::LimitExceeded, format!("a connection is in {most} rooms at most: unsubscribe from one"))
}

/// A connection as routes and rules see it.
pub fn sender<'a>(here: &'a Occupant, standing: &'a super::Standing) -> Sender<'a> {
    Sender {
        principal: &standing.principal,
        connection: here.id,
        role: standing.role.as_ref(),
        plan: &standing.plan.name,
        endpoint: &here.endpoint.path,
    }
}
