//! Engine.IO, version 4: the packets below Socket.IO, as text and bytes. Nothing here holds a session, waits or sends.
//!
//! A WebSocket carries one packet a message: text is read by [`Packet::parse`], binary is [`Packet::Binary`] as it
//! stands. Long polling carries a [`Payload`] of several in one body. What a server says is written by
//! [`Packet::write`], several at once by [`PayloadWriter`], and the first of all by [`Opening`].

mod opening;
mod payload;

use std::{borrow::Cow, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use gateway_domain::{Code, Refusal};

pub use self::{
    opening::Opening,
    payload::{Packets, Payload, PayloadLimits, PayloadWriter},
};

/// What a ping says that tries out a new transport, and the pong to it.
const PROBE: &str = "probe";

/// One packet. Texts are borrowed from what came in; so are bytes, except those that came as base64.
#[derive(Clone, PartialEq, Eq)]
pub enum Packet<'a> {
    /// `0`: the first word of a server; JSON.
    Open(&'a str),
    /// `1`: the session, or the transport that carries this, is to end.
    Close,
    /// `2`: are you there?
    Ping {
        /// Whether it tries out a new transport.
        probe: bool,
    },
    /// `3`: I am.
    Pong {
        /// Whether it answers a probe.
        probe: bool,
    },
    /// `4`: text for whoever is above: a packet of Socket.IO.
    Message(&'a str),
    /// Bytes for whoever is above: an attachment of Socket.IO.
    Binary(Cow<'a, [u8]>),
    /// `5`: from here on, everything goes over this transport.
    Upgrade,
    /// `6`: nothing; it ends a poll.
    Noop,
}

/// What is wrong with a packet or a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not a byte where a packet should be.
    #[error("an Engine.IO packet is empty")]
    Empty,
    /// It begins with something that no packet begins with.
    #[error("no Engine.IO packet begins like that")]
    UnknownKind,
    /// A packet says more than its kind can say.
    #[error("an Engine.IO packet of this kind carries nothing more")]
    Surplus,
    /// Bytes that are not in the one form of base64: the standard alphabet, padded.
    #[error("a binary packet is not base64")]
    Base64,
    /// A payload is not UTF-8.
    #[error("the payload is not UTF-8")]
    Utf8,
    /// A payload has more bytes than it may.
    #[error("the payload has more than {0} bytes")]
    TooLong(usize),
    /// A payload has more packets than it may.
    #[error("the payload has more than {0} packets")]
    TooMany(usize),
}

impl Fault {
    /// What the peer is told, and what the audit says.
    pub fn refusal(self) -> Refusal {
        let code = match self {
            Self::Utf8 => Code::InvalidUtf8,
            Self::TooLong(_) => Code::MessageTooBig,
            Self::Empty | Self::UnknownKind | Self::Surplus | Self::Base64 | Self::TooMany(_) => Code::ProtocolError,
        };
        Refusal::new(code, self.to_string())
    }
}

impl<'a> Packet<'a> {
    /// Reads a text message of a WebSocket: one packet. Bytes in base64 are refused here: a WebSocket has binary
    /// messages.
    pub fn parse(text: &'a str) -> Result<Self, Fault> {
        let mut rest = text.chars();
        let kind = rest.next().ok_or(Fault::Empty)?;
        let rest = rest.as_str();
        match kind {
            '0' => Ok(Self::Open(rest)),
            '1' => bare(Self::Close, rest),
            '2' => is_probe(rest).map(|probe| Self::Ping { probe }),
            '3' => is_probe(rest).map(|probe| Self::Pong { probe }),
            '4' => Ok(Self::Message(rest)),
            '5' => bare(Self::Upgrade, rest),
            '6' => bare(Self::Noop, rest),
            _ => Err(Fault::UnknownKind),
        }
    }

    /// Reads a packet out of a payload, where bytes are written in base64 behind a `b`.
    fn parse_polled(text: &'a str) -> Result<Self, Fault> {
        match text.strip_prefix('b') {
            Some(base64) => BASE64.decode(base64).map(|bytes| Self::Binary(bytes.into())).map_err(|_| Fault::Base64),
            None => Self::parse(text),
        }
    }

    /// Appends the packet as text. Bytes are written as a payload has them; a WebSocket sends them as they are.
    pub fn write(&self, out: &mut String) {
        let (kind, rest) = match self {
            Self::Open(json) => ('0', *json),
            Self::Close => ('1', ""),
            Self::Ping { probe } => ('2', if *probe { PROBE } else { "" }),
            Self::Pong { probe } => ('3', if *probe { PROBE } else { "" }),
            Self::Message(text) => ('4', *text),
            Self::Binary(bytes) => {
                out.push('b');
                return BASE64.encode_string(bytes, out);
            }
            Self::Upgrade => ('5', ""),
            Self::Noop => ('6', ""),
        };
        out.push(kind);
        out.push_str(rest);
    }

    /// The packet as text.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }
}

fn bare<'a>(packet: Packet<'a>, rest: &str) -> Result<Packet<'a>, Fault> {
    if rest.is_empty() { Ok(packet) } else { Err(Fault::Surplus) }
}

fn is_probe(rest: &str) -> Result<bool, Fault> {
    match rest {
        "" => Ok(false),
        PROBE => Ok(true),
        _ => Err(Fault::Surplus),
    }
}

// A message may carry a token.
impl fmt::Debug for Packet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(json) => write!(f, "Open({} bytes)", json.len()),
            Self::Close => f.write_str("Close"),
            Self::Ping { probe } => write!(f, "Ping {{ probe: {probe} }}"),
            Self::Pong { probe } => write!(f, "Pong {{ probe: {probe} }}"),
            Self::Message(text) => write!(f, "Message({} bytes)", text.len()),
            Self::Binary(bytes) => write!(f, "Binary({} bytes)", bytes.len()),
            Self::Upgrade => f.write_str("Upgrade"),
            Self::Noop => f.write_str("Noop"),
        }
    }
}

#[cfg(test)]
mod tests;
