//! Where a message goes: a kind and a name, written `agent:press-7`.

use std::{fmt, str::FromStr};

use crate::name::{AgentId, ConnectionId, NameFault, Role, Room, UserId};

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// All connections of a user; where a role is given, those that were admitted as that.
    User {
        /// Whose.
        user: UserId,
        /// Admitted as what.
        role: Option<Role>,
    },
    /// The live connection of an agent.
    Agent(AgentId),
    /// One connection.
    Connection(ConnectionId),
    /// Everybody in a room.
    Room(Room),
    /// Everybody who was admitted as that.
    Role(Role),
    /// Everybody at an endpoint.
    Endpoint(Box<str>),
    /// A backend that is told by HTTP.
    Webhook(Box<str>),
    /// The connection that sent it.
    Sender,
    /// Not a receiver: the sender is put into that room, where the rules of the rooms let it.
    Subscribe(Room),
}

/// Why a text is no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetFault {
    /// The word before the colon means nothing, or there is no colon.
    #[error("`{0}` is no target: write one of {FORMS}")]
    Kind(String),
    /// The name behind the colon cannot be one.
    #[error("the name in `{kind}:` {fault}")]
    Name {
        /// Of which kind it should be.
        kind: &'static str,
        /// What is wrong with it.
        fault: NameFault,
    },
    /// No UUID.
    #[error("`connection:` takes the UUID of a connection, as `connectionId` in `connection_ready` tells it")]
    ConnectionId,
    /// No path.
    #[error("`endpoint:` takes the path of an endpoint, such as `endpoint:/ws/dashboard`")]
    Path,
}

/// The forms of a target, for people.
pub(crate) const FORMS: &str = "`user:ID`, `user:ID?role=ROLE`, `agent:ID`, `connection:UUID`, `room:NAME`, `role:ROLE`, \
                                `endpoint:/PATH`, `webhook:NAME`, `sender`, `subscribe:ROOM`";
const NARROWED: &str = "?role=";
const MOST_PATH_BYTES: usize = 1024;
const MOST_WEBHOOK_BYTES: usize = 128;

/// What kind of target it is, where a name belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    User,
    Agent,
    Connection,
    Room,
    Role,
    Endpoint,
    Webhook,
    Subscribe,
}

/// A target taken apart, its name not yet judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parts<'a> {
    Sender,
    Named { kind: Kind, name: &'a str, role: Option<&'a str> },
}

impl Kind {
    pub(crate) const ALL: [Self; 8] = [
        Self::User,
        Self::Agent,
        Self::Connection,
        Self::Room,
        Self::Role,
        Self::Endpoint,
        Self::Webhook,
        Self::Subscribe,
    ];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Agent => "agent",
            Self::Connection => "connection",
            Self::Room => "room",
            Self::Role => "role",
            Self::Endpoint => "endpoint",
            Self::Webhook => "webhook",
            Self::Subscribe => "subscribe",
        }
    }

    /// The target of this kind that has that name. The name is taken as it is, whatever is in it.
    pub(crate) fn target(self, name: &str, role: Option<Role>) -> Result<Target, TargetFault> {
        let named = |fault| TargetFault::Name { kind: self.word(), fault };
        Ok(match self {
            Self::User => Target::User { user: name.parse().map_err(named)?, role },
            Self::Agent => Target::Agent(name.parse().map_err(named)?),
            Self::Connection => Target::Connection(name.parse().map_err(|_| TargetFault::ConnectionId)?),
            Self::Room => Target::Room(name.parse().map_err(named)?),
            Self::Role => Target::Role(name.parse().map_err(named)?),
            Self::Endpoint if !name.starts_with('/') => return Err(TargetFault::Path),
            Self::Endpoint => Target::Endpoint(bounded(name, MOST_PATH_BYTES).map_err(named)?),
            Self::Webhook => Target::Webhook(bounded(name, MOST_WEBHOOK_BYTES).map_err(named)?),
            Self::Subscribe => Target::Subscribe(name.parse().map_err(named)?),
        })
    }
}

fn bounded(name: &str, most: usize) -> Result<Box<str>, NameFault> {
    if name.is_empty() {
        Err(NameFault::Empty)
    } else if name.len() > most {
        Err(NameFault::TooLong(most))
    } else if name.chars().any(char::is_control) {
        Err(NameFault::Control)
    } else {
        Ok(name.into())
    }
}

impl<'a> Parts<'a> {
    pub(crate) fn of(text: &'a str) -> Result<Self, TargetFault> {
        if text == "sender" {
            return Ok(Self::Sender);
        }
        let unknown = || TargetFault::Kind(text.chars().take(80).collect());
        let (word, name) = text.split_once(':').ok_or_else(unknown)?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.word() == word).ok_or_else(unknown)?;
        Ok(match name.rsplit_once(NARROWED) {
            // An empty role ends a user's id that itself has `?role=` in it: see `Display`.
            Some((name, "")) if kind == Kind::User && name.contains(NARROWED) => Self::Named { kind, name, role: None },
            Some((name, role)) if kind == Kind::User => Self::Named { kind, name, role: Some(role) },
            _ => Self::Named { kind, name, role: None },
        })
    }
}

impl Target {
    pub(crate) const fn kind(&self) -> Option<Kind> {
        Some(match self {
            Self::User { .. } => Kind::User,
            Self::Agent(_) => Kind::Agent,
            Self::Connection(_) => Kind::Connection,
            Self::Room(_) => Kind::Room,
            Self::Role(_) => Kind::Role,
            Self::Endpoint(_) => Kind::Endpoint,
            Self::Webhook(_) => Kind::Webhook,
            Self::Subscribe(_) => Kind::Subscribe,
            Self::Sender => return None,
        })
    }
}

impl FromStr for Target {
    type Err = TargetFault;

    fn from_str(text: &str) -> Result<Self, TargetFault> {
        match Parts::of(text)? {
            Parts::Sender => Ok(Self::Sender),
            Parts::Named { kind, name, role } => {
                let role = role.map(Role::parse).transpose();
                kind.target(name, role.map_err(|fault| TargetFault::Name { kind: "role", fault })?)
            }
        }
    }
}

/// What is written reads back as the same target, whatever its names hold.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User { user, role: Some(role) } => write!(f, "user:{user}{NARROWED}{role}"),
            Self::User { user, role: None } if user.as_str().contains(NARROWED) => write!(f, "user:{user}{NARROWED}"),
            Self::User { user, role: None } => write!(f, "user:{user}"),
            Self::Agent(agent) => write!(f, "agent:{agent}"),
            Self::Connection(connection) => write!(f, "connection:{connection}"),
            Self::Room(room) => write!(f, "room:{room}"),
            Self::Role(role) => write!(f, "role:{role}"),
            Self::Endpoint(path) => write!(f, "endpoint:{path}"),
            Self::Webhook(name) => write!(f, "webhook:{name}"),
            Self::Sender => f.write_str("sender"),
            Self::Subscribe(room) => write!(f, "subscribe:{room}"),
        }
    }
}

#[cfg(test)]
mod tests;
