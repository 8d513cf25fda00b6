//! What is counted of messages on their way.

use gateway_tests::{
    TestGateway,
    raw::{Raw, upgrade},
    rooms::{UNLIMITED, agent, dashboard, position, subscribe},
    scrape::Scrape,
    tokens::token,
};
use serde_json::json;
use tokio::net::TcpSocket;

use super::{Seen, shows};

/// Messages and bytes, deliveries, requests and replies, rooms and what they give back.
pub(super) async fn what_is_said_and_asked(seen: &mut Seen) {
    let gateway = TestGateway::with(UNLIMITED);
    let before = Scrape::of(&gateway).await;
    let (mut ann, mut drone) = (dashboard(&gateway, "ann").await, agent(&gateway, "a1").await);
    let joined = ann.join("agent:a1").await;
    for n in 0..3 {
        drone.send(json!({"type": "event", "payload": n})).await;
    }
    // What the agent said before its ping has been put where it goes.
    drone.heard().await;
    assert_eq!(ann.heard().await.len(), 3);
    let at = |endpoint| [("endpoint", endpoint)];
    let scrape = shows(&gateway, "they are counted", |scrape| {
        scrape.sum("gateway_messages_received_total", &at("/ws/agent")) == 4.0
    })
    .await;
    assert_eq!(scrape.sum("gateway_messages_received_total", &at("/ws/dashboard")), 2.0, "{}", scrape.text);
    // The greeting, `subscribed`, three events and a pong.
    assert_eq!(scrape.sum("gateway_messages_sent_total", &at("/ws/dashboard")), 6.0);
    let bytes = scrape.sum("gateway_received_bytes_total", &at("/ws/agent"));
    let said = 3.0 * json!({"type": "event", "payload": 0}).to_string().len() as f64;
    // The ping is shorter than two of them.
    assert!((said..said * 2.0).contains(&bytes), "{bytes}");
    assert!(scrape.sum("gateway_sent_bytes_total", &at("/ws/dashboard")) > 300.0);
    let deliveries = scrape.sum("gateway_delivery_seconds_count", &[]);
    assert!((1.0..=3.0).contains(&deliveries), "what is written together is one: {deliveries}");
    assert!(scrape.sum("gateway_delivery_seconds_sum", &[]) < 60.0);
    // The other is that of those who follow all agents: it remembers that one came.
    assert_eq!(scrape.sum("gateway_rooms", &[]), 2.0);
    assert_eq!(scrape.sum("gateway_room_memberships", &[]), 1.0);
    assert!(scrape.sum("gateway_room_history_bytes", &[]) > 100.0);

    // One is asked and answers; one is asked and leaves; one is not there.
    ann.send(json!({"type": "command", "payload": {"agentId": "a1"}})).await;
    let asked = drone.json().await;
    assert_eq!(Scrape::of(&gateway).await.sum("gateway_requests_open", &[]), 1.0);
    drone.send(json!({"type": "reply", "replyTo": asked["requestId"]})).await;
    assert_eq!(ann.json().await["type"], "reply");
    ann.send(json!({"type": "command", "id": "lost", "payload": {"agentId": "a1"}})).await;
    drone.json().await;
    let open = Scrape::of(&gateway).await;
    assert_eq!(open.sum("gateway_requests_open", &[]), 1.0);
    drone.leave().await;
    let (_, lost) = ann.until(|message| message["id"] == "lost").await;
    assert_eq!(lost["payload"]["code"], "TARGET_LOST");
    ann.send(json!({"type": "command", "id": "gone", "payload": {"agentId": "a1"}})).await;
    let (_, gone) = ann.until(|message| message["id"] == "gone").await;
    assert_eq!(gone["payload"]["code"], "TARGET_OFFLINE");

    // Who was here recovers; who was in another life does not.
    ann.join_since("agent:a1", Some(&position(&joined["epoch"], 1))).await;
    ann.heard().await;
    ann.join_since("agent:a1", Some(&position(&json!("another"), 1))).await;
    let scrape = Scrape::of(&gateway).await;
    let ended = |by| scrape.sum("gateway_requests_ended_total", &[("by", by)]);
    assert_eq!((ended("reply"), ended("TARGET_LOST"), ended("TARGET_OFFLINE")), (1.0, 1.0, 1.0), "{}", scrape.text);
    assert_eq!(scrape.sum("gateway_reply_seconds_count", &[]), 1.0);
    assert_eq!(scrape.sum("gateway_message_errors_total", &[("code", "TARGET_OFFLINE")]), 1.0);
    let recoveries = |outcome| scrape.sum("gateway_history_recoveries_total", &[("outcome", outcome)]);
    assert_eq!((recoveries("hit"), recoveries("miss")), (1.0, 1.0));
    assert!(scrape.sum("gateway_history_recovered_messages_total", &[]) >= 2.0);
    // What those said who have gone is not forgotten.
    assert_eq!(scrape.sum("gateway_messages_received_total", &at("/ws/agent")), 5.0);
    seen.changed(&before, &open);
    seen.changed(&before, &scrape);
}

/// Outboxes that fill up, and what they let go.
pub(super) async fn what_waits_and_is_let_go(seen: &mut Seen) {
    let gateway = TestGateway::with(&format!(
        "{UNLIMITED}outbox = {{ messages = 100, bytes = \"4MiB\", when_full = \"drop_oldest\" }}\n\
         [rooms.default]\nhistory = \"off\"\n"
    ));
    let before = Scrape::of(&gateway).await;
    let mut drone = agent(&gateway, "a1").await;
    let _deaf = deaf(&gateway).await;
    let event = json!({"type": "event", "payload": "x".repeat(20_000)}).to_string();
    // Systems between take in some megabytes before anything waits here.
    for _ in 0..1_000 {
        drone.send(&event).await;
    }
    let full = shows(&gateway, "events are let go", |scrape| {
        scrape.sum("gateway_messages_dropped_total", &[]) > 0.0 && scrape.sum("gateway_outbox_messages", &[]) > 50.0
    })
    .await;
    assert!(full.sum("gateway_outbox_fullest_messages", &[]) <= 100.0, "{}", full.text);
    assert!(full.sum("gateway_outbox_bytes", &[]) > 50.0 * 20_000.0);
    seen.changed(&before, &full);
}

/// One who subscribes and never reads again.
async fn deaf(gateway: &TestGateway) -> Raw {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    let mut raw = Raw { stream: socket.connect(gateway.address).await.unwrap() };
    let target = format!("/ws/dashboard?token={}", token("deaf", "dashboard"));
    assert_eq!(raw.ask(&upgrade(&target, "")).await.status, Some(101));
    assert!(raw.frame().await.is_some(), "the greeting");
    raw.say(&subscribe("agent:a1", None).to_string()).await;
    assert!(raw.frame().await.is_some(), "subscribed");
    raw
}
