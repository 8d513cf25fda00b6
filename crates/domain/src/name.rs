//! The names of things, each parsed once. A value of one of these types is well-formed wherever it is met.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use uuid::Uuid;

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    /// Nothing there.
    #[error("is empty")]
    Empty,
    /// More bytes than such a name may have.
    #[error("is longer than {0} bytes")]
    TooLong(usize),
    /// A line break, a tab, a NUL or the like.
    #[error("has a control character")]
    Control,
}

fn checked(text: &str, most: usize) -> Result<Arc<str>, NameFault> {
    if text.is_empty() {
        Err(NameFault::Empty)
    } else if text.len() > most {
        Err(NameFault::TooLong(most))
    } else if text.chars().any(char::is_control) {
        Err(NameFault::Control)
    } else {
        Ok(text.into())
    }
}

macro_rules! text_names {
    ($($(#[$doc:meta])* $name:ident, $most:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks a text and keeps it.
            pub fn parse(text: &str) -> Result<Self, NameFault> {
                checked(text, $most).map(Self)
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameFault;

            fn from_str(text: &str) -> Result<Self, NameFault> {
                Self::parse(text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(|fault| D::Error::custom(format_args!("the name {fault}")))
            }
        }
    )*};
}

text_names! {
    /// Whom a token speaks for.
    UserId, 256;
    /// The machine or process behind an agent's connection.
    AgentId, 256;
    /// What a user is: `agent`, `dashboard`, `service`, `admin`, or a word of the operator's own.
    Role, 64;
    /// What a user may do: a word of the operator's own, such as `command.execute`.
    Permission, 128;
    /// Which limits hold for a user.
    PlanName, 64;
    /// One gateway among several: where a connection is.
    NodeName, 64;
    /// Where those meet who want to hear the same: `agent:press-7`, `user:ann`, a word of the operator's own.
    Room, 640;
}

impl NodeName {
    /// The name of a gateway to which nobody gave one.
    pub fn unnamed() -> Self {
        Self(Arc::from("gateway"))
    }
}

impl PlanName {
    /// The name of the plan that holds where a token names none.
    pub fn usual() -> Self {
        Self(Arc::from("default"))
    }
}

macro_rules! id_names {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// From a UUID that the caller drew.
            pub const fn new(id: Uuid) -> Self {
                Self(id)
            }

            /// The UUID.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }
    )*};
}

id_names! {
    /// One connection, from its admission to its end.
    ConnectionId;
    /// One event of a backend.
    EventId;
    /// One handshake or HTTP call: what a client quotes and an operator looks up. A message that asks for a reply has one, too.
    RequestId;
}

/// A credential as it came in. It can be judged, and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Box<str>);

impl Token {
    /// Keeps a credential.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The credential itself, for whoever judges it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_neither_empty_nor_long_nor_unprintable() {
        assert_eq!(UserId::parse(""), Err(NameFault::Empty));
        assert_eq!(UserId::parse(&"x".repeat(257)), Err(NameFault::TooLong(256)));
        assert!(UserId::parse(&"x".repeat(256)).is_ok());
        for text in ["a\nb", "a\u{0}", "\u{7f}", "\u{85}"] {
            assert_eq!(UserId::parse(text), Err(NameFault::Control), "{text:?}");
        }
    }

    #[test]
    fn a_name_reads_as_its_text() {
        let user: UserId = "ann".parse().unwrap();
        assert_eq!((user.as_str(), user.to_string(), format!("{user:?}")), ("ann", "ann".into(), "\"ann\"".into()));
        assert_eq!(serde_json::to_string(&user).unwrap(), "\"ann\"");
        assert_eq!(serde_json::from_str::<UserId>("\"ann\"").unwrap(), user);
        let fault = serde_json::from_str::<UserId>("\"\"").unwrap_err().to_string();
        assert!(fault.contains("the name is empty"), "{fault}");
    }

    #[test]
    fn an_id_reads_as_a_uuid() {
        let id = ConnectionId::new(Uuid::from_u128(7));
        assert_eq!(id.to_string(), "00000000-0000-0000-0000-000000000007");
        assert_eq!(id.to_string().parse::<ConnectionId>().unwrap(), id);
        assert_eq!(id.uuid(), Uuid::from_u128(7));
        assert!("nonsense".parse::<RequestId>().is_err());
    }

    #[test]
    fn a_token_is_never_printed() {
        let token = Token::new("secret");
        assert_eq!(format!("{token:?}"), "Token(***)");
        assert_eq!(token.expose(), "secret");
    }
}
