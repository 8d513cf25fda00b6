//! Seats: a user has so many connections and not one more, whoever races for them; and a seat that a dead client
//! still holds is free by the time of the retry.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::time::Duration;

use futures_util::future::join_all;
use gateway_tests::{
    Claims, Refused, TestClient, TestGateway,
    crowd::{Herd, Sitting, keep_herd, settles_at},
    eventually,
    process::stopwatch,
    raw::Raw,
    tokens::token,
};
use serde_json::json;

/// Handshakes may come as fast as they like.
const UNHURRIED: &str = "[limits]\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = \"off\"\n";

async fn fill(gateway: &TestGateway, token: &str, seats: usize) -> Vec<Sitting> {
    let mut sitting = Vec::new();
    for _ in 0..seats {
        sitting.push(Sitting::of(TestClient::connect(gateway, "/ws", token).await.expect("a seat")));
    }
    sitting
}

fn assert_full(refused: &Refused, limit: &str) {
    assert_eq!((refused.status, refused.code()), (429, "CONNECTION_LIMIT"), "{refused:?}");
    assert!((1..=3).contains(&refused.header("retry-after").parse::<u64>().unwrap()), "{refused:?}");
    assert_eq!(refused.body["error"]["then"], "wait");
    assert_eq!((refused.header("x-ratelimit-limit"), refused.header("x-ratelimit-remaining")), (limit, "0"));
}

#[tokio::test]
async fn the_eleventh_connection_of_a_user_is_refused_and_a_seat_that_is_left_is_free_again() {
    let gateway = TestGateway::start();
    let ann = token("ann", "dashboard");
    let mut sitting = fill(&gateway, &ann, 9).await;
    let (tenth, greeting) = TestClient::greeted(&gateway, "/ws", &ann).await;
    assert_eq!(greeting["limits"]["connections"], 10);
    let tenth = Sitting::of(tenth);

    let asked = stopwatch();
    let refused = TestClient::connect(&gateway, "/ws", &ann).await.unwrap_err();
    assert!(asked.elapsed() < Duration::from_secs(2), "at once, not after the silent ones were asked");
    assert_full(&refused, "10");
    let id = refused.body["error"]["requestId"].as_str().unwrap().to_owned();
    let line = gateway.audited("the refusal", |line| line["requestId"] == id.as_str()).await;
    assert_eq!((&line["code"], &line["userId"]), (&json!("CONNECTION_LIMIT"), &json!("ann")));

    // Another user's seats are another matter.
    let bob = TestClient::connect(&gateway, "/ws", &token("bob", "dashboard")).await.expect("a seat");
    bob.leave().await;

    tenth.vanish().await;
    let back = eventually(5, "the seat is free", async || TestClient::connect(&gateway, "/ws", &ann).await.ok()).await;
    sitting.push(Sitting::of(back));
    settles_at(&gateway, 10).await;
    assert!(sitting.iter().all(|client| !client.is_over()));
}

#[tokio::test]
async fn fifty_race_for_ten_seats_and_ten_win() {
    let gateway = TestGateway::with(UNHURRIED);
    for round in 0..5 {
        let token = token(&format!("racer-{round}"), "dashboard");
        let url = gateway.ws(&format!("/ws?token={token}"));
        let race = (0..50).map(|_| {
            let url = url.clone();
            tokio::spawn(async move { TestClient::open(&url, &[]).await.map(Sitting::of) })
        });
        let mut winners = Vec::new();
        let mut losers = 0;
        for outcome in join_all(race).await {
            match outcome.expect("no panic") {
                Ok(winner) => winners.push(winner),
                Err(refused) => {
                    assert_full(&refused, "10");
                    losers += 1;
                }
            }
        }
        assert_eq!((winners.len(), losers), (10, 40), "round {round}");
        settles_at(&gateway, 10).await;
        join_all(winners.into_iter().map(Sitting::vanish)).await;
        eventually(5, "nobody is left", async || (gateway.connections().await == 0).then_some(())).await;
    }
}

#[tokio::test]
async fn plans_have_seats_of_their_own_and_a_token_may_only_narrow_them() {
    let gateway = TestGateway::with(
        "[plans.pair]\nconnections = 2\n[plans.open]\nconnections = \"off\"\n[limits]\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = \"off\"\n\
         [auth.claims]\nagent = \"query:agentId\"\n",
    );
    let of_plan = |user: &str, plan: &str| Claims::of(user, "dashboard").with("plan", plan);
    for (user, claims, seats) in [
        ("free", of_plan("free", "free"), 5),
        ("pair", of_plan("pair", "pair"), 2),
        ("narrow", Claims::of("narrow", "dashboard").with("limits", json!({"connections": 3})), 3),
        ("greedy", of_plan("greedy", "pair").with("limits", json!({"connections": 99})), 2),
        ("odd", of_plan("odd", "no-such-plan"), 10),
    ] {
        let token = claims.sign();
        let sitting = fill(&gateway, &token, seats).await;
        let refused = TestClient::connect(&gateway, "/ws", &token).await.expect_err(user);
        assert_full(&refused, &seats.to_string());
        drop(sitting);
    }
    fill(&gateway, &of_plan("many", "open").sign(), 30).await;
    let unknown =
        gateway.audited("the unknown plan", |line| line["userId"] == "odd" && line["event"] == "plan.unknown");
    assert!(unknown.await["reason"].as_str().unwrap().contains("no-such-plan"));

    // The plan of the endpoint is for tokens that name none.
    let agent = token("fleet", "agent");
    let target = |nth: usize| gateway.ws(&format!("/ws/agent?agentId=press-{nth}&token={agent}"));
    let mut agents = Vec::new();
    for nth in 0..5 {
        agents.push(Sitting::of(TestClient::open(&target(nth), &[]).await.expect("a seat")));
    }
    assert_full(&TestClient::open(&target(5), &[]).await.unwrap_err(), "5");
}

#[tokio::test]
async fn ten_dead_clients_keep_nobody_out_longer_than_three_seconds() {
    let gateway = TestGateway::start();
    let ann = token("ann", "dashboard");
    let mut dead = Vec::new();
    for _ in 0..10 {
        // Alive as far as TCP can tell, and deaf.
        dead.push(Raw::admitted(gateway.somewhere(), "/ws", &ann).await);
    }
    retry_gets_in(&gateway, &ann).await;
    for client in &mut dead {
        let (code, reason) = client.closed().await;
        assert_eq!((code, &reason["code"]), (4012, &json!("HEARTBEAT_TIMEOUT")));
    }
    let ended = eventually(5, "ten ends in the audit", async || {
        let lines = gateway.audit();
        let count = lines.iter().filter(|line| line["event"] == "disconnected" && line["code"] == "HEARTBEAT_TIMEOUT");
        let count = count.count();
        (count == 10).then_some(count)
    });
    assert_eq!(ended.await, 10);
}

#[tokio::test]
async fn a_frozen_process_loses_its_seats_to_the_retry() {
    let gateway = TestGateway::start();
    let ann = token("ann", "dashboard");
    let herd = Herd::start("a_herd_of_clients", gateway.somewhere(), "/ws", &vec![ann.clone(); 10]);
    // While it runs it answers, and keeps its seats.
    assert_full(&TestClient::connect(&gateway, "/ws", &ann).await.unwrap_err(), "10");
    tokio::time::sleep(Duration::from_millis(2_700)).await;
    assert_full(&TestClient::connect(&gateway, "/ws", &ann).await.unwrap_err(), "10");
    settles_at(&gateway, 10).await;
    // The pings of that last refusal may still be under way: what is heard after them is nothing.
    tokio::time::sleep(Duration::from_millis(500)).await;
    herd.freeze();
    retry_gets_in(&gateway, &ann).await;
}

/// Refused at once, and in within three seconds.
async fn retry_gets_in(gateway: &TestGateway, token: &str) {
    let asked = stopwatch();
    let refused = TestClient::connect(gateway, "/ws", token).await.unwrap_err();
    assert!(asked.elapsed() < Duration::from_secs(1), "refused after {:?}", asked.elapsed());
    assert_full(&refused, "10");
    let wait = refused.header("retry-after").parse().unwrap();
    tokio::time::sleep(Duration::from_secs(wait)).await;
    let back = TestClient::connect(gateway, "/ws", token).await.expect("the retry, at the time that it was told");
    assert!(asked.elapsed() < Duration::from_millis(3_500), "back after {:?}", asked.elapsed());
    back.leave().await;
}

#[tokio::test]
async fn clients_that_live_answer_the_probe_and_stay_while_the_dead_among_them_go() {
    let gateway = TestGateway::start();
    let ann = token("ann", "dashboard");
    let mut living = fill(&gateway, &ann, 10).await;
    assert_full(&TestClient::connect(&gateway, "/ws", &ann).await.unwrap_err(), "10");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_full(&TestClient::connect(&gateway, "/ws", &ann).await.unwrap_err(), "10");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!((gateway.connections().await, living.iter().any(Sitting::is_over)), (10, false));

    for client in living.drain(7..) {
        client.vanish().await;
    }
    let mut dead = Vec::new();
    for _ in 0..3 {
        dead.push(
            eventually(5, "a seat", async || {
                let mut raw = Raw::connect(gateway.somewhere()).await;
                let answer = raw.ask(&gateway_tests::raw::upgrade(&format!("/ws?token={ann}"), "")).await;
                (answer.status == Some(101)).then_some(raw)
            })
            .await,
        );
    }
    retry_gets_in(&gateway, &ann).await;
    assert!(living.iter().all(|client| !client.is_over()), "whoever answers stays");
}

#[tokio::test]
async fn reject_new_asks_nobody_to_go() {
    let gateway = TestGateway::with("[plans.default]\nconnections = 2\non_connection_limit = \"reject_new\"\n");
    let ann = token("ann", "dashboard");
    let _deaf =
        [Raw::admitted(gateway.somewhere(), "/ws", &ann).await, Raw::admitted(gateway.somewhere(), "/ws", &ann).await];
    for _ in 0..2 {
        let refused = TestClient::connect(&gateway, "/ws", &ann).await.unwrap_err();
        assert_eq!(
            (refused.status, refused.code(), refused.header("x-ratelimit-limit")),
            (429, "CONNECTION_LIMIT", "2")
        );
        assert!(!refused.header("retry-after").is_empty());
        tokio::time::sleep(Duration::from_millis(2_700)).await;
    }
    settles_at(&gateway, 2).await;
}

#[tokio::test]
async fn evict_oldest_lets_the_new_one_in_and_tells_the_oldest_why() {
    let gateway = TestGateway::with(
        "[plans.default]\nconnections = 3\non_connection_limit = \"evict_oldest\"\n[limits]\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = \"off\"\n",
    );
    let ann = token("ann", "dashboard");
    let mut sitting = fill(&gateway, &ann, 3).await;
    let newest = fill(&gateway, &ann, 1).await;
    let (code, reason) = sitting.remove(0).closed().await;
    assert_eq!((code, &reason["code"]), (4015, &json!("EVICTED")));
    assert!(sitting.iter().chain(&newest).all(|client| !client.is_over()), "only the oldest goes");
    settles_at(&gateway, 3).await;
    gateway.audited("the eviction", |line| line["event"] == "disconnected" && line["code"] == "EVICTED").await;

    // However many come at once, there are never more than three.
    let all = join_all((0..30).map(|_| TestClient::connect(&gateway, "/ws", &ann))).await;
    let all: Vec<_> = all.into_iter().map(|outcome| Sitting::of(outcome.expect("it is let in"))).collect();
    eventually(5, "three are left", async || {
        let left = all.iter().chain(&sitting).chain(&newest).filter(|client| !client.is_over()).count();
        (left == 3 && gateway.connections().await == 3).then_some(())
    })
    .await;
}

#[tokio::test]
#[ignore = "run by a_frozen_process_loses_its_seats_to_the_retry, in a process of its own"]
async fn a_herd_of_clients() {
    keep_herd().await;
}
