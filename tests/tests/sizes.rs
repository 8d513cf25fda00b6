//! How large a message may be: as large as the endpoint says, to the byte; and a size that is only declared costs
//! nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::time::Duration;

use futures_util::SinkExt;
use gateway_tests::{
    TestClient, TestGateway, crowd::settles_at, eventually, process::resident_kib, raw::Raw, tokens::token,
};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

const MIB: usize = 1 << 20;

const RAW: &str = "[plans.default]\nmessages = \"off\"\nconnections = \"off\"\n\
    [limits]\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = \"off\"\n\
    [[endpoints]]\npath = \"/raw\"\nhandler = \"echo\"\n[[endpoints]]\npath = \"/ws\"\n\
    [[endpoints]]\npath = \"/small\"\nhandler = \"echo\"\nmax_message = \"1KiB\"\n";

fn assert_too_big((code, reason): (u16, Value)) {
    assert_eq!((code, &reason["code"]), (1009, &json!("MESSAGE_TOO_BIG")), "{reason}");
    assert!(reason["requestId"].is_string());
    assert!(reason.to_string().len() <= 123);
}

#[tokio::test]
async fn a_mebibyte_passes_and_a_byte_more_is_too_big() {
    let gateway = TestGateway::with(RAW);
    let ann = token("ann", "dashboard");
    let mut client = TestClient::connect(&gateway, "/raw", &ann).await.unwrap();
    let text = Message::text("x".repeat(MIB));
    let binary = Message::binary((0..MIB).map(|n| n as u8).collect::<Vec<_>>());
    for message in [text, binary] {
        client.socket.send(message.clone()).await.unwrap();
        assert!(client.next().await == Some(message), "it comes back unchanged");
    }
    for message in [Message::text("x".repeat(MIB + 1)), Message::binary(vec![7; MIB + 1])] {
        let mut client = TestClient::connect(&gateway, "/raw", &ann).await.unwrap();
        // The gateway may have closed before it has read all of it.
        let _ = client.socket.send(message).await;
        assert_too_big(client.closed().await);
    }
    let line = |line: &Value| line["event"] == "disconnected" && line["code"] == "MESSAGE_TOO_BIG";
    gateway.audited("the end of it", line).await;
    client.leave().await;
}

#[tokio::test]
async fn an_endpoint_has_a_size_of_its_own_and_the_greeting_tells_it() {
    let gateway = TestGateway::with(RAW);
    let ann = token("ann", "dashboard");
    let mut client = TestClient::connect(&gateway, "/small", &ann).await.unwrap();
    client.send("x".repeat(1024)).await;
    assert_eq!(client.next().await, Some(Message::text("x".repeat(1024))));
    client.send("x".repeat(1025)).await;
    assert_too_big(client.closed().await);

    let (mut client, greeting) = TestClient::greeted(&gateway, "/ws", &ann).await;
    assert_eq!(greeting["limits"]["messageBytes"], MIB);
    let payload = "x".repeat(MIB - 200);
    let pong = client.ask(json!({"type": "ping", "id": "large", "payload": payload})).await;
    assert_eq!((&pong["type"], pong["payload"].as_str().map(str::len)), (&json!("pong"), Some(MIB - 200)));
    client.send(" ".repeat(MIB + 1)).await;
    assert_too_big(client.closed().await);
}

#[tokio::test]
async fn fragments_are_added_up() {
    let gateway = TestGateway::with(RAW);
    let ann = token("ann", "dashboard");
    let mut raw = Raw::admitted(gateway.address, "/small", &ann).await;
    // Text, then continuations, none of them the last.
    raw.announce(0x01, 400).await;
    raw.send([b'x'; 400]).await;
    for _ in 0..2 {
        raw.announce(0x00, 400).await;
        raw.send([b'x'; 400]).await;
    }
    assert_too_big(raw.closed().await);

    let mut raw = Raw::admitted(gateway.address, "/small", &ann).await;
    raw.announce(0x01, 512).await;
    raw.send([b'x'; 512]).await;
    raw.announce(0x80, 512).await;
    raw.send([b'y'; 512]).await;
    let (first, payload) = raw.frame().await.expect("it comes back");
    assert_eq!((first, payload.len()), (0x81, 1024));
}

#[tokio::test]
async fn a_declared_size_is_refused_when_it_is_declared_and_allocates_nothing() {
    let gateway = TestGateway::with(RAW);
    let ann = token("ann", "dashboard");
    let mut warm = TestClient::connect(&gateway, "/raw", &ann).await.unwrap();
    warm.send("x").await;
    warm.next().await;
    let before = resident_kib(gateway.pid());
    for (length, expected) in [(1 << 63, 1002), (u64::MAX, 1002), ((1 << 63) - 1, 1009), (1 << 40, 1009)] {
        for path in ["/raw", "/ws"] {
            let mut raw = Raw::admitted(gateway.address, path, &ann).await;
            raw.announce(0x82, length).await;
            let (code, reason) = raw.closed().await;
            // Either way the peer is told; a length with its highest bit set is no length at all.
            assert!(code == expected || (expected == 1002 && code == 1009), "{length}: {code}");
            assert!(["MESSAGE_TOO_BIG", "PROTOCOL_ERROR"].contains(&reason["code"].as_str().unwrap_or_default()));
        }
    }
    // As much as is allowed, declared two hundred times and never sent.
    let mut pending = Vec::new();
    for _ in 0..200 {
        let mut raw = Raw::admitted(gateway.address, "/raw", &ann).await;
        raw.announce(0x82, MIB as u64).await;
        raw.send([1; 100]).await;
        pending.push(raw);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let grown = resident_kib(gateway.pid()).saturating_sub(before);
    assert!(grown < 16 << 10, "{grown} KiB for what was never sent");
    settles_at(&gateway, 201).await;
    drop(pending);
    eventually(5, "they are gone", async || (gateway.connections().await == 1).then_some(())).await;
    warm.send("still here").await;
    assert_eq!(warm.next().await, Some(Message::text("still here")));
}

#[tokio::test]
async fn frames_that_break_the_protocol_close_with_1002_and_a_reason() {
    let gateway = TestGateway::with(RAW);
    let ann = token("ann", "dashboard");
    let broken: [&[u8]; 6] = [
        &[0x81, 0x01, b'x'],             // no mask
        &[0xc1, 0x81, 0, 0, 0, 0, b'x'], // a reserved bit
        &[0x83, 0x80, 0, 0, 0, 0],       // an unknown kind
        &[0x89, 0xfe, 0, 126],           // a ping of 126 bytes
        &[0x09, 0x80, 0, 0, 0, 0],       // a ping in pieces
        &[0x80, 0x80, 0, 0, 0, 0],       // a continuation of nothing
    ];
    for bytes in broken {
        let mut raw = Raw::admitted(gateway.address, "/raw", &ann).await;
        raw.send(bytes).await;
        let (code, reason) = raw.closed().await;
        assert_eq!((code, &reason["code"]), (1002, &json!("PROTOCOL_ERROR")), "{bytes:x?}");
        assert!(raw.hung_up(Duration::from_secs(5)).await);
    }
    let mut raw = Raw::admitted(gateway.address, "/raw", &ann).await;
    raw.announce(0x81, 2).await;
    raw.send([0xc3, 0x28]).await;
    let (code, reason) = raw.closed().await;
    assert_eq!((code, &reason["code"]), (1007, &json!("INVALID_UTF8")));
    eventually(5, "nobody is left", async || (gateway.connections().await == 0).then_some(())).await;
}
