//! What the function behind API Gateway costs where it runs: from nothing to the first call, a handshake, a message, an
//! event, and its memory. Not a bound of the requirements: the figures of docs/lambda.md, taken by
//! `cargo test -p gateway-tests --test lambda_costs -- --ignored --nocapture` with the program of the profile `lambda`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "what a story expects and does not find ends it, and a measurement is told"
)]

use std::time::Duration;

use gateway_tests::{lambda::Cloud, process::stopwatch, tokens::token};
use serde_json::json;

const FREE: &str = "[limits]\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = \"off\"\n\
                    [plans.default]\nconnections = 1000\nmessages = { rate = \"off\", burst = \"off\" }\n";

/// The middle and the last but one in a hundred.
fn told(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |part: usize| times[(times.len() - 1) * part / 100];
    println!("{what}: p50 {:.1} ms, p99 {:.1} ms", at(50).as_secs_f64() * 1e3, at(99).as_secs_f64() * 1e3);
}

#[tokio::test]
#[ignore = "a measurement"]
async fn what_a_call_costs() {
    let mut colds = Vec::new();
    for _ in 0..5 {
        let cloud = Cloud::with(FREE).await;
        cloud.minute().await;
        colds.push(cloud.measures().1);
    }
    told("from the start of the program to its first question for work", colds);
    let cloud = Cloud::with(FREE).await;
    let ann = token("ann", "dashboard");
    let (mut handshakes, mut clients) = (Vec::new(), Vec::new());
    for _ in 0..200 {
        let watch = stopwatch();
        let client = cloud.connect("dashboard", &ann).await.expect("let in");
        handshakes.push(watch.elapsed());
        clients.push(client);
    }
    for client in &mut clients {
        client.json().await;
    }
    told("a handshake", handshakes);
    let mut messages = Vec::new();
    for _ in 0..300 {
        let watch = stopwatch();
        clients[0].ask(json!({"type": "ping"})).await;
        messages.push(watch.elapsed());
    }
    told("a ping and its pong", messages);
    let mut events = Vec::new();
    for n in 0..20 {
        let watch = stopwatch();
        let told = cloud.publish(json!({"to": ["user:ann"], "type": "news", "payload": n})).await;
        assert_eq!(told["delivered"], 200, "{told}");
        events.push(watch.elapsed());
    }
    told("an event for 200 connections", events);
    println!("memory: {:.1} MiB", cloud.measures().0 as f64 / 1024.0);
}
