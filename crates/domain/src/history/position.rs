//! A place in a history, as clients carry it from one connection to the next.

use std::{borrow::Cow, fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use crate::name::NameFault;

/// The incarnation of a room's history: offsets of two epochs have nothing to do with each other.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Epoch(Arc<str>);

impl Epoch {
    /// The most bytes of one.
    pub const MOST: usize = 64;

    /// Checks a text that says it is one.
    pub fn parse(text: &str) -> Result<Self, NameFault> {
        if text.is_empty() {
            Err(NameFault::Empty)
        } else if text.len() > Self::MOST {
            Err(NameFault::TooLong(Self::MOST))
        } else if text.chars().any(char::is_control) {
            Err(NameFault::Control)
        } else {
            Ok(Self(text.into()))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<'de> Deserialize<'de> for Epoch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(|fault| D::Error::custom(format_args!("the epoch {fault}")))
    }
}

/// The last message that somebody received: its offset within its epoch.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Position {
    /// Of which incarnation.
    pub epoch: Epoch,
    /// Which message; 0 before the first.
    pub offset: u64,
}

/// Where epochs come from: one number drawn by the caller for the life of a process, and a count.
#[derive(Debug)]
pub struct EpochSource {
    prefix: u64,
    given: u64,
}

impl EpochSource {
    /// Epochs that begin with that number, which must be another in each process.
    pub const fn new(prefix: u64) -> Self {
        Self { prefix, given: 0 }
    }

    /// An epoch that was never given before.
    pub fn draw(&mut self) -> Epoch {
        self.given += 1;
        Epoch(format!("{:x}-{:x}", self.prefix, self.given).into())
    }
}
