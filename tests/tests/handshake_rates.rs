//! Handshakes are counted: by address before the token is looked at, by user after it was verified; whoever overdoes
//! it is banned for a while where that is switched on; and whoever is banned stays out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::net::IpAddr;

use futures_util::future::join_all;
use gateway_tests::{
    Refused, TestClient, TestGateway,
    crowd::{Sitting, address, connect_from},
    eventually,
    raw::{Raw, upgrade},
    scrape::Scrape,
    tokens::token,
};
use serde_json::{Value, json};

fn assert_limited(refused: &Refused, limit: &str, period: &str) {
    assert_eq!((refused.status, refused.code()), (429, "RATE_LIMITED"), "{refused:?}");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1, "{refused:?}");
    assert_eq!(refused.body["error"]["then"], "wait");
    let told = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-period"].map(|name| refused.header(name));
    assert_eq!(told, [limit, "0", period]);
}

#[tokio::test]
async fn an_address_has_so_many_handshakes_whatever_it_brings_and_others_have_their_own() {
    let gateway = TestGateway::with("[limits]\nhandshakes_per_ip = { rate = \"1/h\", burst = 5 }\n");
    let ann = token("ann", "dashboard");
    for n in 0..5 {
        let refused = connect_from(address(1), &gateway, "/ws", &format!("rubbish-{n}")).await.unwrap_err();
        assert_eq!((refused.status, refused.code()), (401, "TOKEN_INVALID"));
    }
    // The token is not looked at any more, be it good or bad, there or not.
    for token in [ann.as_str(), "rubbish", ""] {
        let refused = connect_from(address(1), &gateway, "/ws", token).await.unwrap_err();
        assert_limited(&refused, "1", "3600");
        assert!(refused.header("retry-after").parse::<u64>().unwrap() > 3_000, "as long as it really takes");
    }
    // Every other address is as free as before.
    for number in 2..6 {
        connect_from(address(number), &gateway, "/ws", &ann).await.expect("another address").leave().await;
    }
    let line = |line: &Value| line["code"] == "RATE_LIMITED" && line["ip"] == address(1).to_string();
    let audited = gateway.audited("the refusal", line).await;
    assert!(audited["userId"].is_null(), "nobody knows whose token it was: {audited}");
}

#[tokio::test]
async fn the_shipped_limit_lets_a_hundred_in_at_once_and_not_many_more() {
    let gateway = TestGateway::with("[limits]\nhandshakes_per_user = \"off\"\nunauthenticated_per_address = 1000\n");
    let url = gateway.ws("/ws?token=rubbish");
    let flood = join_all((0..250).map(|_| TestClient::open(&url, &[]))).await;
    let outcomes: Vec<u16> = flood.into_iter().map(|outcome| outcome.map_or_else(|no| no.status, |_| 101)).collect();
    let looked_at = outcomes.iter().filter(|status| **status == 401).count();
    assert_eq!(outcomes.iter().filter(|status| **status == 429).count(), 250 - looked_at);
    // 20 a second come back while the flood goes on.
    assert!((100..=220).contains(&looked_at), "{looked_at}");
}

#[tokio::test]
async fn a_user_has_so_many_handshakes_from_wherever_they_come() {
    let gateway = TestGateway::with("[limits]\nhandshakes_per_user = { rate = \"2/h\", burst = 4 }\n");
    let ann = token("ann", "dashboard");
    for number in 1..5 {
        connect_from(address(number), &gateway, "/ws", &ann).await.expect("within the limit").leave().await;
    }
    for number in 5..8 {
        assert_limited(&connect_from(address(number), &gateway, "/ws", &ann).await.unwrap_err(), "2", "3600");
    }
    let audited = |line: &Value| line["code"] == "RATE_LIMITED" && line["userId"] == "ann";
    gateway.audited("the refusal, with the user", audited).await;
    // Tokens that are refused cost their user nothing: nobody can lock somebody else out.
    let stranger = token("bob", "dashboard");
    for _ in 0..6 {
        let forged = format!("{}x", &stranger[..stranger.len() - 2]);
        let refused = connect_from(address(9), &gateway, "/ws", &forged).await.unwrap_err();
        assert_eq!(refused.code(), "TOKEN_INVALID");
        let refused = connect_from(address(9), &gateway, "/ws/agent", &stranger).await.unwrap_err();
        assert_eq!(refused.code(), "ROLE_MISMATCH");
    }
    connect_from(address(5), &gateway, "/ws", &stranger).await.expect("bob has not come in yet").leave().await;
}

#[tokio::test]
async fn the_address_is_held_against_its_limit_before_origin_and_token() {
    let gateway = TestGateway::with("[limits]\nhandshakes_per_ip = { rate = \"1/h\", burst = 1 }\n");
    let from_a_page = "Origin: https://evil.example\r\n";
    let mut codes = Vec::new();
    for _ in 0..2 {
        let mut raw = Raw::connect_from(address(1), gateway.somewhere()).await;
        codes.push(raw.ask(&upgrade("/ws?token=rubbish", from_a_page)).await.code().to_owned());
    }
    assert_eq!(codes, ["ORIGIN_NOT_ALLOWED", "RATE_LIMITED"]);
    // What is no handshake at all is refused before it is counted.
    let mut raw = Raw::connect_from(address(2), gateway.somewhere()).await;
    let plain = raw.ask("GET /ws HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!((plain.status, plain.code()), (Some(426), "UPGRADE_REQUIRED"));
    let ann = token("ann", "dashboard");
    connect_from(address(2), &gateway, "/ws", &ann).await.expect("not counted").leave().await;
}

#[tokio::test]
async fn off_means_off() {
    let gateway = TestGateway::with("[limits]\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = \"off\"\n");
    let ann = token("ann", "dashboard");
    for _ in 0..150 {
        let refused = TestClient::connect(&gateway, "/ws/agent", &ann).await.unwrap_err();
        assert_eq!(refused.code(), "ROLE_MISMATCH");
    }
}

/// A gateway behind a balancer at 127.0.0.1, since this machine itself is never banned by itself.
const BEHIND: &str = "[server]\nclient_address = \"x-forwarded-for\"\ntrusted_proxies = [\"127.0.0.1/32\"]\n";

async fn knock(gateway: &TestGateway, client: &str, token: &str) -> Result<TestClient, Refused> {
    TestClient::open(&gateway.ws(&format!("/ws?token={token}")), &[("x-forwarded-for", client)]).await
}

#[tokio::test]
async fn an_address_that_overdoes_it_is_banned_for_a_while_by_itself() {
    // Each node counts what an address has done to it; the ban is everybody's.
    let gateway = TestGateway::alone(&format!(
        "{BEHIND}[limits]\nauto_ban = {{ violations = 3, within = \"1m\", duration = \"2s\" }}\n"
    ));
    let ann = token("ann", "dashboard");
    let (villain, neighbour) = ("203.0.113.9", "203.0.113.10");
    let inside = Sitting::of(knock(&gateway, villain, &ann).await.expect("a good token"));
    for _ in 0..3 {
        assert_eq!(knock(&gateway, villain, "rubbish").await.unwrap_err().code(), "TOKEN_INVALID");
    }
    let refused = knock(&gateway, villain, &ann).await.unwrap_err();
    assert_eq!((refused.status, refused.code()), (403, "BANNED"));
    assert_eq!(inside.closed().await.0, 4007, "a ban reaches whoever is inside");
    let laid = gateway.audited("the ban", |line| line["event"] == "ban.laid").await;
    assert!(laid["reason"].as_str().unwrap().contains(villain), "{laid}");
    let counted = Scrape::of(&gateway).await.sum("gateway_bans_laid_total", &[("by", "gateway")]);
    assert_eq!(counted, 1.0);
    knock(&gateway, neighbour, &ann).await.expect("another address").leave().await;
    let back = eventually(6, "the ban ends", async || knock(&gateway, villain, &ann).await.ok()).await;
    back.leave().await;
}

#[tokio::test]
async fn this_machine_and_the_balancer_are_never_banned_by_themselves() {
    let gateway = TestGateway::with(&format!(
        "{BEHIND}[limits]\nauto_ban = {{ violations = 2, within = \"1m\", duration = \"1h\" }}\n"
    ));
    for _ in 0..10 {
        let refused = TestClient::open(&gateway.ws("/ws?token=rubbish"), &[]).await.unwrap_err();
        assert_eq!(refused.code(), "TOKEN_INVALID");
    }
    let (status, bans) = gateway.api("GET", "/api/v1/bans", None).await;
    assert_eq!((status, bans["bans"].as_array().map(Vec::len)), (200, Some(0)), "{bans}");
}

#[tokio::test]
async fn a_banned_address_is_refused_before_anything_else_is_looked_at() {
    let gateway = TestGateway::with("[[bans]]\naddress = \"127.9.1.0/24\"\nreason = \"a hidden reason\"\n");
    let ann = token("ann", "dashboard");
    let banned: IpAddr = "127.9.1.77".parse().unwrap();
    for token in [ann.as_str(), "rubbish"] {
        let refused = connect_from(banned, &gateway, "/ws", token).await.unwrap_err();
        assert_eq!((refused.status, refused.code()), (403, "BANNED"));
        assert!(!refused.body.to_string().contains("hidden"), "the reason is for operators");
    }
    connect_from(address(0x200), &gateway, "/ws", &ann).await.expect("just beside it").leave().await;

    // By API, it reaches whoever is inside.
    let other = address(0x300);
    let inside = connect_from(other, &gateway, "/ws", &ann).await.expect("not banned yet");
    let ban = json!({"address": other.to_string(), "reason": "enough", "force": true});
    let (status, answer) = gateway.api("PUT", "/api/v1/bans", Some(ban)).await;
    assert_eq!(status, 200, "{answer}");
    let mut inside = inside;
    let (code, reason) = inside.closed().await;
    assert_eq!((code, &reason["code"]), (4007, &json!("BANNED")));
    assert_eq!(connect_from(other, &gateway, "/ws", &ann).await.unwrap_err().code(), "BANNED");
}
