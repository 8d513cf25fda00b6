//! Typed publishers for the events of a configuration: one file for each language, which needs nothing else of ours. The
//! types say what a schema says as far as a language can say it; what it cannot, the gateway still checks.

mod model;
mod names;
mod rust;
mod typescript;

use serde_json::Value;

use model::Model;

/// A language that a publisher can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// One module, on reqwest, serde, tokio and uuid.
    Rust,
    /// One module without dependencies, for Node.js 20 and later.
    Typescript,
}

/// The publisher of these types of events, each with its schema, in that language.
pub fn publisher(language: Language, schemas: &[(String, Value)]) -> String {
    let model = Model::of(schemas);
    match language {
        Language::Rust => rust::module(&model),
        Language::Typescript => typescript::module(&model),
    }
}

/// A frame around the types, which stand where it says so.
fn framed(frame: &str, types: &str) -> String {
    let (before, behind) = frame.split_once("@types@\n").unwrap_or((frame, ""));
    format!("{before}{types}{behind}")
}
