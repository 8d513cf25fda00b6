//! What is said in a namespace, and what is heard.

use gateway_tests::{TestGateway, rooms::unlimited};
use serde_json::json;

use crate::by_hand::{Poller, Socket, publish};

#[tokio::test]
async fn an_event_of_a_backend_arrives_with_its_four_members_over_both_ways() {
    let gateway = TestGateway::start();
    let (mut socket, mut poller) = (Socket::enter(&gateway, "ann").await, Poller::enter(&gateway, "ann").await);
    let payload = json!({ "n": [1, 2.5, null] });
    let answer = publish(&gateway, "ann", &payload).await;
    assert_eq!(answer["delivered"], 2);
    for (name, event) in [socket.event().await, poller.event().await] {
        assert_eq!(name, "dashboard:summaryUpdated");
        let members: Vec<_> = event.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["eventId", "payload", "timestamp", "type"]);
        assert_eq!((&event["eventId"], &event["payload"]), (&answer["eventId"], &payload));
    }
}

#[tokio::test]
async fn a_callback_gets_one_answer_whatever_became_of_the_message() {
    let gateway = unlimited("");
    let mut socket = Socket::enter(&gateway, "ann").await;
    assert_eq!(socket.ask(1, &json!(["ping", { "a": 1 }])).await, json!({ "ok": true, "payload": { "a": 1 } }));
    let refused = socket.ask(2, &json!(["nowhere", 1])).await;
    assert_eq!((&refused["ok"], &refused["error"]["code"]), (&json!(false), &json!("INVALID_MESSAGE")));
    let refused = socket.ask(3, &json!(["ping", 1, 2])).await;
    assert_eq!(refused["error"]["code"], "INVALID_MESSAGE", "one argument at most");
    let refused = socket.ask(4, &json!(["command", { "agentId": "press-7" }])).await;
    assert_eq!(refused["error"]["code"], "TARGET_OFFLINE");
    assert_eq!(socket.ask(5, &json!(["pong"])).await, json!({ "ok": true }));
    let subscribed = socket.ask(6, &json!(["subscribe", { "room": "agents" }])).await;
    assert_eq!((&subscribed["ok"], &subscribed["payload"]["room"]), (&json!(true), &json!("agents")));
}
