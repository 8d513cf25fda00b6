//! Who breaks the WebSocket protocol is told how, with a close code and a reason, and is gone; who only says what
//! nobody understands gets an error and stays. Whatever bytes come, the gateway lives and keeps its books.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use gateway_tests::{TestClient, TestGateway, chance::Chance, client::PATIENCE, eventually, raw::Raw, tokens::token};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

const ROOMY: &str = "[limits]\nhandshakes_per_user = \"off\"\nhandshakes_per_ip = \"off\"\n\
    [plans.default]\nmessages = \"off\"\nconnections = 100\n\
    [[endpoints]]\npath = \"/ws\"\nmax_message = \"4KiB\"\n";

/// A masked frame; the mask is not of zeros, so that unmasking is needed.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x12, 0x34, 0x56, 0x78];
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..=125 => bytes.push(0x80 | short as u8),
        long => {
            bytes.push(0x80 | 126);
            bytes.extend((long as u16).to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

async fn admitted(gateway: &TestGateway) -> Raw {
    let mut raw = Raw::admitted(gateway.address, "/ws", &token("ann", "dashboard")).await;
    let (first, greeting) = raw.frame().await.unwrap();
    assert_eq!((first, greeting.starts_with(b"{\"type\":\"connection_ready\"")), (0x81, true));
    raw
}

async fn empty(gateway: &TestGateway) {
    eventually(10, "nobody is left", async || (gateway.connections().await == 0).then_some(())).await;
}

#[tokio::test]
async fn every_violation_has_its_close_code_and_reason() {
    let gateway = TestGateway::with(ROOMY);
    let cat = |frames: &[&[u8]]| frames.concat();
    let cases: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        ("an unmasked text", vec![0x81, 2, b'{', b'}'], 1002, "PROTOCOL_ERROR"),
        ("an unmasked ping", vec![0x89, 0], 1002, "PROTOCOL_ERROR"),
        ("the first reserved bit", frame(0xc1, b"{}"), 1002, "PROTOCOL_ERROR"),
        ("the second reserved bit", frame(0xa1, b"{}"), 1002, "PROTOCOL_ERROR"),
        ("the third reserved bit", frame(0x91, b"{}"), 1002, "PROTOCOL_ERROR"),
        ("a data opcode of no meaning", frame(0x83, b"{}"), 1002, "PROTOCOL_ERROR"),
        ("a control opcode of no meaning", frame(0x8b, b""), 1002, "PROTOCOL_ERROR"),
        ("a fragmented ping", frame(0x09, b"x"), 1002, "PROTOCOL_ERROR"),
        ("a fragmented close", frame(0x08, b""), 1002, "PROTOCOL_ERROR"),
        ("a ping of 126 bytes", frame(0x89, &[b'x'; 126]), 1002, "PROTOCOL_ERROR"),
        ("a continuation of nothing", frame(0x80, b"x"), 1002, "PROTOCOL_ERROR"),
        ("a text in a text", cat(&[&frame(0x01, b"{"), &frame(0x81, b"}")]), 1002, "PROTOCOL_ERROR"),
        ("a length of 64 bits", vec![0x81, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1002, "PROTOCOL_ERROR"),
        ("half a close code", frame(0x88, &[3]), 1002, "PROTOCOL_ERROR"),
        ("a close code that is never sent", frame(0x88, &1005_u16.to_be_bytes()), 1002, "PROTOCOL_ERROR"),
        ("a close code of a lost line", frame(0x88, &1006_u16.to_be_bytes()), 1002, "PROTOCOL_ERROR"),
        ("a close code below all", frame(0x88, &999_u16.to_be_bytes()), 1002, "PROTOCOL_ERROR"),
        ("a close code beyond all", frame(0x88, &5000_u16.to_be_bytes()), 1002, "PROTOCOL_ERROR"),
        ("a close reason that is no text", frame(0x88, &[3, 0xe8, 0xff]), 1007, "INVALID_UTF8"),
        ("a text that is none", frame(0x81, &[b'"', 0xff, b'"']), 1007, "INVALID_UTF8"),
        ("an overlong spelling", frame(0x81, &[0xc0, 0xaf]), 1007, "INVALID_UTF8"),
        ("a surrogate", frame(0x81, &[0xed, 0xa0, 0x80]), 1007, "INVALID_UTF8"),
        ("half a character at the end", frame(0x81, &[b'x', 0xe2, 0x82]), 1007, "INVALID_UTF8"),
        (
            "a character broken over fragments",
            cat(&[&frame(0x01, &[0xe2]), &frame(0x00, &[0x82]), &frame(0x80, b"x")]),
            1007,
            "INVALID_UTF8",
        ),
        ("a binary", frame(0x82, b"{}"), 1003, "UNSUPPORTED_DATA"),
        ("a text of 4097 bytes", frame(0x81, &[b' '; 4097]), 1009, "MESSAGE_TOO_BIG"),
        ("fragments of 4097 bytes", cat(&[&frame(0x01, &[b' '; 4096]), &frame(0x80, b" ")]), 1009, "MESSAGE_TOO_BIG"),
        // Judged by the head: nothing of it need come.
        (
            "a text that says to be of 1 GiB",
            vec![0x81, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0],
            1009,
            "MESSAGE_TOO_BIG",
        ),
    ];
    for (what, bytes, code, name) in cases {
        let mut raw = admitted(&gateway).await;
        raw.send(&bytes).await;
        let (closed, reason) = raw.closed().await;
        assert_eq!((closed, &reason["code"]), (code, &json!(name)), "{what}");
        let request = reason["requestId"].as_str().expect("a request id").to_owned();
        assert!(raw.hung_up(PATIENCE).await, "{what}");
        let line = gateway
            .audited(what, |line| line["event"] == "disconnected" && line["requestId"] == request.as_str())
            .await;
        assert_eq!((&line["code"], &line["userId"]), (&json!(name), &json!("ann")), "{what}");
    }
    empty(&gateway).await;
}

#[tokio::test]
async fn a_flood_of_tiny_fragments_is_cut_off_though_the_message_is_small() {
    let gateway = TestGateway::with(ROOMY);
    for piece in [&b" "[..], b""] {
        let mut raw = admitted(&gateway).await;
        raw.send(frame(0x01, b"{")).await;
        let flood = frame(0x00, piece).repeat(3_000);
        let mut sent = 0;
        // 4,000 bytes of a message of at most 4 KiB may be sent one by one, but not with no end to it.
        while sent < 1 << 20 && raw.send(&flood).await {
            sent += flood.len();
        }
        let (code, reason) = raw.closed().await;
        assert!(code == 1009 && reason["code"] == "MESSAGE_TOO_BIG" || code == 1006, "{code} {reason}");
        gateway.audited("the end", |line| line["event"] == "disconnected" && line["code"] == "MESSAGE_TOO_BIG").await;
        empty(&gateway).await;
    }
}

#[tokio::test]
async fn a_message_may_come_in_any_pieces_with_pings_between() {
    let gateway = TestGateway::with(ROOMY);
    let mut raw = admitted(&gateway).await;
    let text = "{\"type\":\"ping\",\"id\":\"é\u{1F980}\"}".as_bytes();
    let mut bytes = frame(0x01, &text[..1]);
    for piece in text[1..].chunks(1) {
        bytes.extend(frame(0x00, piece));
        bytes.extend(frame(0x8a, b"unasked"));
    }
    bytes.extend(frame(0x89, b"between"));
    bytes.extend(frame(0x80, b""));
    for piece in bytes.chunks(3) {
        raw.send(piece).await;
    }
    assert_eq!(raw.frame().await, Some((0x8a, b"between".to_vec())));
    let (first, pong) = raw.frame().await.unwrap();
    assert_eq!(first, 0x81);
    let pong: Value = serde_json::from_slice(&pong).unwrap();
    assert_eq!(pong, json!({"type": "pong", "id": "é\u{1F980}"}));
}

#[tokio::test]
async fn what_is_not_understood_gets_an_error_and_the_connection_stays() {
    let gateway = TestGateway::with(ROOMY);
    let long_id = format!("{{\"type\":\"ping\",\"id\":\"{}\"}}", "x".repeat(129));
    let many =
        format!("{{\"type\":\"ping\",{}}}", (0..64).map(|n| format!("\"m{n}\":0")).collect::<Vec<_>>().join(","));
    let cases = [
        "",
        "null",
        "[]",
        "{",
        "\"ping\"",
        "{\"type\":\"ping\"} x",
        "{}",
        "{\"type\":5}",
        "{\"type\":\"\"}",
        "{\"type\":null}",
        "{\"type\":\"ping\",\"id\":5}",
        "{\"type\":\"ping\",\"id\":\"\"}",
        long_id.as_str(),
        many.as_str(),
        // A member that comes twice, however it is spelt.
        "{\"type\":\"ping\",\"type\":\"pong\"}",
        "{\"type\":\"ping\",\"\\u0074ype\":\"pong\"}",
        "{\"type\":\"ping\",\"payload\":1,\"p\\u0061yload\":2}",
        "{\"type\":\"ping\",\"own\":1,\"own\":1}",
        "{\"type\":\"ping\",\"from\":1,\"\\u0066rom\":2}",
    ];
    // Ten of them in a minute are a violation, so each has a user of its own.
    for (nth, text) in cases.into_iter().enumerate() {
        let user = format!("user-{nth}");
        let (mut client, _) = TestClient::greeted(&gateway, "/ws", &token(&user, "dashboard")).await;
        client.send(text).await;
        let error = client.json().await;
        assert_eq!((&error["type"], &error["payload"]["code"]), (&json!("error"), &json!("INVALID_MESSAGE")), "{text}");
        assert!(error["payload"]["message"].is_string(), "{error}");
        assert_eq!(client.ask(json!({"type": "ping", "id": "still here"})).await["id"], "still here", "{text}");
    }
}

#[tokio::test]
async fn an_unknown_type_is_answered_with_its_id() {
    let gateway = TestGateway::with(ROOMY);
    let (mut client, _) = TestClient::greeted(&gateway, "/ws", &token("ann", "dashboard")).await;
    for kind in ["whatever", "PING", "connection_ready", "agent.online", "auth.other", "presence.joined"] {
        let error = client.ask(json!({"type": kind, "id": "i-1", "payload": {"x": 1}})).await;
        assert_eq!((&error["type"], &error["id"]), (&json!("error"), &json!("i-1")), "{error}");
        assert_eq!(error["payload"]["code"], "INVALID_MESSAGE", "{kind}");
        assert!(error.get("from").is_none());
    }
}

#[tokio::test]
async fn members_that_only_the_gateway_sets_are_dropped_and_do_no_harm() {
    let gateway = TestGateway::with(ROOMY);
    let (mut client, _) = TestClient::greeted(&gateway, "/ws", &token("ann", "dashboard")).await;
    let mine = json!({"type": "ping", "id": "1", "from": {"userId": "root"}, "requestId": "x", "eventId": 5, "room": "r",
        "offset": 9, "own": true});
    assert_eq!(client.ask(mine).await, json!({"type": "pong", "id": "1"}));
}

#[tokio::test]
async fn ten_messages_in_a_minute_that_nobody_understands_are_one_violation() {
    let gateway = TestGateway::start();
    let (mut client, _) = TestClient::greeted(&gateway, "/ws", &token("ann", "dashboard")).await;
    let violations = async || gateway.api("GET", "/api/v1/users/ann", None).await.1["violations"].as_u64().unwrap();
    for _ in 0..9 {
        assert_eq!(client.ask(json!({"type": "nonsense"})).await["payload"]["code"], "INVALID_MESSAGE");
    }
    assert_eq!(violations().await, 0);
    assert_eq!(client.ask(json!({"type": "nonsense"})).await["payload"]["code"], "INVALID_MESSAGE");
    assert_eq!(client.json().await["payload"]["code"], "RATE_LIMITED", "the tenth is one too many");
    assert_eq!(violations().await, 1);
    // The first is a warning: the connection stays and is served.
    assert_eq!(client.ask(json!({"type": "ping"})).await["type"], "pong");
    gateway.audited("the violation", |line| line["event"] == "limit.violated" && line["userId"] == "ann").await;
}

#[tokio::test]
async fn a_peers_close_is_answered_with_its_own_code_and_told_apart_from_ours() {
    let gateway = TestGateway::with(ROOMY);
    for code in [Some(1000_u16), Some(1001), Some(1008), Some(3000), Some(4999), None] {
        let user = format!("user-{}", code.unwrap_or_default());
        let (mut client, _) = TestClient::greeted(&gateway, "/ws", &token(&user, "dashboard")).await;
        let goodbye = code.map(|code| CloseFrame { code: CloseCode::from(code), reason: "enough".into() });
        client.socket.close(goodbye).await.unwrap();
        match client.next().await {
            Some(Message::Close(answer)) => assert_eq!(answer.map(|frame| u16::from(frame.code)), code),
            other => panic!("{other:?}"),
        }
        assert!(client.next().await.is_none());
        let line =
            gateway.audited("the end", |line| line["event"] == "disconnected" && line["userId"] == user.as_str()).await;
        assert!(line.get("code").is_none(), "it is no code of ours: {line}");
        let told = line["reason"].as_str().unwrap();
        assert!(told.contains("peer") && code.is_none_or(|code| told.contains(&code.to_string())), "{told}");
        assert!(!told.contains("enough"), "what a stranger wrote is not kept: {told}");
    }
    empty(&gateway).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let metrics = client.get(gateway.http("/metrics")).send().await.unwrap().text().await.unwrap();
    let apart = metrics.lines().filter(|line| line.contains("by=\"peer\"")).count();
    assert!(apart >= 2, "{metrics}");
}

fn bytes(dice: &mut Chance, most: usize) -> Vec<u8> {
    (0..dice.below(most)).map(|_| dice.below(256) as u8).collect()
}

/// Bytes of no sense, or frames whose heads make sense and whose insides do not, or texts that are nearly right.
fn blob(dice: &mut Chance) -> Vec<u8> {
    match dice.below(4) {
        0 => bytes(dice, 600),
        1 => {
            let pieces = 1 + dice.below(6);
            (0..pieces).flat_map(|_| frame(dice.below(256) as u8, &bytes(dice, 200))).collect()
        }
        2 => {
            let firsts = [0x01, 0x81, 0x00, 0x80, 0x89, 0x8a];
            (0..8).flat_map(|_| frame(firsts[dice.below(firsts.len())], &bytes(dice, 130))).collect()
        }
        _ => {
            let mut text =
                json!({"type": "ping", "id": "x", "payload": {"a": [1, "b\n", null]}}).to_string().into_bytes();
            for _ in 0..1 + dice.below(3) {
                let at = dice.below(text.len());
                text[at] = 32 + dice.below(95) as u8;
            }
            frame(0x81, &text)
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_bytes_of_any_kind_bring_it_down_or_leave_anything_behind() {
    const BLOBS: u64 = 2_000;
    const AT_ONCE: u64 = 16;
    let gateway = TestGateway::with(ROOMY);
    let seed = Chance::seed_or(9);
    let (address, ann) = (gateway.address, token("ann", "dashboard"));
    let throwing = (0..AT_ONCE).map(|nth| {
        let ann = ann.clone();
        tokio::spawn(async move {
            let mut dice = Chance::of(seed.wrapping_add(nth << 32));
            for _ in 0..BLOBS / AT_ONCE {
                let mut raw = Raw::admitted(address, "/ws", &ann).await;
                raw.send(blob(&mut dice)).await;
                // Some look at what comes, some are gone at once.
                match dice.below(3) {
                    0 => drop(raw),
                    1 => raw.reset(),
                    _ => {
                        raw.send(frame(0x88, &[3, 0xe8])).await;
                        // What was thrown may be the head of a longer frame, of which the goodbye is a part.
                        let _ = raw.stream.shutdown().await;
                        let (code, _) = raw.closed().await;
                        assert!([1000, 1002, 1003, 1007, 1009, 1005, 1006].contains(&code) || code >= 3000, "{code}");
                    }
                }
            }
        })
    });
    for thrown in throwing.collect::<Vec<_>>() {
        thrown.await.unwrap_or_else(|fault| panic!("with the seed {seed}: {fault}"));
    }
    empty(&gateway).await;
    let (mut client, _) = TestClient::greeted(&gateway, "/ws", &token("bob", "dashboard")).await;
    assert_eq!(client.ask(json!({"type": "ping"})).await["type"], "pong");
    client.leave().await;
    let written = gateway.written();
    assert!(!written.contains("panicked"), "with the seed {seed}: {written}");
    let (ended_well, _) = gateway.stop();
    assert!(ended_well);
}
