//! Who comes in at the control centre, what each side may say there, and how it stays.

use gateway_tests::{
    Claims, SECRET, TestClient,
    client::PATIENCE,
    example::{self, Speaker},
    tokens::token,
};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::json;

use super::{EXAMPLE, WORDS, agent, dashboard, is_error};

#[tokio::test]
async fn the_doors_let_in_whom_they_are_for() {
    let gateway = example::open(EXAMPLE, &[]);
    for (path, wrong) in [("/ws/agent", "dashboard"), ("/ws/dashboard", "agent")] {
        let refused = TestClient::connect(&gateway, path, &token("eve", wrong)).await.expect_err("the other door");
        assert_eq!((refused.status, refused.code()), (403, "ROLE_MISMATCH"));
    }
    gateway.audited("it is written down", |line| line["code"] == "ROLE_MISMATCH" && line["userId"] == "eve").await;
    // Who signs these tokens makes nobody an operator.
    let (status, _) = gateway.api("GET", "/api/v1/connections", None).await;
    assert_eq!(status, 403);
    let renamed = Claims::of("a1", "agent").sign_with(
        Algorithm::HS256,
        Some("old"),
        &EncodingKey::from_secret(SECRET.as_bytes()),
    );
    let refused = TestClient::connect(&gateway, "/ws/agent", &renamed).await.expect_err("a key of another name");
    assert_eq!((refused.code(), refused.detail()), ("TOKEN_INVALID", "unknown_key"));
    // Pages: the gateway's own host, and only at the door of dashboards.
    let host = gateway.somewhere();
    for (path, role, origin, code) in [
        ("/ws/dashboard", "dashboard", format!("http://{host}"), None),
        ("/ws/dashboard", "dashboard", "https://evil.example".to_owned(), Some("ORIGIN_NOT_ALLOWED")),
        ("/ws/agent", "agent", format!("http://{host}"), Some("ORIGIN_NOT_ALLOWED")),
    ] {
        let url = format!("ws://{host}{path}?token={}", token("page", role));
        let came = TestClient::open(&url, &[("origin", &origin)]).await;
        assert_eq!(came.as_ref().err().map(|refused| refused.code()), code, "{path} from {origin}");
    }
    let a1 = agent(&gateway, "a1").await;
    assert_eq!((&a1.greeting["plan"], &a1.greeting["agentId"]), (&json!("agent"), &json!("a1")));
    let ann = dashboard(&gateway, "ann").await;
    for somebody in [&a1, &ann] {
        assert_eq!(somebody.greeting["heartbeatSeconds"], 5);
    }
}

#[tokio::test]
async fn both_sides_are_asked_whether_they_are_there_and_keep_their_tokens_fresh() {
    let gateway = example::open(EXAMPLE, &[]);
    let of = |role: &str, seconds| Claims::of("sam", role).expiring_in(seconds);
    let mut agent = Speaker::enter(&gateway, "/ws/agent", &of("agent", 50), WORDS).await;
    let mut dashboard = Speaker::enter(&gateway, "/ws/dashboard", &of("dashboard", 50), WORDS).await;
    for (somebody, role) in [(&mut agent, "agent"), (&mut dashboard, "dashboard")] {
        let expiring = somebody.hears("TOKEN_EXPIRING").await;
        assert_eq!(expiring["expiresAt"], somebody.greeting["expiresAt"]);
        let fresh = somebody.ask("TOKEN_REFRESH", "r1", json!({"token": of(role, 3000).sign()})).await;
        assert_eq!((&fresh["type"], &fresh["id"]), (&json!("TOKEN_REFRESHED"), &json!("r1")), "{fresh}");
        assert!(fresh["payload"]["expiresAt"].as_str() > expiring["expiresAt"].as_str());
        let refused = somebody.ask("TOKEN_REFRESH", "r2", json!({"token": token("eve", role)})).await;
        is_error(&refused, "r2", "IDENTITY_CHANGED");
        is_error(&somebody.ask("NOBODY_KNOWS", "n", json!({})).await, "n", "INVALID_MESSAGE");
    }
    for somebody in [&mut agent, &mut dashboard] {
        let asked = tokio::time::timeout(PATIENCE, somebody.client.json()).await.expect("five seconds of silence");
        assert_eq!(asked, json!({"type": "PING"}));
        // An answer that is not answered.
        somebody.say("PONG", "p", json!(null)).await;
        somebody.hears_nothing().await;
    }
}

#[tokio::test]
async fn nobody_says_what_is_for_others_to_say() {
    let gateway = example::open(EXAMPLE, &[]);
    let mut a1 = agent(&gateway, "a1").await;
    let may_all = Claims::of("a2", "agent").with("permissions", json!(["command.execute", "agents.stop"]));
    let mut a2 = Speaker::enter(&gateway, "/ws/agent", &may_all, WORDS).await;
    let mut ann = dashboard(&gateway, "ann").await;
    let payload = json!({"agentId": "a1", "commandId": "c1"});
    for kind in ["DASHBOARD_INIT", "DASHBOARD_SUBSCRIBE", "COMMAND_REQUEST", "EMERGENCY_STOP", "AGENT_CONNECTED"] {
        is_error(&a2.ask(kind, kind, payload.clone()).await, kind, "INVALID_MESSAGE");
    }
    is_error(&a2.ask("EMERGENCY_STOP", "all", json!({})).await, "all", "INVALID_MESSAGE");
    for kind in ["AGENT_CONNECT", "AGENT_HEARTBEAT", "TERMINAL_OUTPUT", "AGENT_DISCONNECTED"] {
        is_error(&ann.ask(kind, kind, payload.clone()).await, kind, "INVALID_MESSAGE");
    }
    a1.hears_nothing().await;
    ann.hears_nothing().await;
    let mut counted = a1.message("AGENT_HEARTBEAT", "h", json!({}));
    counted["ack"] = true.into();
    assert_eq!(a1.client.ask(counted).await, json!({"type": "ACK", "id": "h", "payload": {"delivered": 0}}));
}
