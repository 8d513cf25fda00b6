//! Who gets in, by which token, and what everybody else is told.

use gateway_tests::{Claims, TestGateway, tokens::token};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use crate::told::{Told, WAYS, by_name, empty, run};

/// A page that may come in, and handshakes as fast as a machine makes them.
const DOOR: &str = "[[bans]]\nuser = \"mallory\"\n[limits]\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = \"off\"\n\
                    [[socketio.namespaces]]\npath = \"/dashboard\"\nroles = [\"dashboard\"]\n\
                    origins = [\"https://app.example\"]\n";

#[track_caller]
fn refused(told: &Told, name: &str, code: &str, reason: &str, then: &str) {
    let line = &told[name];
    let data = &line["data"];
    assert_eq!((&line["in"], &data["code"], &data["reason"]), (&json!(false), &json!(code), &json!(reason)), "{line}");
    assert_eq!(data["then"], then, "{line}");
    assert!(line["message"].as_str().is_some_and(|message| !message.is_empty()), "{line}");
    assert_eq!(line["again"], false, "a client that was refused by a packet does not come back by itself: {line}");
}

/// What is refused before any packet is an answer of HTTP.
#[track_caller]
fn turned_away(told: &Told, name: &str, way: &str) {
    let line = &told[name];
    assert_eq!((&line["in"], &line["data"]), (&json!(false), &Value::Null), "{line}");
    if way == "polling" {
        let body: Value = serde_json::from_str(line["body"].as_str().expect("a body")).unwrap();
        assert_eq!((&line["status"], &body["error"]["code"]), (&json!(403), &json!("ORIGIN_NOT_ALLOWED")), "{line}");
    }
}

#[tokio::test]
async fn who_gets_in_and_who_does_not_over_every_way() {
    let forger = EncodingKey::from_secret(b"somebody else's secret of 32 bytes and more");
    for (way, transport) in WAYS {
        let gateway = TestGateway::with(DOOR);
        let revoked = Claims::of("dora", "dashboard").with("jti", "gone");
        gateway.api("POST", "/api/v1/revocations", Some(json!({"jti": "gone"}))).await;
        let tokens = json!({
            "admin": token("operator", "admin"),
            "ann": token("ann", "dashboard"),
            "bob": token("bob", "dashboard"),
            "carol": token("carol", "dashboard"),
            "agent": token("a-1", "agent"),
            "banned": token("mallory", "dashboard"),
            "revoked": revoked.sign(),
            "expired": Claims::of("ann", "dashboard").expiring_in(-10).sign(),
            "forged": Claims::of("ann", "dashboard").sign_with(Algorithm::HS256, Some("main"), &forger),
        });
        let origins = [("ORIGIN", "https://app.example"), ("STRANGE_ORIGIN", "https://app.example.evil.example")];
        let told = by_name(run("socketio_door.mjs", &gateway, way, &tokens, &origins).await);
        for (name, user) in [
            ("auth", "ann"),
            ("function", "ann"),
            ("query", "ann"),
            ("header", "ann"),
            ("authWins", "bob"),
            ("emptyAuthIsAbsent", "ann"),
            ("origin", "ann"),
            ("tenthAgain", "carol"),
        ] {
            let line = &told[name];
            assert_eq!(
                (&line["in"], &line["user"], &line["transport"]),
                (&json!(true), &json!(user), &json!(transport)),
                "{way} {line}"
            );
            assert_eq!(line["endpoint"], "/dashboard");
            assert_eq!(line["carrier"], transport.strip_prefix("socketio-").unwrap(), "{way} {line}");
        }
        turned_away(&told, "strangeOrigin", way);
        turned_away(&told, "noOrigin", way);
        refused(&told, "missing", "AUTH_FAILED", "AUTH_REQUIRED", "stop");
        refused(&told, "noText", "AUTH_FAILED", "TOKEN_INVALID", "stop");
        refused(&told, "invalid", "AUTH_FAILED", "TOKEN_INVALID", "stop");
        assert_eq!(told["invalid"]["data"]["detail"], "malformed");
        refused(&told, "forged", "AUTH_FAILED", "TOKEN_INVALID", "stop");
        assert_eq!(told["forged"]["data"]["detail"], "signature");
        refused(&told, "expired", "AUTH_FAILED", "TOKEN_EXPIRED", "refresh");
        refused(&told, "revoked", "AUTH_FAILED", "TOKEN_REVOKED", "stop");
        refused(&told, "wrongRole", "ROLE_MISMATCH", "ROLE_MISMATCH", "stop");
        refused(&told, "banned", "BANNED", "BANNED", "stop");
        refused(&told, "eleventh", "CONNECTION_LIMIT", "CONNECTION_LIMIT", "wait");
        assert!(told["eleventh"]["data"]["retryAfter"].as_u64().is_some_and(|wait| wait > 0), "{}", told["eleventh"]);
        assert_eq!(told["unknownNamespace"]["message"], "Invalid namespace");
        empty(&gateway).await;
        is_written_down(&gateway, &told).await;
    }
}

/// Every refusal is in the audit, by the request that the client was told.
async fn is_written_down(gateway: &TestGateway, told: &Told) {
    for name in ["missing", "invalid", "expired", "revoked", "wrongRole", "banned", "eleventh"] {
        let data = &told[name]["data"];
        let is_it = |line: &Value| line["requestId"] == data["requestId"] && line["code"] == data["reason"];
        let line = gateway.audited(&format!("{name} is in the audit: {data}"), is_it).await;
        assert_eq!(line["endpoint"], "/dashboard", "{line}");
    }
}
