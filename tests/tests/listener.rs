//! The listener: TCP of both families, TLS, a unix socket, and the PROXY protocol of a balancer that is trusted.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::{path::Path, time::Duration};

use gateway_tests::{
    Options, TestClient, TestGateway,
    crowd::address,
    eventually,
    program::run,
    raw::{Raw, upgrade},
    secure::{self, StreamClient},
    tokens::token,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};

const TLS: &str = "[server]\ntls = { cert_file = \"cert.pem\", key_file = \"key.pem\" }\n";

fn target(user: &str) -> String {
    format!("/ws?token={}", token(user, "dashboard"))
}

/// Asks the API over a stream of the test's own.
async fn call<S: AsyncRead + AsyncWrite + Unpin>(stream: S, path: &str) -> (Option<u16>, Value) {
    let bearer = token("operator", "admin");
    let mut raw = Raw { stream };
    let answer = raw
        .ask(&format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {bearer}\r\nConnection: close\r\n\r\n"
        ))
        .await;
    (answer.status, answer.body)
}

#[tokio::test]
async fn tls_is_spoken_where_it_is_configured_and_nothing_else_is() {
    let (files, certificate) = secure::certificate();
    let gateway = TestGateway::open(Options { config: TLS.into(), files, ..Options::default() });
    let mut client = secure::connect(&gateway, &certificate, &target("ann")).await.expect("a connection");
    assert_eq!(client.greeting().await["userId"], "ann");
    let pong = client.ask(json!({"type": "ping", "id": "1", "payload": "x".repeat(100_000)})).await;
    assert_eq!(pong["payload"].as_str().map(str::len), Some(100_000));
    assert_eq!(secure::connect(&gateway, &certificate, "/ws?token=rubbish").await.err(), Some(401));
    let (status, listed) = call(secure::tls(&gateway, &certificate).await.unwrap(), "/api/v1/connections").await;
    assert_eq!((status, &listed["total"]), (Some(200), &json!(1)));

    // Whoever does not know the certificate does not come, and whoever speaks in the clear is not answered.
    let (_, stranger) = secure::certificate();
    assert!(secure::tls(&gateway, &stranger).await.is_err());
    let mut clear = Raw::connect(gateway.address).await;
    assert_ne!(clear.ask(&upgrade(&target("ann"), "")).await.status, Some(101));
    assert!(clear.hung_up(Duration::from_secs(5)).await);
    assert_eq!(client.ask(json!({"type": "ping", "id": "2"})).await["type"], "pong");

    gateway.signal("TERM");
    assert_eq!(client.closed().await, 1012);
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_stops_the_start_and_is_named() {
    let (mut files, _) = secure::certificate();
    let (other, _) = secure::certificate();
    files[1].1 = other[1].1.clone();
    let mismatched = Options { config: TLS.into(), files: files.clone(), ..Options::default() };
    assert!(TestGateway::try_open(mismatched).unwrap_err().contains("tls"));
    let rubbish = vec![files[0].clone(), ("key.pem".to_owned(), b"no key".to_vec())];
    let written =
        TestGateway::try_open(Options { config: TLS.into(), files: rubbish, ..Options::default() }).unwrap_err();
    assert!(written.contains("key.pem") || written.contains("key_file"), "{written}");
    let missing = TestGateway::try_open(Options { config: TLS.into(), ..Options::default() }).unwrap_err();
    assert!(missing.contains("cert.pem") && missing.contains("exit code Some(2)"), "{missing}");
}

fn on_socket(path: &Path, config: &str) -> Options {
    Options { listen: Some(format!("unix:{}", path.display())), config: config.into(), ..Options::default() }
}

#[tokio::test]
async fn a_unix_socket_serves_and_its_file_goes_with_the_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.sock");
    let gateway = TestGateway::open(on_socket(&path, ""));
    let mut client = secure::connect_unix(&path, &target("ann")).await.expect("a connection");
    assert_eq!(client.greeting().await["userId"], "ann");
    assert_eq!(client.ask(json!({"type": "ping", "id": "1"})).await["type"], "pong");
    assert_eq!(secure::connect_unix(&path, "/ws").await.err(), Some(401));
    let (status, listed) = call(UnixStream::connect(&path).await.unwrap(), "/api/v1/connections").await;
    assert_eq!((status, &listed["total"]), (Some(200), &json!(1)));
    // A forwarding header is not believed of a peer that is not trusted.
    let mut raw = Raw { stream: UnixStream::connect(&path).await.unwrap() };
    let forged = raw.ask(&upgrade("/ws?token=rubbish", "X-Forwarded-For: 203.0.113.9\r\n")).await;
    assert_eq!(forged.status, Some(401));
    assert!(gateway.audit().iter().all(|line| line["ip"] != "203.0.113.9"));

    let written = TestGateway::try_open(on_socket(&path, "")).unwrap_err();
    assert!(written.contains("another process listens"), "{written}");
    let (ended, _) = gateway.stop();
    assert!(ended && !path.exists());
}

#[tokio::test]
async fn a_socket_file_that_a_dead_gateway_left_is_replaced_and_any_other_file_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.sock");
    TestGateway::open(on_socket(&path, "")).crash();
    assert!(path.exists(), "a crash leaves it");
    let gateway = TestGateway::open(on_socket(&path, ""));
    secure::connect_unix(&path, &target("ann")).await.expect("a connection");
    drop(gateway);
    std::fs::write(&path, "precious").unwrap();
    let written = TestGateway::try_open(on_socket(&path, "")).unwrap_err();
    assert!(written.contains("is no socket"), "{written}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn a_proxy_on_a_unix_socket_may_be_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.sock");
    let config = "[server]\nclient_address = \"x-forwarded-for\"\ntrusted_proxies = [\"unix\"]\n";
    let _gateway = TestGateway::open(on_socket(&path, config));
    let mut raw = Raw { stream: UnixStream::connect(&path).await.unwrap() };
    let answer = raw.ask(&upgrade(&target("ann"), "X-Forwarded-For: 198.51.100.1, 203.0.113.9\r\n")).await;
    assert_eq!(answer.status, Some(101));
    raw.frame().await.expect("the greeting");
    let (_, listed) = call(UnixStream::connect(&path).await.unwrap(), "/api/v1/connections").await;
    assert_eq!(listed["connections"][0]["ip"], "203.0.113.9", "{listed}");
}

const PROXIED: &str = "[server]\nclient_address = \"proxy-protocol\"\ntrusted_proxies = [\"127.0.0.1/32\"]\n";

fn version_2(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([0x20 | command, family]);
    header.extend((addresses.len() as u16).to_be_bytes());
    header.extend(addresses);
    header
}

/// A stream whose first bytes are that header.
async fn behind(gateway: &TestGateway, header: &[u8]) -> Raw {
    let mut raw = Raw::connect(gateway.address).await;
    assert!(raw.send(header).await);
    raw
}

#[tokio::test]
async fn the_proxy_protocol_tells_the_address_in_both_versions() {
    let gateway = TestGateway::with(PROXIED);
    let v4: Vec<u8> = [&[203, 0, 113, 9][..], &[127, 0, 0, 1], &[0x11, 0x11, 0x1f, 0x90]].concat();
    let v6: Vec<u8> = [&[0x20, 1, 0x0d, 0xb8][..], &[0; 11], &[9], &[0; 15], &[1], &[0x11, 0x11, 0x1f, 0x90]].concat();
    let with_extras: Vec<u8> = [&v4[..], &[4, 0, 3, 0, 0, 0]].concat();
    let cases: [(&str, Vec<u8>, &str); 7] = [
        ("v1-4", b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 8080\r\n".to_vec(), "203.0.113.9"),
        ("v1-6", b"PROXY TCP6 2001:db8::9 ::1 4711 8080\r\n".to_vec(), "2001:db8::9"),
        ("v1-unknown", b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        ("v2-4", version_2(1, 0x11, &v4), "203.0.113.9"),
        ("v2-6", version_2(1, 0x21, &v6), "2001:db8::9"),
        ("v2-extras", version_2(1, 0x11, &with_extras), "203.0.113.9"),
        ("v2-local", version_2(0, 0, &[]), "127.0.0.1"),
    ];
    for (user, header, ip) in cases {
        // The header and the request come in one piece, or each by itself.
        let mut raw = behind(&gateway, &[&header[..], upgrade(&target(user), "").as_bytes()].concat()).await;
        assert_eq!(raw.answer().await.status, Some(101), "{user}");
        let stream = behind(&gateway, &header).await.stream;
        let mut client = StreamClient::over(stream, &target(user)).await.expect(user);
        assert_eq!(client.greeting().await["userId"], user);
        let listed = eventually(5, "both sit", async || {
            let api = behind(&gateway, b"PROXY UNKNOWN\r\n").await.stream;
            let (_, listed) = call(api, &format!("/api/v1/connections?user={user}")).await;
            let here = listed["connections"].as_array().cloned().unwrap_or_default();
            (here.len() == 2).then_some(here)
        })
        .await;
        assert!(listed.iter().all(|here| here["ip"] == ip), "{user}: {listed:?}");
        let connected = |line: &Value| line["event"] == "connected" && line["userId"] == user && line["ip"] == ip;
        gateway.audited("the address", connected).await;
    }
    // The headers of HTTP are another source, and not read.
    let mut raw = behind(&gateway, b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 8080\r\n").await;
    raw.ask(&upgrade("/ws?token=rubbish", "X-Forwarded-For: 198.51.100.7\r\nForwarded: for=198.51.100.7\r\n")).await;
    gateway.audited("the refusal", |line| line["code"] == "TOKEN_INVALID" && line["ip"] == "203.0.113.9").await;
}

#[tokio::test]
async fn without_a_proper_header_or_from_a_stranger_the_connection_is_closed_unanswered() {
    let gateway = TestGateway::with(PROXIED);
    let good = b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 8080\r\n".to_vec();
    let long_line = format!("PROXY TCP4 {}\r\n", "1".repeat(200)).into_bytes();
    for header in [
        Vec::new(),
        b"PROXY TCP4 203.0.113.999 127.0.0.1 4711 8080\r\n".to_vec(),
        b"PROXY TCP4 2001:db8::9 ::1 4711 8080\r\n".to_vec(),
        b"proxy tcp4 203.0.113.9 127.0.0.1 4711 8080\r\n".to_vec(),
        long_line,
        version_2(1, 0x11, &[1, 2, 3]),
        version_2(0x0f, 0x11, &[0; 12]),
    ] {
        let mut raw = behind(&gateway, &[&header[..], upgrade(&target("ann"), "").as_bytes()].concat()).await;
        let answer = raw.answer().await;
        assert_eq!((answer.status, &*answer.head), (None, ""), "{:?}", String::from_utf8_lossy(&header));
    }
    for bytes in [good.clone(), Vec::new()] {
        let mut raw = Raw::connect_from(address(1), gateway.address).await;
        raw.send([&bytes[..], upgrade(&target("ann"), "").as_bytes()].concat()).await;
        assert_eq!(raw.answer().await.status, None, "nobody else may say where a client is");
    }
    let mut raw = behind(&gateway, &[&good[..], upgrade(&target("ann"), "").as_bytes()].concat()).await;
    assert_eq!(raw.answer().await.status, Some(101));
}

#[tokio::test]
async fn the_proxy_header_comes_before_tls() {
    let (files, certificate) = secure::certificate();
    let config = format!("{PROXIED}tls = {{ cert_file = \"cert.pem\", key_file = \"key.pem\" }}\n");
    let gateway = TestGateway::open(Options { config, files, ..Options::default() });
    let raw = behind(&gateway, b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 8080\r\n").await;
    let stream = secure::tls_over(raw.stream, &certificate).await.expect("a TLS handshake");
    let mut client = StreamClient::over(stream, &target("ann")).await.expect("a connection");
    client.greeting().await;
    gateway.audited("the address", |line| line["event"] == "connected" && line["ip"] == "203.0.113.9").await;
}

#[tokio::test]
async fn both_families_are_served_and_a_v4_client_has_its_v4_address() {
    let gateway = TestGateway::open(Options { listen: Some("[::1]:0".into()), ..Options::default() });
    assert!(gateway.address.is_ipv6());
    TestClient::greeted(&gateway, "/ws", &token("six", "dashboard")).await;
    gateway.audited("the address", |line| line["userId"] == "six" && line["ip"] == "::1").await;

    let gateway = TestGateway::open(Options { listen: Some("[::]:0".into()), ..Options::default() });
    let stream = TcpStream::connect(("127.0.0.1", gateway.address.port())).await.unwrap();
    let mut client = StreamClient::over(stream, &target("four")).await.expect("a connection");
    client.greeting().await;
    gateway.audited("the address", |line| line["userId"] == "four" && line["ip"] == "127.0.0.1").await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_and_an_address_that_is_none_is_exit_2() {
    let gateway = TestGateway::start();
    let taken = Options { listen: Some(gateway.address.to_string()), ..Options::default() };
    let written = TestGateway::try_open(taken).unwrap_err();
    assert!(written.contains("another process listens") && written.contains("exit code Some(1)"), "{written}");
    let folder = tempfile::tempdir().unwrap();
    let (code, _, errors) = run(folder.path(), &["serve", "--dev", "--listen", "localhost"], "", &[]);
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("server.listen"), "{errors}");
}

#[tokio::test]
async fn a_drain_tells_everybody_and_ends_well() {
    let gateway = TestGateway::start();
    let mut clients = Vec::new();
    for n in 0..20 {
        clients.push(TestClient::greeted(&gateway, "/ws", &token(&format!("user-{n}"), "dashboard")).await.0);
    }
    gateway.signal("TERM");
    for client in &mut clients {
        let (code, reason) = client.closed().await;
        assert_eq!((code, &reason["code"]), (1012, &json!("DRAINING")));
        assert!(reason["retryAfter"].as_u64().is_some_and(|seconds| seconds >= 1), "{reason}");
    }
    let (to, path) = (gateway.address, "/ws");
    let later = eventually(5, "nobody new is served", async || match TcpStream::connect(to).await {
        Err(_) => Some(None),
        Ok(stream) => {
            let answer = Raw { stream }.ask(&upgrade(&format!("{path}?token=rubbish"), "")).await;
            (answer.status != Some(401)).then_some(answer.status)
        }
    });
    assert!(matches!(later.await, None | Some(503)));
    let lines = eventually(10, "the books are written", async || {
        let lines = gateway.audit();
        let ends = lines.iter().filter(|line| line["event"] == "disconnected" && line["code"] == "DRAINING").count();
        (ends == 20).then_some(ends)
    });
    assert_eq!(lines.await, 20);
    let (ended, written) = gateway.stop_already_told();
    assert!(ended, "exit code 0:\n{written}");
}

#[tokio::test]
async fn while_it_drains_newcomers_read_why_and_readiness_says_no() {
    let gateway = TestGateway::start();
    // Somebody who does not answer the close holds the door open for a while.
    let mut deaf = Raw::admitted(gateway.address, "/ws", &token("ann", "dashboard")).await;
    assert_eq!(gateway.api("GET", "/readyz", None).await.0, 200);
    gateway.signal("TERM");
    assert_eq!(deaf.closed().await.0, 1012);
    let refused = TestClient::connect(&gateway, "/ws", "rubbish").await.unwrap_err();
    assert_eq!((refused.status, refused.code()), (503, "DRAINING"), "before the token is looked at");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert_eq!(refused.body["error"]["then"], "wait");
    assert_eq!(gateway.api("GET", "/readyz", None).await.0, 503);
    assert_eq!(gateway.api("GET", "/healthz", None).await.0, 200, "it is leaving, and not ill");
    drop(deaf);
    let (ended, written) = gateway.stop_already_told();
    assert!(ended, "exit code 0:\n{written}");
}
