//! The nodes page of `deploy/examples`, run as it ships: daemons report, and viewers, who only connect, see it. Every
//! line of its configuration is needed by something that is told here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use gateway_tests::{
    Claims, SECRET, TestClient, TestGateway,
    example::{self, Speaker, TIMESTAMP, Words},
    node,
    process::stopwatch,
    tokens::{now, token},
};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::json;

const EXAMPLE: &str = "nodes-page";
const WORDS: Words = Words { payload: "data", ..Words::NATIVE };

async fn daemon(gateway: &TestGateway, name: &str) -> Speaker {
    Speaker::enter(gateway, &format!("/ws/node/{name}"), &Claims::of(name, "node"), WORDS).await
}

async fn viewer(gateway: &TestGateway, name: &str) -> Speaker {
    Speaker::enter(gateway, "/ws/nodes", &Claims::of(name, "viewer"), WORDS).await
}

#[test]
fn the_configuration_is_sound_and_its_policy_holds() {
    example::is_sound(EXAMPLE, &[]);
}

#[tokio::test]
async fn every_viewer_sees_what_the_nodes_report_without_a_word() {
    let gateway = example::open(EXAMPLE, &[]);
    let mut viewers =
        [viewer(&gateway, "vera").await, viewer(&gateway, "vera").await, viewer(&gateway, "viktor").await];
    let mut n1 = daemon(&gateway, "n1").await;
    for viewer in &mut viewers {
        let came = viewer.hears("node_online").await;
        assert_eq!((&came["agentId"], came["lastSeen"].is_string()), (&json!("n1"), true), "{came}");
    }
    let mut n2 = daemon(&gateway, "n2").await;
    for viewer in &mut viewers {
        assert_eq!(viewer.hears("node_online").await["agentId"], "n2");
    }
    for (kind, heard) in [("status", "node_status"), ("process_started", "process_started")] {
        let data = json!({"node": "n9", "cpu": [1.5, null], "payload": {"x": 1}});
        n2.say(kind, "7", data.clone()).await;
        let report = json!({"type": heard, "id": "7", "timestamp": TIMESTAMP, "data": data, "from": n2.from_agent()});
        for viewer in &mut viewers {
            assert_eq!(viewer.hear().await, report, "once, and in no room that it would have to know of");
        }
    }
    // Nothing else passes in either direction.
    for (is_node, kind) in [(true, "restart"), (true, "node_status"), (false, "status"), (false, "process_exited")] {
        let somebody = if is_node { &mut n1 } else { &mut viewers[0] };
        let refused = somebody.ask(kind, "e", json!({})).await;
        let told = (&refused["type"], &refused["id"], &refused["data"]["code"]);
        assert_eq!(told, (&json!("error"), &json!("e"), &json!("INVALID_MESSAGE")), "{kind}: {refused}");
    }
    // The newer connection of a node takes its place, and the page sees it go when nobody is left.
    let n2_again = daemon(&gateway, "n2").await;
    assert_eq!(n2.client.closed().await.1["code"], "REPLACED");
    for viewer in &mut viewers {
        assert_eq!(viewer.hears("node_offline").await["reason"], "replaced");
        assert_eq!(viewer.hears("node_online").await["agentId"], "n2");
    }
    n2_again.client.leave().await;
    for viewer in &mut viewers {
        let went = viewer.hears("node_offline").await;
        assert_eq!((&went["agentId"], &went["reason"]), (&json!("n2"), &json!("closed")), "{went}");
        viewer.hears_nothing().await;
    }
    n1.hears_nothing().await;
}

#[tokio::test]
async fn a_page_that_can_say_one_word_learns_which_nodes_are_online() {
    let gateway = example::open(EXAMPLE, &[]);
    let mut n1 = daemon(&gateway, "n1").await;
    let mut vera = viewer(&gateway, "vera").await;
    let told = vera.ask("subscribe", "s", json!({"room": "agents"})).await;
    assert_eq!(
        (&told["type"], &told["data"]["presence"][0]["agentId"]),
        (&json!("subscribed"), &json!("n1")),
        "{told}"
    );
    assert!(told["data"].get("offset").is_none(), "nothing is kept: {told}");
    for (is_node, room) in [(false, "nodes"), (true, "agents"), (true, "nodes")] {
        let somebody = if is_node { &mut n1 } else { &mut vera };
        let refused = somebody.ask("subscribe", "s", json!({"room": room})).await;
        assert_eq!(refused["data"]["code"], "FORBIDDEN", "{room}: {refused}");
    }
    // Viewers are not told of one another.
    let mut viktor = viewer(&gateway, "viktor").await;
    viktor.ask("subscribe", "s", json!({"room": "agents"})).await;
    vera.hears_nothing().await;
}

#[tokio::test]
async fn a_node_that_falls_silent_is_shown_as_gone_within_seconds() {
    let gateway = example::open(EXAMPLE, &[]);
    let mut vera = viewer(&gateway, "vera").await;
    // Its socket stays open, and nobody reads from it any more.
    let n1 = daemon(&gateway, "n1").await;
    assert_eq!((&n1.greeting["plan"], &n1.greeting["heartbeatSeconds"]), (&json!("agent"), &json!(3)));
    vera.hears("node_online").await;
    let since = stopwatch();
    let went = vera.hears("node_offline").await;
    assert_eq!((&went["agentId"], &went["reason"]), (&json!("n1"), &json!("timeout")), "{went}");
    let took = since.elapsed().as_secs_f64();
    assert!((1.9..8.0).contains(&took), "3 s of silence and 2 s of patience are 5 s, not {took}");
}

#[tokio::test]
async fn the_doors_let_in_whom_they_are_for() {
    let gateway = example::open(EXAMPLE, &[]);
    for (path, role) in [("/ws/nodes", "node"), ("/ws/node/eve", "viewer")] {
        let refused = TestClient::connect(&gateway, path, &token("eve", role)).await.expect_err("the other door");
        assert_eq!((refused.status, refused.code()), (403, "ROLE_MISMATCH"), "{path}");
    }
    // No node speaks for another.
    let refused = TestClient::connect(&gateway, "/ws/node/n1", &token("n2", "node")).await.expect_err("another's path");
    assert_eq!((refused.status, refused.code()), (403, "ROLE_MISMATCH"));
    gateway.audited("it is written down", |line| line["code"] == "ROLE_MISMATCH" && line["userId"] == "n2").await;
    // Who signs these tokens makes nobody an operator.
    assert_eq!(gateway.api("GET", "/api/v1/connections", None).await.0, 403);
    // Without a token, with one that is expired, with another's: nothing is upgraded.
    let expired = Claims::of("vera", "viewer").with("iat", now() - 90).expiring_in(-30).sign();
    for (token, code) in [("", "AUTH_REQUIRED"), (expired.as_str(), "TOKEN_EXPIRED"), ("x.y.z", "TOKEN_INVALID")] {
        let refused = TestClient::connect(&gateway, "/ws/nodes", token).await.expect_err("no token of ours");
        assert_eq!((refused.status, refused.code()), (401, code));
    }
    let renamed =
        Claims::of("n1", "node").sign_with(Algorithm::HS256, Some("old"), &EncodingKey::from_secret(SECRET.as_bytes()));
    let refused = TestClient::connect(&gateway, "/ws/node/n1", &renamed).await.expect_err("a key of another name");
    assert_eq!((refused.code(), refused.detail()), ("TOKEN_INVALID", "unknown_key"));
    // Other programs bring it in a header; a page brings its origin along.
    let bearer = format!("Bearer {}", token("vera", "viewer"));
    let node = gateway.somewhere();
    let host = format!("http://{node}");
    for (origin, code) in [(host.as_str(), None), ("https://evil.example", Some("ORIGIN_NOT_ALLOWED"))] {
        let headers = [("authorization", bearer.as_str()), ("origin", origin)];
        let came = TestClient::open(&format!("ws://{node}/ws/nodes"), &headers).await;
        assert_eq!(came.as_ref().err().map(|refused| refused.code()), code, "{origin}");
    }
}

#[tokio::test]
async fn a_page_stays_when_its_token_expires_and_may_say_little() {
    let gateway = example::open(EXAMPLE, &[]);
    let mut vera = Speaker::enter(&gateway, "/ws/nodes", &Claims::of("vera", "viewer").expiring_in(2), WORDS).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let _n1 = daemon(&gateway, "n1").await;
    assert_eq!(vera.hears("node_online").await["agentId"], "n1");
    vera.client.send(json!({"type": "ping", "data": "x".repeat(900)})).await;
    vera.hears("pong").await;
    vera.client.send(json!({"type": "ping", "data": "x".repeat(1024)})).await;
    let (close, reason) = vera.client.closed().await;
    assert_eq!((close, &reason["code"]), (1009, &json!("MESSAGE_TOO_BIG")));
}

#[tokio::test]
async fn clients_that_other_people_wrote_see_the_page_live() {
    let gateway = example::open(EXAMPLE, &[]);
    let tokens =
        json!({"n1": token("n1", "node"), "vera": token("vera", "viewer"), "viktor": token("viktor", "viewer")});
    let address = gateway.somewhere().to_string();
    let told = node::run("nodes_page.mjs", &[("GATEWAY", &address), ("TOKENS", &tokens.to_string())]).await;
    let expected = ["vera", "viktor"].map(|viewer| {
        json!({"viewer": viewer, "saw": [
            {"type": "node_online", "node": "n1"},
            {"type": "node_status", "node": "n1", "cpu": 1},
            {"type": "node_status", "node": "n1", "cpu": 2},
            {"type": "process_exited", "node": "n1", "name": "web"},
            {"type": "node_offline", "node": "n1"},
        ]})
    });
    assert_eq!(told, expected);
}
