//! The life of a session: the greeting says all that a client needs, the context is that of the token, and an end from
//! outside (an administrator, a revocation, the gateway's own) comes at once, with its code.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::time::Duration;

use gateway_tests::{
    Claims, TestClient, TestGateway, eventually,
    process::stopwatch,
    tokens::{now, token},
};
use serde_json::{Value, json};

async fn empty(gateway: &TestGateway) {
    eventually(5, "nobody is left", async || (gateway.connections().await == 0).then_some(())).await;
}

/// The close code and the code in the reason, which has a request id too.
fn told((close, reason): (u16, Value)) -> (u16, String) {
    assert!(reason["requestId"].is_string(), "{reason}");
    (close, reason["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn the_greeting_says_who_one_is_and_what_holds() {
    let gateway = TestGateway::start();
    let claims = Claims::of("ann", "dashboard")
        .with("roles", json!(["viewer", "dashboard"]))
        .with("permissions", "read write")
        .with("plan", "professional");
    let exp = claims.0["exp"].as_i64().unwrap();
    let (client, greeting) = TestClient::greeted(&gateway, "/ws/dashboard", &claims.sign()).await;
    let members: Vec<_> = greeting.as_object().unwrap().keys().map(String::as_str).collect();
    let mut wanted = [
        "protocol",
        "connectionId",
        "userId",
        "agentId",
        "roles",
        "role",
        "plan",
        "permissions",
        "expiresAt",
        "heartbeatSeconds",
        "limits",
        "serverTime",
    ];
    wanted.sort_unstable();
    let mut members = members;
    members.sort_unstable();
    assert_eq!(members, wanted);
    assert_eq!(greeting["protocol"], 1);
    assert_eq!((&greeting["userId"], &greeting["plan"]), (&json!("ann"), &json!("professional")));
    assert_eq!((&greeting["roles"], &greeting["role"]), (&json!(["viewer", "dashboard"]), &json!("dashboard")));
    assert_eq!(greeting["permissions"], json!(["read", "write"]));
    assert_eq!(greeting["heartbeatSeconds"], 25);
    let limits = json!({"connections": 25, "messages": {"rate": "600/m", "burst": "50/s"}, "messageBytes": 1 << 20});
    assert_eq!(greeting["limits"], limits);
    let seconds = |name: &str| {
        let moment: gateway_domain::Timestamp = serde_json::from_value(greeting[name].clone()).unwrap();
        moment.millis() / 1000
    };
    assert_eq!(seconds("expiresAt"), exp);
    assert!((seconds("serverTime") - now()).abs() <= 5);
    uuid::Uuid::parse_str(greeting["connectionId"].as_str().unwrap()).unwrap();
    client.leave().await;
}

#[tokio::test]
async fn the_role_is_the_first_of_the_endpoints_list_that_the_token_has() {
    let gateway = TestGateway::with(
        "[[endpoints]]\npath = \"/both\"\nroles = [\"operator\", \"viewer\"]\n\
         [[endpoints]]\npath = \"/any\"\nplan = \"free\"\n",
    );
    let claims = Claims::of("ann", "x").with("roles", json!(["guest", "viewer", "operator"])).sign();
    let (_one, greeting) = TestClient::greeted(&gateway, "/both", &claims).await;
    assert_eq!((&greeting["role"], &greeting["plan"]), (&json!("operator"), &json!("default")));
    let (_two, greeting) = TestClient::greeted(&gateway, "/any", &claims).await;
    assert_eq!((&greeting["role"], &greeting["plan"]), (&json!("guest"), &json!("free")));
    let (_three, greeting) =
        TestClient::greeted(&gateway, "/any", &Claims::of("bob", "x").without("roles").sign()).await;
    assert_eq!((&greeting["role"], &greeting["roles"]), (&json!(null), &json!([])));
}

#[tokio::test]
async fn only_the_gateways_own_subprotocol_is_ever_selected() {
    let gateway = TestGateway::start();
    let url = gateway.ws(&format!("/ws?token={}", token("ann", "dashboard")));
    for (offered, selected) in [("gateway.v1", true), ("chat, gateway.v1", true)] {
        let client = TestClient::open(&url, &[("sec-websocket-protocol", offered)]).await.unwrap();
        assert_eq!(client.headers.get("sec-websocket-protocol").is_some_and(|name| name == "gateway.v1"), selected);
        client.leave().await;
    }
    let client = TestClient::open(&url, &[]).await.unwrap();
    assert!(client.headers.get("sec-websocket-protocol").is_none());
    client.leave().await;
}

#[tokio::test]
async fn an_administrator_ends_one_connection_or_all_of_a_user() {
    let gateway = TestGateway::start();
    let ann = token("ann", "dashboard");
    let (mut one, greeting) = TestClient::greeted(&gateway, "/ws", &ann).await;
    let (mut two, _) = TestClient::greeted(&gateway, "/ws", &ann).await;
    let (mut three, _) = TestClient::greeted(&gateway, "/ws/dashboard", &ann).await;
    let (mut other, _) = TestClient::greeted(&gateway, "/ws", &token("bob", "dashboard")).await;
    let path = format!("/api/v1/connections/{}", greeting["connectionId"].as_str().unwrap());
    let begun = stopwatch();
    assert_eq!(gateway.api("DELETE", &path, None).await, (200, json!({"disconnected": 1})));
    assert_eq!(told(one.closed().await), (4011, "DISCONNECTED".into()));
    assert!(begun.elapsed() < Duration::from_secs(5));
    let (status, body) = gateway.api("DELETE", &path, None).await;
    assert_eq!((status, &body["error"]["code"]), (404, &json!("NOT_FOUND")));
    let ended = gateway.api("POST", "/api/v1/users/ann/disconnect", None).await;
    assert_eq!(ended, (200, json!({"disconnected": 2})));
    assert_eq!(told(two.closed().await), (4011, "DISCONNECTED".into()));
    assert_eq!(told(three.closed().await), (4011, "DISCONNECTED".into()));
    assert_eq!(other.ask(json!({"type": "ping"})).await["type"], "pong", "nobody else is touched");
    gateway.audited("who did it", |line| line["event"] == "kicked" && line["userId"] == "ann").await;
    // It was no ban: the user may come again.
    let (again, _) = TestClient::greeted(&gateway, "/ws", &ann).await;
    again.leave().await;
    other.leave().await;
    empty(&gateway).await;
}

#[tokio::test]
async fn a_revocation_reaches_live_connections_at_once() {
    let gateway = TestGateway::start();
    let (mut by_id, _) =
        TestClient::greeted(&gateway, "/ws", &Claims::of("ann", "dashboard").with("jti", "t-1").sign()).await;
    let (mut other, _) =
        TestClient::greeted(&gateway, "/ws", &Claims::of("ann", "dashboard").with("jti", "t-2").sign()).await;
    let (status, body) = gateway.api("POST", "/api/v1/revocations", Some(json!({"jti": "t-1"}))).await;
    assert_eq!((status, &body["matches"]), (200, &json!(1)), "{body}");
    assert_eq!(told(by_id.closed().await), (4009, "TOKEN_REVOKED".into()));
    assert_eq!(other.ask(json!({"type": "ping"})).await["type"], "pong");

    let old = Claims::of("bob", "dashboard").with("iat", now() - 60).sign();
    let (mut by_user, _) = TestClient::greeted(&gateway, "/ws", &old).await;
    let (status, body) = gateway.api("POST", "/api/v1/revocations", Some(json!({"user": "bob"}))).await;
    assert_eq!((status, &body["matches"]), (200, &json!(1)), "{body}");
    assert_eq!(told(by_user.closed().await), (4009, "TOKEN_REVOKED".into()));
    let refused = TestClient::connect(&gateway, "/ws", &old).await.unwrap_err();
    assert_eq!((refused.status, refused.code()), (401, "TOKEN_REVOKED"));
}

#[tokio::test]
async fn a_gateway_that_leaves_tells_everybody_and_writes_its_books() {
    let gateway = TestGateway::start();
    let (mut ann, _) = TestClient::greeted(&gateway, "/ws", &token("ann", "dashboard")).await;
    let (mut agent, _) = TestClient::greeted(&gateway, "/ws/agent", &token("a-1", "agent")).await;
    gateway.signal("TERM");
    for client in [&mut ann, &mut agent] {
        let (code, reason) = client.closed().await;
        assert_eq!((code, &reason["code"]), (1012, &json!("DRAINING")));
        assert!(reason["retryAfter"].as_u64().is_some_and(|wait| wait >= 1), "{reason}");
    }
    let folders = gateway.folders();
    let (ended_well, written) = gateway.stop();
    assert!(ended_well, "{written}");
    let read = |folder: &std::sync::Arc<tempfile::TempDir>| std::fs::read_to_string(folder.path().join("audit.jsonl"));
    let audit: String = folders.iter().map(|folder| read(folder).unwrap()).collect();
    let ends = audit.lines().filter(|line| line.contains("\"disconnected\"") && line.contains("DRAINING")).count();
    assert_eq!(ends, 2, "{audit}");
}
