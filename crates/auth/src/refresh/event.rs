//! What happens to a family, as it is kept in a journal.

use std::fmt;

use gateway_domain::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{
    api_key::{hash_text, parse_hash},
    issuer::Grant,
};

/// The SHA-256 of a part of a token.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub(super) [u8; 32]);

/// A change of a family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum FamilyEvent {
    /// It began.
    Begun {
        /// Which.
        family: Hash,
        /// The token that is not spent.
        live: Hash,
        /// For whom.
        grant: Grant,
        /// Until when that token waits.
        expires_at: Timestamp,
        /// When it ends in any case.
        ends_at: Timestamp,
    },
    /// Its token was exchanged for the next.
    Rotated {
        /// Which.
        family: Hash,
        /// The token that is not spent.
        live: Hash,
        /// Until when that token waits.
        expires_at: Timestamp,
    },
    /// It ended.
    Ended {
        /// Which.
        family: Hash,
    },
}

impl FamilyEvent {
    /// The name under which its family is kept elsewhere; it says nothing of any token.
    pub fn name(&self) -> String {
        let (Self::Begun { family, .. } | Self::Rotated { family, .. } | Self::Ended { family }) = self;
        hash_text(&family.0)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Enough to tell two apart.
        let [first, second, third, fourth, ..] = self.0;
        write!(f, "Hash({first:02x}{second:02x}{third:02x}{fourth:02x}..)")
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hash_text(&self.0))
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        parse_hash(&text).map(Self).map_err(D::Error::custom)
    }
}
