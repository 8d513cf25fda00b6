//! Revocations: of one token by its id, of all of a user's up to a time. They reach who is connected at once (4009), keep
//! the tokens out (401), and survive a crash.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::{sync::Arc, time::Duration};

use gateway_tests::{
    Claims, Options, TestClient, TestGateway,
    client::Refused,
    eventually,
    tokens::{now, token},
};
use serde_json::{Value, json};
use tempfile::TempDir;

fn gateway(folder: Option<Arc<TempDir>>) -> TestGateway {
    TestGateway::open(Options { config: "[state]\nfile = \"state.jsonl\"\n".into(), folder, ..Options::default() })
}

fn issued(user: &str, seconds_ago: i64) -> Claims {
    Claims::of(user, "dashboard").with("iat", now() - seconds_ago)
}

async fn enter(gateway: &TestGateway, claims: &Claims) -> TestClient {
    TestClient::greeted(gateway, "/ws", &claims.sign()).await.0
}

async fn kept_out(gateway: &TestGateway, claims: &Claims) -> Refused {
    let refused = TestClient::connect(gateway, "/ws", &claims.sign()).await.expect_err("a revoked token");
    assert_eq!((refused.status, refused.code()), (401, "TOKEN_REVOKED"), "{refused:?}");
    assert!(refused.header("www-authenticate").starts_with("Bearer error=\"invalid_token\""));
    assert_eq!(refused.body["error"]["then"], "stop");
    refused
}

async fn gone(client: &mut TestClient) {
    let (code, reason) = client.closed().await;
    assert_eq!((code, reason["code"].as_str()), (4009, Some("TOKEN_REVOKED")), "{reason}");
}

async fn revoke(gateway: &TestGateway, order: Value) -> Value {
    let (status, answer) = gateway.api("POST", "/api/v1/revocations", Some(order)).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

#[tokio::test]
async fn one_token_is_revoked_and_the_users_others_are_not() {
    let gateway = gateway(None);
    let (first, second) = (issued("ann", 0).with("jti", "t-1"), issued("ann", 0).with("jti", "t-2"));
    let (mut out, mut twin, mut stays) =
        (enter(&gateway, &first).await, enter(&gateway, &first).await, enter(&gateway, &second).await);
    assert_eq!(revoke(&gateway, json!({"jti": "t-1"})).await["matches"], 2);
    gone(&mut out).await;
    gone(&mut twin).await;
    assert_eq!(stays.ask(json!({"type": "ping"})).await["type"], "pong");
    kept_out(&gateway, &first).await;
    enter(&gateway, &second).await.leave().await;
    // The API judges the same tokens in the same way.
    let service = Claims::of("backend", "service").with("jti", "t-1").sign();
    let (status, answer) = gateway.api_as(&service, "GET", "/api/v1/connections", None).await;
    assert_eq!((status, &answer["error"]["code"]), (401, &json!("TOKEN_REVOKED")));
    let mut turned = TestClient::connect(&gateway, "/ws/simulate", &first.sign()).await.unwrap();
    gone(&mut turned).await;
    let line = gateway.audited("the revocation", |line| line["event"] == "revoked").await;
    assert!(line["reason"].as_str().unwrap().contains("operator"));
}

#[tokio::test]
async fn all_of_a_users_tokens_up_to_now_are_revoked_and_newer_ones_are_not() {
    let gateway = gateway(None);
    let silent = Claims::of("ann", "dashboard").without("iat");
    let mut clients = [enter(&gateway, &issued("ann", 60)).await, enter(&gateway, &silent).await];
    let mut other = enter(&gateway, &issued("bob", 60)).await;
    assert_eq!(revoke(&gateway, json!({"user": "ann"})).await["matches"], 2);
    for client in &mut clients {
        gone(client).await;
    }
    kept_out(&gateway, &issued("ann", 60)).await;
    kept_out(&gateway, &silent).await;
    assert_eq!(other.ask(json!({"type": "ping"})).await["type"], "pong");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    enter(&gateway, &issued("ann", 0)).await.leave().await;
}

#[tokio::test]
async fn a_moment_parts_the_old_tokens_from_the_new() {
    let gateway = gateway(None);
    let (old, new) = (issued("ann", 600), issued("ann", 60));
    let (mut out, mut stays) = (enter(&gateway, &old).await, enter(&gateway, &new).await);
    let before = gateway_domain::Timestamp::from_seconds(now() - 300).to_string();
    assert_eq!(revoke(&gateway, json!({"user": "ann", "before": before})).await["matches"], 1);
    gone(&mut out).await;
    kept_out(&gateway, &old).await;
    assert_eq!(stays.ask(json!({"type": "ping"})).await["type"], "pong");
    // An earlier moment takes nothing back.
    let earlier = gateway_domain::Timestamp::from_seconds(now() - 3000).to_string();
    revoke(&gateway, json!({"user": "ann", "before": earlier})).await;
    kept_out(&gateway, &old).await;
}

#[tokio::test]
async fn a_revocation_is_forgotten_at_its_time() {
    let gateway = gateway(None);
    let claims = issued("ann", 0).with("jti", "t-1");
    let until = gateway_domain::Timestamp::from_seconds(now() + 2).to_string();
    revoke(&gateway, json!({"jti": "t-1", "until": until})).await;
    kept_out(&gateway, &claims).await;
    let enters = async || TestClient::connect(&gateway, "/ws", &claims.sign()).await.ok();
    eventually(10, "it is forgotten", enters).await.leave().await;
}

#[tokio::test]
async fn revocations_survive_a_crash_and_a_restart() {
    // The file is each node's own: this is one node in a folder.
    let first = gateway(Some(Arc::new(tempfile::tempdir().unwrap())));
    let (token, of_user) = (issued("ann", 0).with("jti", "t-1"), issued("bob", 60));
    revoke(&first, json!({"jti": "t-1"})).await;
    revoke(&first, json!({"user": "bob"})).await;
    let second = gateway(Some(first.crash()));
    kept_out(&second, &token).await;
    kept_out(&second, &of_user).await;
    let folder = Arc::clone(&second.folder);
    assert!(second.stop().0);
    let third = gateway(Some(folder));
    kept_out(&third, &token).await;
    kept_out(&third, &of_user).await;
    enter(&third, &issued("carl", 60)).await.leave().await;
}

#[tokio::test]
async fn a_caller_that_was_known_a_moment_ago_is_out_at_once_when_it_is_revoked_banned_or_over() {
    let gateway = gateway(None);
    let backend = |user: &str| Claims::of(user, "service").with("iat", now() - 60);
    let call = async |token: &str| {
        let (status, answer) = gateway.api_as(token, "GET", "/api/v1/agents", None).await;
        (status, answer["error"]["code"].as_str().unwrap_or_default().to_owned())
    };
    let one = backend("one").with("jti", "t-1").sign();
    let (all, banned, over) = (backend("two").sign(), backend("three").sign(), backend("four").expiring_in(6).sign());
    for token in [&one, &all, &banned, &over, &one, &all, &banned, &over] {
        assert_eq!(call(token).await, (200, String::new()));
    }
    revoke(&gateway, json!({"jti": "t-1"})).await;
    assert_eq!(call(&one).await, (401, "TOKEN_REVOKED".to_owned()));
    revoke(&gateway, json!({"user": "two"})).await;
    assert_eq!(call(&all).await, (401, "TOKEN_REVOKED".to_owned()));
    let ban = json!({"user": "three"});
    assert_eq!(gateway.api("PUT", "/api/v1/bans", Some(ban.clone())).await.0, 200);
    assert_eq!(call(&banned).await, (403, "BANNED".to_owned()));
    assert_eq!(gateway.api("DELETE", "/api/v1/bans", Some(ban)).await.0, 200);
    assert_eq!(call(&banned).await, (200, String::new()));
    let told = eventually(30, "a known token whose time is over", async || {
        Some(call(&over).await).filter(|(status, _)| *status != 200)
    });
    assert_eq!(told.await, (401, "TOKEN_EXPIRED".to_owned()));
}

#[tokio::test]
async fn only_an_administrator_revokes_and_only_in_the_proper_form() {
    let gateway = gateway(None);
    let order = json!({"jti": "t-1"});
    let path = "/api/v1/revocations";
    assert_eq!(gateway.api_as(&token("backend", "service"), "POST", path, Some(order.clone())).await.0, 403);
    assert_eq!(gateway.api_as("nonsense", "POST", path, Some(order)).await.0, 401);
    for order in [
        json!({}),
        json!({"jti": ""}),
        json!({"jti": "x".repeat(257)}),
        json!({"jti": "t", "user": "ann"}),
        json!({"jti": "t", "before": "2026-01-01T00:00:00Z"}),
        json!({"user": "ann", "before": "yesterday"}),
        json!({"user": "ann", "until": "2020-01-01T00:00:00Z"}),
        json!({"token": "t"}),
        json!("t"),
    ] {
        let (status, answer) = gateway.api("POST", path, Some(order.clone())).await;
        assert_eq!((status, &answer["error"]["code"]), (400, &json!("INVALID_REQUEST")), "{order}");
        assert!(answer["error"]["details"][0]["message"].is_string(), "{answer}");
    }
    let (status, answer) = gateway.api("GET", path, None).await;
    assert_eq!((status, &answer["error"]["code"]), (405, &json!("METHOD_NOT_ALLOWED")));
}
