//! Schemas of events: what they take, what they tell, and what is no schema.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn raw(json: &str) -> Box<RawValue> {
    serde_json::from_str(json).unwrap()
}

fn of(schema: Value) -> Schemas {
    Schemas::compile([("x".to_owned(), schema)], false).unwrap()
}

fn refused(schema: Value) -> SchemaFault {
    let mut faults = Schemas::compile([("x".to_owned(), schema)], false).unwrap_err();
    assert_eq!(faults.len(), 1);
    faults.remove(0)
}

fn paths(faults: &[Fault]) -> Vec<&str> {
    faults.iter().map(|fault| fault.path.as_str()).collect()
}

#[test]
fn what_fits_has_no_fault_and_what_does_not_is_told_with_its_place() {
    let schemas = of(json!({
        "type": "object",
        "required": ["n"],
        "additionalProperties": false,
        "properties": {"n": {"type": "integer", "minimum": 0}, "a/b~c": {"items": {"type": "string"}}},
    }));
    assert_eq!(schemas.check("x", &raw(r#"{"n": 1, "a/b~c": ["y"]}"#)), []);
    let told = schemas.check("x", &raw(r#"{"n": -1, "a/b~c": ["y", 7]}"#));
    assert_eq!(paths(&told), ["/payload/a~1b~0c/1", "/payload/n"]);
    let told = schemas.check("x", &raw(r#"{"m": 1}"#));
    assert_eq!(paths(&told), ["/payload", "/payload"]);
    assert!(told.iter().any(|fault| fault.message.contains("\"n\" is a required property")), "{told:?}");
    assert!(told.iter().any(|fault| fault.message.contains("'m' was unexpected")), "{told:?}");
    assert_eq!(paths(&schemas.check("x", &raw("[]"))), ["/payload"]);
}

#[test]
fn a_type_without_a_schema_is_taken_unless_they_are_strict() {
    let payload = raw(r#"{"n": 1, "n": "\ud800"}"#);
    assert_eq!(of(json!(false)).check("y", &payload), [], "it is not even read");
    let strict = Schemas::compile([("x".to_owned(), json!(true))], true).unwrap();
    assert_eq!(paths(&strict.check("y", &raw("1"))), ["/type"]);
    assert_eq!(strict.check("x", &raw("1")), []);
    assert_eq!(Schemas::default().check("y", &payload), []);
}

#[test]
fn formats_are_asserted() {
    for (format, good, bad) in [
        ("date-time", "2026-01-01T00:00:00.000Z", "yesterday"),
        ("date-time", "2024-02-29T23:59:59+01:00", "2026-02-29T00:00:00Z"),
        ("uri", "https://img.example/a.png?b=c", "/a.png"),
        ("uri", "urn:x:y", "https://not a uri"),
    ] {
        let schemas = of(json!({"type": "string", "format": format}));
        assert_eq!(schemas.check("x", &raw(&json!(good).to_string())), [], "{good}");
        assert_eq!(paths(&schemas.check("x", &raw(&json!(bad).to_string()))), ["/payload"], "{bad}");
    }
}

#[test]
fn what_is_told_is_bounded_and_hands_nothing_back() {
    let schemas = of(json!({"items": {"type": "integer"}}));
    let secret = "s3cret".repeat(100);
    let told = schemas.check("x", &raw(&json!(vec![&secret; 100]).to_string()));
    assert_eq!(told.len(), MOST_FAULTS);
    assert!(told.iter().all(|fault| !fault.message.contains("s3cret")), "{told:?}");
    let large = schemas.check("x", &raw(&json!(vec![&secret; 1_000]).to_string()));
    assert_eq!(paths(&large), ["/payload/0"], "of what is large, the first");

    let names = of(json!({"properties": {"n": true}, "additionalProperties": false}));
    let long = "ü".repeat(5_000);
    let told = names.check("x", &raw(&json!({&long: 1}).to_string()));
    assert!(told[0].message.len() <= MOST_TEXT && told[0].message.ends_with("..."), "{told:?}");
    let nested = of(json!({"additionalProperties": {"additionalProperties": {"type": "null"}}}));
    let told = nested.check("x", &raw(&json!({"a": {&long: 1}}).to_string()));
    assert_eq!(paths(&told), ["/payload/a"], "the nearest place that can be told");
}

#[test]
fn what_can_be_read_in_two_ways_or_not_at_all_does_not_fit() {
    let schemas = of(json!(true));
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    for (payload, word) in [
        (r#"{"a": {"n": 1, "\u006e": "x"}}"#, "`n` is there twice"),
        (r#""\ud800""#, "hex escape"),
        ("1e999", "number out of range"),
        (&deep, "recursion limit"),
    ] {
        let told = schemas.check("x", &raw(payload));
        assert_eq!(paths(&told), ["/payload"]);
        assert!(told[0].message.contains(word), "{told:?}");
    }
    for payload in ["null", "-1", "18446744073709551615", "1.5", "\"a\\n\"", "[true, {}]"] {
        assert_eq!(payload::read(payload).unwrap(), serde_json::from_str::<Value>(payload).unwrap());
    }
}

#[test]
fn a_schema_is_whole_in_its_file() {
    let local = json!({"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer"}}});
    assert_eq!(of(local).check("x", &raw("1")), []);
    for (reference, told) in [
        ("https://schemas.example/n.json", "https://schemas.example/n.json"),
        ("https://schemas.example/n.json#/$defs/n", "https://schemas.example/n.json#/$defs/n"),
        ("file:///etc/passwd", "file:///etc/passwd"),
        ("./other.json", "./other.json"),
        ("other.json#/$defs/n", "other.json#/$defs/n"),
    ] {
        let fault = refused(
            json!({"properties": {"a": {"prefixItems": [true, {}]}, "b": {"$ref": reference}}, "$defs": {"c": {"$ref": "#/properties/a"}}}),
        );
        assert_eq!((fault.kind.as_str(), fault.at.as_str()), ("x", "/properties/b/$ref"), "{fault}");
        assert!(fault.what.contains(told) && fault.what.contains("nothing is fetched"), "{fault}");
        assert!(fault.remedy.contains("$defs"));
    }
}

#[test]
fn a_schema_that_is_none_is_refused_with_the_place_of_its_fault() {
    for (schema, at, word) in [
        (json!({"properties": {"n": {"type": "integr"}}}), "/properties/n/type", "integr"),
        (json!({"properties": {"n": {"minimum": "0"}}}), "/properties/n/minimum", "number"),
        (json!([]), "", "[]"),
        (json!({"$ref": "#/$defs/none"}), "/$ref", "/$defs/none"),
        (json!({"allOf": [{"$ref": "#none"}]}), "/allOf/0/$ref", "none"),
        (json!({"$schema": "http://json-schema.org/draft-07/schema#"}), "/$schema", "draft-07"),
        (json!({"$schema": 7}), "/$schema", "7"),
        (json!({"properties": {"n": {"pattern": "(?=x)y"}}}), "/properties/n/pattern", "(?=x)y"),
        (json!({"properties": {"n": {"pattern": "("}}}), "/properties/n/pattern", "("),
    ] {
        let fault = refused(schema);
        assert_eq!(fault.at, at, "{fault}");
        assert!(
            fault.what.contains(word) && fault.to_string().starts_with("the schema of `x` is wrong at "),
            "{fault}"
        );
    }
    assert!(
        Schemas::compile(
            [("x".into(), json!({"$schema": format!("{}#", "https://json-schema.org/draft/2020-12/schema")}))],
            true
        )
        .is_ok()
    );
}

#[test]
fn every_schema_that_is_wrong_is_told() {
    let written = [("a".to_owned(), json!(1)), ("b".to_owned(), json!({})), ("c".to_owned(), json!("x"))];
    let faults = Schemas::compile(written, false).unwrap_err();
    assert_eq!(faults.iter().map(|fault| fault.kind.as_str()).collect::<Vec<_>>(), ["a", "c"]);
}

#[test]
fn a_schema_that_refers_to_itself_ends() {
    let tree = of(json!({"type": "object", "additionalProperties": {"$ref": "#"}}));
    assert_eq!(tree.check("x", &raw(r#"{"a": {"b": {}}}"#)), []);
    assert_eq!(paths(&tree.check("x", &raw(r#"{"a": {"b": 1}}"#))), ["/payload/a/b"]);
    if let Ok(circle) = Schemas::compile([("x".to_owned(), json!({"$ref": "#"}))], false) {
        circle.check("x", &raw("1"));
    }
}

fn any_payload() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,400}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 12, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..40).prop_map(Value::from),
            proptest::collection::hash_map("n|when|.{0,400}", inner, 0..12)
                .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_comes_the_answer_is_bounded_and_points_at_what_is_there(payload in any_payload()) {
        let schemas = of(json!({
            "type": ["object", "array"],
            "items": {"$ref": "#"},
            "uniqueItems": true,
            "properties": {"n": {"type": "integer", "minimum": 0}, "when": {"format": "date-time", "pattern": "^2"}},
            "additionalProperties": {"anyOf": [{"$ref": "#"}, {"const": 1}]},
        }));
        let told = schemas.check("x", &raw(&payload.to_string()));
        prop_assert!(told.len() <= MOST_FAULTS);
        let body = json!({ "payload": payload });
        for fault in told {
            prop_assert!(fault.message.len() <= MOST_TEXT && fault.path.len() <= MOST_TEXT);
            prop_assert!(body.pointer(&fault.path).is_some(), "{}", fault.path);
        }
    }
}
