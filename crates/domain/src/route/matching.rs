//! Which senders and which types a route is for, and when one route is for all that another is for.

use crate::{envelope::is_reserved_type, flaw::Flaw, name::Role, sender::Sender};

const MOST_TYPE_BYTES: usize = 256;

/// From whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Anybody,
    Role(Role),
    Endpoint(Box<str>),
}

impl Origin {
    pub(super) fn admits(&self, sender: &Sender<'_>) -> bool {
        match self {
            Self::Anybody => true,
            Self::Role(role) => sender.role == Some(role),
            Self::Endpoint(path) => sender.endpoint == &**path,
        }
    }

    /// Whether it admits everybody whom the other admits.
    pub(super) fn covers(&self, other: &Self) -> bool {
        matches!(self, Self::Anybody) || self == other
    }
}

/// One type, or all that begin alike. Never a type of the gateway's own: those are turned away before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Types {
    One(Box<str>),
    Prefix(Box<str>),
}

impl Types {
    pub(super) fn parse(text: &str) -> Result<Self, Flaw> {
        match text.strip_suffix('*') {
            Some(prefix) if prefix.contains('*') => Err(starred(text)),
            Some(prefix) => {
                well_formed(prefix, "write `*` for all types, or a prefix such as `COMMAND_*`")?;
                // A type that only the families `auth.` and `presence.` could make reserved: no single one reads so.
                if is_reserved_type(&format!("{prefix}***")) {
                    return Err(reserved(text));
                }
                Ok(Self::Prefix(prefix.into()))
            }
            None => one(text).map(Self::One),
        }
    }

    pub(super) fn takes(&self, kind: &str) -> bool {
        match self {
            Self::One(own) => kind == &**own,
            Self::Prefix(prefix) => kind.starts_with(&**prefix),
        }
    }

    /// Whether it takes all that the other takes.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::One(own), Self::One(other)) => own == other,
            (Self::One(_), Self::Prefix(_)) => false,
            (Self::Prefix(prefix), Self::One(other) | Self::Prefix(other)) => other.starts_with(&**prefix),
        }
    }
}

/// A single type that a message may have when it is routed.
pub(super) fn one(text: &str) -> Result<Box<str>, Flaw> {
    let remedy = "write the type as it stands in the messages, such as `command`";
    if text.is_empty() {
        Err(Flaw::new("the type is empty", remedy))
    } else if text.contains('*') {
        Err(starred(text))
    } else if is_reserved_type(text) {
        Err(reserved(text))
    } else {
        well_formed(text, remedy)?;
        Ok(text.into())
    }
}

fn starred(text: &str) -> Flaw {
    let what = format!("`{text}` has a `*` where none may be");
    Flaw::new(what, "write whole types; only in `types` may one `*` stand, at the end: `COMMAND_*`")
}

fn reserved(text: &str) -> Flaw {
    let what = format!("`{text}` is a type of the gateway's own, which is never routed");
    Flaw::new(what, "take it out, or give the message another type")
}

fn well_formed(text: &str, remedy: &str) -> Result<(), Flaw> {
    if text.len() > MOST_TYPE_BYTES {
        Err(Flaw::new(format!("the type is longer than {MOST_TYPE_BYTES} bytes"), remedy))
    } else if text.chars().any(char::is_control) {
        Err(Flaw::new("the type has a control character", remedy))
    } else {
        Ok(())
    }
}
