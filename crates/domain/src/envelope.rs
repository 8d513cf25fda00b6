//! What clients and the gateway say to each other: one JSON object a message, its payload relayed byte for byte.
//!
//! A message is read once. Members that only the gateway may set are dropped, members of the client's own are
//! kept as they are, and a member that comes twice, however it is escaped, makes the message invalid: two readers
//! of one message must never see two things.

mod members;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::trace::{TRACEPARENT, Trace};

pub(crate) use self::members::{Member, lone_text, members, string};

/// The most members a message may have.
pub const MOST_MEMBERS: usize = 64;
pub(crate) const MOST_ID_BYTES: usize = 128;

/// A message of a client.
#[derive(Debug)]
pub struct Message<'a> {
    /// What it is.
    pub kind: Cow<'a, str>,
    /// The client's own id of it.
    pub id: Option<Cow<'a, str>>,
    /// What it says, as it was written.
    pub payload: Option<&'a RawValue>,
    /// Whether the client wants to know into how many outboxes it was put.
    pub ack: bool,
    /// The members of the client's own, as they were written.
    pub others: Vec<(Cow<'a, str>, &'a RawValue)>,
}

/// Why a text is no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageFault {
    /// Not a JSON object, or one of the members that the gateway reads has another form.
    #[error("{0}")]
    Form(String),
    /// A member that comes twice.
    #[error("the member `{0}` comes twice")]
    Repeated(String),
    /// No type.
    #[error("a message needs a `type`: a string that is not empty")]
    NoType,
    /// An id that is empty or too long.
    #[error("`id` is a string of 1 to 128 bytes")]
    Id,
    /// More members than a message may have.
    #[error("a message has at most {MOST_MEMBERS} members")]
    TooManyMembers,
}

/// Members that only the gateway sets; what a client sends under these names is dropped.
pub const RESERVED_MEMBERS: [&str; 5] = ["from", "requestId", "eventId", "room", "offset"];

/// The types that the gateway itself says or hears. Everything else below `auth.` and `presence.` is kept for it, too.
pub const GATEWAY_TYPES: [&str; 18] = [
    "connection_ready",
    "ping",
    "pong",
    "ack",
    "reply",
    "cancel",
    "error",
    "subscribe",
    "subscribed",
    "unsubscribe",
    "unsubscribed",
    "agent.online",
    "agent.offline",
    "auth.refresh",
    "auth.refreshed",
    "auth.expiring",
    "presence.joined",
    "presence.left",
];

/// Whether a type is the gateway's own, so that it is never routed.
pub fn is_reserved_type(kind: &str) -> bool {
    kind.starts_with("auth.") || kind.starts_with("presence.") || GATEWAY_TYPES.contains(&kind)
}

impl<'a> Message<'a> {
    /// Reads a message.
    pub fn parse(text: &'a str) -> Result<Self, MessageFault> {
        Self::from_members(members(text)?)
    }

    /// What members say that have the names of the native protocol, each once.
    pub(crate) fn from_members(mut members: Vec<Member<'a>>) -> Result<Self, MessageFault> {
        let (mut kind, mut id, mut payload, mut ack, mut fault) = (None, None, None, false, None);
        // In place: what remains are the client's own.
        members.retain(|(name, value)| {
            let read = match &**name {
                "type" => string(value).map(|text| kind = Some(text)).ok_or(MessageFault::NoType),
                "id" => string(value)
                    .filter(|id| (1..=MOST_ID_BYTES).contains(&id.len()))
                    .map(|text| id = Some(text))
                    .ok_or(MessageFault::Id),
                "payload" => {
                    payload = Some(*value);
                    Ok(())
                }
                "ack" => boolean("ack", value).map(|wanted| ack = wanted),
                other => return !RESERVED_MEMBERS.contains(&other),
            };
            fault = fault.take().or(read.err());
            false
        });
        if let Some(fault) = fault {
            return Err(fault);
        }
        let kind = kind.filter(|kind| !kind.is_empty()).ok_or(MessageFault::NoType)?;
        Ok(Self { kind, id, payload, ack, others: members })
    }

    /// One of the members of the client's own.
    pub fn own(&self, name: &str) -> Option<&'a RawValue> {
        self.others.iter().find(|(own, _)| own == name).map(|(_, value)| *value)
    }

    /// The id of what it answers, or calls off: the member `replyTo`, where that is a string.
    pub fn reply_to(&self) -> Option<Cow<'a, str>> {
        self.own("replyTo").and_then(string)
    }

    /// The trace that it belongs to: the member `traceparent`, where that is one.
    pub fn trace(&self) -> Option<Trace> {
        self.own(TRACEPARENT).and_then(string)?.parse().ok()
    }

    /// Whether a reply is not the last one: the member `more`.
    pub fn more(&self) -> Result<bool, MessageFault> {
        self.own("more").map_or(Ok(false), |value| boolean("more", value))
    }

    /// The payload read as `T`; a payload that is not there reads as null.
    pub fn payload_as<T: Deserialize<'a>>(&self) -> Result<T, MessageFault> {
        serde_json::from_str(self.payload.map_or("null", RawValue::get))
            .map_err(|fault| MessageFault::Form(format!("the payload of `{}`: {fault}", self.kind)))
    }
}

fn boolean(name: &str, value: &RawValue) -> Result<bool, MessageFault> {
    match value.get() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(MessageFault::Form(format!("`{name}` is true or false"))),
    }
}

/// A message of the gateway itself. What the gateway says never has `from`.
#[derive(Debug, Serialize)]
pub struct Notice<'a, P> {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// The id of the message that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    /// What it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<P>,
}

impl<P: Serialize> Notice<'_, P> {
    /// The text on the wire.
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

#[cfg(test)]
mod tests;
