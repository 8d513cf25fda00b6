//! What stands beside a type in words: what its schema is called, and what a type cannot say of it.

use serde_json::{Map, Value};

/// A remark has at most this many letters.
const LONGEST: usize = 300;

/// The remarks on a schema, a line each.
pub(super) fn of(schema: &Value) -> Vec<String> {
    schema.as_object().map(of_object).unwrap_or_default()
}

/// The same of one that is an object, as most are.
pub(super) fn of_object(schema: &Map<String, Value>) -> Vec<String> {
    let said = ["title", "description"].iter().filter_map(|name| schema.get(*name)?.as_str());
    let mut remarks: Vec<String> = said.map(line).filter(|said| !said.is_empty()).collect();
    let limits: Vec<String> =
        LIMITS.iter().filter_map(|(name, words)| Some(format!("{words} {}", plain(schema.get(*name)?)?))).collect();
    if !limits.is_empty() {
        remarks.push(line(&limits.join(", ")));
    }
    remarks
}

const LIMITS: [(&str, &str); 12] = [
    ("format", "format"),
    ("pattern", "pattern"),
    ("minimum", "at least"),
    ("exclusiveMinimum", "more than"),
    ("maximum", "at most"),
    ("exclusiveMaximum", "less than"),
    ("multipleOf", "a multiple of"),
    ("minLength", "length at least"),
    ("maxLength", "length at most"),
    ("minItems", "entries at least"),
    ("maxItems", "entries at most"),
    ("uniqueItems", "each entry once:"),
];

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A text on one line, which ends no comment of any language.
fn line(text: &str) -> String {
    let words: Vec<&str> = text.split(|letter: char| letter.is_whitespace() || letter.is_control()).collect();
    let text = words.join(" ").replace("*/", "* /");
    let text = text.trim();
    match text.char_indices().nth(LONGEST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
    }
}
