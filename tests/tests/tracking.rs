//! Every connection is tracked: who, with which rights and limits, through which door, from where, since when, and how
//! much went by. Several connections of a user stand each for itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use gateway_tests::{Claims, TestClient, TestGateway, eventually, tokens::token};
use serde_json::{Value, json};

async fn show(gateway: &TestGateway, id: &str) -> Value {
    let (status, body) = gateway.api("GET", &format!("/api/v1/connections/{id}"), None).await;
    assert_eq!(status, 200, "{body}");
    body
}

async fn list(gateway: &TestGateway, query: &str) -> Vec<Value> {
    let (status, body) = gateway.api("GET", &format!("/api/v1/connections?{query}"), None).await;
    assert_eq!(status, 200, "{body}");
    body["connections"].as_array().unwrap().clone()
}

#[tokio::test]
async fn all_that_is_known_of_a_connection_is_listed() {
    let gateway = TestGateway::start();
    let claims = Claims::of("a-7", "agent")
        .with("roles", json!(["worker", "agent"]))
        .with("permissions", json!(["report", "command.execute"]))
        .with("plan", "professional");
    let exp = claims.0["exp"].as_i64().unwrap();
    let url = gateway.ws(&format!("/ws/agent?token={}", claims.sign()));
    let mut client = TestClient::open(&url, &[("user-agent", "robot/1.0")]).await.unwrap();
    let greeting = client.json().await;
    let id = greeting["payload"]["connectionId"].as_str().unwrap().to_owned();
    let first = show(&gateway, &id).await;
    for (name, value) in [
        ("connectionId", json!(id)),
        ("userId", json!("a-7")),
        ("agentId", json!("a-7")),
        ("roles", json!(["worker", "agent"])),
        ("role", json!("agent")),
        ("permissions", json!(["report", "command.execute"])),
        ("plan", json!("professional")),
        ("endpoint", json!("/ws/agent")),
        ("transport", json!("websocket")),
        ("ip", json!("127.0.0.1")),
        ("userAgent", json!("robot/1.0")),
        ("keptPastExpiry", json!(false)),
        ("expiresAt", greeting["payload"]["expiresAt"].clone()),
        ("limits", greeting["payload"]["limits"].clone()),
    ] {
        assert_eq!(first[name], value, "{name} in {first}");
    }
    assert_eq!(first["limits"]["connections"], 25);
    assert_eq!(first["limits"]["messageBytes"], 1 << 20);
    assert_eq!(first["limits"]["messages"], json!({"rate": "600/m", "burst": "50/s"}));
    assert_eq!(first["usage"]["violations"], 0);
    assert_eq!(seconds(&first["expiresAt"]), exp);
    let request = first["requestId"].as_str().unwrap().to_owned();
    gateway.audited("it", |line| line["event"] == "connected" && line["requestId"] == request.as_str()).await;
    for moment in ["connectedAt", "authenticatedAt", "lastActivityAt"] {
        let off = seconds(&first[moment]) - gateway_tests::tokens::now();
        assert!((-5..=1).contains(&off), "{moment} is {off} s off");
    }

    let said = json!({"type": "ping", "id": "1", "payload": "x".repeat(100)}).to_string();
    client.send(&said).await;
    client.json().await;
    let second = eventually(5, "the message is counted", async || {
        Some(show(&gateway, &id).await).filter(|now| now["messagesIn"] != first["messagesIn"])
    })
    .await;
    assert_eq!(second["messagesIn"].as_u64(), Some(1));
    assert_eq!(second["bytesIn"].as_u64(), Some(said.len() as u64));
    assert_eq!(second["messagesOut"].as_u64(), first["messagesOut"].as_u64().map(|count| count + 1));
    assert!(second["bytesOut"].as_u64() > first["bytesOut"].as_u64());
    assert!(second["lastActivityAt"].as_str() >= first["lastActivityAt"].as_str());
    for fixed in ["connectedAt", "authenticatedAt", "expiresAt", "requestId"] {
        assert_eq!(second[fixed], first[fixed]);
    }
    client.leave().await;
    eventually(5, "it is gone", async || {
        let (status, _) = gateway.api("GET", &format!("/api/v1/connections/{id}"), None).await;
        (status == 404).then_some(())
    })
    .await;
}

/// Seconds since 1970 of a time on the wire; the gateway's own reading of it.
fn seconds(time: &Value) -> i64 {
    let text = time.as_str().unwrap();
    assert!(text.ends_with('Z') && text.contains('T'), "{text} is no RFC 3339 in UTC");
    let moment: gateway_domain::Timestamp = serde_json::from_value(time.clone()).unwrap();
    moment.millis() / 1000
}

#[tokio::test]
async fn several_connections_of_a_user_stand_each_for_itself() {
    let gateway = TestGateway::start();
    let (mut one, first) = TestClient::greeted(&gateway, "/ws", &token("ann", "dashboard")).await;
    let narrow = Claims::of("ann", "dashboard").with("plan", "free").with("permissions", json!(["read"]));
    let (mut two, second) = TestClient::greeted(&gateway, "/ws/dashboard", &narrow.sign()).await;
    let (other, _) = TestClient::greeted(&gateway, "/ws/agent", &token("a-1", "agent")).await;
    assert_ne!(first["connectionId"], second["connectionId"]);
    one.ask(json!({"type": "ping"})).await;
    for _ in 0..3 {
        two.ask(json!({"type": "ping"})).await;
    }
    let (a, b) =
        (first["connectionId"].as_str().unwrap().to_owned(), second["connectionId"].as_str().unwrap().to_owned());
    let (shown_a, shown_b) = (show(&gateway, &a).await, show(&gateway, &b).await);
    assert_eq!((&shown_a["plan"], &shown_b["plan"]), (&json!("default"), &json!("free")));
    assert_eq!((&shown_a["messagesIn"], &shown_b["messagesIn"]), (&json!(1), &json!(3)));
    assert_eq!((&shown_a["keptPastExpiry"], &shown_b["keptPastExpiry"]), (&json!(true), &json!(false)));
    assert_eq!((&shown_a["permissions"], &shown_b["permissions"]), (&json!([]), &json!(["read"])));

    let (_, user) = gateway.api("GET", "/api/v1/users/ann", None).await;
    assert_eq!((&user["connected"], user["connections"].as_array().unwrap().len()), (&json!(true), 2));
    let count = async |query: &str| list(&gateway, query).await.len();
    assert_eq!(count("").await, 3);
    assert_eq!((count("user=ann").await, count("user=nobody").await), (2, 0));
    assert_eq!((count("role=agent").await, count("endpoint=/ws").await), (1, 1));
    assert_eq!(count("user=ann&endpoint=/ws/dashboard").await, 1);

    // A new token in one of them is no matter of the other's.
    let richer = Claims::of("ann", "dashboard").with("plan", "enterprise").sign();
    two.ask(json!({"type": "auth.refresh", "payload": {"token": richer}})).await;
    assert_eq!(show(&gateway, &b).await["plan"], "enterprise");
    assert_eq!(show(&gateway, &a).await["plan"], "default");
    // The end of one leaves the other.
    let (status, _) = gateway.api("DELETE", &format!("/api/v1/connections/{b}"), None).await;
    assert_eq!((status, two.closed().await.0), (200, 4011));
    assert_eq!(one.ask(json!({"type": "ping", "id": "z"})).await["id"], "z");
    one.leave().await;
    other.leave().await;
    eventually(5, "all are gone", async || (gateway.connections().await == 0).then_some(())).await;
}

#[tokio::test]
async fn pages_follow_one_another_and_hold_everybody_once() {
    let gateway = TestGateway::start();
    let mut clients = Vec::new();
    for nth in 0..7 {
        clients.push(TestClient::greeted(&gateway, "/ws", &token(&format!("user-{nth}"), "dashboard")).await.0);
    }
    let (mut cursor, mut seen) = (String::new(), Vec::new());
    for _ in 0..10 {
        let (_, page) = gateway.api("GET", &format!("/api/v1/connections?limit=3{cursor}"), None).await;
        assert_eq!(page["total"], 7);
        let here = page["connections"].as_array().unwrap();
        assert!(here.len() <= 3);
        seen.extend(here.iter().map(|one| one["userId"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    seen.sort();
    assert_eq!(seen, (0..7).map(|nth| format!("user-{nth}")).collect::<Vec<_>>());
    for bad in ["limit=0", "limit=x", "cursor=never"] {
        let (status, body) = gateway.api("GET", &format!("/api/v1/connections?{bad}"), None).await;
        assert_eq!((status, &body["error"]["code"]), (400, &json!("INVALID_REQUEST")), "{bad}");
    }
}
