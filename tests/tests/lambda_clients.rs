//! Clients that other people wrote, at the door behind API Gateway: the npm package `ws` does there what it does everywhere,
//! and socket.io-client does not get in, by either of its ways.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::collections::BTreeMap;

use gateway_tests::{Claims, lambda::Cloud, node::Script, tokens::token};
use serde_json::{Value, json};

#[tokio::test]
async fn ws_does_what_it_does_everywhere_and_socketio_does_not_get_in() {
    let cloud = Cloud::with("").await;
    let tokens = json!({
        "ann": token("ann", "dashboard"),
        "bob": token("bob", "dashboard"),
        "agent": token("a-1", "agent"),
        "later": Claims::of("ann", "dashboard").expiring_in(7200).sign(),
        "expired": Claims::of("ann", "dashboard").expiring_in(-10).sign(),
    });
    let address = cloud.address().to_string();
    let mut script = Script::start("lambda.mjs", &[("GATEWAY", &address), ("TOKENS", &tokens.to_string())]);
    let mut told = BTreeMap::new();
    while let Some(line) = script.line().await {
        let name = line["name"].as_str().expect("a name").to_owned();
        if name == "ready" {
            let published = cloud.publish(json!({"to": ["user:ann"], "type": "news", "payload": {"n": 1}})).await;
            assert_eq!(published["delivered"], 1, "{published}");
        }
        told.insert(name, line);
    }
    for (name, user) in [("query", "ann"), ("header", "ann"), ("subprotocol", "ann"), ("agent", "a-1")] {
        assert_eq!(told[name]["user"], user, "{}", told[name]);
    }
    assert_eq!(told["subprotocol"]["protocol"], "gateway.v1");
    for (name, status) in [("missing", 401), ("invalid", 401), ("expired", 401), ("wrongRole", 403)] {
        assert_eq!(told[name]["status"], status, "{}", told[name]);
    }
    let message = |name: &str| -> &Value { &told[name]["message"] };
    assert_eq!((&message("ping")["type"], &message("ping")["payload"]), (&json!("pong"), &json!([1])));
    assert_eq!(message("refresh")["type"], "auth.refreshed");
    assert_eq!(message("another")["payload"]["code"], "IDENTITY_CHANGED");
    assert_eq!(message("room")["payload"]["code"], "FORBIDDEN");
    assert_eq!((&message("event")["type"], &message("event")["payload"]), (&json!("news"), &json!({"n": 1})));
    for transport in ["polling", "websocket"] {
        assert_eq!(told[transport]["connected"], false, "{}", told[transport]);
    }
}
