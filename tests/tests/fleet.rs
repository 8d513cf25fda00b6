//! Three programs that act as one, in full use while a node is killed, Redis stops or stands still, or one is cut off from it;
//! and then whatever a seed says, in any order. Everybody ends with every event once and in order, or was told that it missed some.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "what a story expects and does not find ends it, in its steps too; a seed is told while it runs"
)]

use std::time::Duration;

use gateway_tests::{
    Actor,
    chance::Chance,
    eventually,
    fleet::{
        LEASE, SEATS, enter,
        follower::Follower,
        schedule::{Fault, schedule},
        trial::{FOLLOWERS, NODES, Trial},
    },
    process::stopwatch,
    tokens::token,
};

/// What a slow machine may take longer.
const SLACK: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_that_is_killed_under_load_takes_nobody_along_and_its_seats_are_free_within_the_lease() {
    let mut trial = Trial::begin(1).await;
    let doors = trial.fleet.doors.clone();
    // Some that stay at the nodes that live.
    for nth in 0..20 {
        trial.followers.push(Follower::at(&format!("survivor-{nth}"), doors.clone(), nth, Some(nth as usize % 2)));
    }
    trial.goes_on().await;
    let mut watcher = Actor::enter(trial.fleet.nodes[0].as_ref().unwrap(), "/ws/dashboard", "w", "dashboard").await;
    watcher.subscribe("agents").await;
    let (mut agents, mut held) = (Vec::new(), Vec::new());
    for nth in 0..30 {
        let node = trial.fleet.nodes[2].as_ref().unwrap();
        agents.push(Actor::enter(node, "/ws/agent", &format!("press-{nth}"), "agent").await);
        assert_eq!(watcher.hear().await["type"], "agent.online");
    }
    let owners: Vec<String> = (0..30).map(|nth| token(&format!("owner-{nth}"), "dashboard")).collect();
    for owner in &owners {
        for _ in 0..SEATS {
            held.push(enter(doors.nth(2).unwrap(), "/ws/dashboard", owner).await.unwrap());
        }
    }
    assert!(enter(doors.nth(1).unwrap(), "/ws/dashboard", &owners[0]).await.is_err(), "all seats are taken");
    let before: Vec<usize> = trial.followers.iter().skip(FOLLOWERS).map(|one| one.account().breaks()).collect();
    let since = stopwatch();
    trial.strike(Fault::Kill(2));
    // Before its time is over nobody is called lost.
    assert!(enter(doors.nth(1).unwrap(), "/ws/dashboard", &owners[0]).await.is_err(), "they hang on its lease");
    for owner in &owners {
        let mut seats = Vec::new();
        eventually(10, "the seats are free", async || {
            seats.extend(enter(doors.nth(seats.len() % 2).unwrap(), "/ws/dashboard", owner).await.ok());
            (seats.len() == SEATS).then_some(())
        })
        .await;
        if owner == &owners[0] {
            assert!(since.elapsed() < LEASE + SLACK, "free within the lease: {:?}", since.elapsed());
        }
    }
    let mut lost = Vec::new();
    for _ in &agents {
        let told = watcher.hear().await;
        assert_eq!(
            (told["type"].as_str(), told["payload"]["reason"].as_str()),
            (Some("agent.offline"), Some("node_lost"))
        );
        lost.push(told["payload"]["agentId"].to_string());
    }
    lost.sort();
    lost.dedup();
    assert_eq!(lost.len(), agents.len(), "each once: {lost:?}");
    watcher.hears_nothing().await;
    let after: Vec<usize> = trial.followers.iter().skip(FOLLOWERS).map(|one| one.account().breaks()).collect();
    assert_eq!(before, after, "who is elsewhere missed nothing");
    trial.heals(&[Fault::Kill(2)]).await;
    trial.ends_well().await;
}

/// Everybody is told of it within five seconds, and all is well again afterwards by itself.
async fn is_survived(fault: Fault, away: &[usize], lasts: Duration) {
    let mut trial = Trial::begin(2).await;
    trial.strike(fault);
    let since = stopwatch();
    for nth in away {
        trial.fleet.tells_that_it_is_away(*nth).await;
    }
    tokio::time::sleep(lasts.saturating_sub(since.elapsed())).await;
    trial.goes_on().await;
    trial.heals(&[fault]).await;
    trial.goes_on().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    trial.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_redis_that_is_killed_and_comes_again_is_survived() {
    is_survived(Fault::Restart, &[0, 1, 2], Duration::from_secs(6)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_redis_that_stands_still_for_ten_seconds_is_survived() {
    is_survived(Fault::Pause, &[0, 1, 2], Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_whose_wire_swallows_everything_is_survived() {
    is_survived(Fault::Hold(1), &[1], Duration::from_secs(8)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_whose_wire_is_cut_is_survived() {
    is_survived(Fault::Refuse(1), &[1], Duration::from_secs(8)).await;
}

/// Whatever a seed says; `GATEWAY_TEST_SEED` says which, where another is wanted.
async fn whatever_comes(length: Duration, usual: u64) {
    let seed = Chance::seed_or(usual);
    let mut trial = Trial::begin(seed).await;
    let since = stopwatch();
    for step in schedule(seed, length, NODES, FOLLOWERS) {
        eprintln!("{:>7.3} s: {step:?}", since.elapsed().as_secs_f64());
        trial.takes(&step).await;
    }
    trial.goes_on().await;
    trial.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn faults_at_random_leave_every_account_without_a_flaw() {
    // A short schedule that has every kind of fault in it.
    whatever_comes(Duration::from_secs(35), 3).await;
}

#[ignore = "ten minutes; `make soak` runs it"]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_minutes_of_faults_at_random_leave_every_account_without_a_flaw() {
    whatever_comes(Duration::from_secs(600), Chance::seed()).await;
}
