//! The same stories through a client that other people wrote: the npm package `ws` under Node.js, the one that agents
//! and servers use most, and as a page in a browser would use it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::collections::BTreeMap;

use gateway_tests::{Claims, TestGateway, eventually, node, tokens::token};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

/// What a script told, by name.
type Told = BTreeMap<String, Value>;

fn by_name(lines: Vec<Value>) -> Told {
    lines.into_iter().map(|line| (line["name"].as_str().expect("a name").to_owned(), line)).collect()
}

async fn run(script: &str, gateway: &TestGateway, tokens: &Value) -> Told {
    by_name(node::run(script, &[("GATEWAY", &gateway.somewhere().to_string()), ("TOKENS", &tokens.to_string())]).await)
}

#[track_caller]
fn refused(told: &Told, name: &str, status: u16, code: &str, then: &str) {
    let line = &told[name];
    assert_eq!((&line["status"], &line["body"]["error"]["code"]), (&json!(status), &json!(code)), "{name}: {line}");
    assert_eq!(line["body"]["error"]["then"].as_str().unwrap_or_default(), then, "{name}");
    assert!(line["body"]["error"]["requestId"].is_string(), "{name}: {line}");
    let challenge = line["headers"]["www-authenticate"].as_str();
    assert_eq!(challenge.is_some_and(|text| text.starts_with("Bearer")), status == 401, "{name}: {line}");
}

#[track_caller]
fn closed(told: &Told, name: &str, close: u16, code: &str) {
    let line = &told[name];
    assert_eq!((&line["close"], &line["reason"]["code"]), (&json!(close), &json!(code)), "{name}: {line}");
    assert!(line["reason"]["requestId"].is_string(), "{name}: {line}");
}

#[track_caller]
fn admitted(told: &Told, name: &str, user: &str) {
    assert_eq!(told[name]["user"], user, "{name}: {}", told[name]);
}

async fn empty(gateway: &TestGateway) {
    eventually(5, "nobody is left", async || (gateway.connections().await == 0).then_some(())).await;
}

#[tokio::test]
async fn who_gets_in_and_who_does_not() {
    let gateway = TestGateway::with("[[bans]]\nuser = \"mallory\"\n");
    let forger = EncodingKey::from_secret(b"somebody else's secret of 32 bytes and more");
    let tokens = json!({
        "ann": token("ann", "dashboard"),
        "agent": token("a-1", "agent"),
        "banned": token("mallory", "dashboard"),
        "expired": Claims::of("ann", "dashboard").expiring_in(-10).sign(),
        "forged": Claims::of("ann", "dashboard").sign_with(Algorithm::HS256, Some("main"), &forger),
    });
    let told = run("door.mjs", &gateway, &tokens).await;
    for name in ["query", "header", "bearerInAnyCase", "queryWins", "emptyQueryIsAbsent", "subprotocol", "simulate"] {
        admitted(&told, name, "ann");
    }
    admitted(&told, "agent", "a-1");
    assert_eq!((&told["subprotocol"]["protocol"], &told["query"]["protocol"]), (&json!("gateway.v1"), &json!("")));
    refused(&told, "missing", 401, "AUTH_REQUIRED", "stop");
    refused(&told, "noPrefix", 401, "TOKEN_INVALID", "stop");
    refused(&told, "invalid", 401, "TOKEN_INVALID", "stop");
    assert_eq!(told["invalid"]["body"]["error"]["detail"], "malformed");
    refused(&told, "forged", 401, "TOKEN_INVALID", "stop");
    assert_eq!(told["forged"]["body"]["error"]["detail"], "signature");
    refused(&told, "expired", 401, "TOKEN_EXPIRED", "refresh");
    refused(&told, "wrongRole", 403, "ROLE_MISMATCH", "stop");
    refused(&told, "banned", 403, "BANNED", "stop");
    assert_eq!(told["noSuchPath"]["status"], 404);
    closed(&told, "closeMissing", 4001, "AUTH_REQUIRED");
    closed(&told, "closeInvalid", 4002, "TOKEN_INVALID");
    closed(&told, "closeExpired", 4003, "TOKEN_EXPIRED");
    closed(&told, "closeBanned", 4007, "BANNED");
    empty(&gateway).await;
}

#[tokio::test]
async fn a_page_comes_in_only_from_where_it_may() {
    let gateway = TestGateway::start();
    let told =
        run("page.mjs", &gateway, &json!({"ann": token("ann", "dashboard"), "agent": token("a-1", "agent")})).await;
    admitted(&told, "self", "ann");
    admitted(&told, "noPage", "ann");
    for name in ["foreign", "otherPort", "otherScheme", "null", "agentSelf", "agentForeign"] {
        refused(&told, name, 403, "ORIGIN_NOT_ALLOWED", "stop");
    }
    closed(&told, "closeForeign", 4008, "ORIGIN_NOT_ALLOWED");
}

#[tokio::test]
async fn a_session_and_each_of_its_ends() {
    // The doors of what ships, and one with a heartbeat that a test can wait for.
    let gateway = TestGateway::with(
        "[[endpoints]]\npath = \"/ws\"\non_expiry = \"keep\"\n\
         [[endpoints]]\npath = \"/ws/dashboard\"\nroles = [\"dashboard\"]\n\
         [[endpoints]]\npath = \"/quick\"\nheartbeat = \"1s\"\nheartbeat_timeout = \"1s\"\n",
    );
    let tokens = json!({
        "admin": token("operator", "admin"),
        "ann": token("ann", "dashboard"),
        "bob": token("bob", "dashboard"),
        "mallory": token("mallory", "dashboard"),
        "fresh": Claims::of("ann", "dashboard").with("permissions", json!(["x"])).expiring_in(9000).sign(),
    });
    let told = run("session.mjs", &gateway, &tokens).await;
    assert_eq!((&told["greeting"]["protocol"], &told["greeting"]["userId"]), (&json!(1), &json!("ann")));
    assert_eq!(told["pong"]["payload"], json!({"deep": [1, "é", null]}));
    assert_eq!((&told["pong"]["type"], &told["pong"]["id"]), (&json!("pong"), &json!("1")));
    assert_eq!(told["pongFrame"]["payload"], "are you there");
    assert_eq!((&told["refreshed"]["type"], &told["refreshed"]["id"]), (&json!("auth.refreshed"), &json!("r1")));
    assert!(told["refreshed"]["payload"]["expiresAt"].as_str() > told["greeting"]["expiresAt"].as_str());
    for (name, id, code) in [
        ("notRefreshed", json!("r2"), "IDENTITY_CHANGED"),
        ("unknown", json!("u"), "INVALID_MESSAGE"),
        ("noJson", Value::Null, "INVALID_MESSAGE"),
    ] {
        let line = &told[name];
        assert_eq!(
            (&line["type"], &line["id"], &line["payload"]["code"]),
            (&json!("error"), &id, &json!(code)),
            "{line}"
        );
    }
    assert_eq!(told["big"]["type"], "pong");
    assert_eq!(told["big"]["length"].as_u64(), Some((1 << 20) - 28));
    closed(&told, "tooBig", 1009, "MESSAGE_TOO_BIG");
    closed(&told, "binary", 1003, "UNSUPPORTED_DATA");
    assert_eq!(told["left"]["close"], 4321, "the client's own code comes back");
    closed(&told, "kicked", 4011, "DISCONNECTED");
    assert_eq!(told["kicked"]["status"], 200);
    closed(&told, "bannedLive", 4007, "BANNED");
    assert_eq!(told["pinged"]["open"], true);
    empty(&gateway).await;
}

#[tokio::test]
async fn an_agent_is_warned_and_then_closed_when_its_token_expires() {
    let gateway = TestGateway::start();
    let short = Claims::of("a-1", "agent").expiring_in(4).sign();
    let told = run("expiry.mjs", &gateway, &json!({ "short": short })).await;
    assert_eq!(told["expiring"]["type"], "auth.expiring", "{}", told["expiring"]);
    assert_eq!(told["expiring"]["payload"], json!({"expiresAt": told["expiring"]["told"]}));
    closed(&told, "expired", 4003, "TOKEN_EXPIRED");
    assert_eq!((&told["served"]["type"], &told["served"]["id"]), (&json!("pong"), &json!("still")));
    empty(&gateway).await;
}

#[tokio::test]
async fn the_eleventh_connection_is_told_to_wait() {
    let gateway = TestGateway::with("[limits]\nhandshakes_per_user = \"off\"\n");
    let told = run("seats.mjs", &gateway, &json!({"ann": token("ann", "dashboard"), "bob": token("bob", "x")})).await;
    assert_eq!(told["ids"]["count"], 10);
    refused(&told, "eleventh", 429, "CONNECTION_LIMIT", "wait");
    let headers = &told["eleventh"]["headers"];
    assert!(headers["retry-after"].as_str().and_then(|wait| wait.parse::<u64>().ok()).is_some_and(|wait| wait >= 1));
    assert_eq!((&headers["x-ratelimit-limit"], &headers["x-ratelimit-remaining"]), (&json!("10"), &json!("0")));
    closed(&told, "eleventhClose", 4005, "CONNECTION_LIMIT");
    admitted(&told, "other", "bob");
    admitted(&told, "again", "ann");
    empty(&gateway).await;
}

#[tokio::test]
async fn a_gateway_that_leaves_says_so() {
    let gateway = TestGateway::start();
    let tokens = json!({"ann": token("ann", "dashboard"), "agent": token("a-1", "agent")}).to_string();
    let mut script =
        node::Script::start("drain.mjs", &[("GATEWAY", &gateway.somewhere().to_string()), ("TOKENS", &tokens)]);
    assert_eq!(script.says().await["name"], "in");
    gateway.signal("TERM");
    let said = script.end().await;
    assert_eq!(said.len(), 2);
    for line in said {
        assert_eq!((&line["close"], &line["reason"]["code"]), (&json!(1012), &json!("DRAINING")), "{line}");
        assert!(line["reason"]["retryAfter"].is_u64(), "{line}");
    }
    let (ended_well, written) = gateway.stop();
    assert!(ended_well, "{written}");
}
