//! Sets of keys that cannot be read: nobody comes in by that, nobody who is known stays out, and it mends itself.

use std::time::Duration;

use gateway_auth::JwksSource;
use gateway_domain::{Code, Now};
use serde_json::{Value, json};

use crate::support::*;

fn with(entry: &Value, name: &str, value: Value) -> Value {
    let mut entry = entry.clone();
    entry[name] = value;
    entry
}

#[tokio::test(start_paused = true)]
async fn keys_out_of_reach_at_first_use_admit_nobody_and_recover_by_themselves() {
    let server = KeyServer::default();
    server.fail(URL);
    let judge = judge_of(&server, vec![source()]);
    let token = minted(&key("k"), None);
    let refusal = is(ask(&judge, &token, now()).await, Code::AuthError, None);
    assert_eq!(refusal.retry_after_seconds(), Some(1));
    let status = &judge.keys().status(now())[0];
    assert!(!status.usable && status.last_success.is_none());
    let (when, fault) = status.last_fault.clone().unwrap();
    assert_eq!((when, fault.to_string()), (now().wall, "it could not be fetched: connection refused".to_owned()));

    // Not at every knock.
    is(ask(&judge, &token, now()).await, Code::AuthError, None);
    assert_eq!(server.asked(), 1);
    server.serve(URL, set([entry(&key("k"))]));
    assert!(ask(&judge, &token, later(1)).await.is_ok());
    let status = &judge.keys().status(later(1))[0];
    assert_eq!((status.usable, status.keys, status.dropped, &status.last_fault), (true, 1, 0, &None));
}

#[tokio::test(start_paused = true)]
async fn the_background_tries_again_soon_and_then_less_soon() {
    let server = KeyServer::default();
    server.fail(URL);
    let judge = judge_of(&server, vec![source()]);
    for second in 0..60 {
        judge.keys().refresh(later(second)).await;
    }
    // At 0, 1, 3, 7, 15, 25, 35, 45 and 55.
    assert_eq!(server.asked(), 9);
    server.serve(URL, set([entry(&key("k"))]));
    judge.keys().refresh(later(65)).await;
    for second in 66..366 {
        judge.keys().refresh(later(second)).await;
    }
    assert_eq!(server.asked(), 11, "read again after five minutes");
}

#[tokio::test(start_paused = true)]
async fn old_keys_serve_through_an_outage_but_not_for_ever() {
    let server = KeyServer::default();
    server.serve(URL, set([entry(&key("k"))]));
    let judge = judge_of(&server, vec![JwksSource { max_stale: Duration::from_secs(600), ..source() }]);
    judge.keys().refresh(now()).await;
    server.fail(URL);
    judge.keys().refresh(later(300)).await;
    let token = |now: Now| issuer(key("k"), None).mint(&grant("ann"), now).unwrap().token;
    assert!(ask(&judge, &token(later(600)), later(600)).await.is_ok());
    // Whether another key exists cannot be said now.
    is(ask(&judge, &minted(&key("new"), None), later(600)).await, Code::AuthError, None);
    is(ask(&judge, &token(later(601)), later(601)).await, Code::AuthError, None);
    assert!(!judge.keys().status(later(601))[0].usable);
    server.serve(URL, set([entry(&key("k"))]));
    assert!(ask(&judge, &token(later(620)), later(620)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn old_keys_serve_while_new_ones_are_on_the_way() {
    let server = KeyServer::default();
    server.serve(URL, set([entry(&key("k"))]));
    let judge = judge_of(&server, vec![source()]);
    judge.keys().refresh(now()).await;
    server.slow(Duration::from_secs(20));
    judge.keys().refresh(later(300)).await;
    assert!(done(judge.verify(&minted(&key("k"), None), later(301))).is_ok());
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_two_seconds_and_the_fetch_goes_on() {
    let server = KeyServer::default();
    server.serve(URL, set([entry(&key("k"))]));
    server.slow(Duration::from_secs(5));
    let judge = judge_of(&server, vec![source()]);
    let token = minted(&key("k"), None);
    let refused = tokio::time::timeout(Duration::from_millis(2100), ask(&judge, &token, now())).await.unwrap();
    assert_eq!(is(refused, Code::AuthError, None).retry_after_seconds(), Some(2));
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(done(judge.verify(&token, later(5))).is_ok());
    assert_eq!(server.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_goes_away_does_not_end_the_fetch() {
    let server = KeyServer::default();
    server.serve(URL, set([entry(&key("k"))]));
    server.slow(Duration::from_secs(1));
    let judge = judge_of(&server, vec![source()]);
    let token = minted(&key("k"), None);
    let first = tokio::time::timeout(Duration::from_millis(100), ask(&judge, &token, now())).await;
    assert!(first.is_err());
    assert!(ask(&judge, &token, now()).await.is_ok());
    assert_eq!(server.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_hangs_or_breaks_is_a_fault_and_not_the_end() {
    let server = KeyServer::default();
    server.serve(URL, set([entry(&key("k"))]));
    server.slow(Duration::from_secs(3600));
    let judge = judge_of(&server, vec![source()]);
    judge.keys().refresh(now()).await;
    tokio::time::sleep(Duration::from_secs(31)).await;
    let fault = |now| judge.keys().status(now)[0].last_fault.clone().unwrap().1.to_string();
    assert_eq!(fault(later(31)), "it could not be fetched in 30 seconds");
    server.slow(Duration::ZERO);
    server.panicking(true);
    judge.keys().refresh(later(32)).await;
    assert_eq!(fault(later(32)), "the fetch broke off");
    server.panicking(false);
    judge.keys().refresh(later(40)).await;
    assert!(done(judge.verify(&minted(&key("k"), None), later(40))).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_set_that_is_of_no_use_leaves_the_old_keys() {
    let server = KeyServer::default();
    let judge = judge_of(&server, vec![JwksSource { max_bytes: 20_000, refresh_every: Duration::ZERO, ..source() }]);
    server.serve(URL, set([entry(&key("k"))]));
    judge.keys().refresh(now()).await;
    let many = (0..65).map(|n| with(&entry(&key("k")), "kid", json!(n.to_string())));
    let faults = [
        (b"<html>".to_vec(), "not a JSON object"),
        (b"{}".to_vec(), "no list `keys`"),
        (br#"{"keys":{}}"#.to_vec(), "no list `keys`"),
        (br#"{"keys":[],"keys":[]}"#.to_vec(), "not a JSON object"),
        (vec![b' '; 20_001], "larger than allowed"),
        (set(many), "more keys than allowed"),
    ];
    for (n, (bytes, words)) in faults.into_iter().enumerate() {
        server.serve(URL, bytes);
        let now = later(100 * (n as u64 + 1));
        judge.keys().refresh(now).await;
        let status = &judge.keys().status(now)[0];
        let fault = status.last_fault.clone().unwrap().1.to_string();
        assert!(fault.contains(words) && status.keys == 1, "{fault}");
    }
    assert!(done(judge.verify(&minted(&key("k"), None), later(700))).is_ok());
    // An issuer that withdraws all its keys is obeyed.
    server.serve(URL, set([]));
    judge.keys().refresh(later(800)).await;
    unknown(ask(&judge, &minted(&key("k"), None), later(800)).await);
}
