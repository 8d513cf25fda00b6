//! Hooks on a clock that stands still: what is told in which order, how often it is tried, what becomes of what cannot
//! be told, and who is told of after a crash.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test expects and does not find ends it, in its helpers too"
)]

#[path = "webhook/world.rs"]
mod world;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use gateway_domain::{Code, Refusal};
use gateway_server::{
    audit::Event,
    hub::Ending,
    webhook::{BreakerRules, HookRules, Kind, QueueBounds, WINDOW},
};
use serde_json::{Value, json};
use world::{Answer, Request, World, hook};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn events(requests: &[Request]) -> Vec<&str> {
    requests.iter().map(|request| request.body["event"].as_str().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn of_a_connection_everything_is_told_in_order_and_once() {
    let world = World::of(vec![hook("h")]).runs();
    world.receiver.answers(Answer::After(seconds(1), 200));
    let ann = world.guest("ann", "/ws");
    let id = json!(ann.occupant.id);
    for n in 0..5 {
        assert_eq!(world.post(Some(&ann), &format!("{{\"type\":\"x\",\"payload\":{n}}}")), 1, "named twice, told once");
    }
    ann.leaves_for(Refusal::plain(Code::Draining));
    world.has_fated("delivered", 7).await;
    let told = world.receiver.requests();
    assert_eq!(events(&told), ["connect", "message", "message", "message", "message", "message", "disconnect"]);
    for (n, request) in told[1..6].iter().enumerate() {
        assert_eq!(request.body["message"], json!({"type": "x", "payload": n}));
    }
    for pair in told.windows(2) {
        assert!(pair[1].at - pair[0].at >= seconds(1), "one at a time");
        assert_ne!(pair[1].body["id"], pair[0].body["id"]);
    }
    for request in &told {
        let connection = &request.body["connection"];
        assert_eq!((&connection["connectionId"], &connection["userId"]), (&id, &json!("ann")));
        assert_eq!((&connection["endpoint"], &connection["role"]), (&json!("/ws"), &json!("dashboard")));
        assert_eq!(request.body["webhook"], "h");
    }
    assert_eq!(told[6].body["reason"], json!({"by": "gateway", "code": "DRAINING", "closeCode": 1012}));
    assert_eq!(world.metric("gateway_webhook_waiting{webhook=\"h\"}"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_news_hang_holds_nobody_else_up() {
    let world = World::of(vec![hook("h")]).runs();
    world.receiver.answers_next([Answer::Hang]);
    let ann = world.guest("ann", "/ws");
    world.receiver.heard(1).await;
    assert_eq!(world.post(Some(&ann), "1"), 1);
    let others: Vec<_> = (0..20).map(|n| world.guest(&format!("user-{n}"), "/ws")).collect();
    let told = world.receiver.heard(21).await;
    assert!(told[1..].iter().all(|request| request.at < told[0].at + seconds(1)), "at once");
    assert!(told[1..].iter().all(|request| request.body["connection"]["userId"] != "ann"), "ann's wait in order");
    let told = world.receiver.heard(23).await;
    assert_eq!(
        (&told[21].body["id"], events(&told)[22]),
        (&told[0].body["id"], "message"),
        "the same again, then the next"
    );
    assert_ne!(told[21].signature, told[0].signature, "the seal has the time of the attempt");
    drop(others);
}

#[tokio::test(start_paused = true)]
async fn no_more_are_under_way_than_allowed() {
    let world = World::of(vec![HookRules { at_once: 3, ..hook("h") }]).runs();
    world.receiver.answers(Answer::After(seconds(2), 200));
    let guests: Vec<_> = (0..9).map(|n| world.guest(&format!("user-{n}"), "/ws")).collect();
    world.has_fated("delivered", 9).await;
    let at: Vec<_> = world.receiver.requests().iter().map(|request| request.at).collect();
    for (n, started) in at.iter().enumerate() {
        assert_eq!(at.iter().filter(|other| **other <= *started && **other + seconds(2) > *started).count(), 3, "{n}");
    }
    drop(guests);
}

#[tokio::test(start_paused = true)]
async fn three_attempts_end_within_half_a_minute_even_where_the_receiver_hangs() {
    for answer in [Answer::Hang, Answer::Broken, Answer::Status(500), Answer::After(seconds(7), 503)] {
        let world = World::of(vec![HookRules { events: vec![Kind::Connect], ..hook("h") }]).runs();
        world.receiver.answers(answer);
        let ann = world.guest("ann", "/ws");
        world.has_fated("failed", 1).await;
        let told = world.receiver.requests();
        let (first, now) = (told[0].at, gateway_server::clock::now().tick.since_origin());
        assert!(now - first <= WINDOW, "{answer:?}: {:?}", now - first);
        assert_eq!(told.len(), 3, "{answer:?}");
        assert!(told[1].at - first >= seconds(3) && told[2].at - first >= seconds(12), "it backs off: {told:?}");
        assert!(told.iter().all(|request| request.body["id"] == told[0].body["id"]), "the same event");
        let [why] = &*world.audited(Event::WebhookFailed) else { panic!("one line") };
        assert!(why.contains("`h` did not take a connect") && why.contains("in 3 attempts"), "{why}");
        drop(ann);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_receiver_refuses_is_not_sent_again_but_what_it_cannot_take_now_is() {
    for (status, attempts) in
        [(204, 1), (302, 1), (400, 1), (401, 1), (404, 1), (410, 1), (408, 3), (425, 3), (429, 3), (500, 3), (503, 3)]
    {
        let world = World::of(vec![HookRules { events: vec![Kind::Message], ..hook("h") }]).runs();
        world.receiver.answers(Answer::Status(status));
        assert_eq!(world.post(None, "{}"), 1);
        world.has_fated(if status == 204 { "delivered" } else { "failed" }, 1).await;
        assert_eq!(world.receiver.requests().len(), attempts, "{status}");
        assert!(world.receiver.requests()[0].body.get("connection").is_none(), "a backend has none");
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_comes_back_between_attempts_misses_nothing() {
    let world = World::of(vec![hook("h")]).runs();
    world.receiver.answers_next([Answer::Broken, Answer::Status(502)]);
    let ann = world.guest("ann", "/ws");
    ann.goes(Ending::Peer(Some(1000)));
    world.has_fated("delivered", 2).await;
    assert_eq!(events(&world.receiver.requests()), ["connect", "connect", "connect", "disconnect"]);
    assert_eq!(world.metric("gateway_webhook_attempts_total{webhook=\"h\",outcome=\"no_answer\"}"), 1);
    assert_eq!(world.metric("gateway_webhook_attempts_total{webhook=\"h\",outcome=\"status\"}"), 1);
    assert_eq!(world.metric("gateway_webhook_attempts_total{webhook=\"h\",outcome=\"ok\"}"), 2);
    assert!(world.audited(Event::WebhookFailed).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_drops_messages_first_and_says_so_once() {
    let world = World::of(vec![HookRules { queue: QueueBounds { events: 8, bytes: 1 << 20 }, ..hook("h") }]);
    let taken: usize = (0..20).map(|_| world.post(None, "{}")).sum();
    assert_eq!((taken, world.fated("queue_full")), (6, 14), "a quarter is kept for who comes and goes");
    let ann = world.guest("ann", "/ws");
    ann.leaves_for(Refusal::plain(Code::Evicted));
    let bob = world.guest("bob", "/ws");
    assert_eq!((world.fated("queue_full"), world.metric("gateway_webhook_waiting{webhook=\"h\"}")), (15, 8));
    let lines = world.audited(Event::WebhookFailed);
    assert!(lines.len() == 1 && lines[0].contains("takes less than it is told"), "{lines:?}");
    let world = world.runs();
    world.has_fated("delivered", 8).await;
    assert_eq!(world.metric("gateway_webhook_waiting_bytes{webhook=\"h\"}"), 0);
    bob.leaves_for(Refusal::plain(Code::Evicted));
    world.has_fated("delivered", 9).await;
}

#[tokio::test(start_paused = true)]
async fn the_bytes_of_a_queue_are_bounded_too() {
    let world = World::of(vec![HookRules { queue: QueueBounds { events: 1_000, bytes: 4_000 }, ..hook("h") }]);
    let big = format!("\"{}\"", "x".repeat(900));
    let taken: usize = (0..10).map(|_| world.post(None, &big)).sum();
    assert_eq!(taken, 2);
    assert!(world.metric("gateway_webhook_waiting_bytes{webhook=\"h\"}") <= 3_000);
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_drops_at_once_and_one_probe_closes_it() {
    let breaker = BreakerRules { failures: 3, pause: seconds(60) };
    let world = World::of(vec![HookRules { breaker, at_once: 1, events: vec![Kind::Message], ..hook("h") }]).runs();
    let open = "gateway_webhook_circuit_open{webhook=\"h\"}";
    world.receiver.answers(Answer::Status(400));
    (0..5).for_each(|_| assert_eq!(world.post(None, "1"), 1));
    world.has_fated("failed", 3).await;
    assert_eq!((world.fated("circuit_open"), world.metric(open)), (2, 1), "what waited is dropped");
    (0..10).for_each(|_| assert_eq!(world.post(None, "1"), 0, "and so is what comes"));
    assert_eq!((world.receiver.requests().len(), world.fated("circuit_open")), (3, 12));

    tokio::time::advance(seconds(61)).await;
    world.receiver.answers(Answer::After(seconds(1), 500));
    (0..3).for_each(|_| assert_eq!(world.post(None, "2"), 1));
    world.has_fated("failed", 4).await;
    assert_eq!((world.receiver.requests().len(), world.fated("circuit_open")), (4, 14), "one probe, tried once");
    assert_eq!(world.metric(open), 1);

    tokio::time::advance(seconds(61)).await;
    world.receiver.answers(Answer::Status(204));
    (0..3).for_each(|_| assert_eq!(world.post(None, "3"), 1));
    world.has_fated("delivered", 3).await;
    assert_eq!(world.metric(open), 0);
    let (opened, closed) = (world.audited(Event::WebhookCircuitOpen), world.audited(Event::WebhookCircuitClosed));
    assert!(opened.len() == 1 && opened[0].contains("2 that waited are dropped"), "{opened:?}");
    assert!(closed.len() == 1 && closed[0].contains("14 were dropped"), "{closed:?}");
    assert_eq!(world.fated("delivered") + world.fated("failed") + world.fated("circuit_open"), 21, "each has one fate");
}

#[tokio::test(start_paused = true)]
async fn a_hook_hears_only_what_it_wants() {
    let few = HookRules { events: vec![Kind::Disconnect], endpoints: vec!["/ws/agent".into()], ..hook("h") };
    let world = World::of(vec![few, HookRules { events: vec![Kind::Message], ..hook("other") }]).runs();
    let (ann, press) = (world.guest("ann", "/ws"), world.guest("press", "/ws/agent"));
    assert_eq!(world.post(Some(&ann), "1"), 0, "it takes no messages");
    assert!(world.hub.webhooks().takes_messages("other") && !world.hub.webhooks().takes_messages("h"));
    ann.goes(Ending::Aborted);
    press.goes(Ending::Lost("reset".into()));
    let told = world.receiver.heard(1).await;
    world.has_fated("delivered", 1).await;
    assert_eq!((events(&told), &told[0].body["connection"]["userId"]), (vec!["disconnect"], &json!("press")));
    assert_eq!(told[0].body["reason"], json!({"by": "lost", "code": "lost"}));
}

#[tokio::test(start_paused = true)]
async fn a_house_that_closes_tells_what_it_can_in_a_bounded_time() {
    let world = World::of(vec![hook("h")]).runs();
    world.receiver.answers(Answer::After(seconds(1), 200));
    world.guest("ann", "/ws").leaves_for(Refusal::plain(Code::Draining));
    world.hub.webhooks().drain().await;
    assert_eq!(world.fated("delivered"), 2);
    assert!(world.audited(Event::WebhookFailed).is_empty(), "nothing is left");

    let world = World::of(vec![hook("h")]).runs();
    world.receiver.answers(Answer::Hang);
    world.guest("ann", "/ws").leaves_for(Refusal::plain(Code::Draining));
    let began = gateway_server::clock::now().tick;
    world.hub.webhooks().drain().await;
    let took = gateway_server::clock::now().tick.since(began);
    assert!(took <= seconds(11), "{took:?}");
    assert_eq!(world.fated("shutdown"), 1, "the other is under way");
    let lines = world.audited(Event::WebhookFailed);
    assert!(lines.len() == 1 && lines[0].contains("was not told of 1 events"), "{lines:?}");
    assert_eq!(world.post(None, "1"), 0, "it takes nothing in any more");
}

/// What stands beside the state file, once it has so many lines.
async fn roll_of(state: &Path, lines: usize) -> Vec<u8> {
    loop {
        let bytes = fs::read(state.with_extension("jsonl.webhooks")).unwrap();
        if bytes.iter().filter(|byte| **byte == b'\n').count() == lines {
            return bytes;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A folder of a process to come, with what the one before left in it, and its state file.
fn folder_with(roll: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.jsonl");
    fs::write(state.with_extension("jsonl.webhooks"), roll).unwrap();
    (folder, state)
}

/// On the real clock, since the disk keeps its own time.
#[tokio::test]
async fn whom_a_crash_took_is_told_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.jsonl");
    let world = World::with_state(vec![hook("h"), hook("gone")], Some(&state)).runs();
    let guests = ["ann", "bob", "eve"].map(|user| world.guest(user, "/ws"));
    world.receiver.heard(6).await;
    let [ann, bob, eve] = guests;
    let ids = [json!(ann.occupant.id), json!(bob.occupant.id)];
    eve.goes(Ending::Peer(None));
    world.receiver.heard(8).await;
    world.has_fated("delivered", 4).await;
    world.hub.webhooks().drain().await;
    // As a crash leaves it: nobody says goodbye, and the last line is torn.
    let torn = [&roll_of(&state, 8).await[..], b"{\"here\":{\"webh"].concat();
    let (_second, state) = folder_with(&torn);
    let next = World::with_state(vec![hook("h")], Some(&state)).runs();
    next.has_fated("delivered", 2).await;
    let told = next.receiver.requests();
    assert_eq!(events(&told), ["disconnect", "disconnect"]);
    let mut named: Vec<Value> = told.iter().map(|request| request.body["connection"]["connectionId"].clone()).collect();
    let mut wanted = ids.to_vec();
    named.sort_by_key(ToString::to_string);
    wanted.sort_by_key(ToString::to_string);
    assert_eq!(named, wanted);
    assert!(told.iter().all(|request| request.body["reason"] == json!({"by": "node", "code": "node_lost"})));
    let (_third, state) = folder_with(&roll_of(&state, 12).await);
    drop((ann, bob));

    let third = World::with_state(vec![hook("h"), hook("gone")], Some(&state)).runs();
    let carl = third.guest("carl", "/ws");
    third.receiver.heard(2).await;
    third.has_fated("delivered", 1).await;
    assert_eq!(events(&third.receiver.requests()), ["connect", "connect"], "each is told once");
    drop(carl);
}

/// An end that could not be told before the process ended is told after the next start.
#[tokio::test]
async fn an_end_that_a_shutdown_cut_off_is_told_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.jsonl");
    let world = World::with_state(vec![hook("h")], Some(&state));
    world.guest("ann", "/ws").leaves_for(Refusal::plain(Code::Draining));
    tokio::time::pause();
    world.hub.webhooks().drain().await;
    tokio::time::resume();
    assert_eq!(world.fated("shutdown"), 2);
    drop(world);
    let next = World::with_state(vec![hook("h")], Some(&state)).runs();
    next.has_fated("delivered", 1).await;
    assert_eq!(next.receiver.requests()[0].body["reason"]["code"], "node_lost");
}
