//! Heartbeats over real sockets: a peer that says nothing is found and its place is free, a peer that says anything
//! stays; and whichever way a connection ends, nothing of it is left.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use gateway_tests::{
    TestClient, TestGateway,
    client::PATIENCE,
    eventually,
    process::{open_files, stopwatch},
    raw::Raw,
    tokens::token,
};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

const QUICK: &str = "[[endpoints]]\npath = \"/ws\"\nheartbeat = \"1s\"\nheartbeat_timeout = \"1s\"\n\
    [[endpoints]]\npath = \"/idle\"\nheartbeat = \"1s\"\nheartbeat_timeout = \"1s\"\nidle_timeout = \"2s\"\n";

/// A client that only does what a test makes it do: it answers no ping by itself.
async fn mute(gateway: &TestGateway) -> Raw {
    Raw::admitted(gateway.address, "/ws", &token("mute", "dashboard")).await
}

async fn empty(gateway: &TestGateway) {
    eventually(8, "nobody is left", async || (gateway.connections().await == 0).then_some(())).await;
}

#[tokio::test]
async fn a_peer_that_answers_no_ping_is_closed_and_its_seat_is_free() {
    let gateway = TestGateway::with(QUICK);
    let mut mute = mute(&gateway).await;
    let begun = stopwatch();
    empty(&gateway).await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(1300), "closed after {took:?}, before it could have answered");
    assert_eq!(mute.frame().await.map(|(first, _)| first), Some(0x81), "the greeting");
    assert_eq!(mute.frame().await, Some((0x89, Vec::new())), "a ping");
    let (code, reason) = mute.closed().await;
    assert_eq!((code, &reason["code"]), (4012, &json!("HEARTBEAT_TIMEOUT")));
    assert!(mute.hung_up(PATIENCE).await, "a goodbye without an answer ends, too");
    let line = gateway.audited("the end", |line| line["event"] == "disconnected" && line["userId"] == "mute").await;
    assert_eq!(line["code"], "HEARTBEAT_TIMEOUT");
}

#[tokio::test]
async fn whatever_comes_in_is_a_sign_of_life() {
    let gateway = TestGateway::with(QUICK);
    let mut mute = mute(&gateway).await;
    // A ping, a pong that nobody asked for, a text, and a message that arrives byte by byte: no answer to a ping ever.
    let frames: [&[u8]; 3] =
        [&[0x89, 0x80, 0, 0, 0, 0], &[0x8a, 0x80, 0, 0, 0, 0], &[0x81, 0x82, 0, 0, 0, 0, b'{', b'}']];
    for frame in frames.iter().cycle().take(8) {
        mute.send(frame).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    for byte in [0x81, 0x84, 0, 0, 0, 0, b'n', b'u'] {
        mute.send([byte]).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    assert_eq!(gateway.connections().await, 1);
    drop(mute);
    empty(&gateway).await;
}

#[tokio::test]
async fn clients_see_pings_at_the_interval_and_the_first_at_a_time_of_their_own() {
    let gateway = TestGateway::with(QUICK);
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(TestClient::greeted(&gateway, "/ws", &token("ann", "dashboard")).await.0);
    }
    let waits = clients.iter_mut().map(|client| async {
        let (mut times, begun) = (Vec::new(), stopwatch());
        while times.len() < 4 {
            match tokio::time::timeout(PATIENCE, client.socket.next()).await.expect("a ping") {
                Some(Ok(Message::Ping(_))) => times.push(begun.elapsed()),
                other => panic!("{other:?}"),
            }
        }
        times
    });
    for times in futures_util::future::join_all(waits).await {
        let whole = (times[3] - times[0]).as_millis();
        assert!((2_400..6_000).contains(&whole), "three intervals of 1 s took {whole} ms");
        assert!(times[0] < Duration::from_millis(2500), "the first ping came after {:?}", times[0]);
    }
    assert_eq!(gateway.connections().await, 5, "who answers stays");
    for client in clients {
        client.leave().await;
    }
    empty(&gateway).await;
}

#[tokio::test]
async fn a_half_open_peer_is_cleaned_up() {
    let gateway = TestGateway::with(QUICK);
    let before = open_files(gateway.pid());
    // As with a peer behind an unplugged cable, what is sent goes somewhere and nobody ever answers.
    let mut nobody = Vec::new();
    for _ in 0..5 {
        nobody.push(mute(&gateway).await);
    }
    eventually(5, "they are in", async || (gateway.connections().await == 5).then_some(())).await;
    empty(&gateway).await;
    eventually(10, "their sockets are closed", async || (open_files(gateway.pid()) <= before).then_some(())).await;
}

#[tokio::test]
async fn json_pings_echo_id_and_payload() {
    let gateway = TestGateway::start();
    let (mut client, _) = TestClient::greeted(&gateway, "/ws", &token("ann", "dashboard")).await;
    for message in [
        json!({"id": "1", "payload": {"nested": [1, 2.5, null, "é"]}}),
        json!({"id": "2", "payload": null}),
        json!({"id": "3"}),
        json!({"payload": "text"}),
        json!({}),
    ] {
        let with = |kind: &str| {
            let mut message = message.clone();
            message["type"] = kind.into();
            message
        };
        assert_eq!(client.ask(with("ping")).await, with("pong"));
    }
    // Bytes are kept: a number's spelling is the client's own.
    client.send("{\"type\":\"ping\",\"payload\":{ \"n\" : 1.50e1 }}").await;
    let Some(Message::Text(text)) = client.next().await else { panic!("no text") };
    assert!(text.contains("{ \"n\" : 1.50e1 }"), "{text}");
    // A pong is taken without a word.
    client.send(json!({"type": "pong", "id": "4"})).await;
    assert_eq!(client.ask(json!({"type": "ping", "id": "5"})).await["id"], "5");
    // So is a ping frame, answered by its own payload.
    client.socket.send(Message::Ping("payload".into())).await.unwrap();
    match tokio::time::timeout(PATIENCE, client.socket.next()).await.unwrap() {
        Some(Ok(Message::Pong(payload))) => assert_eq!(&payload[..], b"payload"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn who_says_nothing_is_idle_though_it_answers_pings() {
    let gateway = TestGateway::with(QUICK);
    let (mut idle, _) = TestClient::greeted(&gateway, "/idle", &token("ann", "dashboard")).await;
    let (mut busy, _) = TestClient::greeted(&gateway, "/idle", &token("bob", "dashboard")).await;
    let begun = stopwatch();
    let talking = async {
        for _ in 0..10 {
            assert_eq!(busy.ask(json!({"type": "ping"})).await["type"], "pong");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    let (closed, ()) = tokio::join!(idle.closed(), talking);
    assert_eq!((closed.0, &closed.1["code"]), (4018, &json!("IDLE_TIMEOUT")));
    assert!(begun.elapsed() >= Duration::from_secs(2));
    assert_eq!(busy.closed().await.0, 4018, "when it falls silent, too");
}

#[tokio::test]
async fn graceful_and_abrupt_ends_leave_nothing() {
    let gateway = TestGateway::with("[plans.default]\nconnections = 3\n[limits]\nhandshakes_per_user = \"off\"\n");
    gateway.connections().await;
    let before = open_files(gateway.pid());
    let ann = token("ann", "dashboard");
    for round in 0..6 {
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(TestClient::greeted(&gateway, "/ws", &ann).await.0);
        }
        for (nth, client) in clients.into_iter().enumerate() {
            match (round + nth) % 3 {
                0 => client.leave().await,
                // The end of the stream without a word.
                1 => drop(client),
                // A reset.
                _ => {
                    if let tokio_tungstenite::MaybeTlsStream::Plain(stream) = client.socket.get_ref() {
                        socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
                    }
                }
            }
        }
        // Every seat is needed again in the next round.
        empty(&gateway).await;
    }
    eventually(10, "no file is left open", async || (open_files(gateway.pid()) <= before + 1).then_some(())).await;
    let ends = gateway.audit().into_iter().filter(|line| line["event"] == "disconnected").count();
    assert_eq!(ends, 18, "every end is on the record");
}
