//! Tokens of the gateway's own, where that is switched on: an API key gets an access token and a refresh token, a
//! refresh token gets the next pair and is spent by it, and a spent one that comes again ends its whole family.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::sync::Arc;

use gateway_tests::{
    Options, TestClient, TestGateway,
    calls::{Called, call, post},
    redis::Redis,
    tokens::token,
};
use serde_json::{Value, json};
use tempfile::TempDir;

const KEY: &str = "key-of-the-backend-0123456789abcdef";
/// As `gateway keys hash` prints it of the first.
const HASH: &str = "8769ad39bab37f2e1e413b0bef5fedd8a9f027eb45a80eba1dbcd24e300edf6f";
const OTHER: &str = "key-of-another-0123456789abcdefghij";

fn options(more: &str, folder: Option<Arc<TempDir>>) -> Options {
    Options {
        config: format!(
            "[auth.issuer]\nkey = \"main\"\naccess_ttl = \"10m\"\nrefresh_ttl = \"1d\"\n\
             [[api_keys]]\nid = \"backend\"\nkey_env = \"BACKEND_KEY\"\nuser = \"ann\"\nroles = [\"dashboard\"]\n\
             permissions = [\"agents.read\"]\nplan = \"free\"\n\
             [[api_keys]]\nid = \"other\"\nkey_env = \"OTHER_KEY\"\nuser = \"bob\"\nroles = [\"service\"]\n\
             [state]\nfile = \"state.jsonl\"\n{more}"
        ),
        env: vec![("BACKEND_KEY".into(), KEY.into()), ("OTHER_KEY".into(), OTHER.into())],
        folder,
        ..Options::default()
    }
}

async fn issued(gateway: &TestGateway) -> Value {
    let answer = call(gateway, "POST", "/auth/token", &[("x-api-key", KEY)], None).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

async fn refreshed(gateway: &TestGateway, token: &Value) -> Called {
    post(gateway, "/auth/refresh", &[], &json!({ "refresh_token": token })).await
}

fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer[name].as_str().unwrap_or_else(|| panic!("{name} is missing"))
}

#[tokio::test]
async fn an_api_key_gets_a_token_that_opens_a_door() {
    let gateway = TestGateway::open(options("", None));
    for body in [None, Some(String::new()), Some("{}".to_owned())] {
        let headers = [("x-api-key", KEY), ("content-type", "application/json")];
        let answer = call(&gateway, "POST", "/auth/token", &headers, body).await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"));
        let body = answer.body;
        let mut names: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["access_token", "expires_in", "plan", "refresh_token", "token_type", "user_id"]);
        assert_eq!((text(&body, "token_type"), body["expires_in"].as_u64()), ("Bearer", Some(600)));
        assert_eq!((text(&body, "user_id"), text(&body, "plan")), ("ann", "free"));
        assert!(!text(&body, "refresh_token").contains('.'), "a refresh token is no JWT");

        let (client, ready) = TestClient::greeted(&gateway, "/ws/dashboard", text(&body, "access_token")).await;
        assert_eq!(
            (&ready["userId"], &ready["plan"], &ready["role"]),
            (&json!("ann"), &json!("free"), &json!("dashboard"))
        );
        assert_eq!(ready["permissions"], json!(["agents.read"]));
        client.leave().await;
    }
    gateway.audited("the issue", |line| line["event"] == "token.issued" && line["userId"] == "ann").await;
}

#[tokio::test]
async fn a_refresh_token_opens_no_door_and_no_call() {
    let gateway = TestGateway::open(options("", None));
    let answer = issued(&gateway).await;
    let token = text(&answer, "refresh_token");
    let refused = TestClient::connect(&gateway, "/ws", token).await.unwrap_err();
    assert_eq!((refused.status, refused.code(), refused.detail()), (401, "TOKEN_INVALID", "malformed"));
    let bearer = format!("Bearer {token}");
    for headers in [[("authorization", bearer.as_str())], [("x-api-key", token)]] {
        assert_eq!(call(&gateway, "GET", "/api/v1/connections", &headers, None).await.status, 401);
    }
    // Nor does an access token refresh anything.
    assert_eq!(refreshed(&gateway, &answer["access_token"]).await.status, 401);
}

#[tokio::test]
async fn a_refresh_token_is_spent_by_its_use_and_a_second_use_ends_the_family() {
    let gateway = TestGateway::open(options("", None));
    let (first, apart) = (issued(&gateway).await, issued(&gateway).await);
    let second = refreshed(&gateway, &first["refresh_token"]).await;
    assert_eq!((second.status, text(&second.body, "user_id"), text(&second.body, "plan")), (200, "ann", "free"));
    assert_ne!(second.body["refresh_token"], first["refresh_token"]);
    let third = refreshed(&gateway, &second.body["refresh_token"]).await;
    TestClient::greeted(&gateway, "/ws", text(&third.body, "access_token")).await.0.leave().await;

    let again = refreshed(&gateway, &first["refresh_token"]).await;
    assert_eq!(again.told(), (401, "TOKEN_REVOKED"), "spent");
    let live = refreshed(&gateway, &third.body["refresh_token"]).await;
    assert_eq!(live.told(), (401, "TOKEN_REVOKED"), "its whole family ended with it");
    assert_eq!(refreshed(&gateway, &apart["refresh_token"]).await.status, 200, "another family is another's");
    let theft = |line: &Value| line["event"] == "token.reused" && line["userId"] == "ann";
    let line = gateway.audited("the theft", theft).await;
    assert_eq!((&line["code"], &line["endpoint"]), (&json!("TOKEN_REVOKED"), &json!("/auth/refresh")));
}

#[tokio::test]
async fn refresh_families_survive_a_crash() {
    let gateway = TestGateway::open(options("", None));
    let first = issued(&gateway).await;
    let second = refreshed(&gateway, &first["refresh_token"]).await.body;
    let gateway = TestGateway::open(options("", Some(gateway.crash())));
    let third = refreshed(&gateway, &second["refresh_token"]).await;
    assert_eq!(third.status, 200, "{third:?}");
    let gateway = TestGateway::open(options("", Some(gateway.crash())));
    assert_eq!(refreshed(&gateway, &second["refresh_token"]).await.told(), (401, "TOKEN_REVOKED"), "spent before");
    assert_eq!(refreshed(&gateway, &third.body["refresh_token"]).await.told(), (401, "TOKEN_REVOKED"));
    let gateway = TestGateway::open(options("", Some(gateway.crash())));
    assert_eq!(refreshed(&gateway, &third.body["refresh_token"]).await.status, 401, "ended for good");
}

/// Method, path, headers and body of a call, and the status and code of its answer.
type Row<'a> = (&'a str, &'a str, Vec<(&'a str, &'a str)>, Option<&'a str>, (u16, &'a str));

#[tokio::test]
async fn bad_requests_are_told_apart() {
    let gateway = TestGateway::open(options("[limits]\nhandshakes_per_ip = \"off\"\n", None));
    let json = ("content-type", "application/json");
    let key = ("x-api-key", KEY);
    let in_query = format!("/auth/token?api_key={KEY}");
    let table: Vec<Row<'_>> = vec![
        ("POST", "/auth/token", vec![], None, (401, "AUTH_REQUIRED")),
        ("POST", "/auth/token", vec![("x-api-key", "")], None, (401, "AUTH_REQUIRED")),
        ("POST", "/auth/token", vec![("x-api-key", "nobody's")], None, (401, "TOKEN_INVALID")),
        ("POST", "/auth/token", vec![("authorization", KEY)], None, (401, "AUTH_REQUIRED")),
        ("POST", &in_query, vec![], None, (401, "AUTH_REQUIRED")),
        ("POST", "/auth/token", vec![key, key], None, (400, "INVALID_REQUEST")),
        ("POST", "/auth/token", vec![key, json], Some("{\"user\":\"root\"}"), (400, "INVALID_REQUEST")),
        ("POST", "/auth/token", vec![key, json], Some("{"), (400, "INVALID_REQUEST")),
        ("POST", "/auth/token", vec![key, ("content-type", "text/plain")], Some("{}"), (415, "UNSUPPORTED_DATA")),
        ("GET", "/auth/token", vec![key], None, (405, "METHOD_NOT_ALLOWED")),
        ("GET", "/auth/refresh", vec![], None, (405, "METHOD_NOT_ALLOWED")),
        ("POST", "/auth/refresh", vec![json], Some("{}"), (400, "INVALID_REQUEST")),
        ("POST", "/auth/refresh", vec![json], Some("{\"refresh_token\":7}"), (400, "INVALID_REQUEST")),
        ("POST", "/auth/refresh", vec![json], Some("{\"refresh_token\":\"nonsense\"}"), (401, "TOKEN_INVALID")),
        ("POST", "/auth/refresh", vec![json], Some("{\"refresh_token\":\"\"}"), (401, "TOKEN_INVALID")),
        ("POST", "/auth/revoke", vec![key], None, (404, "NOT_FOUND")),
    ];
    for (method, path, headers, body, told) in table {
        let answer = call(&gateway, method, path, &headers, body.map(str::to_owned)).await;
        assert_eq!(answer.told(), told, "{method} {path} {body:?}");
        assert!(answer.body["error"]["requestId"].is_string());
        assert_eq!(answer.header("www-authenticate").is_empty(), told.0 != 401);
        if told.0 == 405 {
            assert_eq!(answer.header("allow"), "POST");
        }
    }
}

#[tokio::test]
async fn a_gateway_that_only_verifies_has_no_such_address() {
    let gateway = TestGateway::start();
    for path in ["/auth/token", "/auth/refresh"] {
        for method in ["POST", "GET"] {
            let answer = call(&gateway, method, path, &[("x-api-key", KEY)], None).await;
            assert_eq!(answer.told(), (404, "NOT_FOUND"), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn guessing_and_issuing_have_a_rate() {
    let limits = "[limits]\nhandshakes_per_ip = { rate = \"1/m\", burst = 5 }\n";
    let gateway = TestGateway::open(options(limits, None));
    for _ in 0..5 {
        let answer = call(&gateway, "POST", "/auth/token", &[("x-api-key", "guess")], None).await;
        assert_eq!(answer.told(), (401, "TOKEN_INVALID"));
    }
    for (path, headers) in [("/auth/token", vec![("x-api-key", KEY)]), ("/auth/refresh", vec![])] {
        let answer = post(&gateway, path, &headers, &json!({})).await;
        assert_eq!(answer.told(), (429, "RATE_LIMITED"), "{path}");
        assert!(answer.header("retry-after").parse::<u64>().is_ok_and(|wait| (1..=60).contains(&wait)));
        assert_eq!((answer.header("x-ratelimit-limit"), answer.header("x-ratelimit-remaining")), ("1", "0"));
        assert_eq!(answer.header("x-ratelimit-period"), "60");
    }
}

#[tokio::test]
async fn whoever_is_banned_or_revoked_gets_no_more_tokens() {
    let gateway = TestGateway::open(options("", None));
    let first = issued(&gateway).await;
    let admin = token("root", "admin");
    let (status, _) = gateway.api_as(&admin, "PUT", "/api/v1/bans", Some(json!({"user": "ann"}))).await;
    assert_eq!(status, 200);
    let answer = call(&gateway, "POST", "/auth/token", &[("x-api-key", KEY)], None).await;
    assert_eq!(answer.told(), (403, "BANNED"));
    assert_eq!(refreshed(&gateway, &first["refresh_token"]).await.told(), (403, "BANNED"));
    let other = call(&gateway, "POST", "/auth/token", &[("x-api-key", OTHER)], None).await;
    assert_eq!((other.status, text(&other.body, "user_id")), (200, "bob"));
    gateway.api_as(&admin, "DELETE", "/api/v1/bans", Some(json!({"user": "ann"}))).await;
    let second = refreshed(&gateway, &first["refresh_token"]).await;
    assert_eq!(second.status, 200, "a ban spends no token");

    let (status, _) = gateway.api_as(&admin, "POST", "/api/v1/revocations", Some(json!({"user": "ann"}))).await;
    assert_eq!(status, 200);
    assert_eq!(refreshed(&gateway, &second.body["refresh_token"]).await.told(), (401, "TOKEN_REVOKED"));
    assert_eq!(refreshed(&gateway, &other.body["refresh_token"]).await.status, 200);
}

#[tokio::test]
async fn an_api_key_by_its_hash_calls_the_api_with_its_roles() {
    let config = "[[api_keys]]\nid = \"ops\"\nkey_env = \"OPS_KEY\"\nuser = \"ops\"\nroles = [\"admin\"]\n";
    let mut options = options(config, None);
    options.env.push(("OPS_KEY".into(), "key-of-the-operator-0123456789abcdef".into()));
    let gateway = TestGateway::open(options);
    let status = async |key: &str, path: &str| call(&gateway, "GET", path, &[("x-api-key", key)], None).await.status;
    let ops = "key-of-the-operator-0123456789abcdef";
    assert_eq!((status(ops, "/api/v1/connections").await, status(ops, "/api/v1/bans").await), (200, 200));
    assert_eq!((status(OTHER, "/api/v1/connections").await, status(OTHER, "/api/v1/bans").await), (200, 403));
    assert_eq!((status(KEY, "/api/v1/connections").await, status(KEY, "/api/v1/bans").await), (403, 403));
    assert_eq!(status("nobody's", "/api/v1/connections").await, 401);
    // A key is no token: it opens no door.
    let refused = TestClient::open(&gateway.ws("/ws"), &[("x-api-key", ops)]).await.unwrap_err();
    assert_eq!((refused.status, refused.code()), (401, "AUTH_REQUIRED"));
}

#[tokio::test]
async fn a_family_that_ended_at_one_gateway_has_ended_at_one_that_never_saw_it() {
    let redis = Redis::start();
    let config = format!(
        "[auth.issuer]\nkey = \"main\"\n\
         [[api_keys]]\nid = \"backend\"\nsha256 = \"{HASH}\"\nuser = \"ann\"\nroles = [\"dashboard\"]\n"
    );
    let nodes = TestGateway::joined(3, &redis, &config);
    let first = issued(&nodes[0]).await;
    let second = refreshed(&nodes[1], &first["refresh_token"]).await;
    assert_eq!(second.status, 200, "{second:?}");
    let again = refreshed(&nodes[0], &first["refresh_token"]).await;
    assert_eq!(again.told(), (401, "TOKEN_REVOKED"), "a spent one ends its family");
    let successor = refreshed(&nodes[2], &second.body["refresh_token"]).await;
    assert_eq!(successor.told(), (401, "TOKEN_REVOKED"), "there it is told as what it is, too");
}
