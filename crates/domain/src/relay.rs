//! The texts that go from one client to another, written in one place.
//!
//! What a client said is passed on byte for byte: its payload and the members of its own. What the gateway adds, `from`,
//! `requestId`, `room` and `offset`, stands behind them and is the gateway's alone: a [`Message`] never holds a member
//! of such a name, whatever was sent, so every member is there once and nobody can forge one.

mod object;

use crate::{
    envelope::Message,
    name::{AgentId, ConnectionId, RequestId, Role, Room, UserId},
};

pub(crate) use self::object::Object;

/// Punctuation and the names of all that the gateway may put into a text, and a UUID.
const FRAME_BYTES: usize = 160;

/// Who said something, as receivers are told.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The connection that it came from.
    pub connection_id: ConnectionId,
    /// Whose that is.
    pub user_id: &'a UserId,
    /// The agent, where one said it.
    pub agent_id: Option<&'a AgentId>,
    /// The role that it was admitted with.
    pub role: Option<&'a Role>,
}

impl Origin<'_> {
    /// The value of `from`. It never changes while a connection lives: make it once.
    pub fn to_json(&self) -> String {
        let mut from = Object::with_capacity(FRAME_BYTES);
        from.uuid("connectionId", self.connection_id.uuid());
        from.text("userId", self.user_id.as_str());
        if let Some(agent) = self.agent_id {
            from.text("agentId", agent.as_str());
        }
        if let Some(role) = self.role {
            from.text("role", role.as_str());
        }
        from.finish()
    }
}

/// A message on its way to its receivers.
#[derive(Clone, Copy, Debug)]
pub struct Relay<'a> {
    /// What was said.
    pub message: &'a Message<'a>,
    /// The type that receivers see: the message's own, or the one that its route gives it.
    pub kind: &'a str,
    /// Who said it: [`Origin::to_json`].
    pub from: &'a str,
    /// What a receiver quotes in its reply, where one is awaited.
    pub request_id: Option<RequestId>,
}

impl Relay<'_> {
    /// The text that receivers get. That the sender wanted an `ack` is its own business.
    pub fn to_text(&self) -> String {
        let id = self.message.id.as_deref();
        let mut text = Object::with_capacity(size(self.message, self.kind, id, self.from));
        text.text("type", self.kind);
        if let Some(id) = id {
            text.text("id", id);
        }
        if let Some(payload) = self.message.payload {
            text.json("payload", payload.get());
        }
        for (name, value) in &self.message.others {
            text.member(name, value.get());
        }
        text.json("from", self.from);
        if let Some(request) = self.request_id {
            text.uuid("requestId", request.uuid());
        }
        text.finish()
    }
}

/// A reply on its way to whoever asked.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// What was answered. Its `id` and what it says of `replyTo` and `more` were meant for the gateway.
    pub message: &'a Message<'a>,
    /// `reply`, or the reply's own type where its route lists that as an answer.
    pub kind: &'a str,
    /// The asker's own id of the request, where it gave one.
    pub reply_to: Option<&'a str>,
    /// The request.
    pub request_id: RequestId,
    /// Whether further replies are to come.
    pub more: bool,
    /// Who answers: [`Origin::to_json`].
    pub from: &'a str,
}

impl Reply<'_> {
    /// The text that the asker gets.
    pub fn to_text(&self) -> String {
        let mut text = Object::with_capacity(size(self.message, self.kind, self.reply_to, self.from));
        text.text("type", self.kind);
        if let Some(id) = self.reply_to {
            text.text("replyTo", id);
        }
        text.uuid("requestId", self.request_id.uuid());
        if self.more {
            text.json("more", "true");
        }
        text.json("from", self.from);
        if let Some(payload) = self.message.payload {
            text.json("payload", payload.get());
        }
        for (name, value) in self.message.others.iter().filter(|(name, _)| name != "replyTo" && name != "more") {
            text.member(name, value.get());
        }
        text.finish()
    }
}

/// The word to a receiver that its answer is no longer wanted.
#[derive(Clone, Copy, Debug)]
pub struct Cancel<'a> {
    /// The request.
    pub request_id: RequestId,
    /// JSON that has only the correlation, for receivers that go by one.
    pub payload: Option<&'a str>,
}

impl Cancel<'_> {
    /// The text that the receiver gets.
    pub fn to_text(&self) -> String {
        let mut text = Object::with_capacity(FRAME_BYTES + self.payload.map_or(0, str::len));
        text.text("type", "cancel");
        text.uuid("requestId", self.request_id.uuid());
        if let Some(payload) = self.payload {
            text.json("payload", payload);
        }
        text.finish()
    }
}

/// A text as those get it who subscribed to a room with a history: with the room, and its place there.
///
/// `native` is an object as the gateway writes it, not yet placed in a room.
pub fn in_room(native: &str, room: &Room, offset: u64) -> String {
    let mut place = Object::with_capacity(FRAME_BYTES + room.as_str().len());
    place.text("room", room.as_str());
    place.json("offset", &offset.to_string());
    let place = place.finish();
    let (Some(object), Some(place)) = (native.trim_end().strip_suffix('}'), place.strip_prefix('{')) else {
        return native.to_owned();
    };
    let mut text = String::with_capacity(object.len() + 1 + place.len());
    text.push_str(object);
    // An object without members has no comma.
    if !object.trim_end().ends_with('{') {
        text.push(',');
    }
    text.push_str(place);
    text
}

fn size(message: &Message<'_>, kind: &str, id: Option<&str>, from: &str) -> usize {
    let own: usize = message.others.iter().map(|(name, value)| name.len() + value.get().len() + 4).sum();
    let payload = message.payload.map_or(0, |payload| payload.get().len());
    FRAME_BYTES + kind.len() + id.map_or(0, str::len) + payload + own + from.len()
}

#[cfg(test)]
mod tests;
