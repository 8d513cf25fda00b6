//! Seats behind API Gateway: taken by one conditional write, so that a race has as many winners as there are seats, and
//! verified before they count against anybody, so that a lost `$disconnect` locks nobody out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::sync::Arc;

use futures_util::future::join_all;
use gateway_tests::{
    TestClient, eventually,
    lambda::{Cloud, Setup},
    tokens::token,
};
use serde_json::json;

const FREE: &str = "[limits]\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = \"off\"\n";

async fn cloud(config: &str, grace: u32, environments: usize) -> Cloud {
    let env = vec![("GATEWAY_LAMBDA_SEAT_GRACE_SECONDS".to_owned(), grace.to_string())];
    Cloud::open(Setup { config: format!("{FREE}{config}"), env, environments, ..Setup::default() }).await
}

#[tokio::test]
async fn the_eleventh_is_refused_and_a_free_seat_is_taken() {
    let cloud = cloud("", 30, 1).await;
    let ann = token("ann", "dashboard");
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(cloud.greeted("dashboard", &ann).await.0);
    }
    assert_eq!(cloud.connect("dashboard", &ann).await.expect_err("the eleventh").status, 429);
    let (_, code, error) = cloud.last_refusal();
    assert_eq!((code.as_str(), &error["then"]), ("CONNECTION_LIMIT", &json!("wait")));
    assert!(error["retryAfter"].is_u64(), "{error}");
    cloud.greeted("dashboard", &token("bob", "dashboard")).await.0.leave().await;
    clients.pop().unwrap().leave().await;
    eventually(20, "the seat is free", async || cloud.connect("dashboard", &ann).await.ok()).await;
}

#[tokio::test]
async fn fifty_who_race_for_ten_seats_get_exactly_ten() {
    let cloud = Arc::new(cloud("", 30, 8).await);
    let ann = token("ann", "dashboard");
    let race = (0..50).map(|_| {
        let (cloud, ann) = (Arc::clone(&cloud), ann.clone());
        async move { cloud.connect("dashboard", &ann).await }
    });
    let outcomes: Vec<Result<TestClient, _>> = join_all(race).await;
    let (winners, losers): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!((winners.len(), losers.len()), (10, 40));
    assert!(losers.iter().all(|loser| loser.as_ref().is_err_and(|refused| refused.status == 429)));
    for winner in winners {
        let mut client = winner.unwrap();
        assert_eq!(client.json().await["type"], "connection_ready");
    }
}

#[tokio::test]
async fn a_user_whose_clients_vanished_without_a_word_gets_in_again() {
    let cloud = cloud("", 1, 1).await;
    let ann = token("ann", "dashboard");
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(cloud.greeted("dashboard", &ann).await.0);
    }
    for wire in cloud.wires() {
        cloud.lose(&wire);
    }
    // Seats of a moment ago count unasked.
    tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
    let (mut again, _) = cloud.greeted("dashboard", &ann).await;
    assert_eq!(again.ask(json!({"type": "ping"})).await["type"], "pong");
    let held: Vec<_> = cloud.items_in("user#ann").await;
    assert_eq!(held[0]["held"]["SS"].as_array().map(Vec::len), Some(1), "{held:?}");
    assert_eq!(cloud.items_in("connection#").await.len(), 1);
    assert_eq!(cloud.items_in("room#user:ann").await.len(), 1);
    assert_eq!(cloud.records().iter().filter(|record| record["event"] == "disconnected").count(), 10);
}

#[tokio::test]
async fn where_the_plan_says_so_the_oldest_makes_room() {
    let cloud = cloud("[plans.default]\nconnections = 2\non_connection_limit = \"evict_oldest\"\n", 0, 1).await;
    let ann = token("ann", "dashboard");
    let (mut first, _) = cloud.greeted("dashboard", &ann).await;
    let (mut second, _) = cloud.greeted("dashboard", &ann).await;
    let (mut third, _) = cloud.greeted("dashboard", &ann).await;
    assert_eq!(first.json().await["payload"]["code"], "EVICTED");
    assert_eq!(first.closed().await.0, 1000);
    for client in [&mut second, &mut third] {
        assert_eq!(client.ask(json!({"type": "ping"})).await["type"], "pong");
    }
}
