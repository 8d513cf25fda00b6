//! An endpoint that is raw: text and binary come back unchanged, and nothing else is ever said there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::time::Duration;

use futures_util::SinkExt;
use gateway_tests::{Claims, TestClient, TestGateway, tokens::token};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Bytes, Message};

const ECHO: &str = "[[endpoints]]\npath = \"/echo\"\nhandler = \"echo\"\nmax_message = \"64KiB\"\n";
const UNCOUNTED: &str = "[plans.default]\nmessages = \"off\"\n";

async fn raw(gateway: &TestGateway, token: &str) -> TestClient {
    TestClient::connect(gateway, "/echo", token).await.unwrap_or_else(|refused| panic!("{refused:?}"))
}

/// Sends a message; the very next that comes must be the same.
async fn comes_back(client: &mut TestClient, message: Message) {
    client.socket.send(message.clone()).await.unwrap();
    let back = client.next().await.expect("an echo");
    assert!(back == message, "{} bytes came back otherwise", message.len());
}

#[tokio::test]
async fn text_and_binary_come_back_unchanged_and_there_is_no_greeting() {
    let gateway = TestGateway::with(&format!("{ECHO}{UNCOUNTED}"));
    let mut client = raw(&gateway, &token("ann", "dashboard")).await;
    let texts = [
        "",
        "x",
        "no JSON at all {",
        "{\"type\":\"ping\",\"id\":\"1\"}",
        "{\"type\":\"auth.refresh\",\"payload\":{\"token\":\"t\"}}",
        "{\"from\":1,\"from\":2}",
        "żółć \u{1F980} \u{0}",
    ];
    for text in texts {
        comes_back(&mut client, Message::text(text)).await;
    }
    for size in [0, 1, 125, 126, 65_535, 65_536] {
        let bytes: Vec<u8> = (0..size).map(|nth| (nth % 251) as u8).collect();
        comes_back(&mut client, Message::Binary(bytes.into())).await;
        comes_back(&mut client, Message::text("y".repeat(size))).await;
    }
    client.socket.send(Message::Binary(Bytes::from(vec![0; 65_537]))).await.unwrap();
    let (code, reason) = client.closed().await;
    assert_eq!((code, &reason["code"]), (1009, &json!("MESSAGE_TOO_BIG")));
}

#[tokio::test]
async fn nothing_is_said_ahead_of_the_expiry_and_the_close_has_its_code() {
    let gateway = TestGateway::with(&format!("{ECHO}{UNCOUNTED}"));
    let mut client = raw(&gateway, &Claims::of("ann", "dashboard").expiring_in(2).sign()).await;
    // The warning would have been due at once.
    comes_back(&mut client, Message::text("first")).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    comes_back(&mut client, Message::text("second")).await;
    match client.next().await {
        Some(Message::Close(Some(frame))) => {
            assert_eq!(u16::from(frame.code), 4003);
            assert_eq!(serde_json::from_str::<Value>(&frame.reason).unwrap()["code"], "TOKEN_EXPIRED");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn echoes_are_counted_and_tracked_like_any_message() {
    let gateway =
        TestGateway::with(&format!("{ECHO}[plans.default]\nmessages = {{ rate = \"3/m\", burst = \"3/s\" }}\n"));
    let mut client = raw(&gateway, &token("ann", "dashboard")).await;
    for nth in 0..3 {
        comes_back(&mut client, Message::text(nth.to_string())).await;
    }
    let (_, listed) = gateway.api("GET", "/api/v1/connections?user=ann", None).await;
    assert_eq!(listed["connections"][0]["messagesIn"], 3);
    assert_eq!(listed["connections"][0]["bytesOut"], 3);
    client.send("one too many").await;
    let error = client.json().await;
    assert_eq!((&error["type"], &error["payload"]["code"]), (&json!("error"), &json!("RATE_LIMITED")));
    client.leave().await;
}
