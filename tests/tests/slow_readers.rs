//! Slow readers: who stops reading is cut off, or loses the oldest events, as the operator wants it; five hundred others
//! in the same room miss nothing, and the gateway holds no more for it than its outbox may.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, future::join_all};
use gateway_tests::{
    TestClient, TestGateway,
    crowd::settles_at,
    eventually,
    process::resident_kib,
    raw::{Raw, upgrade},
    rooms::{UNLIMITED, agent, dashboard, kinds, subscribe},
    scrape::Scrape,
    tokens::token,
};
use serde_json::{Value, json};
use tokio::{net::TcpSocket, task::JoinHandle};
use tokio_tungstenite::tungstenite::Message;

const ROOM: &str = "agent:a1";
const OTHERS: usize = 500;
const EVENTS: u64 = 1_000;
/// The outbox of everybody here, in messages. Nobody who reads is ever half as far behind.
const OUTBOX: u64 = 200;

/// Nobody is asked whether it lives: how long a machine takes for all of this is no matter.
fn gateway(when_full: &str) -> TestGateway {
    TestGateway::with(&format!(
        "{UNLIMITED}outbox = {{ messages = {OUTBOX}, bytes = \"2MiB\", when_full = \"{when_full}\" }}\n\
         [rooms.default]\npresence = \"off\"\n\
         [[endpoints]]\npath = \"/ws/dashboard\"\nroles = [\"dashboard\"]\nheartbeat = \"10m\"\n\
         [[endpoints]]\npath = \"/ws/agent\"\nroles = [\"agent\"]\nagents = true\nplan = \"agent\"\nheartbeat = \"10m\"\n"
    ))
}

/// A reply is given behind this event: late enough that the systems in between take in no more.
const REPLIED: u64 = 700;

/// An event of about five kilobytes.
fn event(n: u64) -> String {
    json!({"type": "event", "payload": {"n": n, "text": "x".repeat(5_000)}}).to_string()
}

/// The number of an event, without taking all of it apart.
fn number(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once("\"n\":")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// A subscriber whose system takes next to nothing for it while it does not read.
async fn stubborn(gateway: &TestGateway, user: &str) -> Raw {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut raw = Raw { stream: socket.connect(gateway.somewhere()).await.unwrap() };
    let target = format!("/ws/dashboard?token={}", token(user, "dashboard"));
    assert_eq!(raw.ask(&upgrade(&target, "")).await.status, Some(101));
    assert!(raw.say(&subscribe(ROOM, None).to_string()).await);
    for expected in ["connection_ready", "subscribed"] {
        assert_eq!(told(&mut raw).await["type"], expected);
    }
    raw
}

/// The next message that it reads.
async fn told(raw: &mut Raw) -> Value {
    let (first, payload) = raw.frame().await.expect("a frame");
    assert_eq!(first, 0x81, "a text");
    serde_json::from_slice(&payload).unwrap()
}

/// Five hundred who read, each of which must hear every event in order.
struct Crowd {
    heard: Arc<Vec<AtomicU64>>,
    readers: Vec<JoinHandle<()>>,
}

impl Crowd {
    async fn seated(gateway: &TestGateway) -> Self {
        let heard: Arc<Vec<_>> = Arc::new((0..OTHERS).map(|_| AtomicU64::new(0)).collect());
        let mut readers = Vec::new();
        for at in 0..OTHERS {
            let mut client = dashboard(gateway, &format!("reader{at}")).await;
            client.join(ROOM).await;
            readers.push(tokio::spawn(read(client, Arc::clone(&heard), at)));
        }
        Self { heard, readers }
    }

    /// How far the last of them is.
    fn slowest(&self) -> u64 {
        self.heard.iter().map(|count| count.load(Ordering::Relaxed)).min().unwrap_or_default()
    }

    /// Waits until none of them is more than so many behind.
    async fn follows(&self, said: u64, behind: u64) {
        eventually(20, "everybody follows", async || (self.slowest() + behind >= said).then_some(())).await;
    }

    async fn heard_all(self) {
        join_all(self.readers).await.into_iter().for_each(|reader| reader.unwrap());
    }
}

async fn read(mut client: TestClient, heard: Arc<Vec<AtomicU64>>, at: usize) {
    for n in 1..=EVENTS {
        match client.socket.next().await {
            Some(Ok(Message::Text(text))) => assert_eq!(number(&text), Some(n), "reader {at}"),
            other => panic!("reader {at} was to hear {n}, and there came {other:?}"),
        }
        heard[at].store(n, Ordering::Relaxed);
    }
    assert!(client.heard().await.is_empty(), "reader {at} hears nothing more");
}

/// The most memory that the gateway held, in KiB above what it held before.
struct Memory {
    before: u64,
    over: Arc<AtomicBool>,
    watching: JoinHandle<u64>,
}

impl Memory {
    fn watched(gateway: &TestGateway) -> Self {
        let (pids, over) = (gateway.pids(), Arc::new(AtomicBool::new(false)));
        let held = move || pids.iter().copied().map(resident_kib).sum::<u64>();
        let before = held();
        let is_over = Arc::clone(&over);
        let watching = tokio::spawn(async move {
            let mut most = 0;
            while !is_over.load(Ordering::Relaxed) {
                most = most.max(held());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            most
        });
        Self { before, over, watching }
    }

    async fn grew(self) -> (u64, u64) {
        self.over.store(true, Ordering::Relaxed);
        (self.before, self.watching.await.unwrap().saturating_sub(self.before))
    }
}

async fn dropped(gateway: &TestGateway) -> u64 {
    let scrape = Scrape::of(gateway).await;
    assert!(scrape.names().contains("gateway_messages_dropped_total"), "{}", scrape.text);
    scrape.sum("gateway_messages_dropped_total", &[]) as u64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stops_reading_is_cut_off_while_five_hundred_others_miss_nothing() {
    let gateway = gateway("close");
    let mut drone = agent(&gateway, "a1").await;
    let crowd = Crowd::seated(&gateway).await;
    let (mut stubborn, dead) = (stubborn(&gateway, "stubborn").await, stubborn(&gateway, "dead").await);
    let memory = Memory::watched(&gateway);
    let flood = async {
        for said in (50..=EVENTS).step_by(50) {
            for n in said - 49..=said {
                drone.send(event(n)).await;
            }
            assert!(drone.heard().await.is_empty());
            crowd.follows(said, OUTBOX / 4).await;
        }
    };
    // It wakes up too late, and is told why.
    let waking = async {
        eventually(30, "it is cut off", async || cut(&gateway, "stubborn").then_some(())).await;
        rest(&mut stubborn).await
    };
    let ((), mut before_the_close) = tokio::join!(flood, waking);
    let (before, grown) = memory.grew().await;
    println!("the gateway held {before} KiB with {OTHERS} subscribers, and {grown} KiB more while two did not read");
    assert!(grown < 48 << 10, "{grown} KiB");
    crowd.heard_all().await;

    assert!(cut(&gateway, "dead"), "and so is the other one");
    let (code, reason) = before_the_close.pop().unwrap();
    assert_eq!((code, &reason["code"], &reason["retryAfter"]), (4010, &json!("SLOW_CONSUMER"), &json!(1)));
    let numbers: Vec<_> = before_the_close.iter().map(|(_, event)| event["payload"]["n"].as_u64().unwrap()).collect();
    assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "what came before came in order: {numbers:?}");
    assert!(numbers.len() < EVENTS as usize);
    // A peer that does not even read the close is let go.
    settles_at(&gateway, 1).await;
    drop(dead);
}

/// Whether that user was cut off for being slow.
fn cut(gateway: &TestGateway, user: &str) -> bool {
    let slow = |line: &Value| line["code"] == "SLOW_CONSUMER" && line["event"] == "disconnected";
    gateway.audit().iter().any(|line| slow(line) && line["userId"] == user)
}

/// All that it reads to the end: messages, and last the close code with its reason.
async fn rest(raw: &mut Raw) -> Vec<(u16, Value)> {
    let mut read = Vec::new();
    while let Some((first, payload)) = raw.frame().await {
        if first == 0x88 {
            let (code, reason) = payload.split_first_chunk::<2>().expect("a code");
            read.push((u16::from_be_bytes(*code), serde_json::from_slice(reason).unwrap()));
            return read;
        }
        if first == 0x81 {
            read.push((0, serde_json::from_slice(&payload).unwrap()));
        }
    }
    panic!("no close came behind {} messages", read.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stops_reading_loses_only_the_oldest_events_where_the_operator_wants_that() {
    let gateway = gateway("drop_oldest");
    let mut drone = agent(&gateway, "a1").await;
    let crowd = Crowd::seated(&gateway).await;
    let mut stubborn = stubborn(&gateway, "stubborn").await;
    let memory = Memory::watched(&gateway);
    assert!(stubborn.say(r#"{"type":"command","id":"c","payload":{"agentId":"a1"}}"#).await);
    let request = drone.json().await["requestId"].clone();
    // From here on it does not read; what it says is read until its outbox is in the way.
    let mut said = 0;
    while said < EVENTS {
        for n in said + 1..=said + 50 {
            drone.send(event(n)).await;
        }
        said += 50;
        if said == REPLIED {
            drone.send(json!({"type": "reply", "replyTo": request, "payload": "done"})).await;
        }
        assert!(drone.heard().await.is_empty());
        crowd.follows(said, OUTBOX / 4).await;
    }
    assert!(stubborn.say(r#"{"type":"ping","id":"awake"}"#).await);
    let (before, grown) = memory.grew().await;
    println!("the gateway held {before} KiB with {OTHERS} subscribers, and {grown} KiB more while one did not read");
    assert!(grown < 48 << 10, "{grown} KiB");
    crowd.heard_all().await;

    let (mut events, mut replied_behind) = (Vec::new(), None);
    loop {
        let message = told(&mut stubborn).await;
        match message["type"].as_str().unwrap() {
            "event" => {
                let n = message["payload"]["n"].as_u64().unwrap();
                // The offsets say what is missing.
                assert_eq!(message["offset"].as_u64().unwrap(), n + 1, "{:?}", message["room"]);
                events.push(n);
            }
            "reply" => replied_behind = events.last().copied(),
            "pong" => break,
            other => panic!("{other}"),
        }
    }
    assert!(events.is_sorted_by(|one, next| one < next), "in order, and none twice");
    let missing = EVENTS - events.len() as u64;
    assert_eq!(dropped(&gateway).await, missing, "every one that is missing was counted, and no other");
    assert!(missing > EVENTS / 10, "{missing}");
    // The newest were kept, and the reply came where it belongs among them.
    let newest: Vec<_> = (EVENTS - OUTBOX / 2..=EVENTS).collect();
    assert!(events.ends_with(&newest), "{events:?}");
    let behind = replied_behind.expect("the reply was not dropped");
    let next = *events.iter().find(|n| **n > behind).unwrap();
    assert!(behind < REPLIED && REPLIED + 1 < next, "its neighbours were: it came between {behind} and {next}");
    // It is a subscriber like any other again.
    drone.send(event(EVENTS + 1)).await;
    assert_eq!(told(&mut stubborn).await["payload"]["n"], EVENTS + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_past_those_who_do_not_read_is_not_kept() {
    for when_full in ["close", "drop_oldest"] {
        let gateway = gateway(when_full);
        let mut drone = agent(&gateway, "a1").await;
        let mut deaf = Vec::new();
        for n in 0..30 {
            deaf.push(stubborn(&gateway, &format!("deaf{n}")).await);
        }
        let memory = Memory::watched(&gateway);
        let text = "y".repeat(16 << 10);
        for round in 0..100 {
            for n in 0..100 {
                drone.send(json!({"type": "event", "payload": {"n": round * 100 + n, "text": text}})).await;
            }
            assert!(drone.heard().await.is_empty());
        }
        let (before, grown) = memory.grew().await;
        println!("{when_full}: {before} KiB before, {grown} KiB more while 160 MiB went past thirty who did not read");
        assert!(grown < 64 << 10, "{when_full}: {grown} KiB");
    }
}

#[tokio::test]
async fn an_empty_outbox_takes_a_message_of_any_permitted_size() {
    let gateway = TestGateway::with(&format!("{UNLIMITED}outbox = {{ messages = 4, bytes = \"1KiB\" }}\n"));
    let mut drone = agent(&gateway, "a1").await;
    let mut ann = dashboard(&gateway, "ann").await;
    ann.join(ROOM).await;
    for _ in 0..5 {
        let payload = json!({"text": "x".repeat(900 << 10)});
        assert_eq!(drone.tell(json!({"type": "event", "payload": payload})).await, 1);
        assert_eq!(kinds(&ann.heard().await), ["event"]);
    }
}
