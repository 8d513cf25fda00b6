//! Messages are counted over all connections of a user; whoever says too much is told so, waits longer each time, and
//! does not get out of it by coming back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::time::Duration;

use gateway_tests::{Claims, TestClient, TestGateway, crowd::Sitting, process::stopwatch, tokens::token};
use serde_json::{Value, json};

/// A plan whose bucket does not fill while a test runs.
fn slow(messages: &str) -> String {
    format!(
        "[plans.default]\nmessages = {messages}\n[limits]\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = \"off\"\n"
    )
}

/// Sends so many pings at once and reads what comes of each.
async fn pings(client: &mut TestClient, count: usize) -> Vec<Value> {
    for n in 0..count {
        client.send(json!({"type": "ping", "id": format!("p{n}")})).await;
    }
    let mut answers = Vec::new();
    for _ in 0..count {
        answers.push(client.json().await);
    }
    answers
}

fn passed(answers: &[Value]) -> usize {
    answers.iter().filter(|answer| answer["type"] == "pong").count()
}

fn assert_limited(answer: &Value, id: &str) -> u64 {
    assert_eq!((&answer["type"], &answer["id"]), (&json!("error"), &json!(id)), "{answer}");
    assert_eq!(answer["payload"]["code"], "RATE_LIMITED", "{answer}");
    answer["payload"]["retryAfter"].as_u64().expect("whole seconds")
}

#[tokio::test]
async fn a_burst_of_twenty_passes_and_each_message_over_it_is_named() {
    let gateway = TestGateway::start();
    let (mut ann, greeting) = TestClient::greeted(&gateway, "/ws", &token("ann", "dashboard")).await;
    assert_eq!(greeting["limits"]["messages"], json!({"rate": "100/m", "burst": "20/s"}));
    let answers = pings(&mut ann, 40).await;
    let within = passed(&answers);
    // On a slow machine a few places come back while the burst is read.
    assert!((20..40).contains(&within), "{within}");
    assert!(answers[..20].iter().all(|answer| answer["type"] == "pong"));
    let (at, error) = answers.iter().enumerate().find(|(_, answer)| answer["type"] == "error").unwrap();
    assert_eq!(assert_limited(error, &format!("p{at}")), 1, "a warning: only until the next place");
    let line = gateway.audited("the violation", |line| line["event"] == "limit.violated").await;
    assert_eq!((&line["userId"], &line["code"]), (&json!("ann"), &json!("RATE_LIMITED")));
    // The connection stays, and so does what it was told.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(ann.ask(json!({"type": "ping", "id": "later"})).await["type"], "pong");
}

#[tokio::test]
async fn a_hundred_a_minute_is_a_quota_of_its_own() {
    let gateway = TestGateway::with(&slow("{ rate = \"100/m\", burst = \"off\" }"));
    let (mut ann, _) = TestClient::greeted(&gateway, "/ws", &token("ann", "dashboard")).await;
    let watch = stopwatch();
    let answers = pings(&mut ann, 110).await;
    // One comes back every 0.6 s.
    let most = 100 + (watch.elapsed().as_millis() / 600) as usize + 1;
    assert!((100..=most).contains(&passed(&answers)), "{} passed", passed(&answers));
}

#[tokio::test]
async fn all_connections_of_a_user_draw_on_one_quota_and_other_users_on_theirs() {
    // Each node counts, and compares with the others once a second.
    let gateway = TestGateway::alone(&slow("{ rate = \"12/h\", burst = \"off\" }"));
    let ann = token("ann", "dashboard");
    let mut total = 0;
    let mut clients = Vec::new();
    for _ in 0..4 {
        let (mut client, _) = TestClient::greeted(&gateway, "/ws", &ann).await;
        total += passed(&pings(&mut client, 4).await);
        clients.push(client);
    }
    assert_eq!(total, 12);
    let (mut elsewhere, _) = TestClient::greeted(&gateway, "/ws/dashboard", &ann).await;
    assert_eq!(passed(&pings(&mut elsewhere, 1).await), 0, "another endpoint is the same user");
    let (mut bob, _) = TestClient::greeted(&gateway, "/ws", &token("bob", "dashboard")).await;
    assert_eq!(passed(&pings(&mut bob, 12).await), 12);
}

#[tokio::test]
async fn where_the_scope_is_the_connection_each_has_its_own() {
    let config = slow("{ rate = \"5/h\", burst = \"off\" }");
    let gateway = TestGateway::with(&format!(
        "{config}[[endpoints]]\npath = \"/ws\"\nmessages_scope = \"connection\"\n[[endpoints]]\npath = \"/shared\"\n"
    ));
    let ann = token("ann", "dashboard");
    for _ in 0..3 {
        let (mut client, _) = TestClient::greeted(&gateway, "/ws", &ann).await;
        assert_eq!(passed(&pings(&mut client, 6).await), 5);
    }
    let (mut shared, _) = TestClient::greeted(&gateway, "/shared", &ann).await;
    assert_eq!(passed(&pings(&mut shared, 6).await), 5, "and none of that was the user's");
}

/// A second violation, in a plan of two a second; how long the penalty is said to last.
async fn to_the_penalty(client: &mut TestClient) -> u64 {
    let first = pings(client, 6).await;
    let warning = assert_limited(first.last().unwrap(), "p5");
    assert_eq!(warning, 1, "the first is a warning");
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    for n in 0..20 {
        let answer = client.ask(json!({"type": "ping", "id": format!("again{n}")})).await;
        if answer["type"] == "error" {
            return assert_limited(&answer, &format!("again{n}"));
        }
    }
    panic!("the limit was never met a second time");
}

#[tokio::test]
async fn the_second_violation_costs_a_minute_in_which_little_is_said_and_nothing_passes() {
    // A penalty is in force at the node that gave it.
    let gateway = TestGateway::alone(&slow("{ rate = \"off\", burst = \"2/s\" }"));
    let ann = token("ann", "dashboard");
    let (mut client, _) = TestClient::greeted(&gateway, "/ws", &ann).await;
    assert_eq!(to_the_penalty(&mut client).await, 60);

    // Thirty messages in three seconds: an error a second at most, and no answer to any.
    let watch = stopwatch();
    let mut errors = 0;
    for n in 0..30 {
        client.send(json!({"type": "ping", "id": format!("q{n}")})).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // What a client may always say, and what ends the list of answers.
    let fresh = Claims::of("ann", "dashboard").expiring_in(7200).sign();
    client.send(json!({"type": "pong", "id": "x"})).await;
    client.send(json!({"type": "auth.refresh", "id": "fresh", "payload": {"token": fresh}})).await;
    loop {
        let answer = client.json().await;
        if answer["type"] == "auth.refreshed" {
            assert_eq!(answer["id"], "fresh");
            break;
        }
        assert_eq!(answer["payload"]["code"], "RATE_LIMITED", "{answer}");
        let left = answer["payload"]["retryAfter"].as_u64().unwrap();
        assert!((40..=60).contains(&left), "what is left of the minute: {left}");
        errors += 1;
    }
    let most = watch.elapsed().as_secs() + 1;
    assert!((1..=most).contains(&errors), "{errors} errors in {most} s");

    // It can be seen from outside.
    let (_, user) = gateway.api("GET", "/api/v1/users/ann", None).await;
    assert_eq!(user["violations"], 2, "{user}");
    assert!((1.0..=60.0).contains(&user["penaltySeconds"].as_f64().unwrap()), "{user}");

    // A penalty keeps nobody from connecting, and is not left behind by it.
    client.leave().await;
    let (mut back, _) = TestClient::greeted(&gateway, "/ws", &ann).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let answer = back.ask(json!({"type": "ping", "id": "back"})).await;
    assert!(assert_limited(&answer, "back") > 30, "{answer}");
}

#[tokio::test]
async fn a_pong_is_free_and_unknown_or_broken_messages_are_not() {
    let gateway = TestGateway::with(&slow("{ rate = \"4/h\", burst = \"off\" }"));
    let (mut ann, _) = TestClient::greeted(&gateway, "/ws", &token("ann", "dashboard")).await;
    for _ in 0..50 {
        ann.send(json!({"type": "pong", "id": "x"})).await;
    }
    assert_eq!(passed(&pings(&mut ann, 2).await), 2);
    for text in ["{", "{\"type\":\"no-such-thing\",\"id\":\"u\"}"] {
        ann.send(text).await;
        assert_eq!(ann.json().await["payload"]["code"], "INVALID_MESSAGE");
    }
    let answer = ann.ask(json!({"type": "ping", "id": "over"})).await;
    assert!(assert_limited(&answer, "over") > 60, "until the next place, which is far");
}

#[tokio::test]
async fn ten_messages_that_are_not_understood_count_as_one_violation() {
    let gateway = TestGateway::with(&slow("\"off\""));
    let (mut ann, _) = TestClient::greeted(&gateway, "/ws", &token("ann", "dashboard")).await;
    for n in 0..20 {
        ann.send("{").await;
        assert_eq!(ann.json().await["payload"]["code"], "INVALID_MESSAGE", "{n}");
        if n == 9 || n == 19 {
            let violation = ann.json().await;
            assert_eq!(violation["payload"]["code"], "RATE_LIMITED");
        }
    }
    let (_, user) = gateway.api("GET", "/api/v1/users/ann", None).await;
    assert_eq!(user["violations"], 2);
    let answer = ann.ask(json!({"type": "ping", "id": "p"})).await;
    // The error of that penalty may have been said within this second already.
    assert_eq!(answer["payload"]["code"], "RATE_LIMITED");
}

#[tokio::test]
async fn plans_and_tokens_have_quotas_of_their_own_and_off_is_off() {
    let gateway = TestGateway::with(
        "[plans.default]\nmessages = { rate = \"8/h\", burst = \"off\" }\n[plans.small]\nmessages = { rate = \"3/h\", burst = \"off\" }\n\
         [plans.open]\nmessages = \"off\"\n",
    );
    let of = |user: &str| Claims::of(user, "dashboard");
    let tight = json!({"rate": "2/h"});
    for (claims, quota) in [
        (of("plain"), 8),
        (of("small").with("plan", "small"), 3),
        (of("own").with("limits", tight.clone()), 2),
        (of("wide").with("plan", "small").with("limits", json!({"rate": "1000/s"})), 3),
    ] {
        let (mut client, _) = TestClient::greeted(&gateway, "/ws", &claims.sign()).await;
        assert_eq!(passed(&pings(&mut client, 10).await), quota, "{claims:?}");
    }
    let open = of("open").with("plan", "open").sign();
    let (mut client, greeting) = TestClient::greeted(&gateway, "/ws", &open).await;
    assert_eq!(greeting["limits"]["messages"], json!({"rate": null, "burst": null}));
    assert_eq!(passed(&pings(&mut client, 1_000).await), 1_000);
    let (mut plan, greeting) =
        TestClient::greeted(&gateway, "/ws", &of("pro").with("plan", "professional").sign()).await;
    assert_eq!(greeting["limits"]["messages"]["burst"], "50/s");
    assert!(passed(&pings(&mut plan, 50).await) == 50);
    Sitting::of(plan).vanish().await;
}
