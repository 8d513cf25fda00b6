//! Compiling one schema, and saying where it is wrong. Patterns run in linear time, so that no payload makes one run
//! away; what refers elsewhere than into its own file is refused.

use std::fmt;

use jsonschema::{Draft, PatternOptions, ReferencingError, ValidationError, Validator, error::ValidationErrorKind};
use serde_json::Value;

use super::short;

/// The dialect that schemas are written in.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Why a schema cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaFault {
    /// Of which type of events it is.
    pub kind: String,
    /// Where in the schema, as a JSON pointer; empty: all of it.
    pub at: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: &'static str,
}

impl fmt::Display for SchemaFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.at.is_empty() { "its root" } else { &self.at };
        write!(f, "the schema of `{}` is wrong at {at}: {}", self.kind, self.what)
    }
}

impl std::error::Error for SchemaFault {}

/// Compiles it. The fault has no type yet.
pub(super) fn one(schema: &Value) -> Result<Validator, SchemaFault> {
    if let Some(other) = schema.get("$schema").filter(|named| !is_dialect(named)) {
        let remedy = "Write JSON Schema 2020-12; `$schema` may be left out";
        return Err(flaw("/$schema", format_args!("it is written in another dialect, {other}"), remedy));
    }
    let options = jsonschema::options()
        .with_draft(Draft::Draft202012)
        .with_pattern_options(PatternOptions::regex())
        .should_validate_formats(true)
        .offline();
    options.build(schema).map_err(|error| refused(schema, &error))
}

fn is_dialect(named: &Value) -> bool {
    named.as_str().is_some_and(|named| named.strip_suffix('#').unwrap_or(named) == DIALECT)
}

fn refused(schema: &Value, error: &ValidationError<'_>) -> SchemaFault {
    let ValidationErrorKind::Referencing(fault) = error.kind() else {
        let remedy = "Write JSON Schema 2020-12; patterns know no look-around and no back references";
        return flaw(error.instance_path().as_str(), error, remedy);
    };
    match fault {
        ReferencingError::Unretrievable { uri, .. } => {
            let (at, reference) = reference_to(uri, schema).unwrap_or_default();
            let reference = if reference.is_empty() { uri.as_str() } else { reference };
            let what =
                format_args!("it refers to `{reference}`, and nothing is fetched, from a file or from the network");
            flaw(&at, what, "Put what it refers to under `$defs` of the same file, and write \"#/$defs/NAME\"")
        }
        other => flaw(&dangling(other, schema), other, "Refer to what is in the same file, such as \"#/$defs/NAME\""),
    }
}

fn flaw(at: &str, what: impl fmt::Display, remedy: &'static str) -> SchemaFault {
    SchemaFault { kind: String::new(), at: short(at), what: short(what), remedy }
}

/// Where a schema refers to that document, and in which words.
fn reference_to<'a>(uri: &str, schema: &'a Value) -> Option<(String, &'a str)> {
    let document = |text: &'a str| text.split('#').next().unwrap_or_default().trim_start_matches("./");
    let wanted = uri.split('#').next().unwrap_or_default();
    let mut all = references(schema);
    all.retain(|(_, reference)| {
        let document = document(reference);
        !document.is_empty() && wanted.ends_with(document)
    });
    all.into_iter().next()
}

/// Where a schema refers to what its own document does not have.
fn dangling(fault: &ReferencingError, schema: &Value) -> String {
    let (ReferencingError::PointerToNowhere { pointer: end } | ReferencingError::NoSuchAnchor { anchor: end }) = fault
    else {
        return String::new();
    };
    let mut all = references(schema).into_iter();
    all.find(|(_, reference)| reference.ends_with(end.as_str())).map(|(at, _)| at).unwrap_or_default()
}

/// Everything in a schema that refers to something, with its place.
fn references(schema: &Value) -> Vec<(String, &str)> {
    let (mut found, mut ahead) = (Vec::new(), vec![(String::new(), schema)]);
    while let Some((at, value)) = ahead.pop() {
        let inner: Vec<_> = match value {
            Value::Object(map) => {
                map.iter().map(|(name, inner)| (name.replace('~', "~0").replace('/', "~1"), inner)).collect()
            }
            Value::Array(list) => list.iter().enumerate().map(|(nth, inner)| (nth.to_string(), inner)).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => continue,
        };
        for (name, inner) in inner {
            let place = format!("{at}/{name}");
            match inner {
                Value::String(reference) if name == "$ref" || name == "$dynamicRef" => {
                    found.push((place, reference.as_str()));
                }
                _ => ahead.push((place, inner)),
            }
        }
    }
    found
}
