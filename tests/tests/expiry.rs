//! A token that expires in mid-connection, through the real program: `/ws` keeps the connection and says so, `/ws/agent`
//! and the others warn, close with 4003, and free the seat.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use gateway_tests::{Claims, TestClient, TestGateway, eventually, tokens::now};
use serde_json::{Value, json};

async fn ping(client: &mut TestClient) -> Value {
    client.ask(json!({"type": "ping", "id": "p"})).await
}

#[tokio::test]
async fn an_agent_is_warned_and_closed_and_its_seat_is_free() {
    let gateway = TestGateway::start();
    let claims = Claims::of("a-1", "agent").expiring_in(3);
    let exp = claims.0["exp"].as_i64().unwrap();
    let (mut client, greeting) = TestClient::greeted(&gateway, "/ws/agent", &claims.sign()).await;
    let warning = client.json().await;
    assert_eq!(warning["type"], "auth.expiring");
    assert_eq!(warning["payload"], json!({"expiresAt": greeting["expiresAt"]}));
    assert!(warning.get("from").is_none() && warning.get("id").is_none(), "{warning}");
    assert_eq!(ping(&mut client).await["type"], "pong", "until the deadline it is served");
    let (code, reason) = client.closed().await;
    assert!((exp..exp + 5).contains(&now()), "closed at {} for {exp}", now());
    assert_eq!((code, &reason["code"]), (4003, &json!("TOKEN_EXPIRED")));
    let request = reason["requestId"].as_str().unwrap().to_owned();
    assert_eq!(reason.as_object().unwrap().len(), 2, "{reason}");
    eventually(5, "the seat is free", async || (gateway.connections().await == 0).then_some(())).await;
    let line = gateway
        .audited("the end", |line| line["event"] == "disconnected" && line["requestId"] == request.as_str())
        .await;
    assert_eq!((&line["code"], &line["userId"]), (&json!("TOKEN_EXPIRED"), &json!("a-1")));
}

#[tokio::test]
async fn the_open_endpoint_keeps_the_connection_and_says_so() {
    let gateway = TestGateway::start();
    let claims = Claims::of("ann", "dashboard").expiring_in(2).sign();
    let (mut client, greeting) = TestClient::greeted(&gateway, "/ws", &claims).await;
    let id = greeting["connectionId"].as_str().unwrap().to_owned();
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    let pong = ping(&mut client).await;
    assert_eq!(pong["type"], "pong", "neither a warning nor an end came before: {pong}");
    let (_, listed) = gateway.api("GET", &format!("/api/v1/connections/{id}"), None).await;
    assert_eq!((&listed["keptPastExpiry"], &listed["expiresAt"]), (&json!(true), &greeting["expiresAt"]));
    let refused = TestClient::connect(&gateway, "/ws", &claims).await.unwrap_err();
    assert_eq!((refused.status, refused.code()), (401, "TOKEN_EXPIRED"), "who is not in does not get in");
    client.leave().await;
}

#[tokio::test]
async fn a_refresh_in_time_lets_the_old_deadline_pass() {
    let gateway = TestGateway::start();
    let (mut client, _) =
        TestClient::greeted(&gateway, "/ws/dashboard", &Claims::of("ann", "dashboard").expiring_in(3).sign()).await;
    assert_eq!(client.json().await["type"], "auth.expiring");
    let fresh = Claims::of("ann", "dashboard").sign();
    let answer = client.ask(json!({"type": "auth.refresh", "payload": {"token": fresh}})).await;
    assert_eq!(answer["type"], "auth.refreshed", "{answer}");
    tokio::time::sleep(std::time::Duration::from_millis(3500)).await;
    let pong = ping(&mut client).await;
    assert_eq!(pong["type"], "pong", "no second warning, no end: {pong}");
    client.leave().await;
}

#[tokio::test]
async fn the_operator_chooses_for_each_endpoint() {
    let gateway = TestGateway::with(
        "[[endpoints]]\npath = \"/keeps\"\non_expiry = \"keep\"\n\
         [[endpoints]]\npath = \"/closes\"\nexpiry_warning = \"off\"\n",
    );
    let claims = Claims::of("ann", "dashboard").expiring_in(2).sign();
    let (mut kept, _) = TestClient::greeted(&gateway, "/keeps", &claims).await;
    let (mut closed, _) = TestClient::greeted(&gateway, "/closes", &claims).await;
    match closed.next().await {
        Some(tokio_tungstenite::tungstenite::Message::Close(Some(frame))) => assert_eq!(u16::from(frame.code), 4003),
        other => panic!("no warning was wanted here: {other:?}"),
    }
    assert_eq!(ping(&mut kept).await["type"], "pong");
}

#[tokio::test]
async fn an_agent_that_floods_its_deadline_gets_no_answer_behind_it() {
    let gateway = TestGateway::with("[plans.agent]\nmessages = \"off\"\n");
    let claims = Claims::of("a-1", "agent").expiring_in(2);
    let (mut client, _) = TestClient::greeted(&gateway, "/ws/agent", &claims.sign()).await;
    assert_eq!(client.json().await["type"], "auth.expiring");
    let mut served = 0_u64;
    // Ask and answer as fast as it goes, right into the end.
    let code = loop {
        use futures_util::SinkExt;
        use tokio_tungstenite::tungstenite::Message;
        let said = json!({"type": "ping", "id": served.to_string()}).to_string();
        let _ = client.socket.send(Message::text(said)).await;
        match client.next().await {
            Some(Message::Text(text)) => {
                let pong: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(pong["id"], served.to_string());
                served += 1;
            }
            Some(Message::Close(Some(frame))) => break u16::from(frame.code),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(code, 4003);
    assert!(served > 100, "only {served} messages were served");
    assert!(client.next().await.is_none(), "nothing comes behind the close");
}
