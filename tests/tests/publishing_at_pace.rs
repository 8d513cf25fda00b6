//! A thousand events a second by HTTP/1.1 over connections that are kept, each to somebody at random among a thousand who
//! listen: each hears what was told to it, in the order of each backend, none is lost, none comes twice, and nobody hears
//! another's. What it costs is measured by `tests/benches/publishing.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use gateway_tests::{
    TestClient, TestGateway,
    chance::Chance,
    kept::Kept,
    process::{allow_open_files, stopwatch},
    rooms::unlimited,
    tokens::token,
};
use serde_json::{Value, json};
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};

const LISTENERS: usize = 1_000;
const BACKENDS: usize = 20;
const SECONDS: usize = 3;
/// Of each backend: together they are a thousand a second.
const EVENTS: usize = SECONDS * 1_000 / BACKENDS;
/// Between two events of a backend. A machine that cannot keep up is not held to it.
const PACE: Duration = Duration::from_millis(BACKENDS as u64);
/// How long all of it may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// What was said or heard: by which backend, to whom, and its numbers in their order.
type Story = BTreeMap<(usize, usize), Vec<u64>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_events_a_second_each_come_to_their_own_in_order() {
    allow_open_files(4_096);
    let gateway = unlimited("");
    let mut listening = Vec::new();
    for some in (0..LISTENERS).collect::<Vec<_>>().chunks(50) {
        let coming = some.iter().map(|user| enter(&gateway, *user));
        listening.extend(join_all(coming).await);
    }
    let watch = stopwatch();
    let speaking = (0..BACKENDS).map(|by| tokio::spawn(speak(gateway.somewhere(), by)));
    let mut said = Story::new();
    for story in join_all(speaking).await {
        said.extend(story.expect("a backend that got its answers"));
    }
    let took = watch.elapsed();
    assert_eq!(said.values().map(Vec::len).sum::<usize>(), BACKENDS * EVENTS);
    // Each queue is first in, first out: behind the last words nothing is under way any more.
    let (status, told) = backend(gateway.somewhere()).await.call("POST /api/v1/events", &last_words()).await;
    let told: Value = serde_json::from_slice(&told).unwrap();
    assert_eq!((status, &told["delivered"]), (200, &json!(LISTENERS)), "after {took:?}");
    let mut heard = Story::new();
    for listener in listening {
        heard.extend(listener.await.expect("a listener that heard the last words"));
    }
    assert!(heard == said, "what was heard is not what was said");
}

async fn enter(gateway: &TestGateway, user: usize) -> JoinHandle<Story> {
    let (client, _) = TestClient::greeted(gateway, "/ws/dashboard", &token(&name(user), "dashboard")).await;
    tokio::spawn(async move { timeout(PATIENCE, listen(client, user)).await.expect("the last words in time") })
}

/// Hears everything up to the last words.
async fn listen(mut client: TestClient, user: usize) -> Story {
    let mut heard = Story::new();
    loop {
        // Nothing comes for long, and that is no fault here.
        let message = futures_util::StreamExt::next(&mut client.socket).await.expect("it stays").expect("it stays");
        let Ok(text) = message.to_text().map(str::to_owned) else { continue };
        let Ok(event) = serde_json::from_str::<Value>(&text) else { continue };
        if event["type"] == "end" {
            client.leave().await;
            return heard;
        }
        let payload = &event["payload"];
        let number = |name: &str| payload[name].as_u64().unwrap_or_else(|| panic!("{event}"));
        assert_eq!(number("for"), user as u64, "{event}");
        heard.entry((number("by") as usize, user)).or_default().push(number("n"));
    }
}

/// Publishes at its pace; each event is answered before the next. What it said.
async fn speak(to: std::net::SocketAddr, by: usize) -> Story {
    let (mut chance, mut said, mut line) = (Chance::of(by as u64 + 1), Story::new(), backend(to).await);
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for n in 0..EVENTS as u64 {
        pace.tick().await;
        let user = chance.below(LISTENERS);
        let payload = json!({"by": by, "for": user, "n": n});
        let body = json!({"to": [format!("user:{}", name(user))], "type": "note", "payload": payload}).to_string();
        let (status, told) = line.call("POST /api/v1/events", &body).await;
        let told: Value = serde_json::from_slice(&told).unwrap();
        assert_eq!((status, &told["delivered"]), (200, &json!(1)), "{told}");
        said.entry((by, user)).or_default().push(n);
    }
    said
}

async fn backend(to: std::net::SocketAddr) -> Kept {
    Kept::open(to, &format!("authorization: Bearer {}\r\n", token("backend", "service"))).await
}

fn last_words() -> String {
    json!({"to": ["role:dashboard"], "type": "end", "payload": null}).to_string()
}

fn name(user: usize) -> String {
    format!("user{user}")
}
