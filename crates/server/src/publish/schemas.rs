//! What events have to look like, by their type. A schema is JSON Schema 2020-12, compiled once and whole: nothing is ever
//! fetched for it, from a file or from the network. What a check costs is bounded by the payload, and so is what it
//! tells: few faults, each short, and none that hands the payload back.

mod compile;
mod payload;

use std::{
    collections::HashMap,
    fmt::{self, Write as _},
};

use jsonschema::{ValidationError, Validator};
use serde_json::{Value, value::RawValue};

use crate::refusal::Fault;
pub use compile::SchemaFault;

/// How many faults of one payload are told.
const MOST_FAULTS: usize = 20;
/// A message, and a path, has at most this many bytes.
const MOST_TEXT: usize = 300;
/// All faults of a payload are gathered before the first is told. Of a larger one only the first is looked for.
const MOST_SEARCHED: usize = 64 << 10;

/// The schemas of events.
#[derive(Debug, Default)]
pub struct Schemas {
    compiled: HashMap<Box<str>, Validator>,
    strict: bool,
}

impl Schemas {
    /// Compiles schemas, each with the type that it is of. With `strict` there are no other types.
    ///
    /// # Errors
    /// What is wrong with each that cannot be compiled.
    pub fn compile(written: impl IntoIterator<Item = (String, Value)>, strict: bool) -> Result<Self, Vec<SchemaFault>> {
        let (mut compiled, mut faults) = (HashMap::new(), Vec::new());
        for (kind, schema) in written {
            match compile::one(&schema) {
                Ok(validator) => drop(compiled.insert(kind.into_boxed_str(), validator)),
                Err(flaw) => faults.push(SchemaFault { kind, ..flaw }),
            }
        }
        if faults.is_empty() { Ok(Self { compiled, strict }) } else { Err(faults) }
    }

    /// Reads the text of a schema.
    ///
    /// # Errors
    /// It is no JSON, or has a member twice.
    pub fn read(text: &str) -> Result<Value, serde_json::Error> {
        payload::read(text)
    }

    /// What does not fit, each with its place in the body: none, where the type has no schema and needs none.
    pub fn check(&self, kind: &str, payload: &RawValue) -> Vec<Fault> {
        let Some(schema) = self.compiled.get(kind) else {
            if !self.strict {
                return Vec::new();
            }
            let message = "there is no schema of this type, and without one it is not published here";
            return vec![Fault { path: "/type".into(), message: message.into() }];
        };
        let value = match payload::read(payload.get()) {
            Ok(value) => value,
            Err(fault) => return vec![Fault { path: "/payload".into(), message: short(fault) }],
        };
        if schema.is_valid(&value) {
            Vec::new()
        } else if payload.get().len() > MOST_SEARCHED {
            schema.validate(&value).err().as_ref().map(fault).into_iter().collect()
        } else {
            schema.iter_errors(&value).take(MOST_FAULTS).map(|error| fault(&error)).collect()
        }
    }
}

fn fault(error: &ValidationError<'_>) -> Fault {
    Fault { path: pointer(error.instance_path().as_str()), message: short(error.masked_with("the value")) }
}

/// The place in the body; where it is too long to be told, the nearest around it that is not.
fn pointer(inside: &str) -> String {
    const ROOT: &str = "/payload";
    let fits = |end: &usize| end + ROOT.len() <= MOST_TEXT;
    let ends = inside.match_indices('/').map(|(at, _)| at).chain([inside.len()]);
    let end = ends.take_while(fits).last().unwrap_or_default();
    format!("{ROOT}{}", inside.get(..end).unwrap_or_default())
}

/// The text of something, cut where it would be long.
fn short(what: impl fmt::Display) -> String {
    let mut text = Cut(String::new());
    // Ends early where it is cut, and nothing after that is even written.
    if write!(text, "{what}").is_err() {
        text.0.push_str(ELLIPSIS);
    }
    text.0
}

const ELLIPSIS: &str = "...";

struct Cut(String);

impl fmt::Write for Cut {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = MOST_TEXT - ELLIPSIS.len() - self.0.len();
        if more.len() <= room {
            self.0.push_str(more);
            return Ok(());
        }
        self.0.push_str(more.get(..more.floor_char_boundary(room)).unwrap_or_default());
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests;
