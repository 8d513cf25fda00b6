//! Recovery: whoever comes back with the position of the last message that it received gets exactly what it missed,
//! before anything new, or is told that nobody can say any more what that was.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt;
use gateway_tests::{
    Options, TestClient, TestGateway,
    chance::Chance,
    eventually,
    rooms::{UNLIMITED, agent, dashboard, kinds, position, subscribe, unlimited},
    tokens::token,
};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

const ROOM: &str = "agent:a1";
const DROPS: u64 = 200;

fn event(n: u64) -> Value {
    json!({"type": "event", "payload": {"n": n}})
}

fn with_history(history: &str) -> String {
    format!("[rooms.default]\nhistory = {{ {history} }}\n")
}

/// What a subscriber has put together over all of its connections.
#[derive(Debug, Default)]
struct Account {
    /// The last message that it received: epoch and offset.
    since: Option<Value>,
    /// What was in the messages, in the order of their coming.
    received: Vec<u64>,
    /// Behind which of them it was told that something is lost.
    breaks: Vec<usize>,
    /// How many it was told it had missed, in all.
    recovered: u64,
}

impl Account {
    /// Takes one message and holds it against what was promised.
    fn take(&mut self, message: &Value, missed: &mut u64) {
        let payload = &message["payload"];
        if message["type"] == "subscribed" {
            let (known, top) = (self.since.clone(), payload["offset"].as_u64().unwrap());
            match (known, payload["recovered"].as_bool()) {
                (None, None) => self.since = Some(position(&payload["epoch"], top)),
                (Some(since), Some(true)) => {
                    *missed = payload["missed"].as_u64().unwrap();
                    assert_eq!(since["epoch"], payload["epoch"]);
                    assert_eq!(since["offset"].as_u64().unwrap() + *missed, top, "{payload}");
                    self.recovered += *missed;
                }
                (Some(_), Some(false)) => {
                    assert_eq!(payload["missed"], 0, "{payload}");
                    self.breaks.push(self.received.len());
                    self.since = Some(position(&payload["epoch"], top));
                }
                other => panic!("{other:?}: {payload}"),
            }
            return;
        }
        assert_eq!((&message["type"], &message["room"]), (&json!("event"), &json!(ROOM)), "{message}");
        *missed = missed.saturating_sub(1);
        let since = self.since.as_mut().expect("`subscribed` comes first");
        let offset = since["offset"].as_u64().unwrap() + 1;
        assert_eq!(message["offset"], offset, "by one from the last, which was told by {since}");
        since["offset"] = offset.into();
        self.received.push(payload["n"].as_u64().unwrap());
    }

    /// Connects, takes so many messages or until it waits too long for one, and is gone, one way or another.
    async fn visit(&mut self, gateway: &TestGateway, most: usize, chance: &mut Chance) {
        let mut client = dashboard(gateway, "ann").await;
        client.send(subscribe(ROOM, self.since.as_ref())).await;
        let mut missed = 0;
        for _ in 0..most {
            let patience = Duration::from_millis(20 + chance.below(30) as u64);
            let Ok(next) = tokio::time::timeout(patience, client.socket.next()).await else { break };
            if let Message::Text(text) = next.expect("it stays open").expect("it stays whole") {
                self.take(&serde_json::from_str(&text).unwrap(), &mut missed);
            }
        }
        if chance.one_in(3) {
            // What comes until the close is answered is not read any more, and so not received.
            let _ = client.socket.close(None).await;
        }
    }

    /// Stays, hears what it missed, and then the last word of the agent.
    async fn stay(&mut self, gateway: &TestGateway, drone: &mut TestClient, last: u64) {
        let mut client = dashboard(gateway, "ann").await;
        client.send(subscribe(ROOM, self.since.as_ref())).await;
        let mut missed = 0;
        for message in client.heard().await {
            self.take(&message, &mut missed);
        }
        assert_eq!(missed, 0, "all of it came");
        assert_eq!(drone.tell(event(last)).await, 1);
        self.take(&client.json().await, &mut missed);
    }
}

/// An agent that reports so many times, in bursts, and hurries no further ahead than the drops of its follower let it.
async fn report(mut drone: TestClient, total: u64, drops: Arc<AtomicU64>, mut chance: Chance) -> TestClient {
    let mut said = 0;
    while said < total {
        let allowed = (drops.load(Ordering::Acquire) + 2) * total / DROPS;
        let burst = (1 + chance.below(60) as u64).min(total - said);
        if said < allowed {
            for n in said + 1..=said + burst {
                drone.socket.feed_event(n).await;
            }
            said += burst;
            // All of it is posted when the answer comes.
            assert!(drone.heard().await.is_empty());
        }
        tokio::time::sleep(Duration::from_millis(chance.below(4) as u64)).await;
    }
    drone
}

trait Feed {
    async fn feed_event(&mut self, n: u64);
}

impl<S: futures_util::Sink<Message, Error: std::fmt::Debug> + Unpin> Feed for S {
    async fn feed_event(&mut self, n: u64) {
        futures_util::SinkExt::feed(self, Message::text(event(n).to_string())).await.expect("the socket takes it");
    }
}

/// A subscriber that goes two hundred times while an agent reports so many times, and then stays for one more.
async fn two_hundred_drops(gateway: &TestGateway, total: u64, away: usize, seed: u64) -> Account {
    let mut chance = Chance::of(seed);
    let mut account = Account::default();
    let drone = agent(gateway, "a1").await;
    // It subscribes before the first is said, and so misses nothing at the beginning.
    account.visit(gateway, 1, &mut chance).await;
    assert!(account.since.is_some(), "`subscribed` came");
    let drops = Arc::new(AtomicU64::new(1));
    let reporting = tokio::spawn(report(drone, total, Arc::clone(&drops), Chance::of(chance.any())));
    for drop in 2..=DROPS {
        // Mostly in the middle of things; now and then before a word was said to it.
        let most = if chance.one_in(10) { 0 } else { chance.below(2 * (total / DROPS) as usize) };
        account.visit(gateway, most, &mut chance).await;
        drops.store(drop, Ordering::Release);
        if away > 0 {
            tokio::time::sleep(Duration::from_millis(chance.below(away) as u64)).await;
        }
    }
    let mut drone = reporting.await.unwrap();
    account.stay(gateway, &mut drone, total + 1).await;
    account
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_drops_two_hundred_times_among_ten_thousand_messages_ends_with_each_once_and_in_order() {
    let gateway = unlimited(&with_history("messages = 10000, bytes = \"16MiB\""));
    let seed = Chance::seed();
    let account = two_hundred_drops(&gateway, 10_000, 0, seed).await;
    assert!(account.breaks.is_empty(), "nothing was lost: {:?}, seed {seed}", account.breaks);
    assert!(account.received.iter().copied().eq(1..=10_001), "each once and in order, seed {seed}");
    assert!(account.recovered > 1_000, "much of it came by recovery: {}, seed {seed}", account.recovered);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_room_remembers_little_every_gap_is_told() {
    let gateway = unlimited(&with_history("messages = 40"));
    let seed = Chance::seed();
    let account = two_hundred_drops(&gateway, 10_000, 12, seed).await;
    assert!(!account.breaks.is_empty() && account.recovered > 0, "both happened, seed {seed}");
    let mut gaps = 0;
    for (at, pair) in (1..).zip(account.received.windows(2)) {
        assert!(pair[0] < pair[1], "in order, and none twice: {pair:?}, seed {seed}");
        if pair[0] + 1 != pair[1] {
            assert!(account.breaks.contains(&at), "{pair:?} was not told, seed {seed}");
            gaps += 1;
        }
    }
    assert!(gaps > 0, "seed {seed}");
    println!("{} messages came, {gaps} gaps were told, {} came by recovery", account.received.len(), account.recovered);
}

/// Someone who was there once, and an agent that has reported so many times since.
async fn absent(gateway: &TestGateway, events: u64) -> (TestClient, TestClient, Value) {
    let mut drone = agent(gateway, "a1").await;
    let mut ann = dashboard(gateway, "ann").await;
    let told = ann.join(ROOM).await;
    assert!(ann.part(ROOM).await.is_empty());
    for n in 1..=events {
        assert_eq!(drone.tell(event(n)).await, 0);
    }
    (drone, ann, position(&told["epoch"], told["offset"].as_u64().unwrap()))
}

/// The answer to a `since`: whether it was recovered, what was missed, and the messages behind it.
async fn answer(client: &mut TestClient, since: &Value) -> (Value, Value, Vec<u64>) {
    let told = client.join_since(ROOM, Some(since)).await;
    let heard = client.heard().await;
    let numbers = heard.iter().map(|message| message["payload"]["n"].as_u64().unwrap()).collect();
    assert!(client.part(ROOM).await.is_empty());
    (told["recovered"].clone(), told["missed"].clone(), numbers)
}

fn lost() -> (Value, Value, Vec<u64>) {
    (json!(false), json!(0), Vec::new())
}

#[tokio::test]
async fn what_was_missed_comes_behind_subscribed_and_before_what_is_new() {
    let gateway = unlimited("");
    let (mut drone, mut ann, since) = absent(&gateway, 5).await;
    let start = since["offset"].as_u64().unwrap();
    let told = ann.join_since(ROOM, Some(&since)).await;
    assert_eq!((&told["recovered"], &told["missed"]), (&json!(true), &json!(5)));
    assert_eq!((&told["epoch"], &told["offset"]), (&since["epoch"], &json!(start + 5)));
    assert_eq!(drone.tell(event(6)).await, 1);
    let heard = ann.heard().await;
    let offsets: Vec<_> = heard.iter().map(|message| message["offset"].as_u64().unwrap() - start).collect();
    assert_eq!(offsets, [1, 2, 3, 4, 5, 6]);
    assert!(heard.iter().all(|message| message["room"] == ROOM && message["from"]["agentId"] == "a1"), "{heard:?}");
    // From the middle, from the end; and whoever asks again gets it again.
    assert!(ann.part(ROOM).await.is_empty());
    let at = |offset: u64| position(&since["epoch"], start + offset);
    assert_eq!(answer(&mut ann, &at(4)).await, (json!(true), json!(2), vec![5, 6]));
    assert_eq!(answer(&mut ann, &at(6)).await, (json!(true), json!(0), vec![]));
    assert_eq!(answer(&mut ann, &at(4)).await, (json!(true), json!(2), vec![5, 6]));
    // It does not have to leave first.
    ann.join(ROOM).await;
    assert_eq!(answer(&mut ann, &at(3)).await, (json!(true), json!(3), vec![4, 5, 6]));
}

#[tokio::test]
async fn however_much_was_missed_all_of_it_comes_without_another_word() {
    let gateway = unlimited(&with_history("messages = 10000, bytes = \"16MiB\""));
    let (mut drone, mut ann, since) = absent(&gateway, 0).await;
    for n in 1..=5_000 {
        drone.socket.feed_event(n).await;
    }
    assert!(drone.heard().await.is_empty());
    assert_eq!(ann.join_since(ROOM, Some(&since)).await["missed"], 5_000);
    for n in 1..=5_000 {
        assert_eq!(ann.json().await["payload"]["n"], n);
    }
}

#[tokio::test]
async fn who_was_in_another_epoch_or_is_ahead_of_the_room_recovers_nothing() {
    let gateway = unlimited("");
    let (_drone, mut ann, since) = absent(&gateway, 3).await;
    let top = since["offset"].as_u64().unwrap() + 3;
    assert_eq!(answer(&mut ann, &position(&json!("another"), top)).await, lost());
    assert_eq!(answer(&mut ann, &position(&since["epoch"], top + 1)).await, lost());
    assert_eq!(answer(&mut ann, &position(&since["epoch"], u64::MAX)).await, lost());
    assert_eq!(answer(&mut ann, &position(&since["epoch"], top)).await, (json!(true), json!(0), vec![]));
}

#[tokio::test]
async fn after_a_restart_the_epoch_is_another() {
    // What one node alone remembers goes with it: among several the others go on.
    let gateway = TestGateway::alone(UNLIMITED);
    let (_drone, _ann, since) = absent(&gateway, 3).await;
    let folder = gateway.crash();
    let options = Options { config: UNLIMITED.into(), folder: Some(folder), ..Options::default() };
    let gateway = TestGateway::open(options);
    let mut drone = agent(&gateway, "a1").await;
    for n in 1..=5 {
        drone.tell(event(n)).await;
    }
    let mut ann = dashboard(&gateway, "ann").await;
    let told = ann.join_since(ROOM, Some(&since)).await;
    assert_eq!((&told["recovered"], &told["missed"]), (&json!(false), &json!(0)));
    assert_ne!(told["epoch"], since["epoch"]);
    assert!(ann.heard().await.is_empty());
    assert_eq!(drone.tell(event(6)).await, 1);
    assert_eq!(ann.json().await["offset"].as_u64().unwrap(), told["offset"].as_u64().unwrap() + 1);
}

#[tokio::test]
async fn what_is_beyond_a_bound_of_the_history_is_lost_and_nothing_of_it_is_told_in_part() {
    let by_count = unlimited(&with_history("messages = 3"));
    let (_drone, mut ann, since) = absent(&by_count, 4).await;
    let start = since["offset"].as_u64().unwrap();
    assert_eq!(answer(&mut ann, &since).await, lost());
    let next = position(&since["epoch"], start + 1);
    assert_eq!(answer(&mut ann, &next).await, (json!(true), json!(3), vec![2, 3, 4]));

    let by_bytes = unlimited(&with_history("bytes = \"1KiB\""));
    let (mut drone, mut ann, since) = absent(&by_bytes, 1).await;
    assert_eq!(answer(&mut ann, &since).await, (json!(true), json!(1), vec![1]));
    let large = json!({"type": "event", "payload": {"n": 2, "text": "x".repeat(700)}});
    drone.tell(large).await;
    assert_eq!(answer(&mut ann, &since).await, lost());
    // One that is larger than everything is in nobody's memory, and its offset is gone with it.
    drone.tell(json!({"type": "event", "payload": {"n": 3, "text": "x".repeat(2_000)}})).await;
    let before = position(&since["epoch"], since["offset"].as_u64().unwrap() + 2);
    assert_eq!(answer(&mut ann, &before).await, lost());
}

#[tokio::test]
async fn what_is_too_old_is_lost() {
    let gateway = unlimited(&with_history("age = \"1s\""));
    let (mut drone, mut ann, since) = absent(&gateway, 2).await;
    assert_eq!(answer(&mut ann, &since).await, (json!(true), json!(2), vec![1, 2]));
    eventually(5, "it is forgotten", async || (answer(&mut ann, &since).await == lost()).then_some(())).await;
    // The room itself may be forgotten by now: then it is another one.
    let told = ann.join(ROOM).await;
    assert_eq!(drone.tell(event(3)).await, 1);
    assert_eq!(kinds(&ann.heard().await), ["event"]);
    assert!(ann.part(ROOM).await.is_empty());
    let after = position(&told["epoch"], told["offset"].as_u64().unwrap());
    assert_eq!(answer(&mut ann, &after).await, (json!(true), json!(1), vec![3]));
}

#[tokio::test]
async fn a_room_without_a_history_recovers_nothing_and_says_so() {
    let gateway = unlimited("[rooms.default]\nhistory = \"off\"\n");
    let mut ann = dashboard(&gateway, "ann").await;
    let told = ann.join_since(ROOM, Some(&position(&json!("any"), 0))).await;
    assert_eq!((&told["recovered"], &told["missed"]), (&json!(false), &json!(0)));
    assert!(told.get("epoch").is_none() && told.get("offset").is_none(), "{told}");
}

#[tokio::test]
async fn what_is_meant_for_a_user_is_recovered_where_the_client_asked_for_it_itself() {
    let gateway = unlimited("[[routes]]\ntypes = [\"note\"]\nto = \"user:{payload.to}\"\n");
    let url = gateway.ws(&format!("/ws?autojoin=false&token={}", token("ann", "viewer")));
    let open = async || {
        let mut client = TestClient::open(&url, &[]).await.unwrap();
        assert_eq!(client.json().await["type"], "connection_ready");
        client
    };
    let mut ann = open().await;
    let told = ann.join("user:ann").await;
    ann.leave().await;
    let mut bob = dashboard(&gateway, "bob").await;
    for n in 1..=3 {
        assert_eq!(bob.tell(json!({"type": "note", "payload": {"to": "ann", "n": n}})).await, 0);
    }
    let mut ann = open().await;
    assert!(ann.heard().await.is_empty());
    let back = ann.join_since("user:ann", Some(&position(&told["epoch"], 0))).await;
    assert_eq!((&back["recovered"], &back["missed"]), (&json!(true), &json!(3)));
    let numbers: Vec<_> = ann.heard().await.iter().map(|note| note["payload"]["n"].clone()).collect();
    assert_eq!(numbers, [1, 2, 3]);
}
