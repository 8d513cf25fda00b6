//! A backend asks an agent by HTTP, and reads the reply or the end; once under a key; progress as lines.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::time::Duration;

use futures_util::StreamExt;
use gateway_tests::{
    TestGateway,
    rooms::{agent, unlimited},
    tokens::token,
};
use serde_json::{Value, json};

fn request(gateway: &TestGateway, agent: &str, body: Value) -> reqwest::RequestBuilder {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = gateway.http(&format!("/api/v1/agents/{agent}/requests"));
    client.post(url).bearer_auth(token("backend", "service")).json(&body)
}

async fn told(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.expect("an answer");
    (response.status().as_u16(), response.json().await.expect("JSON"))
}

fn later(request: reqwest::RequestBuilder) -> tokio::task::JoinHandle<(u16, Value)> {
    tokio::spawn(told(request))
}

#[tokio::test]
async fn the_reply_of_an_agent_is_the_answer() {
    let gateway = unlimited("");
    let mut press = agent(&gateway, "press-7").await;
    let answer = later(request(&gateway, "press-7", json!({"type": "command", "payload": {"do": "stop"}})));
    let asked = press.json().await;
    assert_eq!((&asked["type"], &asked["payload"], asked.get("id")), (&json!("command"), &json!({"do": "stop"}), None));
    assert_eq!((&asked["from"]["userId"], &asked["from"]["role"]), (&json!("backend"), &json!("service")));
    press.send(json!({"type": "reply", "replyTo": asked["requestId"], "more": true, "payload": "soon"})).await;
    press.send(json!({"type": "reply", "replyTo": asked["requestId"], "payload": {"done": true}})).await;
    let (status, body) = answer.await.unwrap();
    assert_eq!((status, &body["payload"], &body["requestId"]), (200, &json!({"done": true}), &asked["requestId"]));
    assert_eq!(body["from"]["agentId"], "press-7");
    assert_eq!(body.as_object().unwrap().len(), 3);
    // It is over: nobody hears a late reply.
    press.send(json!({"type": "reply", "id": "late", "replyTo": asked["requestId"], "payload": 1})).await;
    assert_eq!(press.json().await["payload"]["code"], "NOT_ASKED");
}

#[tokio::test]
async fn every_end_has_its_status() {
    let gateway = unlimited("");
    let mut press = agent(&gateway, "press-7").await;
    let body = || json!({"type": "command", "timeout": "300ms"});
    let (status, answer) = told(request(&gateway, "nobody", body())).await;
    assert_eq!((status, &answer["error"]["code"]), (404, &json!("TARGET_OFFLINE")));
    let (status, answer) = told(request(&gateway, "press-7", body())).await;
    assert_eq!((status, &answer["error"]["code"]), (504, &json!("REPLY_TIMEOUT")));
    press.json().await;
    let answer = later(request(&gateway, "press-7", json!({"type": "command"})));
    press.json().await;
    press.leave().await;
    let (status, answer) = answer.await.unwrap();
    assert_eq!((status, &answer["error"]["code"]), (502, &json!("TARGET_LOST")));
    for (body, path) in [
        (json!({"type": "error"}), "/type"),
        (json!({"type": "x", "timeout": "0s"}), "/timeout"),
        (json!({"type": "x", "timeout": "2h"}), "/timeout"),
        (json!({"type": "x", "timeout": "3601s"}), "/timeout"),
    ] {
        let (status, answer) = told(request(&gateway, "press-7", body)).await;
        assert_eq!((status, &answer["error"]["details"][0]["path"]), (400, &json!(path)));
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_is_told_to_the_agent_as_a_cancel() {
    let gateway = unlimited("");
    let mut press = agent(&gateway, "press-7").await;
    let answer = later(request(&gateway, "press-7", json!({"type": "command"})));
    let asked = press.json().await;
    answer.abort();
    let cancel = press.json().await;
    assert_eq!(cancel, json!({"type": "cancel", "requestId": asked["requestId"]}));
}

#[tokio::test]
async fn under_a_key_an_agent_is_asked_once() {
    let gateway = unlimited("");
    let mut press = agent(&gateway, "press-7").await;
    let keyed = |key: &str, payload: u64| {
        request(&gateway, "press-7", json!({"type": "command", "payload": payload})).header("idempotency-key", key)
    };
    // The first caller goes away: the request stays, and whoever calls again gets its answer.
    let first = later(keyed("k1", 1));
    let asked = press.json().await;
    first.abort();
    let (again, third) = (later(keyed("k1", 1)), later(keyed("k1", 1)));
    tokio::time::sleep(Duration::from_millis(100)).await;
    press.send(json!({"type": "reply", "replyTo": asked["requestId"], "payload": "once"})).await;
    for answer in [again, third] {
        let (status, answer) = answer.await.unwrap();
        assert_eq!((status, &answer["payload"]), (200, &json!("once")));
    }
    assert_eq!(told(keyed("k1", 1)).await.1["payload"], "once", "after the end, too");
    let (status, answer) = told(keyed("k1", 2)).await;
    assert_eq!((status, &answer["error"]["code"]), (409, &json!("CONFLICT")));
    assert!(press.heard().await.is_empty(), "nobody asked again");
    let (status, _) = told(keyed(&"k".repeat(129), 1)).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn progress_is_read_line_by_line() {
    let gateway = unlimited("");
    let mut press = agent(&gateway, "press-7").await;
    let call = request(&gateway, "press-7", json!({"type": "command"})).header("accept", "application/x-ndjson");
    let response = tokio::spawn(async move { call.send().await.unwrap() });
    let asked = press.json().await;
    let response = response.await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &"application/x-ndjson".parse().unwrap())
    );
    let mut stream = response.bytes_stream();
    for n in 0..3 {
        press.send(json!({"type": "reply", "replyTo": asked["requestId"], "more": true, "payload": n})).await;
        let line: Value = serde_json::from_slice(&stream.next().await.unwrap().unwrap()).unwrap();
        assert_eq!(line["progress"]["payload"], n, "{line}");
    }
    press.send(json!({"type": "reply", "replyTo": asked["requestId"], "payload": "end"})).await;
    let line: Value = serde_json::from_slice(&stream.next().await.unwrap().unwrap()).unwrap();
    assert_eq!(line["reply"]["payload"], "end");
    assert!(stream.next().await.is_none());
}
