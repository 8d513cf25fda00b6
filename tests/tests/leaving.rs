//! The ways in which a node leaves: by a signal, by a call, by a command; politely, and at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{process::Command, time::Duration};

use gateway_tests::{Actor, TestClient, TestGateway, process::stopwatch, program, tokens::token};
use serde_json::json;

fn slow(window: &str) -> TestGateway {
    TestGateway::with(&format!("[server]\ndrain_window = \"{window}\"\ndrain_timeout = \"60s\"\n"))
}

#[tokio::test]
async fn those_who_look_on_go_first_and_whoever_waits_for_an_answer_gets_it() {
    let gateway = slow("20s");
    let mut ann = Actor::enter(&gateway, "/ws/dashboard", "ann", "dashboard").await;
    let mut agent = Actor::enter(&gateway, "/ws/agent", "press-7", "agent").await;
    let mut bob = TestClient::greeted(&gateway, "/ws/dashboard", &token("bob", "dashboard")).await.0;
    ann.say(json!({"type": "command", "id": "c-1", "payload": {"agentId": "press-7"}})).await;
    let request = agent.hear().await;
    let began = stopwatch();
    gateway.signal("TERM");
    assert_eq!(bob.closed().await.0, 1012, "nothing holds him here");
    assert_eq!(gateway.api("GET", "/readyz", None).await.0, 503);
    let refused = TestClient::connect(&gateway, "/ws/dashboard", &token("cid", "dashboard")).await.unwrap_err();
    assert_eq!((refused.status, refused.code()), (503, "DRAINING"));
    // Long past their turns the two are still here, since the one waits for the other.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(gateway.connections().await, 2);
    agent.say(json!({"type": "reply", "replyTo": request["requestId"], "payload": "done"})).await;
    let reply = ann.hear().await;
    assert_eq!((&reply["type"], &reply["payload"]), (&json!("reply"), &json!("done")));
    assert_eq!(ann.client.closed().await.0, 1012);
    assert_eq!(agent.client.closed().await.0, 1012);
    let (ended, written) = gateway.stop_already_told();
    assert!(ended, "exit code 0:\n{written}");
    assert!(began.elapsed() < Duration::from_secs(15), "a small house does not take the whole window");
}

#[tokio::test]
async fn who_does_not_stop_asking_goes_at_the_end_of_the_window() {
    let gateway = slow("2s");
    let mut ann = Actor::enter(&gateway, "/ws/dashboard", "ann", "dashboard").await;
    let mut agent = Actor::enter(&gateway, "/ws/agent", "press-7", "agent").await;
    ann.say(json!({"type": "command", "id": "c-1", "payload": {"agentId": "press-7"}})).await;
    agent.hear().await;
    let began = stopwatch();
    gateway.signal("INT");
    assert_eq!(agent.client.closed().await.0, 1012, "never answered");
    assert_eq!(ann.client.closed().await.0, 1012);
    assert!(began.elapsed() > Duration::from_millis(1_800), "not before");
    assert!(gateway.stop_already_told().0);
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let gateway = slow("50s");
    let mut clients = Vec::new();
    for n in 0..20 {
        clients.push(TestClient::greeted(&gateway, "/ws", &token(&format!("user-{n}"), "dashboard")).await.0);
    }
    gateway.signal("TERM");
    gateway.audited("the drain", |line| line["event"] == "drain").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let began = stopwatch();
    gateway.signal("TERM");
    for client in &mut clients {
        assert_eq!(client.closed().await.0, 1012, "with a goodbye all the same");
    }
    let (ended, written) = gateway.stop_already_told();
    assert!(ended, "exit code 0:\n{written}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn an_administrator_lets_it_leave_by_a_call_and_by_a_command() {
    let gateway = slow("10s");
    let mut ann = TestClient::greeted(&gateway, "/ws", &token("ann", "dashboard")).await.0;
    let backend = token("backend", "service");
    assert_eq!(gateway.api_as(&backend, "POST", "/api/v1/drain", None).await.0, 403, "not any backend");
    assert_eq!(gateway.api("GET", "/readyz", None).await.0, 200);
    let (status, answer) = gateway.api("POST", "/api/v1/drain", None).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!((&answer["draining"], &answer["windowSeconds"]), (&json!(true), &json!(10)));
    let line = gateway.audited("who did it", |line| line["event"] == "drain").await;
    assert_eq!(line["userId"], "operator");
    assert_eq!(ann.closed().await.0, 1012);
    assert!(gateway.stop_already_told().0, "it ends, as after a signal");

    let gateway = slow("10s");
    let url = gateway.http("");
    let mut ann = TestClient::greeted(&gateway, "/ws", &token("ann", "dashboard")).await.0;
    let command = tokio::task::spawn_blocking(move || {
        let mut command = Command::new(program::gateway());
        command.args(["drain", "--wait", "--url", &url]).env("GATEWAY_TOKEN", token("root", "admin")).output().unwrap()
    });
    assert_eq!(ann.closed().await.0, 1012);
    drop(ann);
    let output = command.await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("connections are told to go"), "{output:?}");
    assert!(gateway.stop_already_told().0);
}
