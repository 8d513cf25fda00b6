//! Socket.IO, version 5: its packets inside the messages of Engine.IO. Nothing here knows a session or a namespace that
//! is configured; a packet is whole and within its [`PacketLimits`] before anybody sees it.
//!
//! A [`Decoder`] takes the messages of one client in their order and yields a [`Packet`] as soon as it is whole: at
//! once, borrowed from the message, or after the last attachment that it announced. What a server says is an
//! [`Outgoing`].
//!
//! ```
//! use gateway_transport::socketio::{Body, Decoder, Outgoing, PacketLimits};
//!
//! let mut decoder = Decoder::new(PacketLimits::default());
//! let packet = decoder.text(r#"2/dashboard,7["command",{"do":"it"}]"#)?.ok_or("not whole")?;
//! assert_eq!(packet.namespace.path(), "/dashboard");
//! let Body::Event(event) = packet.body else { return Err("no event".into()) };
//! assert_eq!((event.ack, &*event.name, event.arguments[0].get()), (Some(7), "command", r#"{"do":"it"}"#));
//!
//! let text = Outgoing::Event { name: "noted", argument: &event.arguments[0] }.to_message("/dashboard");
//! assert_eq!(text, r#"42/dashboard,["noted",{"do":"it"}]"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod body;
mod decoder;
mod head;
mod limits;
mod outgoing;
mod placeholders;

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use gateway_domain::{Code, Detail, Refusal, Token};
use serde_json::value::RawValue;

pub use self::{decoder::Decoder, limits::PacketLimits, outgoing::Outgoing};

/// One whole packet.
#[derive(Clone, Debug)]
pub struct Packet<'a> {
    /// Which namespace it is about.
    pub namespace: Namespace<'a>,
    /// What it says there.
    pub body: Body<'a>,
}

/// The name of a namespace as a client wrote it: `/`, or `/name`, with or without a query behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace<'a>(Cow<'a, str>);

impl Namespace<'_> {
    /// The name without its query. Answers go there.
    pub fn path(&self) -> &str {
        self.0.split_once('?').map_or(&self.0, |(path, _)| path)
    }

    /// What stands behind a question mark. Today's clients put nothing there.
    pub fn query(&self) -> Option<&str> {
        self.0.split_once('?').map(|(_, query)| query)
    }
}

/// JSON as it was written: borrowed from the message, but of a packet that waited for attachments.
pub type Json<'a> = Cow<'a, RawValue>;

/// What a packet says.
#[derive(Clone, Debug)]
pub enum Body<'a> {
    /// Asks to be let into the namespace.
    Connect(Credentials<'a>),
    /// Leaves the namespace.
    Disconnect,
    /// Says something, with or without attachments.
    Event(Event<'a>),
    /// Answers an event of the other side, with or without attachments.
    Ack(Ack<'a>),
    /// Says that the other side is not let in: a server's word. JSON, an object or a text.
    ConnectError(Json<'a>),
}

/// What a client brings to be let in: an object of its own making, or nothing.
#[derive(Clone)]
pub struct Credentials<'a>(Option<Json<'a>>);

impl Credentials<'_> {
    /// The object as it was written.
    pub fn json(&self) -> Option<&RawValue> {
        self.0.as_deref()
    }

    /// Its member `token`. One that is empty or `null` is none; two, or one that is no text, are refused.
    pub fn token(&self) -> Result<Option<Token>, Refusal> {
        let text = self.json().map_or(Ok(None), body::token);
        let text = text.map_err(|fault| Refusal::invalid_token(Detail::Malformed, fault))?;
        Ok(text.filter(|text| !text.is_empty()).map(Token::new))
    }
}

/// A name and what belongs to it.
#[derive(Clone)]
pub struct Event<'a> {
    /// Under which number the sender wants an answer.
    pub ack: Option<u64>,
    /// Its name; none that the protocol keeps for itself. It may be empty.
    pub name: Cow<'a, str>,
    /// What was said, as it was written.
    pub arguments: Vec<Json<'a>>,
    /// The attachments that belong to it. Each has one place in the arguments, a `_placeholder` with its number.
    pub attachments: Vec<Bytes>,
}

/// The answer to an event.
#[derive(Clone)]
pub struct Ack<'a> {
    /// The number that the event had.
    pub id: u64,
    /// What was answered, as it was written.
    pub arguments: Vec<Json<'a>>,
    /// The attachments that belong to it. Each has one place in the arguments, a `_placeholder` with its number.
    pub attachments: Vec<Bytes>,
}

/// What is wrong with a packet. All of them end the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not a byte where a packet should be.
    #[error("a Socket.IO packet is empty")]
    Empty,
    /// It begins with something that no packet begins with.
    #[error("no Socket.IO packet begins like that")]
    UnknownKind,
    /// The packet, with the attachments that came, has more bytes than it may.
    #[error("the packet has more than {0} bytes")]
    TooLong(usize),
    /// The number of attachments is missing, or not written as a number and a dash.
    #[error("a binary packet does not say how many attachments it has")]
    Attachments,
    /// A binary packet that announces no attachment at all.
    #[error("a binary packet announces no attachment")]
    NoAttachments,
    /// More attachments than a packet may have.
    #[error("the packet announces more than {0} attachments")]
    TooManyAttachments(usize),
    /// A namespace that is too long, or has characters that do not print.
    #[error("the namespace is longer than {0} bytes, or has characters that do not print")]
    Namespace(usize),
    /// The number of an acknowledgement is too large.
    #[error("the number of the acknowledgement has more than {0} digits, or is too large")]
    AckId(usize),
    /// An acknowledgement that does not say what it answers, or a number where there is nothing to answer.
    #[error("an acknowledgement needs a number, and only events may have one, too")]
    StrayAckId,
    /// Not JSON, or not the kind of JSON that the packet has.
    #[error("the body of the packet is not what its kind demands")]
    Body,
    /// Lists and objects deeper in each other than they may be.
    #[error("the body of the packet is nested deeper than {0}")]
    TooDeep(usize),
    /// More arguments than a packet may have.
    #[error("the packet has more than {0} arguments")]
    TooManyArguments(usize),
    /// An event whose name is missing or no text.
    #[error("an event begins with its name, a text")]
    NoName,
    /// An event whose name is too long.
    #[error("the name of the event is longer than {0} bytes")]
    LongName(usize),
    /// An event with a name that the protocol keeps for itself.
    #[error("the name of the event is one that Socket.IO keeps for itself")]
    ReservedName,
    /// The places of the attachments are not one for each, numbered from 0.
    #[error("the places of the attachments do not fit the attachments")]
    Placeholders,
    /// Bytes that no packet announced.
    #[error("bytes that no packet announced")]
    Unannounced,
    /// Text while attachments are still awaited.
    #[error("a packet that began did not get all of its attachments")]
    Interrupted,
}

impl Fault {
    /// What the peer is told, and what the audit says.
    pub fn refusal(self) -> Refusal {
        let code = match self {
            Self::TooLong(_) => Code::MessageTooBig,
            Self::Empty
            | Self::UnknownKind
            | Self::Attachments
            | Self::NoAttachments
            | Self::TooManyAttachments(_)
            | Self::Namespace(_)
            | Self::AckId(_)
            | Self::StrayAckId
            | Self::Body
            | Self::TooDeep(_)
            | Self::TooManyArguments(_)
            | Self::NoName
            | Self::LongName(_)
            | Self::ReservedName
            | Self::Placeholders
            | Self::Unannounced
            | Self::Interrupted => Code::ProtocolError,
        };
        Refusal::new(code, self.to_string())
    }
}

impl<'a> Packet<'a> {
    /// Reads a packet without attachments, or the part of one that comes before them, and says how many follow.
    fn parse(text: &'a str, limits: &PacketLimits) -> Result<(Self, usize), Fault> {
        let head = head::Head::parse(text, limits)?;
        let body = body::read(&head, limits)?;
        Ok((Self { namespace: Namespace(head.namespace.into()), body }, head.attachments))
    }

    fn attach(&mut self, bytes: Bytes) {
        match &mut self.body {
            Body::Event(Event { attachments, .. }) | Body::Ack(Ack { attachments, .. }) => attachments.push(bytes),
            Body::Connect(_) | Body::Disconnect | Body::ConnectError(_) => {}
        }
    }

    fn into_owned(self) -> Packet<'static> {
        let body = match self.body {
            Body::Connect(Credentials(json)) => Body::Connect(Credentials(json.map(owned))),
            Body::Disconnect => Body::Disconnect,
            Body::Event(Event { ack, name, arguments, attachments }) => {
                let (name, arguments) = (Cow::Owned(name.into_owned()), arguments.into_iter().map(owned).collect());
                Body::Event(Event { ack, name, arguments, attachments })
            }
            Body::Ack(Ack { id, arguments, attachments }) => {
                Body::Ack(Ack { id, arguments: arguments.into_iter().map(owned).collect(), attachments })
            }
            Body::ConnectError(json) => Body::ConnectError(owned(json)),
        };
        Packet { namespace: Namespace(Cow::Owned(self.namespace.0.into_owned())), body }
    }
}

fn owned(json: Json<'_>) -> Json<'static> {
    Cow::Owned(json.into_owned())
}

// Credentials are a token and what a client likes to add; what is said is nobody else's business.
impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Credentials(***)" } else { "Credentials(none)" })
    }
}

impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ack, name, arguments, attachments } = self;
        write!(f, "Event({name:?}, ack {ack:?}, {} arguments, {} attachments)", arguments.len(), attachments.len())
    }
}

impl fmt::Debug for Ack<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, arguments, attachments } = self;
        write!(f, "Ack({id}, {} arguments, {} attachments)", arguments.len(), attachments.len())
    }
}

#[cfg(test)]
mod tests;
