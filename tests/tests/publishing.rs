//! Backends publish by HTTP: to users, rooms and agents, each event once, and what is at fault is told with its place.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use gateway_tests::{
    TestGateway,
    rooms::{agent, dashboard, unlimited},
    several::scope,
    tokens::token,
};
use serde_json::{Value, json};

async fn publish(gateway: &TestGateway, body: Value) -> (u16, Value) {
    gateway.api_as(&token("backend", "service"), "POST", "/api/v1/events", Some(body)).await
}

fn paths(answer: &Value) -> Vec<&str> {
    answer["error"]["details"].as_array().unwrap().iter().map(|fault| fault["path"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_event_reaches_each_connection_of_its_user_once_and_nobody_else() {
    let gateway = unlimited("");
    let (mut one, mut other) = (dashboard(&gateway, "ann").await, dashboard(&gateway, "ann").await);
    let mut stranger = dashboard(&gateway, "bob").await;
    let payload = json!({"n": [1, 2.5, null]});
    let (status, answer) =
        publish(&gateway, json!({"to": ["user:ann", "role:nobody"], "type": "dashboard:x", "payload": payload})).await;
    assert_eq!((status, &answer["delivered"], &answer["scope"]), (200, &json!(2), &json!(scope())), "{answer}");
    for client in [&mut one, &mut other] {
        let event = client.json().await;
        let names: Vec<_> = event.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["eventId", "payload", "timestamp", "type"], "four members and nothing else");
        assert_eq!((&event["eventId"], &event["payload"]), (&answer["eventId"], &payload));
    }
    assert!(stranger.heard().await.is_empty());
}

#[tokio::test]
async fn who_subscribed_to_a_room_with_a_history_is_told_where_it_stands() {
    let gateway = unlimited("[[rooms.rules]]\nmatch = \"news\"\njoin = [{ role = \"dashboard\" }]\n");
    let mut ann = dashboard(&gateway, "ann").await;
    let start = ann.join("news").await;
    let body =
        json!({"to": ["room:news", "user:ann", "role:dashboard", "room:news"], "type": "news", "payload": "hot"});
    assert_eq!(publish(&gateway, body).await.1["delivered"], 1);
    let heard = ann.heard().await;
    assert_eq!(heard.len(), 1, "once for the room with a history, and not again: {heard:?}");
    assert_eq!((&heard[0]["room"], &heard[0]["offset"]), (&json!("news"), &json!(1)));
    ann.leave().await;
    let mut back = dashboard(&gateway, "ann").await;
    let again = back.join_since("news", Some(&json!({"epoch": start["epoch"], "offset": 0}))).await;
    assert_eq!((&again["recovered"], &again["missed"]), (&json!(true), &json!(1)));
    assert_eq!(back.json().await, heard[0], "the very same");
}

#[tokio::test]
async fn every_target_is_meant_and_a_role_or_an_agent_is_found() {
    let gateway = unlimited("");
    let (mut ann, mut press) = (dashboard(&gateway, "ann").await, agent(&gateway, "press-7").await);
    for (targets, to_ann, to_press) in [
        (json!(["agent:press-7"]), false, true),
        (json!(["role:dashboard"]), true, false),
        (json!(["endpoint:/ws/agent", "agent:press-7"]), false, true),
        (json!(["user:ann?role=agent"]), false, false),
        (json!(["user:ann?role=dashboard", "role:agent"]), true, true),
    ] {
        let body = json!({"to": targets, "type": "x", "payload": null});
        let (_, answer) = publish(&gateway, body).await;
        assert_eq!(answer["delivered"], u64::from(to_ann) + u64::from(to_press), "{targets}");
        assert_eq!((ann.heard().await.len(), press.heard().await.len()), (to_ann.into(), to_press.into()), "{targets}");
    }
}

#[tokio::test]
async fn an_event_that_is_sent_again_is_told_once_and_another_under_its_id_is_refused() {
    let gateway = unlimited("");
    let mut ann = dashboard(&gateway, "ann").await;
    let id = uuid::Uuid::new_v4().to_string();
    let body = json!({"to": ["user:ann"], "type": "x", "payload": 1, "eventId": id});
    let first = publish(&gateway, body.clone()).await;
    assert_eq!(first, (200, json!({"eventId": id, "delivered": 1, "scope": scope()})));
    let (_, again) = publish(&gateway, body.clone()).await;
    assert_eq!(again, json!({"eventId": id, "delivered": 1, "scope": scope(), "duplicate": true}));
    for (member, value) in [("payload", json!(2)), ("type", json!("y")), ("to", json!(["user:bob"]))] {
        let mut other = body.clone();
        other[member] = value;
        let (status, answer) = publish(&gateway, other).await;
        assert_eq!((status, &answer["error"]["code"]), (409, &json!("CONFLICT")), "{member}");
    }
    assert_eq!(ann.heard().await.len(), 1);
    // Many at once with one id: one is first.
    let id = uuid::Uuid::new_v4().to_string();
    let body = json!({"to": ["user:ann"], "type": "x", "payload": 1, "eventId": id});
    let answers = futures_util::future::join_all((0..20).map(|_| publish(&gateway, body.clone()))).await;
    assert_eq!(answers.iter().filter(|(_, answer)| answer.get("duplicate").is_none()).count(), 1);
    assert_eq!(ann.heard().await.len(), 1);
}

#[tokio::test]
async fn what_is_at_fault_is_told_with_its_place() {
    let gateway = unlimited("");
    let good = json!({"to": ["user:ann"], "type": "x", "payload": 1});
    for (member, value, status, path) in [
        ("to", json!([]), 400, "/to"),
        ("to", json!(["ann"]), 400, "/to/0"),
        ("to", json!(["user:ann", "sender"]), 400, "/to/1"),
        ("to", json!(["subscribe:x"]), 400, "/to/0"),
        ("to", json!(["webhook:x"]), 400, "/to/0"),
        ("to", json!(vec!["user:ann"; 101]), 400, "/to"),
        ("type", json!("error"), 400, "/type"),
        ("type", json!(""), 400, "/type"),
        ("eventId", json!("not one"), 422, "/eventId"),
    ] {
        let mut body = good.clone();
        body[member] = value;
        let (got, answer) = publish(&gateway, body).await;
        assert_eq!((got, paths(&answer)), (status, vec![path]), "{answer}");
    }
    for body in [json!({}), json!([]), json!({"to": ["user:ann"], "type": "x"}), json!({"more": 1})] {
        assert_eq!(publish(&gateway, body).await.0, 400);
    }
    let (status, answer) = gateway.api_as(&token("ann", "dashboard"), "POST", "/api/v1/events", Some(good)).await;
    assert_eq!((status, &answer["error"]["code"]), (403, &json!("FORBIDDEN")));
}

#[tokio::test]
async fn a_batch_is_told_in_order_or_not_at_all() {
    let gateway = unlimited("");
    let mut ann = dashboard(&gateway, "ann").await;
    let event = |n: usize| json!({"to": ["user:ann"], "type": "x", "payload": n});
    let batch = |events: Vec<Value>| {
        let (gateway, token) = (&gateway, token("backend", "service"));
        async move { gateway.api_as(&token, "POST", "/api/v1/events/batch", Some(json!({"events": events}))).await }
    };
    let (status, answer) = batch((0..50).map(event).collect()).await;
    assert_eq!((status, answer["results"].as_array().unwrap().len()), (200, 50));
    let heard: Vec<u64> = ann.heard().await.iter().map(|event| event["payload"].as_u64().unwrap()).collect();
    assert!(heard.iter().copied().eq(0..50), "{heard:?}");
    let mut events: Vec<Value> = (0..10).map(event).collect();
    events[7]["to"] = json!(["nobody"]);
    let (status, answer) = batch(events.clone()).await;
    assert_eq!((status, paths(&answer)), (400, vec!["/events/7/to/0"]));
    events[7] = event(7);
    events[3]["eventId"] = json!("x");
    let (status, answer) = batch(events).await;
    assert_eq!(
        (status, paths(&answer), &answer["error"]["code"]),
        (422, vec!["/events/3/eventId"], &json!("SCHEMA_MISMATCH"))
    );
    assert_eq!(batch(Vec::new()).await.0, 400);
    assert_eq!(batch((0..1001).map(event).collect()).await.0, 400);
    assert!(ann.heard().await.is_empty(), "one bad event, and none is told");
}
