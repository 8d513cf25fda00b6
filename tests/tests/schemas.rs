//! Events fit the schemas of their types or are not published at all: the five of the dashboard example in every shape
//! that is good or bad, batches, strictness, and configurations whose schemas cannot be used.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use gateway_tests::{
    TestGateway, example,
    gateway::Options,
    program::run,
    rooms::{UNLIMITED, dashboard},
    tokens::token,
};
use serde_json::{Value, json};

const EXAMPLE: &str = "dashboard";

async fn publish(gateway: &TestGateway, kind: &str, payload: &Value) -> (u16, Value) {
    let body = json!({"to": ["user:ann"], "type": kind, "payload": payload});
    gateway.api_as(&token("backend", "service"), "POST", "/api/v1/events", Some(body)).await
}

async fn publish_all(gateway: &TestGateway, events: Vec<Value>) -> (u16, Value) {
    let body = json!({ "events": events });
    gateway.api_as(&token("backend", "service"), "POST", "/api/v1/events/batch", Some(body)).await
}

fn paths(answer: &Value) -> Vec<&str> {
    answer["error"]["details"].as_array().unwrap().iter().map(|fault| fault["path"].as_str().unwrap()).collect()
}

fn is_mismatch(told: &(u16, Value), at: &[&str]) {
    let (status, answer) = told;
    assert_eq!((*status, &answer["error"]["code"]), (422, &json!("SCHEMA_MISMATCH")), "{answer}");
    assert_eq!(paths(answer), at, "{answer}");
}

fn summary() -> Value {
    json!({
        "totalMocs": 12, "totalWishlistItems": 0,
        "mocsByBuildStatus": {"ADDED": 3, "IN_PROGRESS": 4, "BUILT": 5},
        "mocsByCoverageStatus": {"FULL_INVENTORY": 5, "PARTIAL_ORDERED": 6, "NONE": 1},
    })
}

fn recent() -> Value {
    json!({
        "id": "m1", "title": "Lighthouse", "theme": "Harbour", "buildStatus": "ADDED",
        "coverImageUrl": "https://img.example/m1.png", "createdAt": "2026-01-01T00:00:00.000Z",
    })
}

fn partial() -> Value {
    json!([{
        "id": "m1", "title": "Lighthouse", "theme": "Harbour", "buildStatus": "BUILT",
        "coveragePercentage": 99.5, "lastUpdatedAt": "2026-01-01T01:00:00+01:00",
    }])
}

fn themes() -> Value {
    json!([{"theme": "Harbour", "mocCount": 2, "setCount": 0}, {"theme": "", "mocCount": 0, "setCount": 1}])
}

fn fault() -> Value {
    json!({"code": "OUT_OF_DATE", "message": "the figures are from yesterday"})
}

/// A good payload of each type.
fn good() -> [(&'static str, Value); 5] {
    [
        ("dashboard:summaryUpdated", summary()),
        ("dashboard:recentMocAdded", recent()),
        ("dashboard:partialPartsUpdated", partial()),
        ("dashboard:themeBreakdownUpdated", themes()),
        ("dashboard:error", fault()),
    ]
}

/// With another value at that place; none: without the member.
fn with(mut payload: Value, place: &str, value: Option<Value>) -> Value {
    let (around, name) = place.rsplit_once('/').unwrap();
    let around = payload.pointer_mut(around).unwrap();
    match (around, value) {
        (Value::Array(list), Some(value)) => list[name.parse::<usize>().unwrap()] = value,
        (around, Some(value)) => around[name] = value,
        (around, None) => drop(around.as_object_mut().unwrap().remove(name).unwrap()),
    }
    payload
}

#[test]
fn the_example_is_sound() {
    example::is_sound(EXAMPLE, &[]);
}

#[tokio::test]
async fn each_of_the_five_is_heard_in_its_good_shapes() {
    let gateway = example::open(EXAMPLE, &[]);
    let mut ann = dashboard(&gateway, "ann").await;
    let more = [
        ("dashboard:recentMocAdded", with(recent(), "/coverImageUrl", Some(Value::Null))),
        ("dashboard:recentMocAdded", with(recent(), "/buildStatus", Some(json!("IN_PROGRESS")))),
        ("dashboard:partialPartsUpdated", json!([])),
        ("dashboard:partialPartsUpdated", with(partial(), "/0/coveragePercentage", Some(json!(0)))),
        ("dashboard:partialPartsUpdated", with(partial(), "/0/coveragePercentage", Some(json!(100)))),
        ("dashboard:themeBreakdownUpdated", json!([])),
    ];
    for (kind, payload) in good().into_iter().chain(more) {
        let (status, answer) = publish(&gateway, kind, &payload).await;
        assert_eq!((status, &answer["delivered"]), (200, &json!(1)), "{kind} {answer}");
        let event = ann.json().await;
        assert_eq!((&event["type"], &event["payload"]), (&json!(kind), &payload));
    }
}

#[tokio::test]
async fn each_kind_of_bad_shape_is_refused_with_its_place() {
    let gateway = example::open(EXAMPLE, &[]);
    let mut ann = dashboard(&gateway, "ann").await;
    let [summary_kind, recent_kind, partial_kind, themes_kind, error_kind] = good().map(|(kind, _)| kind);
    let cases: Vec<(&str, Value, &str, Option<Value>, &str)> = vec![
        // A member is missing: the fault is where it should be.
        (summary_kind, summary(), "/totalMocs", None, "/payload"),
        (summary_kind, summary(), "/mocsByBuildStatus/BUILT", None, "/payload/mocsByBuildStatus"),
        (summary_kind, summary(), "/mocsByCoverageStatus/NONE", None, "/payload/mocsByCoverageStatus"),
        (recent_kind, recent(), "/coverImageUrl", None, "/payload"),
        (partial_kind, partial(), "/0/theme", None, "/payload/0"),
        (themes_kind, themes(), "/1/setCount", None, "/payload/1"),
        (error_kind, fault(), "/message", None, "/payload"),
        // One is there that is none of its members.
        (summary_kind, summary(), "/more", Some(json!(1)), "/payload"),
        (summary_kind, summary(), "/mocsByBuildStatus/SOLD", Some(json!(1)), "/payload/mocsByBuildStatus"),
        (recent_kind, recent(), "/more", Some(json!(1)), "/payload"),
        (partial_kind, partial(), "/0/more", Some(json!(1)), "/payload/0"),
        (themes_kind, themes(), "/0/more", Some(json!(1)), "/payload/0"),
        (error_kind, fault(), "/more", Some(json!(1)), "/payload"),
        // A value is of another form.
        (summary_kind, summary(), "/totalMocs", Some(json!("12")), "/payload/totalMocs"),
        (summary_kind, summary(), "/totalMocs", Some(json!(1.5)), "/payload/totalMocs"),
        (summary_kind, summary(), "/mocsByBuildStatus", Some(json!([])), "/payload/mocsByBuildStatus"),
        (summary_kind, summary(), "/mocsByBuildStatus/ADDED", Some(json!(null)), "/payload/mocsByBuildStatus/ADDED"),
        (recent_kind, recent(), "/id", Some(json!(7)), "/payload/id"),
        (recent_kind, recent(), "/title", Some(json!(null)), "/payload/title"),
        (recent_kind, recent(), "/coverImageUrl", Some(json!(false)), "/payload/coverImageUrl"),
        (partial_kind, partial(), "/0", Some(json!("m1")), "/payload/0"),
        (partial_kind, partial(), "/0/coveragePercentage", Some(json!("99")), "/payload/0/coveragePercentage"),
        (themes_kind, themes(), "/1/mocCount", Some(json!(true)), "/payload/1/mocCount"),
        (error_kind, fault(), "/code", Some(json!(500)), "/payload/code"),
        // A value is out of bounds.
        (summary_kind, summary(), "/totalMocs", Some(json!(-1)), "/payload/totalMocs"),
        (summary_kind, summary(), "/totalWishlistItems", Some(json!(-1)), "/payload/totalWishlistItems"),
        (partial_kind, partial(), "/0/coveragePercentage", Some(json!(100.1)), "/payload/0/coveragePercentage"),
        (partial_kind, partial(), "/0/coveragePercentage", Some(json!(-0.1)), "/payload/0/coveragePercentage"),
        // A word is none of those that are known, a time none.
        (recent_kind, recent(), "/buildStatus", Some(json!("added")), "/payload/buildStatus"),
        (partial_kind, partial(), "/0/buildStatus", Some(json!("SOLD")), "/payload/0/buildStatus"),
        (recent_kind, recent(), "/createdAt", Some(json!("1 January 2026")), "/payload/createdAt"),
        (recent_kind, recent(), "/createdAt", Some(json!(1_767_225_600)), "/payload/createdAt"),
        (partial_kind, partial(), "/0/lastUpdatedAt", Some(json!("2026-13-01T00:00:00Z")), "/payload/0/lastUpdatedAt"),
    ];
    for (kind, payload, place, value, at) in cases {
        is_mismatch(&publish(&gateway, kind, &with(payload, place, value)).await, &[at]);
    }
    // The whole is of another form.
    for (kind, payload) in good() {
        for other in [json!(null), json!("x"), json!(1), if payload.is_array() { json!({}) } else { json!([]) }] {
            is_mismatch(&publish(&gateway, kind, &other).await, &["/payload"]);
        }
    }
    assert!(ann.heard().await.is_empty(), "none of it was heard");
}

#[tokio::test]
async fn several_faults_are_told_at_once_and_never_too_many_nor_what_was_sent() {
    let gateway = example::open(EXAMPLE, &[]);
    let payload = json!([partial()[0], {"id": 1, "title": "t", "theme": "t", "buildStatus": "?"}]);
    let (status, answer) = publish(&gateway, "dashboard:partialPartsUpdated", &payload).await;
    assert_eq!(status, 422);
    let mut told = paths(&answer);
    told.sort_unstable();
    assert_eq!(told, ["/payload/1", "/payload/1", "/payload/1/buildStatus", "/payload/1/id"], "{answer}");
    let private = "only ann may read this ".repeat(20);
    let (_, answer) = publish(&gateway, "dashboard:partialPartsUpdated", &json!(vec![&private; 40])).await;
    assert_eq!(paths(&answer).len(), 20);
    assert!(!answer.to_string().contains("only ann") && answer.to_string().len() < 8_000, "{answer}");
}

#[tokio::test]
async fn where_they_are_strict_a_type_without_a_schema_is_refused() {
    let gateway = example::open(EXAMPLE, &[]);
    is_mismatch(&publish(&gateway, "dashboard:summary", &summary()).await, &["/type"]);
    let (status, answer) = publish(&gateway, "error", &summary()).await;
    assert_eq!((status, paths(&answer)), (400, vec!["/type"]), "a word of the gateway's own is no type at all");
    let schema = ("n.json".to_owned(), b"{\"type\": \"integer\"}".to_vec());
    let config = format!("{UNLIMITED}[events]\nschemas = {{ n = \"n.json\" }}\n");
    let loose = TestGateway::open(Options { config, files: vec![schema], ..Options::default() });
    assert_eq!(publish(&loose, "anything", &json!({"n": []})).await.0, 200, "as shipped they are not strict");
    assert_eq!(publish(&loose, "n", &json!(1)).await.0, 200);
    is_mismatch(&publish(&loose, "n", &json!("1")).await, &["/payload"]);
}

#[tokio::test]
async fn a_batch_with_one_event_that_does_not_fit_sends_none() {
    let gateway = example::open(EXAMPLE, &[]);
    let mut ann = dashboard(&gateway, "ann").await;
    let event = |(kind, payload): (&str, Value)| json!({"to": ["user:ann"], "type": kind, "payload": payload});
    let events: Vec<Value> = good().map(event).to_vec();
    let mut one_bad = events.clone();
    one_bad[3]["payload"][1]["mocCount"] = json!(-1);
    is_mismatch(&publish_all(&gateway, one_bad.clone()).await, &["/events/3/payload/1/mocCount"]);
    one_bad[0]["type"] = json!("dashboard:other");
    is_mismatch(&publish_all(&gateway, one_bad.clone()).await, &["/events/0/type", "/events/3/payload/1/mocCount"]);
    one_bad[4]["to"] = json!(["ann"]);
    let (status, answer) = publish_all(&gateway, one_bad).await;
    assert_eq!(status, 400, "what has not even the form goes before what does not fit: {answer}");
    let many = vec![event(("dashboard:partialPartsUpdated", json!(vec![1; 50]))); 50];
    let told = publish_all(&gateway, many).await;
    assert_eq!((told.0, paths(&told.1).len(), paths(&told.1)[99]), (422, 100, "/events/4/payload/19"));
    assert!(ann.heard().await.is_empty());
    let (status, answer) = publish_all(&gateway, events).await;
    assert_eq!((status, answer["results"].as_array().unwrap().len()), (200, 5));
    assert_eq!(ann.heard().await.len(), 5);
}

#[tokio::test]
async fn what_did_not_fit_leaves_its_id_free() {
    let gateway = example::open(EXAMPLE, &[]);
    let id = uuid::Uuid::new_v4().to_string();
    let mut body = json!({"to": ["user:ann"], "type": "dashboard:error", "payload": {"code": "X"}, "eventId": id});
    let (status, _) = gateway.api_as(&token("b", "service"), "POST", "/api/v1/events", Some(body.clone())).await;
    assert_eq!(status, 422);
    body["payload"]["message"] = json!("mended");
    let (status, answer) = gateway.api_as(&token("b", "service"), "POST", "/api/v1/events", Some(body)).await;
    assert_eq!((status, answer.get("duplicate")), (200, None), "{answer}");
}

#[test]
fn schemas_that_cannot_be_used_are_faults_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    put("secret.txt", gateway_tests::SECRET);
    put("none.json", "{");
    put("wrong.json", r#"{"properties": {"n": {"type": "integr"}}}"#);
    put("remote.json", r#"{"items": {"$ref": "https://schemas.example/n.json"}}"#);
    put("good.json", r#"{"type": "integer"}"#);
    put("large.json", &format!("{{\"title\": \"{}\"}}", "x".repeat(1 << 20)));
    put(
        "gateway.toml",
        "[[auth.keys]]\nkid = \"main\"\nalgorithm = \"HS256\"\nsecret_file = \"secret.txt\"\n[events.schemas]\n\
         good = \"good.json\"\n\"a:missing\" = \"missing.json\"\n\"a:none\" = \"none.json\"\n\"a:wrong\" = \"wrong.json\"\n\
         \"a:remote\" = \"remote.json\"\n\"a:large\" = \"large.json\"\n\"a:folder\" = \".\"\n\"agent.online\" = \"good.json\"\n\"\" = \"good.json\"\n",
    );
    for command in ["config check", "serve"] {
        let arguments: Vec<&str> = command.split(' ').collect();
        let (code, _, told) = run(folder.path(), &arguments, "", &[]);
        assert_eq!(code, Some(2), "{command}: {told}");
        let lines: Vec<&str> = told.lines().collect();
        for (line, key, words) in [
            (7, "\"a:missing\"", ["the file `missing.json` does not exist", "Write the schema there"]),
            (8, "\"a:none\"", ["`none.json` is no JSON", "Mend the file"]),
            (9, "\"a:wrong\"", ["at /properties/n/type", "JSON Schema 2020-12"]),
            (10, "\"a:remote\"", ["at /items/$ref: it refers to `https://schemas.example/n.json`", "$defs"]),
            (11, "\"a:large\"", ["more than 1048576 bytes", "smaller"]),
            (12, "\"a:folder\"", ["cannot be read", "may read"]),
            (13, "\"agent.online\"", ["a word of the gateway's own", "a type of your own"]),
            (14, "\"\"", ["the event type is empty", "a type of your own"]),
        ] {
            let place = format!("gateway.toml:{line}:1  events.schemas.{key}: ");
            let fault = lines.iter().find(|told| told.contains(&place)).unwrap_or_else(|| panic!("{place}\n{told}"));
            assert!(words.iter().all(|word| fault.contains(word)), "{words:?}\n{fault}");
        }
        assert_eq!(lines.iter().filter(|line| line.contains("events.schemas")).count(), 8, "{told}");
    }
}
