//! What is said and asked while a page moves from polling to a WebSocket is said and answered once, in its order.

use std::time::Duration;

use gateway_tests::{TestGateway, eventually, rooms::unlimited, tokens::token};
use serde_json::{Value, json};

use crate::told::{empty, start};

#[tokio::test]
async fn nothing_is_lost_or_doubled_while_sockets_move() {
    let gateway = unlimited("");
    let told = in_a_stream(&gateway, "upgraded").await;
    let before: u64 = told.iter().filter_map(|line| line["movedAt"].as_u64()).map(|at| at - 1).sum();
    assert!(before > 0, "nothing was said before anybody had moved: this story told nothing");
}

#[tokio::test]
async fn sockets_come_and_leave_in_the_midst_of_a_stream() {
    for way in ["websocket", "polling"] {
        let gateway = unlimited("");
        in_a_stream(&gateway, way).await;
    }
}

/// Six come, hear, ask and leave while there is ever more to hear; each heard all of it, once, from its first to its last.
async fn in_a_stream(gateway: &TestGateway, way: &str) -> Vec<Value> {
    let mut script = start("socketio_moving.mjs", gateway, way, &json!({"ann": token("ann", "dashboard")}), &[]);
    let listening = async {
        let mut told = vec![script.says().await];
        while told.last().is_none_or(|line| line["name"] != "all") {
            told.push(script.says().await);
        }
        script.end().await;
        told
    };
    let telling = async {
        let backend = token("backend", "service");
        for n in 0.. {
            let body = json!({"to": ["user:ann"], "type": "story:next", "payload": {"n": n}});
            let (status, answer) = gateway.api_as(&backend, "POST", "/api/v1/events", Some(body)).await;
            assert_eq!(status, 200, "{answer}");
            // Not faster than pollers can take it.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let mut told = tokio::select! { told = listening => told, () = telling => unreachable!("it goes on and on") };
    told.pop();
    assert_eq!(told.len(), 6, "{told:?}");
    for line in &told {
        let heard: Vec<u64> = line["heard"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
        assert!(heard.windows(2).all(|pair| pair[1] == pair[0] + 1), "{way}, one by one: {heard:?}");
        let mut answers: Vec<_> = line["answers"].as_array().unwrap().iter().filter_map(Value::as_u64).collect();
        answers.sort_unstable();
        assert_eq!(answers, (0..40).collect::<Vec<_>>(), "{way}: each question is answered once");
    }
    empty(gateway).await;
    let ends = |line: &Value| line["event"] == "disconnected";
    let audit = eventually(5, "all ends are written down", async || {
        let ended: Vec<Value> = gateway.audit().into_iter().filter(ends).collect();
        (ended.len() == 6).then_some(ended)
    });
    for line in audit.await {
        assert_eq!(line["reason"], "closed by the peer", "{way}: {line}");
    }
    told
}
