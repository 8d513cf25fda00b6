//! Values that go to other nodes in their written form, and of which a newer release may say something else.
//!
//! The law: what is not understood is not there. A trace that cannot be read is no trace, and whatever it came with stands.

use std::{fmt::Display, str::FromStr};

use serde::{Deserialize, Deserializer, Serializer, de::IgnoredAny};

/// A text, or whatever a newer release makes of it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Told {
    Text(String),
    Other(IgnoredAny),
}

/// Writes it as its text.
pub(crate) fn serialize<T: Display, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

/// Reads it, where it is one.
pub(crate) fn deserialize<'de, T: FromStr, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(match Told::deserialize(deserializer)? {
        Told::Text(text) => text.parse().ok(),
        Told::Other(IgnoredAny) => None,
    })
}
