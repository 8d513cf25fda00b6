//! A real page in a browser with the library's own file, of another origin than the gateway: it comes in over every way to
//! be carried and hears its own user's events; whom the gateway does not let in is told why, as the page on Socket.IO says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::{collections::BTreeMap, fs};

use gateway_tests::{
    Claims, TestGateway,
    browser::{self, Site},
    eventually, node,
    rooms::unlimited,
    tokens::token,
};
use serde_json::{Value, json};

const PAGE: &str = "<!doctype html><title>a page</title><script src=\"/socket.io.js\"></script>";

const WAYS: [&str; 3] = ["polling", "websocket", "upgraded"];

/// The shipped types.
const TYPES: [&str; 5] = [
    "dashboard:summaryUpdated",
    "dashboard:recentMocAdded",
    "dashboard:partialPartsUpdated",
    "dashboard:themeBreakdownUpdated",
    "dashboard:error",
];

/// Tells each user all types and the last word of the story: the ids of what each is to hear, in its order.
async fn tell_everybody(gateway: &TestGateway) -> BTreeMap<&'static str, Vec<Value>> {
    let mut told: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for kind in TYPES.into_iter().chain(["story:end"]) {
        for (user, listeners) in [("ann", 3), ("bob", 1)] {
            let body =
                json!({"to": [format!("user:{user}")], "type": kind, "payload": {"of": user, "text": "é\u{2028}"}});
            let (_, answer) = gateway.api_as(&token("backend", "service"), "POST", "/api/v1/events", Some(body)).await;
            assert_eq!(answer["delivered"], listeners, "{answer}");
            told.entry(user).or_default().push(answer["eventId"].clone());
        }
    }
    told
}

#[track_caller]
fn heard_its_own(lines: &[Value], user: &str, ids: &[Value]) {
    let heard: Vec<_> = lines.iter().filter(|line| line["type"].is_string()).collect();
    assert_eq!(heard.len(), ids.len(), "{heard:?}");
    for ((line, kind), id) in heard.iter().zip(TYPES.iter().chain(&["story:end"])).zip(ids) {
        let [event] = line["words"].as_array().unwrap().as_slice() else { panic!("one argument: {line}") };
        assert_eq!((&line["type"], &event["type"], &event["eventId"]), (&json!(kind), &json!(kind), id), "{line}");
        assert_eq!(event["payload"], json!({"of": user, "text": "é\u{2028}"}), "{line}");
        let members: Vec<_> = event.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["eventId", "payload", "timestamp", "type"], "{line}");
    }
}

#[track_caller]
fn refused(line: &Value, code: &str, reason: &str, then: &str) {
    let data = &line["data"];
    assert_eq!(
        (&line["in"], &data["code"], &data["reason"], &data["then"]),
        (&json!(false), &json!(code), &json!(reason), &json!(then)),
        "{line}"
    );
    assert_eq!(line["active"], false, "the page is to decide, not the library: {line}");
}

#[tokio::test]
async fn a_page_in_a_browser_hears_its_own_user_over_every_way_and_is_told_why_it_may_not() {
    let library = fs::read_to_string(node::packages().join("socket.io-client/dist/socket.io.js")).unwrap();
    let scripts = [("/socket.io.js", &*library)];
    let (listed, foreign) = (Site::with_scripts(PAGE, &scripts).await, Site::with_scripts(PAGE, &scripts).await);
    let gateway = unlimited(&format!(
        "[[socketio.namespaces]]\npath = \"/dashboard\"\nroles = [\"dashboard\"]\norigins = [\"{}\"]\n",
        listed.origin
    ));
    let tokens = json!({
        "ann": token("ann", "dashboard"),
        "bob": token("bob", "dashboard"),
        "agent": token("a-1", "agent"),
        "expired": Claims::of("ann", "dashboard").expiring_in(-10).sign(),
    });
    let mut script = browser::start(
        "socketio_page.mjs",
        &[
            ("GATEWAY", &gateway.somewhere().to_string()),
            ("LISTED", &listed.origin),
            ("FOREIGN", &foreign.origin),
            ("TOKENS", &tokens.to_string()),
        ],
    );
    let mut visitors = 0;
    loop {
        let line = script.says().await;
        if line["name"] == "all are in" {
            break;
        }
        visitors += 1;
        assert_eq!(line["answer"], json!({"ok": true, "payload": "é"}), "{line}");
        let carrier = if line["name"] == "ann polling" { "polling" } else { "websocket" };
        assert_eq!(line["carrier"], carrier, "{line}");
        let (_, known) =
            gateway.api("GET", &format!("/api/v1/connections/{}", line["id"].as_str().unwrap()), None).await;
        assert_eq!(known["transport"], format!("socketio-{carrier}"), "{known}");
    }
    assert_eq!(visitors, 4);
    let told = tell_everybody(&gateway).await;

    let mut said: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in script.end().await {
        said.entry(line["name"].as_str().unwrap().to_owned()).or_default().push(line);
    }
    for way in WAYS {
        heard_its_own(&said[&format!("ann {way}")], "ann", &told["ann"]);
        let only = |name: &str| &said[&format!("{name} {way}")][0];
        refused(only("missing"), "AUTH_FAILED", "AUTH_REQUIRED", "stop");
        refused(only("expired"), "AUTH_FAILED", "TOKEN_EXPIRED", "refresh");
        refused(only("agent"), "ROLE_MISMATCH", "ROLE_MISMATCH", "stop");
        // Another page is turned away before a word of the protocol, and its browser keeps the reason from it.
        let foreign = only("foreign");
        let message = if way == "websocket" { "websocket error" } else { "xhr poll error" };
        assert_eq!((&foreign["in"], &foreign["message"]), (&json!(false), &json!(message)), "{foreign}");
        assert_eq!(foreign["data"], Value::Null, "{foreign}");
        assert!(foreign["body"].as_str().is_none_or(str::is_empty), "{foreign}");
    }
    heard_its_own(&said["bob upgraded"], "bob", &told["bob"]);
    let turned_away = |line: &Value| line["code"] == "ORIGIN_NOT_ALLOWED" && line["endpoint"] == "/socket.io/";
    gateway.audited("the page that is not listed", turned_away).await;
    eventually(10, "nobody is left", async || (gateway.connections().await == 0).then_some(())).await;
}
