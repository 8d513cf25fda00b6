//! The other client that people use: `python-socketio` comes in by a WebSocket, at once or after polling, hears its own
//! user's events, and is told why it may not.

use std::collections::BTreeMap;

use gateway_tests::{Claims, TestGateway, python, tokens::token};
use serde_json::{Value, json};

use crate::{
    hearing::is_the_event,
    told::{TYPES, empty},
};

const WAYS: [&str; 2] = ["websocket", "upgraded"];
/// Ten seats, as shipped; handshakes and messages as fast as a machine makes them.
const DOOR: &str = "[[bans]]\nuser = \"mallory\"\n[plans.default]\nmessages = \"off\"\n\
                    [limits]\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = \"off\"\n";

#[tokio::test]
async fn a_python_dashboard_hears_its_own_user_over_both_ways_and_is_told_why_it_may_not() {
    let gateway = TestGateway::with(DOOR);
    let mut tokens = json!({
        "ann": token("ann", "dashboard"),
        "bob": token("bob", "dashboard"),
        "invalid": "not.a.token",
        "expired": Claims::of("ann", "dashboard").expiring_in(-10).sign(),
        "agent": token("a-1", "agent"),
        "banned": token("mallory", "dashboard"),
    });
    for way in WAYS {
        tokens[way] = token(way, "dashboard").into();
    }
    let mut script = python::start(
        "dashboard.py",
        &[("GATEWAY", &gateway.somewhere().to_string()), ("TOKENS", &tokens.to_string())],
    );
    let mut visitors = 0;
    loop {
        let line = script.says().await;
        if line["name"] == "all are in" {
            break;
        }
        visitors += 1;
        assert_eq!(line["answer"], json!({"ok": true, "payload": "é"}), "{line}");
        assert_eq!(line["carrier"], "websocket", "{line}");
    }
    assert_eq!(visitors, 3);
    let mut events: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for kind in TYPES.into_iter().chain(["story:end"]) {
        for (user, listeners) in [("ann", 2), ("bob", 1)] {
            let payload = json!({"of": user, "text": "é\u{2028}", "none": null});
            let body = json!({"to": [format!("user:{user}")], "type": kind, "payload": payload});
            let (_, answer) = gateway.api_as(&token("backend", "service"), "POST", "/api/v1/events", Some(body)).await;
            assert_eq!(answer["delivered"], listeners, "{answer}");
            events.entry(user).or_default().push((kind, answer["eventId"].clone(), payload));
        }
    }
    let mut said: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in script.end().await {
        said.entry(line["name"].as_str().unwrap().to_owned()).or_default().push(line);
    }
    for (name, user) in [("ann websocket", "ann"), ("ann upgraded", "ann"), ("bob upgraded", "bob")] {
        let (heard, told) = (&said[name], &events[user]);
        assert_eq!(heard.len(), told.len(), "{heard:?}");
        for (line, (kind, id, payload)) in heard.iter().zip(told) {
            let [event] = line["words"].as_array().unwrap().as_slice() else { panic!("one argument: {line}") };
            is_the_event(event, kind, id, payload);
        }
    }
    for way in WAYS {
        for (name, code, reason, then) in [
            ("missing", "AUTH_FAILED", "AUTH_REQUIRED", "stop"),
            ("invalid", "AUTH_FAILED", "TOKEN_INVALID", "stop"),
            ("expired", "AUTH_FAILED", "TOKEN_EXPIRED", "refresh"),
            ("agent", "ROLE_MISMATCH", "ROLE_MISMATCH", "stop"),
            ("banned", "BANNED", "BANNED", "stop"),
            ("eleventh", "CONNECTION_LIMIT", "CONNECTION_LIMIT", "wait"),
        ] {
            let line = &said[&format!("{name} {way}")][0];
            let data = &line["said"]["data"];
            assert_eq!(
                (&line["entered"], &data["code"], &data["reason"], &data["then"]),
                (&json!(false), &json!(code), &json!(reason), &json!(then)),
                "{line}"
            );
        }
    }
    empty(&gateway).await;
}
