//! All of it is behind a token: every address of a gateway with every feature on is tried with every method, without a
//! token, with bad ones, in every odd spelling, and no session ever comes of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use futures_util::{StreamExt, stream};
use gateway_tests::{
    Claims, Options, TestClient, TestGateway,
    keys::unsigned,
    plain::{Answered, UPGRADE, ask, exchange},
    tokens::{now, token},
};
use serde_json::json;

const EVERYTHING: &str = r#"
[auth]
token_sources = ["query", "header", "subprotocol", "cookie:session"]
[auth.issuer]
key = "main"
[[api_keys]]
id = "backend"
key_env = "BACKEND_KEY"
user = "backend"
roles = ["admin"]
[state]
file = "state.jsonl"
[http]
origins = ["https://app.example"]
[limits]
handshakes_per_ip = "off"
handshakes_per_user = "off"
[[endpoints]]
path = "/ws"
on_expiry = "keep"
origins = ["https://app.example"]
[[endpoints]]
path = "/ws/agent"
roles = ["agent"]
agents = true
[[endpoints]]
path = "/ws/dashboard"
roles = ["dashboard"]
origins = ["self"]
[[endpoints]]
path = "/ws/simulate"
reject_with = "close_code"
[[endpoints]]
path = "/echo"
handler = "echo"
[[endpoints]]
path = "/echo/closing"
handler = "echo"
reject_with = "close_code"
"#;

const DOORS: [&str; 6] = ["/ws", "/ws/agent", "/ws/dashboard", "/ws/simulate", "/echo", "/echo/closing"];
const METHODS: [&str; 9] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT"];

fn gateway() -> TestGateway {
    let env = vec![("BACKEND_KEY".into(), "key-of-the-backend-0123456789abcdef".into())];
    TestGateway::open(Options { config: EVERYTHING.into(), env, ..Options::default() })
}

/// Tries many at a time; whatever comes back, it is no session.
async fn none_opens(gateway: &TestGateway, tries: Vec<(String, String)>) -> Vec<Answered> {
    let to = gateway.address;
    let answers: Vec<_> = stream::iter(tries)
        .map(|(line, headers)| async move {
            let answered = ask(to, &line, &headers).await;
            (line, headers, answered)
        })
        .buffered(24)
        .collect()
        .await;
    assert_eq!(gateway.connections().await, 0);
    assert!(gateway.audit().iter().all(|line| line["event"] != "connected"), "somebody came in");
    answers
        .into_iter()
        .map(|(line, headers, answered)| {
            let closing = line.contains("/ws/simulate") || line.contains("/echo/closing");
            let status = answered.status;
            assert!(!matches!(status, 0 | 200 | 204 | 301), "{line} with {headers:?}: {}", answered.head);
            // Upgraded to be closed: a close frame is the first thing that comes, if anything came yet.
            let closes = closing && answered.body.first().is_none_or(|first| *first == 0x88);
            assert!(status != 101 || closes, "{line} with {headers:?}: {}", answered.head);
            answered
        })
        .collect()
}

/// Tokens that open nothing, in every place where a token may be; the query, and the headers.
fn bad() -> Vec<(String, String)> {
    let good = Claims::of("ann", "dashboard").with("roles", json!(["dashboard", "agent", "admin"]));
    let whole = good.sign();
    let none = format!("{}.", unsigned(&json!({"alg": "none"}), &good));
    let tokens = [
        "nonsense".to_owned(),
        none,
        good.clone().expiring_in(-9).sign(),
        good.with("nbf", now() + 900).sign(),
        format!("{}x", whole),
        whole[..whole.len() - 4].to_owned(),
        format!("gwr_{}", "A".repeat(64)),
        "key-of-the-backend-0123456789abcdef".to_owned(),
    ];
    let mut places = vec![(String::new(), String::new()), ("?token=".into(), String::new())];
    for token in tokens {
        places.push((format!("?token={token}"), String::new()));
        places.push((String::new(), format!("authorization: Bearer {token}\r\n")));
        places.push((String::new(), format!("sec-websocket-protocol: gateway.v1, bearer.{token}\r\n")));
        places.push((String::new(), format!("cookie: session={token}\r\norigin: https://app.example\r\n")));
    }
    places.push((String::new(), "x-api-key: key-of-the-backend-0123456789abcdef\r\n".into()));
    places.push((String::new(), "x-user: ann\r\nx-forwarded-user: ann\r\nx-role: admin\r\n".into()));
    places
}

#[tokio::test]
async fn no_door_opens_without_a_good_token_wherever_the_bad_one_is() {
    let gateway = gateway();
    let tries = DOORS.iter().flat_map(|door| {
        bad()
            .into_iter()
            .map(move |(query, headers)| (format!("GET {door}{query} HTTP/1.1"), format!("{UPGRADE}{headers}")))
    });
    let answers = none_opens(&gateway, tries.collect()).await;
    assert!(answers.iter().all(|answered| matches!(answered.status, 101 | 401 | 403)), "each is told why");
    assert!(answers.iter().filter(|answered| answered.status == 401).count() > 100);
    // The same gateway opens every one of them to who may.
    let good = Claims::of("ann", "").with("roles", json!(["agent", "dashboard"])).sign();
    for door in DOORS {
        TestClient::connect(&gateway, door, &good).await.expect(door).leave().await;
    }
}

#[tokio::test]
async fn no_method_opens_a_door_even_with_a_good_token_but_get() {
    let gateway = gateway();
    let good = Claims::of("ann", "").with("roles", json!(["agent", "dashboard"])).sign();
    let mut tries = Vec::new();
    for door in DOORS {
        for method in METHODS {
            for query in [String::new(), "?token=nonsense".to_owned(), format!("?token={good}")] {
                if method == "GET" && query.ends_with(&good) || method == "CONNECT" {
                    continue;
                }
                tries.push((format!("{method} {door}{query} HTTP/1.1"), UPGRADE.to_owned()));
                tries.push((format!("{method} {door}{query} HTTP/1.1"), String::new()));
            }
        }
    }
    none_opens(&gateway, tries).await;
}

#[tokio::test]
async fn no_odd_spelling_of_a_path_leads_past_the_gate() {
    let gateway = gateway();
    let paths = [
        "//ws",
        "/ws/",
        "/WS",
        "/Ws",
        "/ws%2fagent",
        "/ws%2Fagent",
        "/ws/agent/",
        "/ws//agent",
        "/ws/./agent",
        "/./ws",
        "/ws/../ws",
        "/%77s",
        "/ws%00",
        "/ws%20",
        "/ws;x=1",
        "/ws/agent%2f..%2f",
        "/ws\\agent",
        "/ws.",
        "/api/../ws",
        "/ws/agent/extra",
        "/ws/unknown",
        "/echo/",
        "/ECHO",
        "/echo/closing/",
        "/api/v1/../../ws",
        "/*",
        "/socket.io/",
        "/ws%3Ftoken=x",
        "/ws#x",
    ];
    let good = Claims::of("ann", "").with("roles", json!(["agent", "dashboard", "admin"])).sign();
    let mut tries = Vec::new();
    for path in paths {
        for query in [String::new(), "?x".to_owned(), "?token=nonsense".to_owned()] {
            tries.push((format!("GET {path}{query} HTTP/1.1"), UPGRADE.to_owned()));
        }
        // Even a good token opens only what is there, letter by letter.
        if !path.contains('#') {
            tries.push((format!("GET {path}?token={good} HTTP/1.1"), UPGRADE.to_owned()));
        }
    }
    let answers = none_opens(&gateway, tries).await;
    let told = |status: u16| answers.iter().filter(|answered| answered.status == status).count();
    assert!(told(404) >= paths.len() * 3, "{} of {} are not there", told(404), answers.len());
    for target in ["/ws?x", "/ws?", "/ws?x=1&y"] {
        let answered = ask(gateway.address, &format!("GET {target} HTTP/1.1"), UPGRADE).await;
        assert_eq!((answered.status, answered.code().as_str()), (401, "AUTH_REQUIRED"), "{target}");
    }
}

#[tokio::test]
async fn what_is_not_exactly_a_websocket_request_is_never_upgraded() {
    let gateway = gateway();
    let good = Claims::of("ann", "").with("roles", json!(["agent", "dashboard"])).sign();
    let without = |name: &str| {
        UPGRADE.lines().filter(|line| !line.starts_with(name)).fold(String::new(), |all, line| all + line + "\r\n")
    };
    let forms = [
        ("no upgrade headers", "HTTP/1.1", String::new()),
        ("HTTP/1.0", "HTTP/1.0", UPGRADE.to_owned()),
        ("no Upgrade", "HTTP/1.1", without("upgrade")),
        ("no Connection", "HTTP/1.1", without("connection")),
        ("no key", "HTTP/1.1", without("sec-websocket-key")),
        ("no version", "HTTP/1.1", without("sec-websocket-version")),
        ("version 8", "HTTP/1.1", UPGRADE.replace("version: 13", "version: 8")),
        ("a short key", "HTTP/1.1", UPGRADE.replace("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ=")),
        ("two keys", "HTTP/1.1", format!("{UPGRADE}sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n")),
        (
            "h2c",
            "HTTP/1.1",
            "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n".into(),
        ),
        ("a body", "HTTP/1.1", format!("{UPGRADE}transfer-encoding: chunked\r\n")),
    ];
    let tries = DOORS.iter().flat_map(|door| {
        forms
            .iter()
            .map(|(_, version, headers)| (format!("GET {door}?token={good} {version}"), headers.clone()))
            .collect::<Vec<_>>()
    });
    let answers = none_opens(&gateway, tries.collect()).await;
    for (answered, (what, ..)) in answers.iter().zip(forms.iter().cycle()) {
        assert!(matches!(answered.status, 400 | 426), "{what}: {}", answered.head);
    }
    // Bytes that are no HTTP at all.
    for bytes in [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(),
        b"GET /ws\r\n\r\n",
        b"\x16\x03\x01\x00\x05hello\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
    ] {
        let answered = exchange(gateway.address, bytes).await;
        assert!(matches!(answered.status, 0 | 400), "{}", answered.head);
    }
    assert_eq!(gateway.connections().await, 0);
}

#[tokio::test]
async fn no_call_of_the_api_is_answered_to_a_stranger() {
    let gateway = gateway();
    let id = "00000000-0000-0000-0000-000000000000";
    let calls = [
        "/api/v1/connections".to_owned(),
        format!("/api/v1/connections/{id}"),
        "/api/v1/users/ann".into(),
        "/api/v1/users/ann/disconnect".into(),
        "/api/v1/bans".into(),
        "/api/v1/revocations".into(),
        "/api/v1/audit".into(),
        "/api/v1/audit?follow=true".into(),
        format!("/api/v1/audit/{id}"),
        "/api/v1/drain".into(),
        "/api/v1/reload".into(),
        "/api/v1/nothing".into(),
    ];
    let (mut tries, dashboard) = (Vec::new(), token("ann", "dashboard"));
    for path in &calls {
        for method in METHODS.iter().filter(|method| !matches!(**method, "CONNECT" | "HEAD")) {
            tries.push((format!("{method} {path} HTTP/1.1"), String::new()));
            tries.push((format!("{method} {path} HTTP/1.1"), "authorization: Bearer nonsense\r\n".into()));
            tries.push((format!("{method} {path} HTTP/1.1"), "x-api-key: guess\r\n".into()));
            tries.push((format!("{method} {path} HTTP/1.1"), format!("authorization: Bearer {dashboard}\r\n")));
            tries.push((format!("{method} {path} HTTP/1.1"), UPGRADE.into()));
        }
    }
    let answers = none_opens(&gateway, tries).await;
    assert!(answers.iter().all(|answered| matches!(answered.status, 401 | 403 | 404)), "nothing is told to a stranger");
    // Over HTTP/2 nothing is spoken, and a proxy's request is no way around.
    let absolute = format!("GET http://{}/ws HTTP/1.1", gateway.address);
    assert_eq!(ask(gateway.address, &absolute, UPGRADE).await.status, 401);
}
