//! The language of a Socket.IO namespace. A client emits a type and at most one argument, the payload; what it is told
//! arrives as an event of that name with one argument, and the answer to what it emitted with a callback goes into that
//! callback, once.
//!
//! The number of the callback is the id of the message, so an answer is known by its id: no other text of the gateway's
//! own bears one. An event of a backend arrives whole, with its four members and never with a room or an offset; what
//! another client said arrives whole, since it says who did; of what the gateway itself says, the payload.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    envelope::{MOST_ID_BYTES, Member, Message, MessageFault, members, string},
    relay::Object,
};

/// What a client of Socket.IO takes for a word of its own library's.
const RESERVED: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// How the packets of a namespace begin.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Packets {
    connect: Box<str>,
    event: Box<str>,
    ack: Box<str>,
}

impl Packets {
    pub(super) fn of(namespace: &str) -> Self {
        let head = |kind: &str| match namespace {
            "/" => kind.into(),
            _ => format!("{kind}{namespace},").into(),
        };
        Self { connect: head("40"), event: head("42"), ack: head("43") }
    }

    /// The packet for a text of the gateway's; nothing where clients of Socket.IO are not told of it.
    pub(super) fn write(&self, native: &[Member<'_>], is_reply: bool) -> Option<String> {
        let said = Said::of(native)?;
        if said.by_gateway && said.kind == "connection_ready" {
            return self.admission(said.payload?);
        }
        if let Some(id) = said.answered(is_reply) {
            return Some(self.answer(id.as_ref(), &said));
        }
        let is_heartbeat = said.by_gateway && matches!(&*said.kind, "ping" | "pong");
        if is_heartbeat || RESERVED.contains(&&*said.kind) {
            return None;
        }
        let argument = said.argument();
        let rest = argument.as_deref().unwrap_or_default();
        let mut packet = String::with_capacity(self.event.len() + said.name.len() + rest.len() + 3);
        packet.extend([&*self.event, "[", said.name]);
        if argument.is_some() {
            packet.extend([",", rest]);
        }
        packet.push(']');
        Some(packet)
    }

    /// The first that a client hears: it is in, and what its connection is called.
    fn admission(&self, greeting: &RawValue) -> Option<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Greeting<'a> {
            connection_id: Cow<'a, str>,
        }
        let greeting: Greeting<'_> = serde_json::from_str(greeting.get()).ok()?;
        let mut sid = Object::with_capacity(48);
        sid.text("sid", &greeting.connection_id);
        Some(format!("{}{}", self.connect, sid.finish()))
    }

    fn answer(&self, id: &str, said: &Said<'_>) -> String {
        let payload = said.payload.map(RawValue::get);
        let mut answer = Object::with_capacity(payload.map_or(0, str::len) + 32);
        let is_error = said.by_gateway && said.kind == "error";
        answer.json("ok", if is_error { "false" } else { "true" });
        if let Some(payload) = payload {
            answer.json(if is_error { "error" } else { "payload" }, payload);
        }
        format!("{}{id}[{}]", self.ack, answer.finish())
    }
}

/// A text of the gateway's, looked at.
struct Said<'a> {
    members: &'a [Member<'a>],
    kind: Cow<'a, str>,
    /// The type as it is written.
    name: &'a str,
    payload: Option<&'a RawValue>,
    by_gateway: bool,
}

impl<'a> Said<'a> {
    fn of(members: &'a [Member<'a>]) -> Option<Self> {
        let name = member(members, "type")?;
        Some(Self {
            members,
            kind: string(name)?,
            name: name.get(),
            payload: member(members, "payload"),
            // Whoever else says something is named by the gateway.
            by_gateway: member(members, "from").is_none() && member(members, "eventId").is_none(),
        })
    }

    /// The number of the callback that it goes into.
    fn answered(&self, is_reply: bool) -> Option<Cow<'a, str>> {
        let is_last = member(self.members, "more").is_none();
        let id = match &*self.kind {
            _ if is_reply => member(self.members, "replyTo").filter(|_| is_last),
            "reply" if self.by_gateway => member(self.members, "replyTo"),
            _ if self.by_gateway => member(self.members, "id"),
            _ => None,
        };
        id.and_then(string).filter(|id| is_number(id))
    }

    /// What its event has: the payload of what the gateway says, all of what anybody else says.
    fn argument(&self) -> Option<Cow<'a, str>> {
        let own = |name: &str| !matches!(name, "type" | "id" | "payload");
        if self.by_gateway && !self.members.iter().any(|(name, _)| own(name)) {
            return self.payload.map(|payload| Cow::Borrowed(payload.get()));
        }
        let size = self.members.iter().map(|(name, value)| name.len() + value.get().len() + 4).sum::<usize>();
        let mut whole = Object::with_capacity(size + 2);
        for (name, value) in self.members.iter().filter(|(name, _)| !matches!(&**name, "room" | "offset")) {
            whole.member(name, value.get());
        }
        Some(Cow::Owned(whole.finish()))
    }
}

fn member<'a>(members: &'a [Member<'a>], name: &str) -> Option<&'a RawValue> {
    members.iter().find(|(own, _)| own == name).map(|(_, value)| *value)
}

/// Reads what a client emitted: the number of its callback, where it has one, and the list of name and payload.
pub(super) fn read(text: &str) -> Result<Message<'_>, MessageFault> {
    let (number, list) = split(text);
    let Emitted { name, payload, surplus } = serde_json::from_str(list)
        .map_err(|fault| MessageFault::Form(format!("not a list of a type and a payload: {fault}")))?;
    let kind = name.and_then(string).filter(|kind| !kind.is_empty()).ok_or(MessageFault::NoType)?;
    if surplus {
        let why = "an event has one argument at most: put everything into one object";
        return Err(MessageFault::Form(why.into()));
    }
    let id = Some(number).filter(|number| !number.is_empty()).map(Cow::Borrowed);
    let ack = id.is_some();
    if let ("reply" | "cancel", Some(payload)) = (&*kind, payload) {
        // These say more than a payload: what they answer.
        let mut members = members(payload.get())?;
        members.retain(|(own, _)| !matches!(&**own, "type" | "id" | "ack"));
        members.extend(name.map(|name| (Cow::Borrowed("type"), name)));
        return Ok(Message { id, ..Message::from_members(members)? });
    }
    Ok(Message { kind, id, payload, ack, others: Vec::new() })
}

/// The number of the callback of what could not be read.
pub(super) fn id_in(text: &str) -> Option<&str> {
    Some(split(text).0).filter(|number| is_number(number))
}

fn split(text: &str) -> (&str, &str) {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at(end)
}

fn is_number(id: &str) -> bool {
    (1..=MOST_ID_BYTES).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit())
}

/// The list of an event.
struct Emitted<'a> {
    name: Option<&'a RawValue>,
    payload: Option<&'a RawValue>,
    surplus: bool,
}

impl<'de> Deserialize<'de> for Emitted<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Emitted<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Emitted<'de>, A::Error> {
                let (name, payload) = (list.next_element()?, list.next_element()?);
                let mut surplus = false;
                while list.next_element::<IgnoredAny>()?.is_some() {
                    surplus = true;
                }
                Ok(Emitted { name, payload, surplus })
            }
        }
        deserializer.deserialize_seq(Reader)
    }
}

#[cfg(test)]
mod tests;
