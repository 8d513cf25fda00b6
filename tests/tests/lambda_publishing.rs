//! A backend publishes behind API Gateway as over HTTP: the same bodies, schemas and answers, by whatever way AWS hands them
//! over; and who is gone is removed by that, and told of.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use gateway_tests::{
    Claims, TestClient, eventually, example,
    lambda::{Cloud, Setup},
    tokens::token,
};
use serde_json::{Value, json};

const FREE: &str = "[limits]\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = \"off\"\n";
const ID: &str = "3f0c2b57-9f0e-4c7e-8a51-6f1f6f5f0a6e";

/// What a backend would send over HTTP: the same body in each envelope of AWS.
fn over_http(body: &Value, headers: Value) -> Value {
    json!({
        "version": "2.0", "rawPath": "/", "headers": headers, "isBase64Encoded": false, "body": body.to_string(),
        "requestContext": {"http": {"method": "POST", "path": "/", "sourceIp": "198.51.100.7"}, "timeEpoch": 1},
    })
}

fn body_of(answer: &Value) -> Value {
    serde_json::from_str(answer["body"].as_str().unwrap_or_default()).unwrap_or_default()
}

/// The dashboard example to the letter, but for the files that a function has no disk for.
async fn dashboard() -> Cloud {
    let mut config = example::file("dashboard", "gateway.toml");
    config.push_str(FREE);
    let schemas = ["summary", "recent-moc", "partial-parts", "theme-breakdown", "error"];
    let files = schemas.map(|name| {
        let name = format!("schemas/{name}.json");
        let text = example::file("dashboard", &name);
        (name, text)
    });
    Cloud::open(Setup { config, own_keys: true, files: files.into(), ..Setup::default() }).await
}

#[tokio::test]
async fn every_dashboard_event_arrives_as_it_should_look_and_no_other_is_published() {
    let cloud = dashboard().await;
    let (mut ann, _) = cloud.greeted("dashboard", &token("ann", "dashboard")).await;
    let (mut bob, _) = cloud.greeted("dashboard", &token("bob", "dashboard")).await;
    let events = [
        (
            "dashboard:summaryUpdated",
            json!({
                "totalMocs": 12, "totalWishlistItems": 0,
                "mocsByBuildStatus": {"ADDED": 3, "IN_PROGRESS": 4, "BUILT": 5},
                "mocsByCoverageStatus": {"FULL_INVENTORY": 5, "PARTIAL_ORDERED": 6, "NONE": 1},
            }),
        ),
        (
            "dashboard:recentMocAdded",
            json!({
                "id": "m1", "title": "Lighthouse", "theme": "Harbour", "buildStatus": "ADDED", "coverImageUrl": null,
                "createdAt": "2026-01-01T00:00:00.000Z",
            }),
        ),
        (
            "dashboard:partialPartsUpdated",
            json!([{
                "id": "m1", "title": "Lighthouse", "theme": "Harbour", "buildStatus": "BUILT",
                "coveragePercentage": 99.5, "lastUpdatedAt": "2026-01-01T01:00:00+01:00",
            }]),
        ),
        ("dashboard:themeBreakdownUpdated", json!([{"theme": "Harbour", "mocCount": 3, "setCount": 0}])),
        ("dashboard:error", json!({"code": "STALE", "message": "the summary is old"})),
    ];
    for (kind, payload) in events {
        let told = cloud.publish(json!({"to": ["user:ann"], "type": kind, "payload": payload})).await;
        assert_eq!((&told["delivered"], &told["scope"]), (&json!(1), &json!("cluster")), "{told}");
        let event = ann.json().await;
        assert_eq!((&event["type"], &event["payload"], &event["eventId"]), (&json!(kind), &payload, &told["eventId"]));
        assert!(event["timestamp"].as_str().is_some_and(|time| time.ends_with('Z') && time.len() == 24), "{event}");
        assert_eq!(event.as_object().map(serde_json::Map::len), Some(4), "{event}");
    }
    for (kind, payload, path) in
        [("dashboard:summaryUpdated", json!({"totalMocs": -1}), "/payload"), ("dashboard:unheard", json!({}), "/type")]
    {
        let told = cloud.publish(json!({"to": ["user:ann"], "type": kind, "payload": payload})).await;
        assert_eq!(told["error"]["code"], "SCHEMA_MISMATCH", "{told}");
        let details = told["error"]["details"].as_array().unwrap();
        assert!(details.iter().any(|fault| fault["path"].as_str().unwrap().starts_with(path)), "{told}");
    }
    // Nobody else has heard a word.
    assert_eq!(bob.ask(json!({"type": "ping"})).await["type"], "pong");
}

#[tokio::test]
async fn who_is_gone_is_removed_and_told_of_and_the_others_are_reached() {
    let cloud = Cloud::with(FREE).await;
    let mut clients: Vec<TestClient> = Vec::new();
    for _ in 0..5 {
        clients.push(cloud.greeted("dashboard", &token("ann", "dashboard")).await.0);
    }
    let mut wires = cloud.wires();
    wires.truncate(2);
    for wire in &wires {
        cloud.lose(wire);
    }
    // A service that is busy is asked again.
    cloud.throttle(2);
    let told =
        cloud.publish(json!({"to": ["user:ann", "user:ann?role=dashboard"], "type": "news", "payload": 1})).await;
    assert_eq!((&told["delivered"], &told["removed"], &told["failed"]), (&json!(3), &json!(2), &Value::Null), "{told}");
    let mut heard = 0;
    for client in &mut clients {
        if let Some(message) = client.next().await {
            heard += usize::from(message.to_text().unwrap().contains("news"));
        }
    }
    assert_eq!(heard, 3);
    assert_eq!(cloud.items_in("room#user:ann").await.len(), 3);
    assert_eq!(cloud.items_in("connection#").await.len(), 3);
    let held = cloud.items_in("user#ann").await;
    assert_eq!(held[0]["held"]["SS"].as_array().map(Vec::len), Some(3), "{held:?}");
    let again = cloud.publish(json!({"to": ["user:ann"], "type": "news", "payload": 2})).await;
    assert_eq!((&again["delivered"], &again["removed"]), (&json!(3), &Value::Null), "{again}");
    assert_eq!(cloud.records().iter().filter(|record| record["event"] == "disconnected").count(), 2);
    // What is left of a connection that nobody remembers goes by the first post to it.
    let mut left = cloud.items_in("room#user:ann").await.remove(0);
    for (name, value) in [
        ("sk", "7d9c0a52-31a4-4a4b-8d9e-6f1f6f5f0a6e"),
        ("id", "7d9c0a52-31a4-4a4b-8d9e-6f1f6f5f0a6e"),
        ("wire", "bm9ib2R5="),
    ] {
        left[name]["S"] = json!(value);
    }
    cloud.put(&left).await;
    let told = cloud.publish(json!({"to": ["user:ann"], "type": "news", "payload": 3})).await;
    assert_eq!((&told["delivered"], &told["removed"]), (&json!(3), &json!(1)), "{told}");
    assert_eq!(cloud.items_in("room#user:ann").await.len(), 3);
}

#[tokio::test]
async fn an_event_that_comes_again_is_told_once() {
    let cloud = Cloud::with(FREE).await;
    let (mut ann, _) = cloud.greeted("dashboard", &token("ann", "dashboard")).await;
    let event = json!({"to": ["user:ann"], "type": "invoice.paid", "payload": {"number": 17}, "eventId": ID});
    let first = cloud.publish(event.clone()).await;
    assert_eq!((&first["eventId"], &first["delivered"], &first["duplicate"]), (&json!(ID), &json!(1), &Value::Null));
    let again = cloud.publish(event.clone()).await;
    assert_eq!((&again["delivered"], &again["duplicate"]), (&json!(1), &json!(true)), "{again}");
    let mut other = event.clone();
    other["payload"] = json!({"number": 18});
    assert_eq!(cloud.publish(other).await["error"]["code"], "CONFLICT");
    let mut named = event;
    named["eventId"] = json!("no uuid");
    assert_eq!(cloud.publish(named).await["error"]["code"], "SCHEMA_MISMATCH");
    assert_eq!(ann.json().await["payload"]["number"], 17);
    assert_eq!(ann.ask(json!({"type": "ping"})).await["type"], "pong", "it was told once");
}

#[tokio::test]
async fn a_queue_a_bus_and_a_batch_hand_over_the_same_bodies() {
    let cloud = Cloud::with(FREE).await;
    let (mut ann, _) = cloud.greeted("dashboard", &token("ann", "dashboard")).await;
    let good = |n: u32| json!({"to": ["user:ann"], "type": "news", "payload": n});
    let bad = json!({"to": ["role:dashboard"], "type": "news", "payload": 0});
    let record = |id: &str, body: &Value| json!({"messageId": id, "body": body.to_string(), "eventSource": "aws:sqs"});
    let queue = json!({"Records": [record("m-1", &good(1)), record("m-2", &bad), record("m-3", &json!("x"))]});
    let answer = cloud.invoke(queue).await;
    assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": "m-2"}, {"itemIdentifier": "m-3"}]}));
    assert_eq!(ann.json().await["payload"], 1);
    cloud.invoke(json!({"detail-type": "news", "source": "shop", "detail": good(2)})).await;
    assert_eq!(ann.json().await["payload"], 2);
    let refused = cloud.publish(json!({"events": [good(3), bad]})).await;
    assert_eq!(refused["error"]["details"][0]["path"], "/events/1/to/0", "{refused}");
    let told = cloud.publish(json!({"events": [good(3), good(4)]})).await;
    assert_eq!(told["results"].as_array().map(Vec::len), Some(2), "{told}");
    assert_eq!((ann.json().await["payload"].clone(), ann.json().await["payload"].clone()), (json!(3), json!(4)));
    let large = cloud.publish(json!({"to": ["user:ann"], "type": "news", "payload": "x".repeat(200_000)})).await;
    assert_eq!(large["error"]["code"], "MESSAGE_TOO_BIG", "{large}");
}

#[tokio::test]
async fn over_the_open_network_a_backend_shows_who_it_is() {
    let key = "a key that only the backend knows";
    let config = format!(
        "{FREE}[[api_keys]]\nid = \"backend\"\nkey_env = \"BACKEND_KEY\"\nuser = \"backend\"\nroles = [\"service\"]\n"
    );
    let env = vec![("BACKEND_KEY".to_owned(), key.to_owned())];
    let cloud = Cloud::open(Setup { config, env, ..Setup::default() }).await;
    let (mut ann, _) = cloud.greeted("dashboard", &token("ann", "dashboard")).await;
    let event = json!({"to": ["user:ann"], "type": "news", "payload": 1});
    let bearer = |role: &str| json!({"authorization": format!("Bearer {}", token("backend", role))});
    for (headers, status, code) in [
        (json!({}), 401, "AUTH_REQUIRED"),
        (json!({"x-api-key": "another"}), 401, "TOKEN_INVALID"),
        (bearer("dashboard"), 403, "FORBIDDEN"),
        (
            json!({"authorization": format!("Bearer {}", Claims::of("backend", "service").expiring_in(-9).sign())}),
            401,
            "TOKEN_EXPIRED",
        ),
    ] {
        let answer = cloud.invoke(over_http(&event, headers)).await;
        assert_eq!(
            (&answer["statusCode"], &body_of(&answer)["error"]["code"]),
            (&json!(status), &json!(code)),
            "{answer}"
        );
    }
    for headers in [json!({ "x-api-key": key }), bearer("service"), bearer("admin")] {
        let answer = cloud.invoke(over_http(&event, headers)).await;
        assert_eq!((&answer["statusCode"], &body_of(&answer)["delivered"]), (&json!(200), &json!(1)), "{answer}");
        assert_eq!(ann.json().await["type"], "news");
    }
    // Who was let in by a signature of AWS has shown it already.
    let mut signed = over_http(&event, json!({}));
    signed["requestContext"]["authorizer"] = json!({"iam": {"userArn": "arn:aws:iam::1:role/backend"}});
    assert_eq!(cloud.invoke(signed).await["statusCode"], 200);
    let mut reading = over_http(&event, json!({ "x-api-key": key }));
    reading["requestContext"]["http"]["method"] = json!("GET");
    assert_eq!(cloud.invoke(reading).await["statusCode"], 405);
    eventually(5, "the records are written", async || {
        cloud.records().iter().any(|record| record["code"] == "FORBIDDEN").then_some(())
    })
    .await;
}
