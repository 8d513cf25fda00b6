//! The JSON of a packet: no deeper and no wider than allowed, of the kind that the packet demands, and otherwise left
//! as it was written.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    Ack, Body, Credentials, Event, Fault, Json, PacketLimits,
    head::{Head, Kind},
    placeholders,
};

/// Names that a client's own machinery says to itself; whoever sends one wants to be taken for it.
const RESERVED: &[&str] = &["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// Reads the body that the kind of a packet demands.
pub(super) fn read<'a>(head: &Head<'a>, limits: &PacketLimits) -> Result<Body<'a>, Fault> {
    is_shallow(head.rest, limits.depth)?;
    match head.kind {
        Kind::Connect => no_ack(head).and_then(|()| credentials(head.rest)).map(Body::Connect),
        Kind::Disconnect if head.rest.is_empty() => no_ack(head).map(|()| Body::Disconnect),
        Kind::Disconnect => Err(Fault::Body),
        Kind::ConnectError => {
            no_ack(head).and_then(|()| reason(head.rest)).map(|json| Body::ConnectError(Cow::Borrowed(json)))
        }
        Kind::Event | Kind::BinaryEvent => {
            let list = arguments(head, limits.arguments.saturating_add(1), limits)?;
            let mut list = list.into_iter();
            let name = name(list.next().ok_or(Fault::NoName)?, limits)?;
            let arguments = list.map(Json::Borrowed).collect();
            Ok(Body::Event(Event { ack: head.ack, name, arguments, attachments: Vec::new() }))
        }
        Kind::Ack | Kind::BinaryAck => {
            let id = head.ack.ok_or(Fault::StrayAckId)?;
            let arguments = arguments(head, limits.arguments, limits)?.into_iter().map(Json::Borrowed).collect();
            Ok(Body::Ack(Ack { id, arguments, attachments: Vec::new() }))
        }
    }
}

fn no_ack(head: &Head<'_>) -> Result<(), Fault> {
    if head.ack.is_some() { Err(Fault::StrayAckId) } else { Ok(()) }
}

fn credentials(text: &str) -> Result<Credentials<'_>, Fault> {
    if text.is_empty() {
        return Ok(Credentials(None));
    }
    let json = json(text)?;
    if json.get().starts_with('{') { Ok(Credentials(Some(Cow::Borrowed(json)))) } else { Err(Fault::Body) }
}

fn reason(text: &str) -> Result<&RawValue, Fault> {
    json(text).and_then(|json| if json.get().starts_with(['{', '"']) { Ok(json) } else { Err(Fault::Body) })
}

fn json(text: &str) -> Result<&RawValue, Fault> {
    serde_json::from_str(text).map_err(|_| Fault::Body)
}

fn name<'a>(json: &'a RawValue, limits: &PacketLimits) -> Result<Cow<'a, str>, Fault> {
    let name = text(json).ok_or(Fault::NoName)?;
    if name.len() > limits.name {
        Err(Fault::LongName(limits.name))
    } else if RESERVED.contains(&&*name) {
        Err(Fault::ReservedName)
    } else {
        Ok(name)
    }
}

/// A text, borrowed where nothing in it is escaped.
fn text(json: &RawValue) -> Option<Cow<'_, str>> {
    let inside = json.get().strip_prefix('"')?.strip_suffix('"')?;
    if inside.contains('\\') {
        serde_json::from_str(json.get()).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inside))
    }
}

/// The list of a packet, and that the places in it fit its attachments.
fn arguments<'a>(head: &Head<'a>, most: usize, limits: &PacketLimits) -> Result<Vec<&'a RawValue>, Fault> {
    let mut list = Vec::new();
    let mut surplus = false;
    let mut deserializer = serde_json::Deserializer::from_str(head.rest);
    let read = (&mut deserializer).deserialize_seq(Arguments { list: &mut list, most, surplus: &mut surplus });
    read.and_then(|()| deserializer.end()).map_err(|_| Fault::Body)?;
    if surplus {
        return Err(Fault::TooManyArguments(limits.arguments));
    }
    if head.attachments > 0 {
        placeholders::check(&list, head.attachments)?;
    }
    Ok(list)
}

struct Arguments<'v, 'a> {
    list: &'v mut Vec<&'a RawValue>,
    most: usize,
    surplus: &'v mut bool,
}

impl<'de> Visitor<'de> for Arguments<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        while let Some(argument) = sequence.next_element()? {
            // The rest is still read, so that what is no JSON is called that.
            if self.list.len() < self.most {
                self.list.push(argument);
            } else {
                *self.surplus = true;
            }
        }
        Ok(())
    }
}

/// The member `token` of an object.
pub(super) fn token(json: &RawValue) -> Result<Option<Box<str>>, &'static str> {
    let Tokens { first, several } = serde_json::from_str(json.get()).map_err(|_| "the token in `auth` is no text")?;
    if several { Err("there are several tokens in `auth`") } else { Ok(first) }
}

struct Tokens {
    first: Option<Box<str>>,
    several: bool,
}

impl<'de> Deserialize<'de> for Tokens {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Tokens;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Tokens, M::Error> {
                #[derive(Deserialize)]
                struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
                let (mut tokens, mut seen) = (Tokens { first: None, several: false }, false);
                while let Some(Name(name)) = map.next_key::<Name<'de>>()? {
                    if name == "token" {
                        tokens.first = map.next_value()?;
                        tokens.several |= std::mem::replace(&mut seen, true);
                    } else {
                        map.next_value::<&RawValue>()?;
                    }
                }
                Ok(tokens)
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// Looks at brackets only, outside of texts. Whether it is JSON at all is seen later, by readers that may then recurse.
fn is_shallow(text: &str, most: usize) -> Result<(), Fault> {
    let (mut depth, mut in_text, mut is_escaped) = (0usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                if depth > most {
                    return Err(Fault::TooDeep(most));
                }
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}
