//! The words of an endpoint whose clients speak another language than the gateway: its names for the gateway's own
//! types, and for `id`, `payload` and `replyTo`.
//!
//! Everything inside speaks the native language. What comes in is read by [`Vocabulary::read`], what goes out is
//! written by [`Vocabulary::write`], and both touch names only: payloads and members of a client's own stay as they are.
//! Whatever a client sends elsewhere, nobody here takes it for a word of the gateway's.
//!
//! A namespace of Socket.IO has a language of its own form, too: its packets (`socketio`).

mod socketio;
mod spec;

use std::borrow::Cow;

use crate::{
    envelope::{MOST_ID_BYTES, Member, Message, MessageFault, is_reserved_type, lone_text, members, string},
    relay::Object,
};

use self::socketio::Packets;
pub use self::spec::{VocabularyFault, VocabularySpec};

/// The words of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Vocabulary {
    /// (outer, inner): the types that are called otherwise here.
    types: Vec<(Box<str>, &'static str)>,
    id: Box<str>,
    payload: Box<str>,
    reply_to: Box<str>,
    native: bool,
    packets: Option<Packets>,
}

impl Default for Vocabulary {
    fn default() -> Self {
        Self::native()
    }
}

impl Vocabulary {
    /// The gateway's own language.
    pub fn native() -> Self {
        Self {
            types: Vec::new(),
            id: "id".into(),
            payload: "payload".into(),
            reply_to: "replyTo".into(),
            native: true,
            packets: None,
        }
    }

    /// The language of a namespace of Socket.IO: what is read is `ACK["type",payload]`, what is written a whole packet,
    /// as the message of Engine.IO that carries it.
    pub fn socketio(namespace: &str) -> Self {
        Self { packets: Some(Packets::of(namespace)), native: false, ..Self::native() }
    }

    /// Checks the words of an endpoint; all faults at once.
    pub fn compile(spec: &VocabularySpec) -> Result<Self, Vec<VocabularyFault>> {
        spec::compile(spec)
    }

    /// Whether nothing is called otherwise here, so that texts come and go as they are.
    pub fn is_native(&self) -> bool {
        self.native
    }

    /// Reads what a client of this endpoint sent.
    pub fn read<'a>(&self, text: &'a str) -> Result<Message<'a>, MessageFault> {
        if self.native {
            return Message::parse(text);
        }
        if self.packets.is_some() {
            return socketio::read(text);
        }
        let mut members = members(text)?;
        let inner = kind(&members).and_then(|outer| self.inner_type(&outer));
        let answers = kind(&members).is_some_and(|outer| is_answer(inner.unwrap_or(&outer)));
        members.retain_mut(|(name, _)| {
            if let Some(inner) = self.inner_name(name, answers) {
                *name = Cow::Borrowed(inner);
                return true;
            }
            !self.is_called_otherwise(name)
        });
        let mut message = Message::from_members(members).map_err(|fault| match fault {
            MessageFault::Id => MessageFault::Form(format!("`{}` is a string of 1 to 128 bytes", self.id)),
            other => other,
        })?;
        if let Some(inner) = inner {
            message.kind = Cow::Borrowed(inner);
        }
        Ok(message)
    }

    /// The id of a text that is no message, where it has one: the error that is told of it bears it.
    pub fn id_in<'a>(&self, text: &'a str) -> Option<Cow<'a, str>> {
        if self.packets.is_some() {
            return socketio::id_in(text).map(Cow::Borrowed);
        }
        lone_text(text, &self.id).filter(|id| (1..=MOST_ID_BYTES).contains(&id.len()))
    }

    /// Writes a text of the gateway's for the clients of this endpoint. None: it is withheld from them, because a client
    /// gave it a type that means something of the gateway's here.
    pub fn write(&self, native: &str) -> Option<String> {
        self.written(native, false)
    }

    /// Writes a reply to whoever asked; one that kept its own type is never withheld.
    pub fn write_reply(&self, native: &str) -> Option<String> {
        self.written(native, true)
    }

    fn written(&self, native: &str, is_reply: bool) -> Option<String> {
        if self.native {
            return Some(native.to_owned());
        }
        let members = members(native).ok()?;
        if let Some(packets) = &self.packets {
            return packets.write(&members, is_reply);
        }
        let inner = kind(&members)?;
        let routed = members.iter().any(|(name, _)| name == "from") && !is_reserved_type(&inner);
        if routed && !is_reply && self.inner_type(&inner).is_some() {
            return None;
        }
        let answers = is_reply || is_answer(&inner);
        let mut text = Object::with_capacity(native.len() + 64);
        for (name, value) in &members {
            match self.outer_name(name, answers) {
                Some("type") => text.text("type", self.outer_type(&inner)),
                Some(name) => text.member(name, value.get()),
                None => {}
            }
        }
        Some(text.finish())
    }

    /// What a type means here, where it is this endpoint's name of one of the gateway's. The gateway's own names mean
    /// themselves here, too.
    fn inner_type(&self, outer: &str) -> Option<&'static str> {
        self.types.iter().find(|(name, _)| **name == *outer).map(|(_, inner)| *inner)
    }

    fn outer_type<'v>(&'v self, inner: &'v str) -> &'v str {
        self.types.iter().find(|(_, name)| *name == inner).map_or(inner, |(outer, _)| outer)
    }

    /// Which member of the native protocol one of that name is. `replyTo` is one in replies and cancels only, and there
    /// before `id`, which may have the same name.
    fn inner_name(&self, outer: &str, answers: bool) -> Option<&'static str> {
        match outer {
            _ if answers && *outer == *self.reply_to => Some("replyTo"),
            _ if *outer == *self.id => Some("id"),
            _ if *outer == *self.payload => Some("payload"),
            _ => None,
        }
    }

    /// Under which name a member goes out, if at all: one that would be read as something else stays behind.
    fn outer_name<'v>(&'v self, inner: &'v str, answers: bool) -> Option<&'v str> {
        match inner {
            "id" if answers && self.id == self.reply_to => None,
            "id" => Some(&self.id),
            "payload" => Some(&self.payload),
            "replyTo" if answers => Some(&self.reply_to),
            own if self.inner_name(own, answers).is_some() || self.is_called_otherwise(own) => None,
            own => Some(own),
        }
    }

    /// Whether that is the native name of something that has another name here.
    fn is_called_otherwise(&self, name: &str) -> bool {
        match name {
            "id" => *self.id != *name,
            "payload" => *self.payload != *name,
            "replyTo" => *self.reply_to != *name,
            _ => false,
        }
    }
}

/// The type among the members, where it is a text.
fn kind<'a>(members: &[Member<'a>]) -> Option<Cow<'a, str>> {
    members.iter().find(|(name, _)| name == "type").and_then(|(_, value)| string(value))
}

/// Whether messages of that type answer to another, and so have `replyTo`.
fn is_answer(kind: &str) -> bool {
    matches!(kind, "reply" | "cancel")
}

#[cfg(test)]
mod tests;
