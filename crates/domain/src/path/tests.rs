//! Scalars found in raw JSON, and what is taken for absent.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

fn find(path: &str, json: &str) -> Option<Scalar> {
    let json = raw(json);
    Path::parse(path).unwrap().find(&json).map(Found::into_scalar)
}

fn text(text: &str) -> Option<Scalar> {
    Some(Scalar::Text(text.into()))
}

#[test]
fn a_scalar_is_found_by_names_and_places() {
    let json = r#"{"skip":{"a":[1,{"id":"no"}]},"a":{"id":"x","\u006e":-7},"items":[[],{"id":"i1"}],"0":"zero"}"#;
    assert_eq!(find("a.id", json), text("x"));
    assert_eq!(find("a.n", json), Some(Scalar::Integer(-7)));
    assert_eq!(find("items.1.id", json), text("i1"));
    assert_eq!(find("0", json), text("zero"));
    for absent in ["b", "a", "a.id.x", "items.2.id", "items.01.id", "items.id", "items.0.id", "items", "skip.a.9"] {
        assert_eq!(find(absent, json), None, "{absent}");
    }
}

#[test]
fn only_strings_and_whole_numbers_of_64_bits_are_values() {
    for (json, found) in [
        ("18446744073709551615", Some(Scalar::Integer(u64::MAX.into()))),
        ("-9223372036854775808", Some(Scalar::Integer(i64::MIN.into()))),
        ("0", Some(Scalar::Integer(0))),
        (r#""\u0061\n""#, text("a\n")),
        ("18446744073709551616", None),
        ("-0", None),
        ("1.0", None),
        ("1e3", None),
        ("true", None),
        ("null", None),
        ("[1]", None),
        (r#"{"v":1}"#, None),
        (r#""\ud800""#, None),
    ] {
        assert_eq!(find("v", &format!(r#"{{"v":{json}}}"#)), found, "{json}");
        assert_eq!(find("0", &format!("[{json},2]")), found, "{json} in a list");
        assert_eq!(Found::whole(&raw(json)).map(Found::into_scalar), found, "{json} alone");
    }
}

#[test]
fn a_member_on_the_way_that_comes_twice_counts_as_absent() {
    for json in [
        r#"{"a":{"id":"x"},"a":{"id":"x"}}"#,
        r#"{"a":{"id":"x"},"\u0061":1}"#,
        r#"{"a":1,"a":2,"a":{"id":"x"}}"#,
        r#"{"a":{"id":"x","id":"y"}}"#,
        r#"{"a":{"id":"x","i\u0064":null}}"#,
    ] {
        assert_eq!(find("a.id", json), None, "{json}");
    }
    assert_eq!(
        find("a.id", r#"{"b":1,"b":2,"a":{"x":1,"x":1,"id":"y"}}"#),
        text("y"),
        "off the way it does not matter"
    );
}

#[test]
fn what_is_skipped_may_be_as_deep_as_it_likes() {
    let deep = format!(r#"{{"deep":{}{},"id":"x"}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(find("id", &deep), text("x"));
    assert_eq!(find("deep.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0", &deep), None);
}

#[test]
fn a_text_that_is_no_path_is_told_why() {
    for text in ["", ".", "a.", ".a", "a..b"] {
        assert_eq!(Path::parse(text), Err(PathFault::EmptyStep), "{text}");
    }
    assert_eq!(Path::parse(&["a"; 17].join(".")), Err(PathFault::TooDeep));
    assert!(Path::parse(&["a"; 16].join(".")).is_ok());
    assert_eq!(Path::parse(&"a".repeat(257)), Err(PathFault::TooLong));
    assert_eq!(Path::parse("a.0.b").unwrap().to_string(), "a.0.b");
    assert!(Path::parse("a.0").unwrap().has_places() && !Path::parse("a.00").unwrap().has_places());
}

#[test]
fn a_claim_is_found_as_it_is_written_or_by_its_path() {
    let claims = json!({"a.b": "whole", "a": {"b": "inner", "c": [5, true]}, "https://x.example/t": "t", "f": 1.5});
    let claim = |path: &str| Path::parse(path).unwrap().find_claim(claims.as_object().unwrap()).map(Found::into_scalar);
    assert_eq!((claim("a.b"), claim("https://x.example/t")), (text("whole"), text("t")));
    assert_eq!(claim("a.c.0"), Some(Scalar::Integer(5)));
    for absent in ["a", "a.c", "a.c.1", "a.c.x", "f", "f.x", "z"] {
        assert_eq!(claim(absent), None, "{absent}");
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        (-1e9..1e9).prop_map(|number: f64| Value::from(number)),
        "[ab0\\\\\"é]{0,4}".prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[ab01]", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn reading_the_text_finds_what_building_it_would_find(value in json_value(), path in prop::collection::vec("[ab01]", 1..4)) {
        let path = path.join(".");
        let built = json!({"a": value});
        let json = raw(&serde_json::to_string_pretty(&built).unwrap());
        let path = Path::parse(&path).unwrap();
        prop_assert_eq!(path.find(&json), path.find_claim(built.as_object().unwrap()));
    }

    #[test]
    fn no_text_panics(json in "[\\[\\]{}\",:a0\\\\u.-]{0,40}", path in "[a0.]{0,8}") {
        if let (Ok(path), Ok(json)) = (Path::parse(&path), RawValue::from_string(json)) {
            let _ = path.find(&json);
        }
    }
}
