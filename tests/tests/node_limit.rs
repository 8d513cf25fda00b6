//! A node holds so many connections and says so: at its start, and to whoever comes one too many.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use futures_util::future::join_all;
use gateway_tests::{
    Options, Refused, TestClient, TestGateway,
    crowd::{Sitting, address, settles_at},
    eventually,
    raw::{Raw, upgrade},
    tokens::token,
};

const FIVE: &str = "[limits]\nconnections = 5\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = \"off\"\n";

fn assert_full(refused: &Refused) {
    assert_eq!((refused.status, refused.code()), (503, "NODE_FULL"), "{refused:?}");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert_eq!(refused.body["error"]["then"], "wait");
}

async fn come(gateway: &TestGateway, user: &str) -> Result<Sitting, Refused> {
    TestClient::connect(gateway, "/ws", &token(user, "dashboard")).await.map(Sitting::of)
}

#[tokio::test]
async fn the_sixth_connection_finds_the_node_full_until_one_leaves() {
    let gateway = TestGateway::with(FIVE);
    let mut here = Vec::new();
    for n in 0..5 {
        here.push(come(&gateway, &format!("user-{n}")).await.expect("there is room"));
    }
    assert_full(&come(&gateway, "one-more").await.unwrap_err());
    // Nobody's token is looked at for a place that is not there.
    assert_full(&TestClient::connect(&gateway, "/ws", "rubbish").await.unwrap_err());
    gateway.audited("the refusal", |line| line["code"] == "NODE_FULL").await;
    // Whoever looks after the node still gets an answer.
    settles_at(&gateway, 5).await;
    assert_eq!(gateway.api("GET", "/healthz", None).await.0, 200);

    here.pop().expect("somebody").vanish().await;
    let back = eventually(5, "the place is free", async || come(&gateway, "one-more").await.ok()).await;
    assert_full(&come(&gateway, "two-more").await.unwrap_err());
    assert!(!back.is_over() && here.iter().all(|client| !client.is_over()));
}

#[tokio::test]
async fn thirty_users_race_for_five_places_and_five_win() {
    let gateway = TestGateway::with(FIVE);
    for _ in 0..3 {
        let users: Vec<String> = (0..30).map(|n| format!("racer-{n}")).collect();
        let outcomes = join_all(users.iter().map(|user| come(&gateway, user))).await;
        let (winners, losers): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        losers.iter().filter_map(|outcome| outcome.as_ref().err()).for_each(assert_full);
        assert_eq!((winners.len(), losers.len()), (5, 25));
        settles_at(&gateway, 5).await;
        join_all(winners.into_iter().flatten().map(Sitting::vanish)).await;
        eventually(5, "nobody is left", async || (gateway.connections().await == 0).then_some(())).await;
    }
}

#[tokio::test]
async fn automatic_is_nine_tenths_of_the_open_files_and_is_said_at_start() {
    let gateway = TestGateway::open(Options { open_files: Some(100), ..Options::default() });
    let written = gateway.written();
    assert!(written.contains("open_files=100 connections=\"90\""), "{written}");
}

#[tokio::test]
async fn a_node_that_runs_out_of_files_lives_on_and_serves_again() {
    let gateway = TestGateway::open(Options {
        config: "[limits]\nconnections = 1000\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = \"off\"\nhandshake_timeout = \"2s\"\n\
                 [plans.default]\nconnections = \"off\"\n"
            .into(),
        open_files: Some(64),
        ..Options::default()
    });
    let ann = token("ann", "dashboard");
    let mut here = Vec::new();
    let mut strangers = Vec::new();
    for _ in 0..30 {
        here.push(Sitting::of(TestClient::connect(&gateway, "/ws", &ann).await.expect("there are files yet")));
    }
    for _ in 0..60 {
        strangers.push(tokio::net::TcpStream::connect(gateway.address).await.expect("the backlog takes it"));
    }
    // Idle strangers make room where even the system has none.
    let late = eventually(8, "somebody honest is served", async || {
        let connecting = TestClient::connect(&gateway, "/ws", &ann);
        tokio::time::timeout(std::time::Duration::from_secs(4), connecting).await.ok()?.ok()
    });
    late.await.leave().await;
    assert!(here.iter().all(|client| !client.is_over()), "whoever was inside stays");
    assert!(gateway.written().contains("no socket can be accepted"), "it is said");
}

#[tokio::test]
async fn whoever_comes_back_while_the_old_sockets_still_go_is_let_in_and_nobody_is_closed_for_another() {
    let gateway = TestGateway::open(Options {
        config: "[limits]\nconnections = 1000\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = \"off\"\n\
                 handshake_timeout = \"30s\"\n[plans.default]\nconnections = \"off\"\n"
            .into(),
        open_files: Some(160),
        ..Options::default()
    });
    let ann = token("ann", "dashboard");
    let mut old = Vec::new();
    for _ in 0..100 {
        old.push(Sitting::of(TestClient::connect(&gateway, "/ws", &ann).await.expect("there are files yet")));
    }
    // All are cut off. Their sockets still stand when they are back, more together than the files that may be open.
    let mut back = Vec::new();
    for n in 0..100 {
        back.push(Raw::connect_from(address(n), gateway.address).await);
    }
    eventually(10, "the files are all open", async || {
        gateway.written().contains("no socket can be accepted").then_some(())
    })
    .await;
    join_all(old.into_iter().map(Sitting::vanish)).await;
    let asking = upgrade(&format!("/ws?token={ann}"), "");
    let answers = join_all(back.iter_mut().map(|raw| raw.ask(&asking))).await;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status != Some(101)).collect();
    assert!(refused.is_empty(), "{} of 100 were not let in: {:?}", refused.len(), refused.first());
    settles_at(&gateway, 100).await;
    let said = gateway.written().matches("no socket can be accepted").count();
    assert_eq!(said, 1, "it is said once, however often it is tried");
}
