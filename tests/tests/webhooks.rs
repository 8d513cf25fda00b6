//! Backends are told who comes and goes and what is meant for them: by a real gateway, at a real receiver that is slow,
//! fails, hangs, cuts off, redirects, goes away and comes back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use gateway_auth::Seal;
use gateway_tests::{
    Options, TestClient, TestGateway, eventually,
    process::resident_kib,
    receiver::{Answer, Receiver, Request},
    rooms::{UNLIMITED, agent, dashboard},
    scrape::Scrape,
    tokens::token,
};
use serde_json::{Value, json};

const CURRENT: &str = "the-secret-of-today-has-32-bytes-or-more";
const PREVIOUS: &str = "the-secret-of-yesterday-has-them-as-well";

/// The configuration of a hook, with more keys of it and more of a configuration behind it.
fn hook(receiver: &Receiver, more: &str) -> String {
    format!(
        "{UNLIMITED}[[webhooks]]\nname = \"backend\"\nurl = \"{}\"\nsecret_file = \"hook.txt\"\n{more}",
        receiver.url()
    )
}

/// A route by which everything of dashboards goes to the hook.
const TO_THE_HOOK: &str = "[[routes]]\nfrom = \"dashboard\"\ntypes = [\"note\"]\nto = \"webhook:backend\"\n";

fn options(config: String) -> Options {
    let files = vec![
        ("hook.txt".to_owned(), CURRENT.as_bytes().to_vec()),
        ("before.txt".to_owned(), PREVIOUS.as_bytes().to_vec()),
    ];
    Options { config, files, ..Options::default() }
}

fn gateway(receiver: &Receiver, more: &str) -> TestGateway {
    TestGateway::open(options(hook(receiver, more)))
}

/// Whether one of the signatures is that secret's, by a receiver's own reckoning.
fn is_signed(request: &Request, secret: &str) -> bool {
    let header = request.header("gateway-signature");
    let parts: Vec<_> = header.split(',').filter_map(|part| part.split_once('=')).collect();
    let (_, time) = parts.iter().find(|(name, _)| *name == "t").expect("a time");
    let age = gateway_tests::tokens::now() - time.parse::<i64>().unwrap();
    assert!((-5..60).contains(&age), "{age}");
    let wanted = Seal::new(secret.as_bytes()).over(&[time.as_bytes(), b".", &request.body]);
    parts.iter().any(|(name, value)| *name == "v1" && *value == wanted)
}

/// What the gateway counted of the hook's events, by what became of them.
async fn fates(gateway: &TestGateway) -> BTreeMap<String, u64> {
    let mut fates = BTreeMap::new();
    for line in metrics(gateway).await.lines().filter(|line| line.starts_with("gateway_webhook_events_total")) {
        let fate = line.split("fate=\"").nth(1).unwrap().split('"').next().unwrap();
        *fates.entry(fate.to_owned()).or_default() += line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
    }
    fates
}

async fn metrics(gateway: &TestGateway) -> String {
    Scrape::of(gateway).await.text
}

/// Waits until so many events have their fates.
async fn settled(gateway: &TestGateway, count: u64) -> BTreeMap<String, u64> {
    eventually(90, "every event has its fate", async || {
        let fates = fates(gateway).await;
        (fates.values().sum::<u64>() >= count).then_some(fates)
    })
    .await
}

async fn publish(gateway: &TestGateway, to: &[&str], payload: Value) -> Value {
    let body = json!({"to": to, "type": "news", "payload": payload});
    let (status, answer) = gateway.api_as(&token("backend", "service"), "POST", "/api/v1/events", Some(body)).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

#[tokio::test]
async fn a_backend_is_told_who_came_what_they_said_and_why_they_went() {
    let receiver = Receiver::start().await;
    let gateway = gateway(&receiver, TO_THE_HOOK);
    let (mut ann, greeting) = TestClient::greeted(&gateway, "/ws/dashboard", &token("ann", "dashboard")).await;
    let answer = ann.ask(json!({"type": "note", "id": "n1", "ack": true, "payload": {"n": 1.50}})).await;
    assert_eq!((&answer["type"], &answer["payload"]), (&json!("ack"), &json!({"delivered": 1})));
    let bob = agent(&gateway, "press-7").await;
    let told = publish(&gateway, &["webhook:backend", "user:ann", "webhook:backend"], json!(7)).await;
    assert_eq!(told["delivered"], 2, "a connection, and a hook");
    gateway.api("POST", "/api/v1/users/ann/disconnect", None).await;
    bob.leave().await;

    let told = receiver.has_taken(6).await;
    let of = |user: &str| told.iter().filter(|request| request.user() == user).collect::<Vec<_>>();
    let [came, said, went] = &*of("ann") else { panic!("{told:?}") };
    assert_eq!([came.event(), said.event(), went.event()], ["connect", "message", "disconnect"]);
    for request in [came, said, went] {
        let connection = &request.json["connection"];
        for name in ["connectionId", "userId", "role", "plan"] {
            assert_eq!(connection[name], greeting[name], "{name}");
        }
        assert_eq!((&connection["endpoint"], connection.get("agentId")), (&json!("/ws/dashboard"), None));
        assert_eq!((request.path.as_str(), request.header("gateway-event")), ("/hook", request.event()));
        assert_eq!(request.json["id"], request.header("gateway-event-id"));
        assert_eq!(request.header("content-type"), "application/json");
        assert!(request.header("user-agent").starts_with("gateway/"), "{:?}", request.headers);
        assert!(is_signed(request, CURRENT) && !is_signed(request, PREVIOUS));
        assert_eq!(request.json["webhook"], "backend");
        assert!(request.json["time"].as_str().unwrap().ends_with('Z'));
    }
    let message = &said.json["message"];
    assert_eq!(
        (&message["type"], &message["id"], &message["from"]["userId"]),
        (&json!("note"), &json!("n1"), &json!("ann"))
    );
    assert_eq!(went.json["reason"], json!({"by": "gateway", "code": "DISCONNECTED", "closeCode": 4011}));
    let [came, went] = &*of("press-7") else { panic!("{told:?}") };
    assert_eq!((came.event(), &came.json["connection"]["agentId"]), ("connect", &json!("press-7")));
    assert_eq!((&went.json["reason"]["by"], &went.json["reason"]["code"]), (&json!("peer"), &json!("closed")));
    let news = told.iter().find(|request| request.json.get("connection").is_none()).expect("of a backend");
    assert_eq!((&news.json["message"]["type"], &news.json["message"]["payload"]), (&json!("news"), &json!(7)));
    assert_eq!(settled(&gateway, 6).await, BTreeMap::from([("delivered".into(), 6)]));
    let ids: HashSet<_> = told.iter().map(|request| request.header("gateway-event-id").to_owned()).collect();
    assert_eq!(ids.len(), 6);
}

#[tokio::test]
async fn while_a_secret_is_exchanged_both_verify() {
    let receiver = Receiver::start().await;
    let gateway = gateway(&receiver, "previous_secret_file = \"before.txt\"\nevents = [\"message\"]\n");
    publish(&gateway, &["webhook:backend"], json!(1)).await;
    let told = receiver.has_taken(1).await;
    assert!(is_signed(&told[0], CURRENT) && is_signed(&told[0], PREVIOUS));
    assert!(!is_signed(&told[0], "another-secret-of-thirty-two-bytes-"));
    let mut changed = told[0].clone();
    changed.body[10] ^= 1;
    assert!(!is_signed(&changed, CURRENT), "the body is under the seal");
    let mut later = told[0].clone();
    let signature = later.headers.iter_mut().find(|(name, _)| name == "gateway-signature").unwrap();
    let time = gateway_tests::tokens::now() - 10;
    signature.1 = format!("t={time},{}", signature.1.split_once(',').unwrap().1);
    assert!(!is_signed(&later, CURRENT), "and so is the time");
}

#[tokio::test]
async fn what_names_no_hook_that_takes_messages_is_refused() {
    let receiver = Receiver::start().await;
    let gateway = gateway(&receiver, "events = [\"connect\"]\n");
    for name in ["backend", "nobody"] {
        let body = json!({"to": [format!("webhook:{name}")], "type": "x", "payload": 1});
        let (status, answer) = gateway.api("POST", "/api/v1/events", Some(body)).await;
        assert_eq!((status, &answer["error"]["details"][0]["path"]), (400, &json!("/to/0")), "{answer}");
    }
    let refused =
        TestGateway::try_open(options(hook(&receiver, "events = [\"connect\"]\n") + TO_THE_HOOK)).unwrap_err();
    assert!(refused.contains("takes no messages") && refused.contains("exit code Some(2)"), "{refused}");
}

/// Each connection's own news in order, whatever the receiver does: a connect first, a disconnect last, messages as they
/// were said. An answer that came too late makes the same event come again, before the next.
fn in_order(taken: &[Request]) {
    let mut last: HashMap<&str, ((usize, i64), &str)> = HashMap::new();
    for request in taken.iter().filter(|request| !request.user().is_empty()) {
        let next = match request.event() {
            "connect" => (0, 0),
            "message" => (1, request.json["message"]["payload"].as_i64().unwrap()),
            _ => (2, 0),
        };
        let connection = request.json["connection"]["connectionId"].as_str().unwrap();
        let id = request.header("gateway-event-id");
        if let Some((before, known)) = last.insert(connection, (next, id)) {
            assert!(before < next || known == id, "{connection}: {next:?} came after {before:?}");
        }
    }
}

#[tokio::test]
async fn whatever_the_receiver_does_each_event_is_delivered_or_counted_and_in_order() {
    let receiver = Receiver::start().await;
    let elsewhere = Receiver::start().await;
    let to = elsewhere.url();
    let mut nth = 0;
    // Of each ten: slow, failing, hanging, cut off at two places, sent elsewhere; the rest is good.
    receiver.answers(move |_| {
        nth += 1;
        match nth % 20 {
            1 => Answer::Slow(Duration::from_millis(300), 200),
            3 => Answer::Status(500),
            5 => Answer::Hang,
            7 => Answer::CutOff,
            9 => Answer::CutOffLater(200),
            11 => Answer::Redirect(to.clone()),
            13 => Answer::Status(429),
            15 => Answer::Status(400),
            _ => Answer::Status(204),
        }
    });
    let more = "timeout = \"2s\"\nat_once = 32\nbreaker = { failures = 1000, pause = \"1s\" }\n";
    let gateway = gateway(&receiver, &format!("{more}{TO_THE_HOOK}"));
    let mut people = Vec::new();
    for n in 0..20 {
        people.push(dashboard(&gateway, &format!("user-{n}")).await);
    }
    for n in 0..5 {
        for person in &mut people {
            person.send(json!({"type": "note", "payload": n})).await;
        }
    }
    for mut person in people {
        person.ask(json!({"type": "ping"})).await;
        person.leave().await;
    }
    let events = 20 * 7;
    let fates = settled(&gateway, events).await;
    assert_eq!(fates.values().sum::<u64>(), events, "each has one fate: {fates:?}");
    let taken = receiver.taken();
    in_order(&taken);
    let ids: HashSet<_> = taken.iter().map(|request| request.header("gateway-event-id")).collect();
    assert!(ids.len() as u64 >= fates["delivered"], "what was counted as delivered was taken: {fates:?}");
    assert!(fates.keys().all(|fate| ["delivered", "failed"].contains(&fate.as_str())), "{fates:?}");
    let lines = gateway.audit().iter().filter(|line| line["event"] == "webhook.failed").count() as u64;
    assert_eq!(lines, fates["failed"], "each that was given up is in the audit");
    assert!(elsewhere.requests().is_empty(), "nothing is followed elsewhere");
    assert!(receiver.requests().len() > taken.len(), "it was tried again");
}

#[tokio::test]
async fn a_receiver_that_restarts_misses_nothing() {
    let mut receiver = Receiver::start().await;
    let gateway = gateway(&receiver, "");
    let ann = dashboard(&gateway, "ann").await;
    receiver.has_taken(1).await;
    receiver.goes_away().await;
    ann.leave().await;
    let bob = dashboard(&gateway, "bob").await;
    eventually(20, "both were tried", async || {
        metrics(&gateway).await.contains("outcome=\"no_answer\"} 2").then_some(())
    })
    .await;
    receiver.comes_back();
    let told = receiver.has_taken(3).await;
    assert!(told.iter().any(|request| (request.user(), request.event()) == ("ann", "disconnect")));
    assert!(told.iter().any(|request| (request.user(), request.event()) == ("bob", "connect")));
    assert!(gateway.audit().iter().all(|line| line["event"] != "webhook.failed"));
    bob.leave().await;
}

#[tokio::test]
async fn a_receiver_that_hangs_costs_bounded_memory_and_nobody_waits_for_it() {
    let receiver = Receiver::start().await;
    receiver.answers(|_| Answer::Hang);
    let more = "queue = { events = 400, bytes = \"1MiB\" }\nevents = [\"connect\", \"disconnect\", \"message\"]\n";
    let gateway = gateway(&receiver, &format!("{more}{TO_THE_HOOK}"));
    let mut ann = dashboard(&gateway, "ann").await;
    let held = |gateway: &TestGateway| gateway.pids().into_iter().map(resident_kib).sum::<u64>();
    let before = held(&gateway);
    let big = "x".repeat(16 << 10);
    let messages = 3_000;
    for n in 0..messages {
        // 48 MB in all, each acknowledged: the hook has the first few, and then no more.
        let answer = ann.ask(json!({"type": "note", "id": n.to_string(), "ack": true, "payload": big})).await;
        assert_eq!(answer["type"], "ack", "nobody waits for a hook");
    }
    let scrape = Scrape::of(&gateway).await;
    assert!(scrape.names().contains("gateway_webhook_waiting"), "{}", scrape.text);
    let gauge = |name: &str| scrape.sum(name, &[("webhook", "backend")]) as u64;
    let (waiting, bytes) = (gauge("gateway_webhook_waiting"), gauge("gateway_webhook_waiting_bytes"));
    assert!(waiting <= 400 && bytes <= 1 << 20, "{waiting} events of {bytes} bytes");
    let grown = held(&gateway).saturating_sub(before);
    assert!(grown < 20 << 10, "{grown} KiB more, of {} that were told", messages * 16);
    let dropped = fates(&gateway).await["queue_full"];
    assert!(dropped > messages - 100, "{dropped}");
    let lines = gateway.audit();
    let told: Vec<_> = lines.iter().filter(|line| line["event"] == "webhook.failed").collect();
    assert!(told.len() == 1 && told[0]["reason"].as_str().unwrap().contains("takes less than it is told"), "{told:?}");
    ann.leave().await;
}

#[tokio::test]
async fn an_open_circuit_drops_at_once_says_so_and_closes_when_the_receiver_comes_back() {
    let receiver = Receiver::start().await;
    receiver.answers(|_| Answer::Status(410));
    // Each node finds out by itself that a receiver is gone.
    let config = hook(&receiver, "events = [\"message\"]\nbreaker = { failures = 3, pause = \"2s\" }\n");
    let gateway = TestGateway::open(Options { alone: true, ..options(config) });
    for n in 0..3 {
        publish(&gateway, &["webhook:backend"], json!(n)).await;
    }
    let line = gateway.audited("the circuit opens", |line| line["event"] == "webhook.circuit_open").await;
    assert!(line["reason"].as_str().unwrap().contains("3 events in a row"), "{line}");
    assert!(metrics(&gateway).await.contains("gateway_webhook_circuit_open{webhook=\"backend\"} 1"));
    assert_eq!(publish(&gateway, &["webhook:backend"], json!(3)).await["delivered"], 0);
    receiver.answers(|_| Answer::Status(204));
    let mut told = 4;
    eventually(20, "a probe is taken", async || {
        told += 1;
        (publish(&gateway, &["webhook:backend"], json!(told)).await["delivered"] == 1).then_some(())
    })
    .await;
    gateway.audited("the circuit closes", |line| line["event"] == "webhook.circuit_closed").await;
    let fates = settled(&gateway, told).await;
    assert_eq!((fates["failed"], fates["delivered"], fates["circuit_open"]), (3, 1, told - 4), "{fates:?}");
    assert!(metrics(&gateway).await.contains("gateway_webhook_circuit_open{webhook=\"backend\"} 0"));
}

#[tokio::test]
async fn a_gateway_that_stops_tells_that_everybody_went() {
    let receiver = Receiver::start().await;
    receiver.answers(|_| Answer::Slow(Duration::from_millis(200), 200));
    let gateway = gateway(&receiver, "");
    let mut people = Vec::new();
    for n in 0..10 {
        people.push(dashboard(&gateway, &format!("user-{n}")).await);
    }
    gateway.signal("TERM");
    for person in &mut people {
        person.closed().await;
    }
    // Beside this task, which the receiver needs, too.
    let ended = tokio::task::spawn_blocking(|| gateway.stop_already_told()).await;
    let (well, written) = ended.unwrap();
    assert!(well, "{written}");
    let taken = receiver.taken();
    in_order(&taken);
    let ends: Vec<_> = taken.iter().filter(|request| request.event() == "disconnect").collect();
    assert_eq!(ends.len(), 10);
    assert!(ends.iter().all(|request| request.json["reason"]["code"] == "DRAINING"));
}

#[tokio::test]
async fn whom_a_crash_took_a_backend_is_told_at_the_next_start() {
    let receiver = Receiver::start().await;
    let config = hook(&receiver, "[state]\nfile = \"state.jsonl\"\n");
    // Whom it had to tell of is in a file of each node's own.
    let gateway = TestGateway::open(Options { alone: true, ..options(config.clone()) });
    let mut people = Vec::new();
    for n in 0..5 {
        people.push(dashboard(&gateway, &format!("user-{n}")).await);
    }
    people.pop().unwrap().leave().await;
    let told = receiver.has_taken(6).await;
    settled(&gateway, 6).await;
    let folder = gateway.crash();
    assert_eq!(told.iter().filter(|request| request.event() == "disconnect").count(), 1);

    let gateway = TestGateway::open(Options { folder: Some(folder), ..options(config.clone()) });
    let told = receiver.has_taken(10).await;
    let lost: Vec<_> = told.iter().filter(|request| request.json["reason"]["code"] == "node_lost").collect();
    let mut users: Vec<_> = lost.iter().map(|request| request.user()).collect();
    users.sort_unstable();
    assert_eq!(users, ["user-0", "user-1", "user-2", "user-3"]);
    for request in lost {
        let came = told.iter().find(|other| (other.event(), other.user()) == ("connect", request.user())).unwrap();
        assert_eq!(came.json["connection"], request.json["connection"], "the very connection");
        assert!(is_signed(request, CURRENT));
    }
    eventually(20, "it is written down that they were told", async || {
        let roll = std::fs::read_to_string(gateway.folder.path().join("state.jsonl.webhooks")).unwrap();
        (roll.lines().filter(|line| line.contains("\"gone\"")).count() == 5).then_some(())
    })
    .await;
    let folder = gateway.crash();
    let gateway = TestGateway::open(Options { folder: Some(folder), ..options(config) });
    let ann = dashboard(&gateway, "ann").await;
    let told = receiver.has_taken(11).await;
    assert_eq!((told.len(), told[10].user(), told[10].event()), (11, "ann", "connect"), "nobody is told twice");
    ann.leave().await;
}
