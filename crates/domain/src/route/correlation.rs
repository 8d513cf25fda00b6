//! What a request and its answers carry themselves, so that they find each other without an id of ours.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    envelope::Message,
    flaw::Flaw,
    path::{Found, Path},
};

/// A value that can be told apart from another and put into a name: a string or a whole number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scalar {
    /// A string.
    Text(Box<str>),
    /// A whole number: all that 64 bits hold, with or without a sign.
    Integer(i128),
}

impl Scalar {
    /// How it is written in JSON.
    pub fn to_json(&self) -> String {
        match self {
            Self::Text(text) => json_text(text),
            Self::Integer(number) => number.to_string(),
        }
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Integer(number) => fmt::Display::fmt(number, f),
        }
    }
}

/// A value that a request and its answers carry themselves: where, and what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Correlation {
    /// Where it is: `payload.commandId`.
    pub path: Arc<str>,
    /// What is there.
    pub value: Scalar,
}

impl Correlation {
    /// The payload that has only the correlation: `{"commandId":"c1"}`.
    pub fn as_payload(&self) -> String {
        let names = self.path.strip_prefix("payload.").unwrap_or(&self.path);
        names.rsplit('.').fold(self.value.to_json(), |inner, name| format!("{{{}:{inner}}}", json_text(name)))
    }
}

/// Where a route looks for a correlation.
#[derive(Clone, Debug)]
pub(super) struct Correlate {
    text: Arc<str>,
    path: Path,
}

impl Correlate {
    const MOST_VALUE_BYTES: usize = 128;

    pub(super) fn parse(text: &str) -> Result<Self, Flaw> {
        let remedy = "write the place of a member of the payload: \"payload.commandId\"";
        let path = text
            .strip_prefix("payload.")
            .ok_or_else(|| Flaw::new(format!("`{text}` is not in the payload"), remedy))?;
        let path = Path::parse(path).map_err(|fault| Flaw::new(format!("in `{text}` {fault}"), remedy))?;
        // What is told back must be buildable from the path alone, and a number could be a place or a name.
        if path.has_places() {
            return Err(Flaw::new(format!("a correlation cannot stand in a list, as in `{text}`"), remedy));
        }
        Ok(Self { text: text.into(), path })
    }

    pub(super) fn path(&self) -> &Arc<str> {
        &self.text
    }

    /// Whether a message has anything there, be it nothing that can be read.
    pub(super) fn is_there(&self, message: &Message<'_>) -> bool {
        message.payload.is_some_and(|payload| self.path.leads_somewhere(payload))
    }

    /// What a message carries there: a whole number, or a string of 1 to 128 bytes without control characters.
    pub(super) fn read(&self, message: &Message<'_>) -> Option<Correlation> {
        let found = self.path.find(message.payload?)?;
        if let Found::Text(text) = &found {
            let fits = (1..=Self::MOST_VALUE_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
            fits.then_some(())?;
        }
        Some(Correlation { path: Arc::clone(&self.text), value: found.into_scalar() })
    }
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str, value: Scalar) -> String {
        Correlation { path: path.into(), value }.as_payload()
    }

    #[test]
    fn the_payload_of_a_correlation_has_the_value_where_it_was_found() {
        assert_eq!(at("payload.commandId", Scalar::Text("c1".into())), r#"{"commandId":"c1"}"#);
        assert_eq!(at("payload.a.b", Scalar::Integer(-7)), r#"{"a":{"b":-7}}"#);
        assert_eq!(at("payload.q\"", Scalar::Text("x\"\\".into())), r#"{"q\"":"x\"\\"}"#);
    }

    #[test]
    fn a_number_and_its_digits_are_two_values_with_one_look() {
        let (number, digits) = (Scalar::Integer(7), Scalar::Text("7".into()));
        assert_ne!(number, digits);
        assert_eq!((number.to_string(), digits.to_string()), ("7".into(), "7".to_owned()));
        assert_eq!((number.to_json(), digits.to_json()), ("7".into(), "\"7\"".to_owned()));
    }
}
