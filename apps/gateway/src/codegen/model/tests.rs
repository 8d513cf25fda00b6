//! What becomes of schemas, and that none is followed without end.

use serde_json::json;

use super::*;
use crate::codegen::{Language, publisher};

fn both(schema: Value) -> (String, String) {
    let schemas = [("shop:order".to_owned(), schema)];
    (publisher(Language::Rust, &schemas), publisher(Language::Typescript, &schemas))
}

fn has(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|own| own.trim() == *line), "`{line}` is not in\n{text}");
    }
}

#[test]
fn each_word_of_a_schema_has_its_type() {
    let (rust, typescript) = both(json!({
        "title": "An order", "type": "object", "required": ["lines", "type", "paid"],
        "properties": {
            "type": {"const": "order"},
            "paid": {"type": ["number", "null"], "minimum": 0},
            "note": {"type": "string", "maxLength": 80},
            "gone": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
            "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "extra": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
            "odd-name": {"enum": ["a b", "a-b", null]},
        },
        "$defs": {"line": {
            "type": "object", "required": ["count"], "properties": {"count": {"type": "integer", "minimum": 1}, "at": {"type": "integer"}}
        }},
    }));
    has(
        &rust,
        &[
            "#[serde(rename = \"shop:order\")]",
            "ShopOrder(ShopOrder),",
            "/// An order",
            "pub struct ShopOrder {",
            "pub lines: Vec<Line>,",
            "#[serde(rename = \"type\")]",
            "pub type_: Type,",
            "pub paid: Option<f64>,",
            "/// length at most 80",
            "pub note: Option<String>,",
            "pub gone: Option<bool>,",
            "pub labels: Option<std::collections::BTreeMap<String, String>>,",
            "pub extra: Option<serde_json::Value>,",
            "#[serde(rename = \"odd-name\", default, skip_serializing_if = \"Option::is_none\")]",
            "pub odd_name: Option<OddName>,",
            "AB,",
            "AB2,",
            "pub struct Line {",
            "pub count: u64,",
            "pub at: Option<i64>,",
        ],
    );
    has(
        &typescript,
        &[
            "\"shop:order\": ShopOrder;",
            "export interface ShopOrder {",
            "lines: Line[];",
            "type: Type;",
            "paid: number | null;",
            "/** length at most 80 */",
            "note?: string;",
            "gone?: boolean | null;",
            "labels?: { [name: string]: string };",
            "extra?: unknown;",
            "\"odd-name\"?: OddName | null;",
            "export type OddName = \"a b\" | \"a-b\";",
        ],
    );
}

#[test]
fn forms_that_are_the_same_share_a_name_and_others_get_their_own() {
    let event = |words: Value| json!({"type": "object", "properties": {"status": {"enum": words}}});
    let schemas = [
        ("a".to_owned(), event(json!(["ON"]))),
        ("b".to_owned(), event(json!(["ON"]))),
        ("c".to_owned(), event(json!(["OFF"]))),
        ("c-status".to_owned(), json!({"type": "object", "properties": {"event": event(json!(["ON"]))}})),
    ];
    let model = Model::of(&schemas);
    let names: Vec<_> = model.types.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["Status", "A", "B", "CStatus2", "C", "CStatusEvent", "CStatus"]);
}

#[test]
fn no_type_takes_a_name_that_the_client_uses() {
    let inner = json!({"type": "object", "properties": {"x": {"type": "null"}}});
    let properties = ["response", "policy", "vec", "event"].map(|name| (name.to_owned(), inner.clone()));
    let schema = json!({"type": "object", "properties": Map::from_iter(properties)});
    let model = Model::of(&[("publisher".to_owned(), schema)]);
    let names: Vec<_> = model.types.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["Publisher2Event", "Publisher2Policy", "Publisher2Response", "Publisher2Vec", "Publisher2"]);
}

#[test]
fn a_schema_that_refers_to_itself_or_swells_comes_to_an_end() {
    let (rust, _) = both(json!({"type": "object", "properties": {"next": {"$ref": "#"}}}));
    assert!(rust.contains("serde_json::Value"));
    let mut defs = Map::new();
    for level in 0..40 {
        let next = json!({"$ref": format!("#/$defs/n{}", level + 1)});
        defs.insert(format!("n{level}"), json!({"type": "object", "properties": {"a": next, "b": next}}));
    }
    both(json!({"$ref": "#/$defs/n0", "$defs": defs}));
    both(json!(true));
    both(json!({"type": "object", "required": ["absent"], "properties": {"x": {"$ref": "#/$defs/none"}}}));
}

#[test]
fn no_text_of_a_schema_breaks_out_of_a_comment_or_a_string() {
    let evil = "*/ } evil(); /* \" \\ \n fn evil() {} `";
    let schema = json!({"description": evil, "type": "object", "properties": {evil: {"enum": [evil]}}});
    let (rust, typescript) = both(schema);
    assert!(rust.lines().all(|line| !line.trim_start().starts_with("fn evil")));
    for line in typescript.lines().map(str::trim).filter(|line| line.starts_with(['*', '/'])) {
        assert!(line.find("*/").is_none_or(|end| end + 2 == line.len()), "{line}");
    }
}
