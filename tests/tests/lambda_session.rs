//! Behind API Gateway a message is judged as everywhere, though nobody owns the connection between two of them: the deadline
//! of the token first, then the routes and the rooms; a refresh replaces what the token gave, and what is nobody's event
//! stops nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use gateway_tests::{
    Claims, eventually,
    lambda::{Cloud, Setup},
    tokens::{now, token},
};
use serde_json::{Value, json};

const DOORS: &str = r#"
[limits]
handshakes_per_ip = "off"
handshakes_per_user = "off"
[[endpoints]]
path = "/ws/dashboard"
roles = ["dashboard"]
join = ["nodes"]
[[endpoints]]
path = "/ws/agent"
roles = ["agent"]
agents = true
[[endpoints]]
path = "/ws"
on_expiry = "keep"
[[endpoints]]
path = "/ws/loud"
names = { ping = "PING", pong = "PONG", error = "ERROR" }
[[routes]]
from = "agent"
types = ["event"]
to = "room:agent:{sender.agentId}"
[[routes]]
from = "dashboard"
types = ["order"]
to = "agent:{payload.agentId}"
[[routes]]
from = "dashboard"
types = ["command"]
to = "agent:{payload.agentId}"
reply_timeout = "30s"
[[rooms.rules]]
match = "agent:{id}"
join = [{ role = "dashboard", permission = "agents.read" }]
[[rooms.rules]]
match = "user:{id}"
join = [{ user = "{id}" }]
"#;

fn reader(user: &str) -> Claims {
    Claims::of(user, "dashboard").with("permissions", json!(["agents.read"]))
}

fn is_error(message: &Value, id: &str, code: &str) {
    assert_eq!((&message["type"], &message["id"]), (&json!("error"), &json!(id)), "{message}");
    assert_eq!(message["payload"]["code"], code, "{message}");
    assert!(message["payload"]["message"].is_string(), "{message}");
    assert!(message["from"].is_null(), "{message}");
}

#[tokio::test]
async fn what_an_agent_reports_reaches_who_follows_it_and_an_order_reaches_the_agent() {
    let cloud = Cloud::with(DOORS).await;
    let (mut agent, greeting) = cloud.greeted("agent", &token("press-7", "agent")).await;
    assert_eq!(greeting["agentId"], "press-7");
    let (mut ann, _) = cloud.greeted("dashboard", &reader("ann").sign()).await;
    let pong = ann.ask(json!({"type": "ping", "id": "p", "payload": {"n": 1}})).await;
    assert_eq!((&pong["type"], &pong["id"], &pong["payload"]), (&json!("pong"), &json!("p"), &json!({"n": 1})));
    let told = ann.ask(json!({"type": "subscribe", "id": "s", "payload": {"room": "agent:press-7"}})).await;
    assert_eq!((&told["type"], &told["payload"]), (&json!("subscribed"), &json!({"room": "agent:press-7"})));
    agent.send(json!({"type": "event", "id": "e", "ack": true, "payload": {"heat": 71.50}, "from": "forged"})).await;
    let heard = ann.json().await;
    assert_eq!(
        (&heard["type"], &heard["payload"]["heat"], &heard["from"]["agentId"]),
        (&json!("event"), &json!(71.5), &json!("press-7"))
    );
    assert_eq!(agent.json().await["payload"]["delivered"], 1);
    ann.send(json!({"type": "order", "id": "o", "ack": true, "payload": {"agentId": "press-7", "do": "stop"}})).await;
    assert_eq!(agent.json().await["payload"]["do"], "stop");
    assert_eq!(ann.json().await["type"], "ack");
    let lost = ann.ask(json!({"type": "unsubscribe", "payload": {"room": "agent:press-7"}})).await;
    assert_eq!(lost["type"], "unsubscribed");
    let none = agent.ask(json!({"type": "event", "id": "f", "ack": true, "payload": 1})).await;
    assert_eq!(none["payload"]["delivered"], 0);
    // A newer connection of the agent takes its place.
    let (mut newer, _) = cloud.greeted("agent", &token("press-7", "agent")).await;
    assert_eq!(agent.json().await["payload"]["code"], "REPLACED");
    assert_eq!(agent.closed().await.0, 1000);
    ann.send(json!({"type": "order", "payload": {"agentId": "press-7", "do": "go"}})).await;
    assert_eq!(newer.json().await["payload"]["do"], "go");
    let stranger = Claims::of("mallory", "agent").with("sub", "press-7").with("sub", "press-8").sign();
    let (other, _) = cloud.greeted("agent", &stranger).await;
    other.leave().await;
}

#[tokio::test]
async fn errors_come_in_the_same_envelope_and_the_connection_stays() {
    let cloud = Cloud::with(DOORS).await;
    let (mut ann, _) = cloud.greeted("dashboard", &token("ann", "dashboard")).await;
    for (message, code) in [
        (json!({"type": "subscribe", "id": "1", "payload": {"room": "agent:press-7"}}), "FORBIDDEN"),
        (json!({"type": "subscribe", "id": "1", "payload": {"room": "user:bob"}}), "FORBIDDEN"),
        (json!({"type": "subscribe", "id": "1", "payload": {}}), "INVALID_MESSAGE"),
        (json!({"type": "nonsense", "id": "1"}), "INVALID_MESSAGE"),
        (json!({"type": "presence.joined", "id": "1"}), "INVALID_MESSAGE"),
        (json!({"type": "reply", "id": "1", "replyTo": "x"}), "NOT_ASKED"),
        (json!({"type": "cancel", "id": "1", "replyTo": "x"}), "NOT_ASKED"),
        (json!({"type": "command", "id": "1", "payload": {"agentId": "press-7"}}), "TARGET_OFFLINE"),
        (json!({"type": "auth.refresh", "id": "1", "payload": {"refreshToken": "x"}}), "REFRESH_UNSUPPORTED"),
    ] {
        is_error(&ann.ask(message).await, "1", code);
    }
    ann.send(r#"{"type":"x","id":"2","type":"y"}"#).await;
    is_error(&ann.json().await, "2", "INVALID_MESSAGE");
    ann.send("no JSON").await;
    assert_eq!(ann.json().await["payload"]["code"], "INVALID_MESSAGE");
    assert_eq!(ann.ask(json!({"type": "ping"})).await["type"], "pong");
    // Whoever speaks otherwise reads so.
    let (mut loud, _) = cloud.greeted("loud", &token("ann", "dashboard")).await;
    assert_eq!(loud.ask(json!({"type": "PING", "id": "p"})).await["type"], "PONG");
    assert_eq!(loud.ask(json!({"type": "x"})).await["type"], "ERROR");
}

#[tokio::test]
async fn a_refresh_replaces_what_the_token_gave() {
    let cloud = Cloud::with(DOORS).await;
    let (mut ann, _) = cloud.greeted("dashboard", &reader("ann").expiring_in(60).sign()).await;
    ann.ask(json!({"type": "subscribe", "payload": {"room": "agent:press-7"}})).await;
    let refresh = |token: String| json!({"type": "auth.refresh", "id": "r", "payload": {"token": token}});
    is_error(&ann.ask(refresh("nonsense".into())).await, "r", "TOKEN_INVALID");
    is_error(&ann.ask(refresh(reader("bob").sign())).await, "r", "IDENTITY_CHANGED");
    is_error(&ann.ask(refresh(Claims::of("ann", "agent").sign())).await, "r", "ROLE_MISMATCH");
    let done = ann.ask(refresh(reader("ann").expiring_in(600).sign())).await;
    assert_eq!((&done["type"], &done["id"]), (&json!("auth.refreshed"), &json!("r")), "{done}");
    let until = |items: Vec<Value>| -> Vec<i64> {
        let texts = items.into_iter().filter_map(|item| item["until"]["N"].as_str().map(str::to_owned));
        texts.filter_map(|text| text.parse().ok()).collect()
    };
    // Wherever it is found, the new deadline holds.
    for partition in ["connection#", "room#"] {
        let found = until(cloud.items_in(partition).await);
        assert!(!found.is_empty() && found.iter().all(|until| *until > (now() + 500) * 1000), "{partition}: {found:?}");
    }
    // Without the permission the room is left.
    let done = ann.ask(refresh(token("ann", "dashboard"))).await;
    assert_eq!(done["type"], "auth.refreshed");
    let left = ann.json().await;
    assert_eq!(
        (&left["type"], &left["payload"]),
        (&json!("unsubscribed"), &json!({"room": "agent:press-7", "code": "FORBIDDEN"}))
    );
    assert!(cloud.items_in("room#agent:press-7").await.is_empty());
    let records = cloud.records();
    assert_eq!(records.iter().filter(|record| record["event"] == "token.refreshed").count(), 2, "{records:?}");
    assert_eq!(records.iter().filter(|record| record["event"] == "token.refused").count(), 3, "{records:?}");
}

#[tokio::test]
async fn an_expired_token_is_handled_no_more_where_the_endpoint_closes_and_kept_where_it_keeps() {
    let cloud = Cloud::with(DOORS).await;
    let brief = reader("ann").expiring_in(2).sign();
    let (mut closing, _) = cloud.greeted("dashboard", &brief).await;
    let (mut keeping, _) = cloud.greeted("ws", &brief).await;
    while now() < expiry(&brief) {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    // What is published past the end does not reach it, though nobody has closed it yet.
    let told = cloud.publish(json!({"to": ["user:ann"], "type": "news", "payload": 1})).await;
    assert_eq!(told["delivered"], 1, "{told}");
    assert_eq!(keeping.json().await["type"], "news");
    closing.send(json!({"type": "ping", "id": "late"})).await;
    let why = closing.json().await;
    assert_eq!((&why["type"], &why["payload"]["code"]), (&json!("error"), &json!("TOKEN_EXPIRED")), "{why}");
    assert_eq!(closing.closed().await.0, 1000, "the service closes with a code of its own");
    assert_eq!(keeping.ask(json!({"type": "ping"})).await["type"], "pong");
    eventually(20, "one is left", async || (cloud.items_in("connection#").await.len() == 1).then_some(())).await;
    assert!(
        cloud
            .items_in("user#")
            .await
            .iter()
            .all(|item| item["held"]["SS"].as_array().is_some_and(|held| held.len() == 1))
    );
}

fn expiry(token: &str) -> i64 {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice::<Value>(&claims).unwrap()["exp"].as_i64().unwrap()
}

#[tokio::test]
async fn once_a_minute_who_is_due_is_warned_ended_or_given_a_sign_of_life() {
    let cloud = Cloud::with(DOORS).await;
    let (mut warned, _) = cloud.greeted("dashboard", &reader("ann").expiring_in(40).sign()).await;
    let (mut ended, _) = cloud.greeted("dashboard", &reader("bob").expiring_in(1).sign()).await;
    let (mut old, _) = cloud.greeted("ws", &token("eve", "dashboard")).await;
    // Nobody can wait for two hours: the items are made to say so.
    for mut item in cloud.items_in("connection#").await {
        if item["user"]["S"] == "eve" {
            item["connected"]["N"] = json!(((now() - 7_000) * 1000).to_string());
            cloud.put(&item).await;
        }
    }
    for mut item in cloud.items_in("due#").await {
        item["pk"]["S"] = json!(format!("due#{}", now() / 60));
        cloud.put(&item).await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let looked = cloud.minute().await;
    assert_eq!((&looked["looked"].as_u64().map(|looked| looked >= 3), &looked["failed"]), (&Some(true), &json!(0)));
    let warning = warned.json().await;
    assert_eq!(warning["type"], "auth.expiring", "{warning}");
    assert!(warning["payload"]["expiresAt"].is_string());
    assert_eq!(ended.json().await["payload"]["code"], "TOKEN_EXPIRED");
    assert_eq!(ended.closed().await.0, 1000);
    let notice = old.json().await;
    assert_eq!((&notice["type"], &notice["payload"]["code"]), (&json!("error"), &json!("DRAINING")), "{notice}");
    assert_eq!(old.json().await["type"], "ping", "a sign of life, so that the service does not cut it");
    // Each is told once.
    for mut item in cloud.items_in("due#").await {
        item["pk"]["S"] = json!(format!("due#{}", now() / 60));
        cloud.put(&item).await;
    }
    cloud.minute().await;
    assert_eq!(warned.json().await["type"], "ping");
    assert_eq!(old.json().await["type"], "ping");
}

#[tokio::test]
async fn who_is_to_be_looked_at_twice_in_a_minute_is_not_forgotten() {
    let cloud = Cloud::with(DOORS).await;
    // The warning and the end of the token are to come in one minute of the clock.
    while now() % 60 > 50 {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let minute = now() / 60;
    let (mut ann, _) = cloud.greeted("dashboard", &reader("ann").expiring_in(4).sign()).await;
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    cloud.minute().await;
    assert_eq!(ann.json().await["type"], "auth.expiring");
    let planned = cloud.items_in("due#").await;
    let planned: Vec<_> = planned.iter().map(|item| item["pk"]["S"].as_str().unwrap()).collect();
    assert_eq!(planned, [format!("due#{minute}")], "the end of the token is still to come");
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    cloud.minute().await;
    assert_eq!(ann.json().await["payload"]["code"], "TOKEN_EXPIRED");
}

#[tokio::test]
async fn leaving_twice_or_never_having_come_does_nothing() {
    let cloud = Cloud::open(Setup { config: DOORS.into(), environments: 2, ..Setup::default() }).await;
    let (ann, _) = cloud.greeted("dashboard", &reader("ann").sign()).await;
    let wire = cloud.wires().pop().expect("a connection");
    ann.leave().await;
    let gone = || async {
        let items = cloud.items().await;
        let left = items.iter().filter(|item| !item["pk"]["S"].as_str().unwrap().starts_with("due#"));
        left.filter(|item| item["held"].is_object() || item["wire"].is_object()).count() == 0
    };
    eventually(20, "nothing is left of it", async || gone().await.then_some(())).await;
    let context = json!({"eventType": "DISCONNECT", "stage": wire.stage, "connectionId": wire.id, "connectedAt": 1, "requestTimeEpoch": 1});
    for _ in 0..2 {
        let again = cloud.invoke(json!({ "requestContext": context })).await;
        assert_eq!(again["statusCode"], 200, "{again}");
    }
    let ends = cloud.records().iter().filter(|record| record["event"] == "disconnected").count();
    assert_eq!(ends, 1);
    // A message of a connection that nobody let in.
    let mut message = json!({"requestContext": context, "body": "{\"type\":\"ping\"}"});
    message["requestContext"]["eventType"] = json!("MESSAGE");
    assert_eq!(cloud.invoke(message).await["statusCode"], 200);
}

#[tokio::test]
async fn an_event_of_an_unknown_shape_is_answered_400_and_stops_nothing() {
    let cloud = Cloud::with(DOORS).await;
    let secret = token("ann", "dashboard");
    for event in [
        json!(7),
        json!(null),
        json!([]),
        json!({"hello": secret}),
        json!({"requestContext": {"stage": secret, "connectedAt": 1, "requestTimeEpoch": 1}}),
        json!({"requestContext": {"eventType": secret, "stage": "x", "connectionId": "y", "connectedAt": 1, "requestTimeEpoch": 1}}),
        json!({"Records": [{"body": {"token": secret}}]}),
        json!({"detail-type": 1, "source": secret}),
    ] {
        let answer = cloud.invoke(event.clone()).await;
        assert_eq!(answer["statusCode"], 400, "{event}: {answer}");
        assert!(answer["body"].as_str().unwrap().contains("INVALID_REQUEST"), "{answer}");
    }
    let (mut ann, _) = cloud.greeted("dashboard", &secret).await;
    assert_eq!(ann.ask(json!({"type": "ping"})).await["type"], "pong");
    assert!(cloud.written().contains("an event was not understood"));
}
