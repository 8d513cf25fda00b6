//! Whoever leaves, leaves nothing behind, whatever way: properly, by a reset, by the death of the process, refused at
//! the door, or gone between the door and the seat. Seats, files and memory are where they were, and the books balance.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::{collections::BTreeSet, time::Duration};

use futures_util::{StreamExt, stream};
use gateway_tests::{
    TestClient, TestGateway,
    crowd::{Herd, Sitting, keep_herd, settles_at},
    eventually,
    process::{allow_open_files, open_files, resident_kib},
    raw::{Raw, upgrade},
    tokens::token,
};
use serde_json::{Value, json};

const UNHURRIED: &str = "[limits]\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = \"off\"\n\
    unauthenticated_per_address = 500\n[plans.default]\nmessages = \"off\"\n";

/// Users who come and go; each has ten seats.
const USERS: usize = 8;

/// One client's whole life, in one of five ways.
async fn live(gateway: &TestGateway, round: usize) {
    let token = token(&format!("user-{}", round % USERS), "dashboard");
    match round % 5 {
        0 => {
            let (mut client, _) = TestClient::greeted(gateway, "/ws", &token).await;
            assert_eq!(client.ask(json!({"type": "ping", "id": "1"})).await["type"], "pong");
            client.leave().await;
        }
        1 => {
            let mut raw = Raw::admitted(gateway.address, "/ws", &token).await;
            raw.say("{\"type\":\"ping\"}").await;
            raw.frame().await;
            raw.reset();
        }
        2 => {
            // Half a message, then the end of the stream.
            let mut raw = Raw::admitted(gateway.address, "/ws/dashboard", &token).await;
            raw.announce(0x81, 1 << 16).await;
            raw.send([b'x'; 2_000]).await;
        }
        3 => {
            let refused = TestClient::connect(gateway, "/ws/agent", &token).await.unwrap_err();
            assert_eq!(refused.status, 403);
        }
        _ => {
            // The request is on its way, and nobody waits for the answer.
            let mut raw = Raw::connect(gateway.address).await;
            raw.send(upgrade(&format!("/ws?token={token}"), "")).await;
            raw.reset();
        }
    }
}

async fn rounds(gateway: &TestGateway, from: usize, count: usize) {
    stream::iter(from..from + count).for_each_concurrent(16, |round| live(gateway, round)).await;
    nobody_is_left(gateway).await;
}

async fn nobody_is_left(gateway: &TestGateway) {
    eventually(10, "nobody is left", async || (gateway.connections().await == 0).then_some(())).await;
}

/// Every connection that came is in the books, and so is its end.
async fn balanced(gateway: &TestGateway) -> usize {
    let ids = |lines: &[Value], event: &str| -> Vec<String> {
        let of_event = lines.iter().filter(|line| line["event"] == event);
        of_event.map(|line| line["connectionId"].as_str().expect("an id").to_owned()).collect()
    };
    eventually(10, "the books balance", async || {
        let lines = gateway.audit();
        let (came, went) = (ids(&lines, "connected"), ids(&lines, "disconnected"));
        let (one_each, both): (BTreeSet<_>, BTreeSet<_>) = (came.iter().collect(), went.iter().collect());
        assert_eq!(one_each.len(), came.len(), "nobody comes twice");
        assert_eq!(both.len(), went.len(), "nobody goes twice");
        (one_each == both).then_some(came.len())
    })
    .await
}

/// The user gets every seat again, and not one more.
async fn all_seats_are_free(gateway: &TestGateway, user: &str) {
    let token = token(user, "dashboard");
    let mut sitting = Vec::new();
    for _ in 0..10 {
        sitting.push(Sitting::of(TestClient::connect(gateway, "/ws", &token).await.expect("a seat")));
    }
    assert_eq!(TestClient::connect(gateway, "/ws", &token).await.unwrap_err().code(), "CONNECTION_LIMIT");
    for client in sitting {
        client.vanish().await;
    }
    nobody_is_left(gateway).await;
}

#[tokio::test]
async fn a_thousand_rounds_leave_nothing_behind() {
    allow_open_files(4_096);
    let gateway = TestGateway::with(UNHURRIED);
    let idle = open_files(gateway.pid());
    rounds(&gateway, 0, 300).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = resident_kib(gateway.pid());
    rounds(&gateway, 300, 1_000).await;
    // A few may be the administrator's own, kept alive.
    let files = eventually(15, "the files are closed", async || {
        let files = open_files(gateway.pid());
        (files <= idle + 4).then_some(files)
    });
    files.await;
    let grown = resident_kib(gateway.pid()).saturating_sub(before);
    assert!(grown < 4 << 10, "{grown} KiB more after a thousand rounds");
    for user in 0..USERS {
        all_seats_are_free(&gateway, &format!("user-{user}")).await;
    }
    // Three ways of five are admitted for sure.
    assert!(balanced(&gateway).await >= 780);
}

#[tokio::test]
async fn the_death_of_a_process_frees_its_twenty_seats() {
    let gateway = TestGateway::with(UNHURRIED);
    let idle = open_files(gateway.pid());
    let tokens: Vec<String> = (0..20).map(|n| token(&format!("user-{}", n % 2), "dashboard")).collect();
    for _ in 0..3 {
        let herd = Herd::start("a_herd_of_clients", gateway.address, "/ws", &tokens);
        settles_at(&gateway, 20).await;
        assert_eq!(TestClient::connect(&gateway, "/ws", &tokens[0]).await.unwrap_err().code(), "CONNECTION_LIMIT");
        herd.kill();
        nobody_is_left(&gateway).await;
    }
    all_seats_are_free(&gateway, "user-0").await;
    all_seats_are_free(&gateway, "user-1").await;
    eventually(15, "the files are closed", async || (open_files(gateway.pid()) <= idle + 4).then_some(())).await;
    assert_eq!(balanced(&gateway).await, 3 * 20 + 2 * 10);
}

#[tokio::test]
async fn clients_that_never_speak_again_are_found_out_by_the_heartbeat() {
    let gateway = TestGateway::with(&format!(
        "{UNHURRIED}[[endpoints]]\npath = \"/ws\"\nheartbeat = \"1s\"\nheartbeat_timeout = \"1s\"\n"
    ));
    let idle = open_files(gateway.pid());
    let mut silent = Vec::new();
    for n in 0..50 {
        silent.push(Raw::admitted(gateway.address, "/ws", &token(&format!("user-{}", n % USERS), "dashboard")).await);
    }
    let (mut alive, _) = TestClient::greeted(&gateway, "/ws", &token("alive", "dashboard")).await;
    let listening = tokio::spawn(async move {
        // Listening is enough: the client answers pings by itself.
        let _ = tokio::time::timeout(Duration::from_secs(6), alive.socket.next()).await;
        for _ in 0..40 {
            let _ = tokio::time::timeout(Duration::from_millis(100), alive.socket.next()).await;
        }
        alive
    });
    eventually(8, "the silent ones are gone", async || (gateway.connections().await == 1).then_some(())).await;
    for mut raw in silent {
        let (code, reason) = raw.closed().await;
        assert_eq!((code, &reason["code"]), (4012, &json!("HEARTBEAT_TIMEOUT")));
    }
    listening.await.unwrap().leave().await;
    nobody_is_left(&gateway).await;
    eventually(15, "the files are closed", async || (open_files(gateway.pid()) <= idle + 4).then_some(())).await;
    assert_eq!(balanced(&gateway).await, 51);
}

#[tokio::test]
#[ignore = "run by the_death_of_a_process_frees_its_twenty_seats, in a process of its own"]
async fn a_herd_of_clients() {
    keep_herd().await;
}
