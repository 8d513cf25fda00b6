//! What a placeholder stands for, and which values may take its place.

use std::borrow::Cow;

use crate::{
    envelope::{Message, RESERVED_MEMBERS},
    flaw::Flaw,
    path::{Found, Path},
    sender::Sender,
};

const MOST_VALUE_BYTES: usize = 128;
/// What the gateway itself knows of a sender may be as long as such names are.
const MOST_OWN_BYTES: usize = 256;

/// Where the value of a placeholder comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    User,
    Agent,
    Connection,
    Plan,
    Role,
    Claim(Path),
    Payload(Path),
    Kind,
    Id,
    Member(Box<str>),
}

impl Source {
    /// Reads what stands between the braces.
    pub(super) fn parse(name: &str) -> Result<Self, Flaw> {
        match name {
            "sender.userId" => return Ok(Self::User),
            "sender.agentId" => return Ok(Self::Agent),
            "sender.connectionId" => return Ok(Self::Connection),
            "sender.plan" => return Ok(Self::Plan),
            "sender.role" => return Ok(Self::Role),
            "message.type" => return Ok(Self::Kind),
            "message.id" => return Ok(Self::Id),
            _ => {}
        }
        if let Some(path) = name.strip_prefix("sender.claims.") {
            return path_in(name, path).map(Self::Claim);
        }
        if let Some(path) = name.strip_prefix("payload.") {
            return path_in(name, path).map(Self::Payload);
        }
        match name.strip_prefix("message.") {
            Some(member) => own_member(member),
            None => {
                let known = ["sender.userId", "sender.agentId", "sender.connectionId", "sender.plan", "sender.role"];
                let others = ["sender.claims.PATH", "payload.PATH", "message.NAME"];
                Err(Flaw::unknown("placeholder", name, known.into_iter().chain(others)))
            }
        }
    }

    pub(super) fn is_of_message(&self) -> bool {
        matches!(self, Self::Payload(_) | Self::Kind | Self::Id | Self::Member(_))
    }

    /// The value, where it is there and fits; `last`: nothing of the template comes behind it.
    pub(super) fn value<'a>(
        &'a self,
        sender: &Sender<'a>,
        message: Option<&'a Message<'_>>,
        last: bool,
    ) -> Option<Cow<'a, str>> {
        let (value, most) = match self {
            Self::User => (Cow::Borrowed(sender.principal.user.as_str()), MOST_OWN_BYTES),
            Self::Agent => (Cow::Borrowed(sender.principal.agent.as_ref()?.as_str()), MOST_OWN_BYTES),
            Self::Connection => return Some(Cow::Owned(sender.connection.to_string())),
            Self::Plan => (Cow::Borrowed(sender.plan.as_str()), MOST_OWN_BYTES),
            Self::Role => (Cow::Borrowed(sender.role?.as_str()), MOST_OWN_BYTES),
            Self::Claim(path) => (written(path.find_claim(&sender.principal.claims)?), MOST_VALUE_BYTES),
            Self::Payload(path) => (written(path.find(message?.payload?)?), MOST_VALUE_BYTES),
            Self::Kind => (Cow::Borrowed(&*message?.kind), MOST_VALUE_BYTES),
            Self::Id => (Cow::Borrowed(message?.id.as_deref()?), MOST_VALUE_BYTES),
            Self::Member(name) => {
                let (_, raw) = message?.others.iter().find(|(own, _)| *own == **name)?;
                (written(Found::whole(raw)?), MOST_VALUE_BYTES)
            }
        };
        fits(&value, most, last).then_some(value)
    }
}

fn written(found: Found<'_>) -> Cow<'_, str> {
    match found {
        Found::Text(text) => text,
        Found::Integer(number) => Cow::Owned(number.to_string()),
    }
}

fn fits(value: &str, most: usize, last: bool) -> bool {
    let odd = |c: char| c.is_control() || c == '*' || (c == ':' && !last);
    (1..=most).contains(&value.len()) && !value.contains(odd)
}

fn path_in(name: &str, path: &str) -> Result<Path, Flaw> {
    Path::parse(path).map_err(|fault| {
        Flaw::new(
            format!("in `{{{name}}}` {fault}"),
            "write the names of members with single dots between: `payload.a.b`",
        )
    })
}

fn own_member(name: &str) -> Result<Source, Flaw> {
    let written = format!("`{{message.{name}}}`");
    if name == "payload" || name.starts_with("payload.") {
        Err(Flaw::new(
            format!("{written} is no member of the client's own"),
            format!("write `{{{name}}}`, with a path"),
        ))
    } else if name == "ack" || RESERVED_MEMBERS.contains(&name) {
        let remedy = "only the gateway sets or reads it; what is known of the sender is in `{sender...}`";
        Err(Flaw::new(format!("{written} never has a value"), remedy))
    } else if name.is_empty() || name.contains('.') || name.chars().any(char::is_control) {
        let remedy = "name one member beside `type`, without dots; a path is possible in `{payload.PATH}` only";
        Err(Flaw::new(format!("{written} is no single member"), remedy))
    } else {
        Ok(Source::Member(name.into()))
    }
}
