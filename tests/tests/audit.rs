//! The audit: a line for every refusal and for every event in the life of a connection, with the security context and
//! never a token; floods become one line; the latest are told by API, as a page and as a stream.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use futures_util::{StreamExt, future::join_all};
use gateway_tests::{
    Claims, TestClient, TestGateway,
    calls::call,
    client::Refused,
    eventually,
    plain::{UPGRADE, ask},
    tokens::token,
};
use serde_json::{Value, json};

const FREE: &str = "[limits]\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = \"off\"\n";

async fn line_of(gateway: &TestGateway, refused: &Refused) -> Value {
    let id = refused.body["error"]["requestId"].as_str().expect("an id").to_owned();
    gateway.audited("the line of the refusal", |line| line["requestId"] == *id).await
}

#[tokio::test]
async fn every_refusal_has_a_line_with_its_context() {
    let config = "[plans.default]\nconnections = 1\non_connection_limit = \"reject_new\"\n\
                  [[bans]]\nuser = \"mallory\"\n[limits]\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = { rate = \"1/m\", burst = 2 }\n";
    let gateway = TestGateway::with(config);
    let agent = format!("tester/1 {}", "x".repeat(300));
    let try_in = async |path: &str, token: &str, more: &[(&str, &str)]| {
        let mut headers = vec![("user-agent", agent.as_str())];
        headers.extend_from_slice(more);
        let query = if token.is_empty() { String::new() } else { format!("?token={token}") };
        TestClient::open(&gateway.ws(&format!("{path}{query}")), &headers).await
    };
    let seated = try_in("/ws", &token("seated", "dashboard"), &[]).await.unwrap();
    let revoked = Claims::of("rose", "dashboard").with("jti", "t-1");
    gateway.api("POST", "/api/v1/revocations", Some(json!({"jti": "t-1"}))).await;
    let evil = ("origin", "https://evil.example");
    let mut rows = Vec::new();
    for (path, token, more, code, detail, user) in [
        ("/ws", String::new(), vec![], "AUTH_REQUIRED", None, None),
        ("/ws", "nonsense".into(), vec![], "TOKEN_INVALID", Some("malformed"), None),
        (
            "/ws",
            Claims::of("ann", "x").without("exp").sign(),
            vec![],
            "TOKEN_INVALID",
            Some("claim_missing"),
            Some("ann"),
        ),
        ("/ws", Claims::of("ann", "x").expiring_in(-9).sign(), vec![], "TOKEN_EXPIRED", None, Some("ann")),
        ("/ws", revoked.sign(), vec![], "TOKEN_REVOKED", None, Some("rose")),
        ("/ws", token("mallory", "dashboard"), vec![], "BANNED", None, Some("mallory")),
        ("/ws/agent", token("ann", "dashboard"), vec![], "ROLE_MISMATCH", None, Some("ann")),
        ("/ws/dashboard", token("ann", "dashboard"), vec![evil], "ORIGIN_NOT_ALLOWED", None, None),
        ("/ws", token("seated", "dashboard"), vec![], "CONNECTION_LIMIT", None, Some("seated")),
        ("/ws", token("seated", "dashboard"), vec![], "RATE_LIMITED", None, Some("seated")),
    ] {
        let refused = try_in(path, &token, &more).await.expect_err(code);
        assert_eq!(refused.code(), code);
        rows.push((refused, path, detail, user));
    }
    for (refused, path, detail, user) in rows {
        let line = line_of(&gateway, &refused).await;
        let code = refused.code();
        assert_eq!((&line["event"], &line["code"]), (&json!("refused"), &json!(code)), "{line}");
        assert_eq!((line["detail"].as_str(), line["userId"].as_str()), (detail, user), "{line}");
        assert_eq!((&line["ip"], &line["endpoint"]), (&json!("127.0.0.1"), &json!(path)), "{line}");
        assert_eq!(line["userAgent"], agent[..256], "cut at 256 bytes");
        assert!(
            line["time"].as_str().is_some_and(|time| time.ends_with('Z'))
                && !line["reason"].as_str().unwrap().is_empty()
        );
    }
    drop(seated);
}

#[tokio::test]
async fn the_life_of_a_connection_is_on_record() {
    let gateway = TestGateway::with(FREE);
    let (mut client, ready) = TestClient::greeted(&gateway, "/ws", &token("ann", "dashboard")).await;
    let fresh = Claims::of("ann", "dashboard").with("plan", "professional").sign();
    client.ask(json!({"type": "auth.refresh", "id": "1", "payload": {"token": fresh}})).await;
    let bad = client.ask(json!({"type": "auth.refresh", "id": "2", "payload": {"token": "nonsense"}})).await;
    assert_eq!(bad["type"], "error");
    client.leave().await;
    let own = |line: &&Value| line["connectionId"] == ready["connectionId"];
    gateway.audited("the end", |line| line["event"] == "disconnected" && own(&line)).await;
    let lines = gateway.audit();
    let events: Vec<_> = lines.iter().filter(own).map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["connected", "token.refreshed", "token.refused", "disconnected"]);
    for line in lines.iter().filter(own) {
        assert_eq!(
            (&line["userId"], &line["ip"], &line["endpoint"]),
            (&json!("ann"), &json!("127.0.0.1"), &json!("/ws"))
        );
        assert!(line["requestId"].is_string() && line["reason"].is_string() && line["time"].is_string());
    }
    let refused = lines.iter().find(|line| line["event"] == "token.refused").unwrap();
    assert_eq!((&refused["code"], &refused["detail"]), (&json!("TOKEN_INVALID"), &json!("malformed")));
}

#[tokio::test]
async fn a_flood_is_folded_into_one_line_that_all_of_it_shares() {
    let gateway = TestGateway::with(FREE);
    let refusals = join_all((0..60).map(|_| TestClient::connect(&gateway, "/ws", "nonsense"))).await;
    let other = TestClient::connect(&gateway, "/ws/agent", "nonsense").await.unwrap_err();
    let ids: Vec<_> = refusals
        .into_iter()
        .map(|refused| refused.expect_err("nonsense").body["error"]["requestId"].as_str().unwrap().to_owned())
        .collect();
    let mut distinct = ids.clone();
    distinct.sort();
    distinct.dedup();
    assert!(distinct.len() < 15, "{} ids for 60 refusals of one kind", distinct.len());
    let shared = distinct.iter().max_by_key(|id| ids.iter().filter(|other| other == id).count()).unwrap().clone();
    let of_it = ids.iter().filter(|id| **id == shared).count();
    // At once by API, even before the line is written.
    let (status, told) = gateway.api("GET", &format!("/api/v1/audit/{shared}"), None).await;
    assert_eq!((status, &told["records"][0]["count"]), (200, &json!(of_it)));
    let folded = async || gateway.audit().into_iter().find(|line| line["requestId"] == *shared);
    let line = eventually(25, "the line is written when the flood is over", folded).await;
    assert_eq!(
        (&line["count"], &line["code"], &line["detail"]),
        (&json!(of_it), &json!("TOKEN_INVALID"), &json!("malformed"))
    );
    assert!(line["until"].is_string());
    let lines = gateway.audit();
    let nonsense = lines.iter().filter(|line| line["detail"] == "malformed" && line["endpoint"] == "/ws");
    assert_eq!(nonsense.map(|line| line["count"].as_u64().unwrap_or(1)).sum::<u64>(), 60, "none is lost");
    assert_eq!(line_of(&gateway, &other).await["count"], Value::Null, "another endpoint is another kind");
}

#[tokio::test]
async fn no_token_and_no_query_is_ever_written_however_it_was_sent() {
    let gateway = TestGateway::with(&format!("[server]\nlog = \"trace\"\n{FREE}"));
    let marker = "MARKED-SECRET-0123456789";
    let signed = Claims::of("ann", "dashboard").with("note", marker).expiring_in(-5).sign();
    let sent = [
        format!("/ws?token={marker}"),
        format!("/ws?token={signed}"),
        format!("/ws?token=a&token={marker}"),
        format!("/ws?{marker}=1"),
        format!("/api/v1/connections?token={marker}"),
    ];
    for target in &sent {
        ask(gateway.address, &format!("GET {target} HTTP/1.1"), UPGRADE).await;
    }
    for header in [
        format!("authorization: Bearer {marker}\r\n"),
        format!("authorization: {marker}\r\n"),
        format!("x-api-key: {marker}\r\n"),
        format!("cookie: session={marker}\r\n"),
        format!("sec-websocket-protocol: bearer.{marker}\r\n"),
    ] {
        for target in ["/ws", "/api/v1/connections"] {
            ask(gateway.address, &format!("GET {target} HTTP/1.1"), &format!("{UPGRADE}{header}")).await;
        }
    }
    let (mut client, _) = TestClient::greeted(&gateway, "/ws", &token("ann", "dashboard")).await;
    client.ask(json!({"type": "auth.refresh", "payload": {"token": marker}})).await;
    client.ask(json!({"type": "auth.refresh", "payload": {"refreshToken": marker}})).await;
    client.ask(json!({"type": marker, "payload": {"secret": marker}})).await;
    client.leave().await;
    let folder = std::sync::Arc::clone(&gateway.folder);
    let (ended, written) = gateway.stop();
    let audited = std::fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
    assert!(ended && audited.contains("\"endpoint\":\"/ws\""));
    for text in [written, audited] {
        assert!(!text.contains(marker) && !text.contains("eyJ"), "{text}");
    }
}

#[tokio::test]
async fn an_address_is_told_as_the_operator_wants() {
    let proxied = "[server]\nclient_address = \"x-forwarded-for\"\ntrusted_proxies = [\"127.0.0.1/32\"]\n";
    for (how, shown) in [
        ("full", ["203.0.113.9", "2001:db8:1:2::3"]),
        ("prefix", ["203.0.113.0/24", "2001:db8:1::/48"]),
        ("hash", ["#", "#"]),
    ] {
        let gateway = TestGateway::with(&format!("[audit]\nfile = \"audit.jsonl\"\naddress = \"{how}\"\n{proxied}"));
        for (address, shown) in ["203.0.113.9", "2001:db8:1:2::3"].into_iter().zip(shown) {
            let refused = TestClient::open(&gateway.ws("/ws"), &[("x-forwarded-for", address)]).await.unwrap_err();
            let line = line_of(&gateway, &refused).await;
            let ip = line["ip"].as_str().unwrap();
            if how == "hash" {
                assert!(ip.starts_with(shown) && !ip.contains(address), "{ip}");
                let again = TestClient::open(&gateway.ws("/ws"), &[("x-forwarded-for", address)]).await.unwrap_err();
                assert_eq!(line_of(&gateway, &again).await["ip"], ip, "the same client can be followed");
            } else {
                assert_eq!(ip, shown);
            }
        }
        let text = std::fs::read_to_string(gateway.folder.path().join("audit.jsonl")).unwrap();
        assert_eq!(text.contains("203.0.113.9"), how == "full");
    }
}

#[tokio::test]
async fn the_latest_are_told_by_api_and_filtered() {
    let gateway = TestGateway::with(FREE);
    let refused = TestClient::connect(&gateway, "/ws", "nonsense").await.unwrap_err();
    let expired = Claims::of("ann", "dashboard").expiring_in(-9).sign();
    TestClient::connect(&gateway, "/ws", &expired).await.unwrap_err();
    TestClient::greeted(&gateway, "/ws", &token("bob", "dashboard")).await.0.leave().await;
    gateway.audited("the end", |line| line["event"] == "disconnected").await;
    let records = async |query: &str| {
        let (status, answer) = gateway.api("GET", &format!("/api/v1/audit{query}"), None).await;
        assert_eq!(status, 200, "{answer}");
        answer["records"].as_array().unwrap().clone()
    };
    let all = records("").await;
    assert_eq!(all[0]["event"], "disconnected", "the newest first");
    let of = async |query: &str| records(query).await.iter().map(|line| line["code"].clone()).collect::<Vec<_>>();
    assert_eq!(of("?code=TOKEN_EXPIRED").await, ["TOKEN_EXPIRED"]);
    assert_eq!(of("?user=ann").await, ["TOKEN_EXPIRED"]);
    assert_eq!(of("?event=refused").await, ["TOKEN_EXPIRED", "TOKEN_INVALID"]);
    assert_eq!(of("?event=refused&limit=1").await, ["TOKEN_EXPIRED"]);
    assert_eq!(records("?code=BANNED").await, Vec::<Value>::new());

    let id = refused.body["error"]["requestId"].as_str().unwrap();
    let (status, told) = gateway.api("GET", &format!("/api/v1/audit/{id}"), None).await;
    assert_eq!((status, &told["records"][0]["detail"]), (200, &json!("malformed")));
    assert!(told["decidedBy"].as_str().unwrap().contains("token valid"), "{told}");
}

#[tokio::test]
async fn whoever_follows_reads_every_line_as_it_comes() {
    let gateway = TestGateway::with(FREE);
    let http = reqwest_stream(&gateway, "/api/v1/audit?follow=true&code=TOKEN_INVALID").await;
    let mut lines = Box::pin(http);
    TestClient::connect(&gateway, "/ws", &Claims::of("ann", "x").expiring_in(-9).sign()).await.unwrap_err();
    for _ in 0..3 {
        let refused = TestClient::connect(&gateway, "/ws", "nonsense").await.unwrap_err();
        let next = tokio::time::timeout(gateway_tests::client::PATIENCE, lines.next())
            .await
            .expect("in time")
            .expect("a line");
        let line: Value = serde_json::from_str(&next).expect("one JSON object a line");
        assert_eq!((&line["requestId"], &line["code"]), (&refused.body["error"]["requestId"], &json!("TOKEN_INVALID")));
    }
}

/// The lines of an answer that does not end.
async fn reqwest_stream(gateway: &TestGateway, path: &str) -> impl futures_util::Stream<Item = String> + use<> {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let mut stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    let admin = token("root", "admin");
    let request = format!("GET {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {admin}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reader = BufReader::new(stream);
    let (mut head, mut line) = (String::new(), String::new());
    while line != "\r\n" {
        line.clear();
        assert_ne!(reader.read_line(&mut line).await.unwrap(), 0, "{head}");
        head += &line.to_lowercase();
    }
    assert!(head.starts_with("http/1.1 200") && head.contains("content-type: application/x-ndjson"), "{head}");
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    futures_util::stream::unfold(reader, |mut reader| async move {
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).await.unwrap_or(0) == 0 {
                return None;
            }
            // Between the lines stand the lengths of the chunks.
            if line.starts_with('{') {
                return Some((line.trim_end().to_owned(), reader));
            }
        }
    })
}

#[tokio::test]
async fn a_file_that_was_moved_away_is_begun_anew_and_a_bad_caller_reads_nothing() {
    let gateway = TestGateway::with(FREE);
    let file = gateway.folder.path().join("audit.jsonl");
    let first = TestClient::connect(&gateway, "/ws", "nonsense").await.unwrap_err();
    line_of(&gateway, &first).await;
    std::fs::rename(&file, gateway.folder.path().join("audit.1.jsonl")).unwrap();
    let comes = async || {
        TestClient::connect(&gateway, "/ws", "nonsense").await.unwrap_err();
        (!gateway.audit().is_empty()).then_some(())
    };
    eventually(20, "lines in a new file", comes).await;
    for path in ["/api/v1/audit", "/api/v1/audit?follow=true"] {
        let service = format!("Bearer {}", token("backend", "service"));
        assert_eq!(call(&gateway, "GET", path, &[("authorization", &service)], None).await.status, 403);
        assert_eq!(call(&gateway, "GET", path, &[], None).await.status, 401);
    }
}
