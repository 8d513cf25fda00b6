//! The shortest story: somebody with a token comes in, somebody without does not.
use gateway_tests::{TestClient, TestGateway, tokens::token};
use serde_json::json;

#[tokio::test]
async fn a_token_opens_the_door_and_nothing_else_does() {
    let gateway = TestGateway::start();
    let (mut client, greeting) = TestClient::greeted(&gateway, "/ws", &token("ann", "dashboard")).await;
    assert_eq!((greeting["protocol"].as_u64(), greeting["userId"].as_str()), (Some(1), Some("ann")));
    let pong = client.ask(json!({"type": "ping", "id": "1", "payload": {"x": 1}})).await;
    assert_eq!(pong, json!({"type": "pong", "id": "1", "payload": {"x": 1}}));
    assert_eq!(gateway.connections().await, 1);
    client.leave().await;

    let refused = TestClient::open(&gateway.ws("/ws"), &[]).await.unwrap_err();
    assert_eq!((refused.status, refused.code()), (401, "AUTH_REQUIRED"));
    let id = refused.body["error"]["requestId"].as_str().unwrap().to_owned();
    gateway.audited("the refusal", |line| line["requestId"] == id.as_str() && line["code"] == "AUTH_REQUIRED").await;
    gateway.audited("the end", |line| line["event"] == "disconnected" && line["userId"] == "ann").await;
}
