//! Who hears what: each user's events on each of its connections, and nobody else's.

use std::collections::BTreeMap;

use gateway_tests::{TestClient, rooms::unlimited, tokens::token};
use serde_json::{Value, json};

use crate::told::{TYPES, empty, start};

#[tokio::test]
async fn a_user_hears_its_own_events_over_every_way_and_nobody_elses() {
    let gateway = unlimited("");
    let (mut native, _) = TestClient::greeted(&gateway, "/ws/dashboard", &token("ann", "dashboard")).await;
    let ways = [("polling", "ann"), ("websocket", "ann"), ("upgraded", "ann"), ("bobs", "bob")];
    let visitors: Vec<_> = ways
        .iter()
        .map(|(name, user)| json!({"name": name, "user": user, "way": if *name == "bobs" { "upgraded" } else { name }}))
        .collect();
    let tokens = json!({"ann": token("ann", "dashboard"), "bob": token("bob", "dashboard")});
    let visitors = Value::from(visitors).to_string();
    let mut script = start("socketio_events.mjs", &gateway, "", &tokens, &[("VISITORS", &visitors)]);
    let mut ids = BTreeMap::new();
    loop {
        let line = script.says().await;
        if line["name"] == "all are in" {
            break;
        }
        ids.insert(line["name"].as_str().unwrap().to_owned(), line["id"].clone());
    }
    let (_, listed) = gateway.api("GET", "/api/v1/users/ann", None).await;
    let mut transports: Vec<_> =
        listed["connections"].as_array().unwrap().iter().map(|one| &one["transport"]).collect();
    transports.sort_by_key(|transport| transport.to_string());
    assert_eq!(transports, ["socketio-polling", "socketio-websocket", "socketio-websocket", "websocket"]);
    // Each node says how many it holds itself.
    let listed = listed["connections"].as_array().unwrap();
    for one in listed {
        let here = listed.iter().filter(|other| other["node"] == one["node"]).count();
        assert_eq!(one["usage"]["connections"], here, "{one}");
    }

    let mut events = Vec::new();
    for (number, kind) in TYPES.iter().chain(TYPES.iter()).chain(["story:end"].iter()).enumerate() {
        for (user, heard) in [("ann", 4), ("bob", 1)] {
            let payload = json!({"of": user, "number": number, "text": "é\u{2028}\"", "none": null});
            let body = json!({"to": [format!("user:{user}")], "type": kind, "payload": payload});
            let (status, answer) =
                gateway.api_as(&token("backend", "service"), "POST", "/api/v1/events", Some(body)).await;
            assert_eq!((status, &answer["delivered"]), (200, &json!(heard)), "{answer}");
            events.push((user, (*kind).to_owned(), answer["eventId"].clone(), payload));
        }
    }
    let heard = script.end().await;
    for (name, user) in ways {
        let of_user: Vec<_> = events.iter().filter(|(of, ..)| *of == user).collect();
        let lines: Vec<_> = heard.iter().filter(|line| line["name"] == name).collect();
        assert_eq!(lines.len(), of_user.len(), "{name} heard {lines:?}");
        for (line, (_, kind, id, payload)) in lines.iter().zip(of_user) {
            assert_eq!(line["type"], **kind, "{name}");
            assert_eq!(line["words"].as_array().map(Vec::len), Some(1), "{line}");
            is_the_event(&line["words"][0], kind, id, payload);
        }
    }
    for (_, kind, id, payload) in events.iter().filter(|(user, ..)| *user == "ann") {
        is_the_event(&native.json().await, kind, id, payload);
    }
    native.leave().await;
    empty(&gateway).await;
}

#[track_caller]
pub(crate) fn is_the_event(event: &Value, kind: &str, id: &Value, payload: &Value) {
    assert_eq!((&event["type"], &event["eventId"], &event["payload"]), (&json!(kind), id, payload), "{event}");
    let members: Vec<_> = event.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["eventId", "payload", "timestamp", "type"], "{event}");
}

#[tokio::test]
async fn native_connections_and_sessions_share_the_seats_of_a_user() {
    let gateway = unlimited(
        "[plans.shared]\nconnections = 3\n[[endpoints]]\npath = \"/ws/dashboard\"\nroles = [\"dashboard\"]\n[[socketio.namespaces]]\npath = \"/dashboard\"\nroles = [\"dashboard\"]\n",
    );
    let claims = gateway_tests::Claims::of("ann", "dashboard").with("plan", "shared").sign();
    let visitors =
        json!([{"name": "one", "user": "ann", "way": "polling"}, {"name": "two", "user": "ann", "way": "websocket"}])
            .to_string();
    let mut script = start("socketio_events.mjs", &gateway, "", &json!({"ann": claims}), &[("VISITORS", &visitors)]);
    while script.says().await["name"] != "all are in" {}
    let (native, _) = TestClient::greeted(&gateway, "/ws/dashboard", &claims).await;
    let refused = TestClient::connect(&gateway, "/ws/dashboard", &claims).await.expect_err("a fourth");
    assert_eq!((refused.status, refused.code()), (429, "CONNECTION_LIMIT"));
    assert_eq!(gateway.connections().await, 3);
    let body = json!({"to": ["user:ann"], "type": "story:end", "payload": null});
    let (_, answer) = gateway.api_as(&token("backend", "service"), "POST", "/api/v1/events", Some(body)).await;
    assert_eq!(answer["delivered"], 3);
    script.end().await;
    native.leave().await;
    empty(&gateway).await;
}
