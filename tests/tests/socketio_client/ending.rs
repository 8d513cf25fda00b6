//! How a connection ends for a page: what it is told, and whether the library brings it back by itself.

use std::sync::Arc;

use gateway_tests::{Claims, Options, TestGateway, node::Script, tokens::token};
use serde_json::{Value, json};

use crate::told::{WAYS, empty, start};

/// A user that is in, and the connection's id.
async fn enter(gateway: &TestGateway, way: &str, token: &str, speak: &str) -> (Script, String) {
    let mut script = start("socketio_ends.mjs", gateway, way, &json!({ "ann": token }), &[("SPEAK", speak)]);
    loop {
        let line = script.says().await;
        if line["name"] == "in" {
            return (script, line["id"].as_str().unwrap().to_owned());
        }
        // A token that is about to expire is warned of at once, maybe while the client still moves.
        assert_eq!(line["name"], "auth.expiring", "{way}: {line}");
        assert!(line["words"]["expiresAt"].is_string(), "{line}");
    }
}

/// The client was told why, was put out by a packet, and stays out.
async fn is_put_out(gateway: &TestGateway, way: &str, script: Script, code: &str, then: &str) {
    let told = script.end().await;
    let error = told.iter().find(|line| line["name"] == "error").unwrap_or_else(|| panic!("{way} no error: {told:?}"));
    assert_eq!((&error["words"]["code"], &error["words"]["then"]), (&json!(code), &json!(then)), "{way}");
    let out = told.iter().find(|line| line["name"] == "out").expect("an end");
    assert_eq!((&out["reason"], &out["again"]), (&json!("io server disconnect"), &json!(false)), "{way}");
    assert_eq!(told.last(), Some(&json!({"name": "still out", "connected": false, "asked": 1})), "{way}");
    gateway
        .audited("the end", |line| line["event"] == "disconnected" && line["code"] == code && line["userId"] == "ann")
        .await;
    empty(gateway).await;
}

#[tokio::test]
async fn a_kick_a_ban_and_a_revocation_end_sessions_too() {
    for (way, _) in WAYS {
        let gateway = TestGateway::start();
        let ann = Claims::of("ann", "dashboard").with("jti", "a").sign();

        let (script, id) = enter(&gateway, way, &ann, "").await;
        assert_eq!(gateway.api("DELETE", &format!("/api/v1/connections/{id}"), None).await.0, 200);
        is_put_out(&gateway, way, script, "DISCONNECTED", "stop").await;

        let (script, _) = enter(&gateway, way, &ann, "").await;
        gateway.api("POST", "/api/v1/revocations", Some(json!({"jti": "a"}))).await;
        is_put_out(&gateway, way, script, "TOKEN_REVOKED", "stop").await;

        let (script, _) = enter(&gateway, way, &token("ann", "dashboard"), "").await;
        gateway.api("PUT", "/api/v1/bans", Some(json!({"user": "ann"}))).await;
        is_put_out(&gateway, way, script, "BANNED", "stop").await;
    }
}

#[tokio::test]
async fn a_token_that_expires_is_warned_of_and_ends_the_session() {
    for (way, _) in WAYS {
        let gateway = TestGateway::start();
        let (script, _) = enter(&gateway, way, &Claims::of("ann", "dashboard").expiring_in(6).sign(), "").await;
        is_put_out(&gateway, way, script, "TOKEN_EXPIRED", "refresh").await;
    }
}

#[tokio::test]
async fn bytes_are_read_and_refused_and_the_reason_is_told() {
    for (way, _) in WAYS {
        let gateway = TestGateway::start();
        let (script, _) = enter(&gateway, way, &token("ann", "dashboard"), "binary").await;
        is_put_out(&gateway, way, script, "UNSUPPORTED_DATA", "stop").await;
    }
}

#[tokio::test]
async fn a_client_comes_back_by_itself_after_a_restart_with_a_token_of_that_moment() {
    for (way, _) in WAYS {
        for crashes in [false, true] {
            // The same node has to come back.
            let gateway = TestGateway::alone("");
            let (mut script, id) = enter(&gateway, way, &token("ann", "dashboard"), "").await;
            let (listen, folder) = (gateway.address.to_string(), Arc::clone(&gateway.folder));
            if crashes {
                drop(gateway.crash());
            } else {
                assert!(gateway.stop().0, "{way}: it ends well with a session in it");
            }
            let again = Options { listen: Some(listen), folder: Some(folder), ..Options::default() };
            let gateway = TestGateway::open(again);
            let mut told: Vec<Value> = Vec::new();
            while told.last().is_none_or(|line| line["name"] != "back") {
                told.push(script.says().await);
            }
            let out = told.iter().find(|line| line["name"] == "out").expect("an end");
            assert_eq!(out["again"], true, "{way}: {told:?}");
            let error = told.iter().find(|line| line["name"] == "error");
            if crashes {
                assert!(error.is_none(), "{way}: {told:?}");
            } else {
                assert_eq!(
                    (&error.unwrap()["words"]["code"], &out["reason"]),
                    (&json!("DRAINING"), &json!("transport close")),
                    "{way}: {told:?}"
                );
            }
            let back = told.last().unwrap();
            assert!(
                back["another"] == true && back["asked"].as_u64() >= Some(2) && back["id"] != id.as_str(),
                "{back}"
            );
            script.end().await;
            empty(&gateway).await;
        }
    }
}
