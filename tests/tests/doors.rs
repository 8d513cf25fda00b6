//! Which token opens which door, and how the door says no: by an HTTP status before any upgrade, or, where a browser must
//! be able to read it, by a close code right after one, and then nothing else is ever sent or read.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use gateway_tests::{
    Claims, TestClient, TestGateway,
    plain::UPGRADE,
    tokens::{SECRET, token},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const FREE: &str = "handshakes_per_ip = \"off\"\nhandshakes_per_user = \"off\"\n";

#[tokio::test]
async fn each_door_is_for_its_roles() {
    let gateway = TestGateway::with(&format!("[limits]\n{FREE}"));
    let doors = ["/ws", "/ws/agent", "/ws/dashboard", "/ws/simulate"];
    for (roles, open) in [
        (json!(["agent"]), [true, true, false, true]),
        (json!(["dashboard"]), [true, false, true, true]),
        (json!(["agent", "dashboard"]), [true, true, true, true]),
        (json!("agent dashboard"), [true, true, true, true]),
        (json!(["admin"]), [true, false, false, true]),
        (json!(["service"]), [true, false, false, true]),
        (json!(["Agent", "DASHBOARD"]), [true, false, false, true]),
        (json!(["agents", "dash", "dashboard "]), [true, false, false, true]),
        (json!([]), [true, false, false, true]),
    ] {
        let token = Claims::of("ann", "").with("roles", roles.clone()).sign();
        for (door, open) in doors.into_iter().zip(open) {
            match TestClient::connect(&gateway, door, &token).await {
                Ok(mut client) => {
                    assert!(open, "{roles} opened {door}");
                    let ready = client.json().await;
                    assert_eq!(ready["type"], "connection_ready", "{roles} {door}");
                    let role = match door {
                        "/ws/agent" => json!("agent"),
                        "/ws/dashboard" => json!("dashboard"),
                        _ => ready["payload"]["roles"].get(0).cloned().unwrap_or(Value::Null),
                    };
                    assert_eq!(ready["payload"]["role"], role, "{roles} {door}");
                    client.leave().await;
                }
                Err(refused) => {
                    assert!(!open, "{roles} did not open {door}: {refused:?}");
                    assert_eq!((refused.status, refused.code()), (403, "ROLE_MISMATCH"));
                    assert_eq!(refused.body["error"]["then"], "stop");
                    assert_eq!(refused.header("www-authenticate"), "");
                }
            }
        }
    }
    // Both names of the claim are known, and a token without roles has none.
    let single = Claims::of("ann", "").without("roles").with("role", "agent").sign();
    TestClient::greeted(&gateway, "/ws/agent", &single).await.0.leave().await;
    let none = Claims::of("ann", "").without("roles").sign();
    assert_eq!(TestClient::connect(&gateway, "/ws/agent", &none).await.unwrap_err().code(), "ROLE_MISMATCH");
}

#[tokio::test]
async fn a_page_is_no_agent_and_comes_to_a_dashboard_only_from_its_own_host() {
    let gateway = TestGateway::with(&format!("[limits]\n{FREE}"));
    let own = format!("http://{}", gateway.address);
    let agent = gateway.ws(&format!("/ws/agent?token={}", token("r2", "agent")));
    let dashboard = gateway.ws(&format!("/ws/dashboard?token={}", token("ann", "dashboard")));
    for origin in [own.as_str(), "https://app.example", "null", "", "file://"] {
        let refused = TestClient::open(&agent, &[("origin", origin)]).await.unwrap_err();
        assert_eq!((refused.status, refused.code()), (403, "ORIGIN_NOT_ALLOWED"), "{origin}");
        if origin != own {
            let refused = TestClient::open(&dashboard, &[("origin", origin)]).await.unwrap_err();
            assert_eq!((refused.status, refused.code()), (403, "ORIGIN_NOT_ALLOWED"), "{origin}");
        }
    }
    for headers in [vec![], vec![("origin", own.as_str())]] {
        TestClient::open(&dashboard, &headers).await.expect("its own page, or none").leave().await;
    }
    // The page is judged before the token: a stranger's page learns nothing of a token.
    let evil = TestClient::open(&gateway.ws("/ws/dashboard?token=x"), &[("origin", "https://evil.example")]).await;
    assert_eq!(evil.unwrap_err().code(), "ORIGIN_NOT_ALLOWED");
}

/// A gateway with a door that says no by close codes, for every reason that there is.
fn closing() -> TestGateway {
    let config = "[[endpoints]]\npath = \"/closing\"\nroles = [\"dashboard\"]\norigins = [\"self\"]\nreject_with = \"close_code\"\n\
         [[endpoints]]\npath = \"/ws\"\n[[bans]]\nuser = \"mallory\"\n\
         [plans.default]\nconnections = 1\non_connection_limit = \"reject_new\"\n\
         [limits]\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = { rate = \"1/m\", burst = 2 }\n\
         [[auth.keys]]\nkid = \"far\"\njwks_url = \"http://127.0.0.1:1/jwks.json\"\n";
    TestGateway::with(config)
}

#[tokio::test]
async fn a_browser_reads_from_the_close_code_why_it_was_refused() {
    let gateway = closing();
    gateway.api("POST", "/api/v1/revocations", Some(json!({"jti": "t-1"}))).await;
    let good = Claims::of("ann", "dashboard");
    let far = Claims::of("ann", "dashboard").sign_with(
        jsonwebtoken::Algorithm::HS256,
        Some("far"),
        &jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes()),
    );
    let unreachable = gateway_tests::keys::KeyPair::new("far", jsonwebtoken::Algorithm::ES256).sign(&good);
    let seated = TestClient::greeted(&gateway, "/closing", &token("seated", "dashboard")).await;
    let rows = [
        ("no token", String::new(), 4001, "AUTH_REQUIRED"),
        ("nonsense", "nonsense".into(), 4002, "TOKEN_INVALID"),
        ("another's algorithm", far, 4002, "TOKEN_INVALID"),
        ("expired", good.clone().expiring_in(-9).sign(), 4003, "TOKEN_EXPIRED"),
        ("no keys", unreachable, 4000, "AUTH_ERROR"),
        ("revoked", good.clone().with("jti", "t-1").sign(), 4009, "TOKEN_REVOKED"),
        ("banned", token("mallory", "dashboard"), 4007, "BANNED"),
        ("another role", token("ann", "agent"), 4006, "ROLE_MISMATCH"),
        ("no seat", token("seated", "dashboard"), 4005, "CONNECTION_LIMIT"),
        ("too often", token("seated", "dashboard"), 4004, "RATE_LIMITED"),
    ];
    for (what, token, close, code) in rows {
        let mut client = TestClient::connect(&gateway, "/closing", &token).await.expect(what);
        let (got, reason) = client.closed().await;
        assert_eq!((got, reason["code"].as_str()), (close, Some(code)), "{what}: {reason}");
        let waits = matches!(code, "AUTH_ERROR" | "CONNECTION_LIMIT" | "RATE_LIMITED");
        assert_eq!(reason["retryAfter"].is_u64(), waits, "{what}: {reason}");
        let id = reason["requestId"].as_str().expect("an id to ask for");
        let line = gateway.audited("its line", |line| line["requestId"] == id).await;
        assert_eq!((&line["event"], &line["code"]), (&json!("refused"), &json!(code)), "{what}");
    }
    let origin = [("origin", "https://evil.example")];
    let mut client = TestClient::open(&gateway.ws("/closing"), &origin).await.expect("upgraded, to be closed");
    assert_eq!(client.closed().await.0, 4008);
    // What is no WebSocket at all is still answered by HTTP, as is a request without the form.
    let twice = TestClient::open(&gateway.ws("/closing?token=a&token=b"), &[]).await.unwrap_err();
    assert_eq!((twice.status, twice.code()), (400, "INVALID_REQUEST"));
    let plain = gateway_tests::calls::call(&gateway, "GET", "/closing", &[], None).await;
    assert_eq!(plain.told(), (426, "UPGRADE_REQUIRED"));
    assert_eq!(gateway.connections().await, 1, "only the one that is seated");
    drop(seated);
}

#[tokio::test]
async fn whoever_is_turned_away_hears_the_close_frame_and_is_never_listened_to() {
    let gateway = closing();
    for query in ["", "?token=nonsense"] {
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        let head = format!("GET /closing{query} HTTP/1.1\r\nhost: {}\r\n{UPGRADE}\r\n", gateway.address);
        // A message right behind the head, before the answer can have come: {"type":"ping"}, masked with zeros.
        let message = b"{\"type\":\"ping\",\"id\":\"1\"}";
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&[0x81, 0x80 | message.len() as u8, 0, 0, 0, 0]);
        bytes.extend_from_slice(message);
        stream.write_all(&bytes).await.unwrap();
        let mut answer = Vec::new();
        let reading = stream.read_to_end(&mut answer);
        let _ = tokio::time::timeout(gateway_tests::client::PATIENCE, reading).await.expect("the gateway hangs up");
        let at = answer.windows(4).position(|end| end == b"\r\n\r\n").expect("a head") + 4;
        let (head, frames) = answer.split_at(at);
        assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(head));
        assert_eq!(frames[0], 0x88, "the first frame is a close");
        let length = usize::from(frames[1]);
        assert!(length <= 125, "the reason has at most 123 bytes");
        assert_eq!(frames.len(), 2 + length, "and the last");
        let reason: Value = serde_json::from_slice(&frames[4..]).expect("JSON");
        assert!(matches!(reason["code"].as_str(), Some("AUTH_REQUIRED" | "TOKEN_INVALID")));
    }
    assert!(gateway.audit().iter().all(|line| line["event"] == "refused" || line["event"] == "gateway"));
}
