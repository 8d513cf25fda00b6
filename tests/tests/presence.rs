//! Presence: those in a room learn when a user's first connection subscribes and when its last one is gone, and a
//! newcomer finds who is there; in rooms that are too large, or where it is off, nobody is told anything.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use gateway_tests::{
    TestClient, TestGateway, eventually,
    raw::Raw,
    rooms::{agent, dashboard, unlimited},
    tokens::token,
};
use serde_json::{Value, json};

fn told(kind: &str, room: &str, user: &str, connections: u64) -> Value {
    let member = json!({"userId": user, "role": "dashboard", "connections": connections});
    json!({"type": format!("presence.{kind}"), "payload": {"room": room, "member": member}})
}

fn member(user: &str, connections: u64) -> Value {
    json!({"userId": user, "role": "dashboard", "connections": connections})
}

/// Waits until the gateway has so many connections, so that who left is gone.
async fn left(gateway: &TestGateway, count: u64) {
    eventually(5, "it is gone", async || (gateway.connections().await == count).then_some(())).await;
}

#[tokio::test]
async fn a_user_comes_with_its_first_connection_and_goes_with_its_last() {
    let gateway = unlimited("");
    const ROOM: &str = "agent:a1";
    let (mut ann, mut bob) = (dashboard(&gateway, "ann").await, dashboard(&gateway, "bob").await);
    assert_eq!(ann.join(ROOM).await["presence"], json!([member("ann", 1)]));
    assert_eq!(bob.join(ROOM).await["presence"], json!([member("ann", 1), member("bob", 1)]));
    assert_eq!(ann.heard().await, [told("joined", ROOM, "bob", 1)]);

    // Bob's second and third are no news, and what they find counts them.
    let (mut second, mut third) = (dashboard(&gateway, "bob").await, dashboard(&gateway, "bob").await);
    assert_eq!(second.join(ROOM).await["presence"], json!([member("ann", 1), member("bob", 2)]));
    assert_eq!(third.join(ROOM).await["presence"], json!([member("ann", 1), member("bob", 3)]));
    // Nor is it when one of them leaves, whichever way.
    assert!(bob.part(ROOM).await.is_empty());
    second.leave().await;
    left(&gateway, 3).await;
    assert!(ann.heard().await.is_empty() && bob.heard().await.is_empty() && third.heard().await.is_empty());

    drop(third);
    left(&gateway, 2).await;
    assert_eq!(ann.heard().await, [told("left", ROOM, "bob", 0)]);
    // He is still connected, and comes back.
    assert_eq!(bob.join(ROOM).await["presence"], json!([member("ann", 1), member("bob", 1)]));
    assert_eq!(ann.heard().await, [told("joined", ROOM, "bob", 1)]);
    assert!(bob.part(ROOM).await.is_empty());
    assert_eq!(ann.heard().await, [told("left", ROOM, "bob", 0)]);
    assert!(bob.heard().await.is_empty(), "who is not in the room is told nothing of it");
}

#[tokio::test]
async fn who_is_thrown_out_or_dies_is_gone_like_anybody_else() {
    let gateway = unlimited("");
    let mut ann = dashboard(&gateway, "ann").await;
    ann.join("agent:a1").await;
    let (mut bob, greeting) = TestClient::greeted(&gateway, "/ws/dashboard", &token("bob", "dashboard")).await;
    bob.join("agent:a1").await;
    assert_eq!(ann.json().await, told("joined", "agent:a1", "bob", 1));
    let id = greeting["connectionId"].as_str().unwrap();
    gateway.api("DELETE", &format!("/api/v1/connections/{id}"), None).await;
    assert_eq!(ann.json().await, told("left", "agent:a1", "bob", 0));
    assert_eq!(bob.closed().await.0, 4011);

    let mut raw = Raw::admitted(gateway.somewhere(), "/ws/dashboard", &token("eve", "dashboard")).await;
    assert!(raw.say(r#"{"type":"subscribe","payload":{"room":"agent:a1"}}"#).await);
    assert_eq!(ann.json().await, told("joined", "agent:a1", "eve", 1));
    raw.reset();
    assert_eq!(ann.json().await, told("left", "agent:a1", "eve", 0));
    assert!(ann.heard().await.is_empty());
}

#[tokio::test]
async fn each_room_has_a_presence_of_its_own_and_takes_no_offset_for_it() {
    let gateway = unlimited("");
    let mut drone = agent(&gateway, "a1").await;
    let (mut ann, mut bob) = (dashboard(&gateway, "ann").await, dashboard(&gateway, "bob").await);
    ann.join("agent:a2").await;
    let start = ann.join("agent:a1").await["offset"].as_u64().unwrap();
    assert_eq!(bob.join("agent:a1").await["offset"], start);
    assert!(bob.part("agent:a1").await.is_empty());
    let heard = ann.heard().await;
    assert_eq!(heard, [told("joined", "agent:a1", "bob", 1), told("left", "agent:a1", "bob", 0)]);
    assert_eq!(drone.tell(json!({"type": "event"})).await, 1);
    assert_eq!(ann.json().await["offset"], start + 1);
}

#[tokio::test]
async fn in_rooms_that_are_too_large_or_where_it_is_off_nobody_is_told() {
    let gateway = unlimited(
        "[rooms.default]\npresence = 2\n[[rooms.rules]]\nmatch = \"small\"\njoin = [{}]\n\
         [[rooms.rules]]\nmatch = \"quiet\"\njoin = [{}]\npresence = \"off\"\n",
    );
    let mut ann = dashboard(&gateway, "ann").await;
    assert_eq!(ann.join("small").await["presence"], json!([member("ann", 1)]));
    assert!(ann.join("quiet").await.get("presence").is_none());
    let mut bob = dashboard(&gateway, "bob").await;
    assert_eq!(bob.join("small").await["presence"], json!([member("ann", 1), member("bob", 1)]));
    assert!(bob.join("quiet").await.get("presence").is_none());
    assert_eq!(ann.heard().await, [told("joined", "small", "bob", 1)]);
    // The third is one too many: neither is it told of the others, nor they of it.
    let mut carl = dashboard(&gateway, "carl").await;
    let there = carl.join("small").await;
    assert!(there.get("presence").is_none(), "{there}");
    assert!(ann.heard().await.is_empty() && bob.heard().await.is_empty());
    // A user's many connections are one member.
    assert!(carl.part("small").await.is_empty());
    let mut again = dashboard(&gateway, "ann").await;
    assert_eq!(again.join("small").await["presence"], json!([member("ann", 2), member("bob", 1)]));
}
