//! Three programs and a Redis, all of them real: what one node knows the others know, what is killed frees what it held, and
//! a Redis that is gone, paused or new takes nobody along.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::{collections::HashSet, time::Duration};

use gateway_server::clock;
use gateway_tests::{
    Actor, TestClient, TestGateway, eventually,
    gateway::Options,
    raw::Raw,
    receiver::{Receiver, Request},
    redis::{Redis, free_port},
    rooms::{open_to_dashboards, unlimited_but},
    tokens::token,
};
use serde_json::{Value, json};

const COMMANDS: &str = r#"
[[routes]]
from = "dashboard"
types = ["command"]
to = "agent:{payload.agentId}"
reply_timeout = "20s"
"#;

fn config() -> String {
    let (limits, rooms) = (unlimited_but(10), open_to_dashboards("{name}"));
    format!("[server]\ndrain_timeout = \"2s\"\n{limits}{rooms}presence = \"off\"\n{COMMANDS}")
}

fn event(n: u64) -> Option<Value> {
    Some(json!({"to": ["room:lobby"], "type": "news", "payload": {"n": n}}))
}

async fn dashboard(node: &TestGateway, user: &str) -> Actor {
    Actor::enter(node, "/ws/dashboard", user, "dashboard").await
}

/// Waits until each node says that it is there, and that it is in no trouble.
async fn are_well(nodes: &[TestGateway]) {
    for node in nodes {
        eventually(20, "the node reaches the others", async || {
            (node.api("GET", "/readyz", None).await.1["status"] == "ok").then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_node_that_is_killed_frees_what_it_held_within_its_lease_and_the_others_tell_of_it() {
    let redis = Redis::start();
    let mut nodes = TestGateway::joined(3, &redis, &config());
    are_well(&nodes).await;
    let mut follower = dashboard(&nodes[0], "bob").await;
    follower.subscribe("agents").await;
    let mut agent = Actor::enter(&nodes[2], "/ws/agent", "press", "agent").await;
    assert_eq!(follower.hear().await["type"], "agent.online");
    // A request over two programs.
    follower.say(json!({"type": "command", "id": "c", "payload": {"agentId": "press"}})).await;
    let request = agent.hear().await;
    agent.say(json!({"type": "reply", "replyTo": request["requestId"], "payload": "done"})).await;
    assert_eq!(follower.hear().await["payload"], "done");
    let ann = token("ann", "dashboard");
    let mut held = Vec::new();
    for _ in 0..10 {
        held.push(TestClient::connect(&nodes[2], "/ws/dashboard", &ann).await.unwrap());
    }
    // Though the Redis is new, they are counted over all nodes from the first on.
    let refused = TestClient::connect(&nodes[1], "/ws/dashboard", &ann).await.unwrap_err();
    assert_eq!(refused.code(), "CONNECTION_LIMIT");
    follower.say(json!({"type": "command", "id": "lost", "payload": {"agentId": "press"}})).await;
    agent.hear().await;
    drop(nodes.pop().unwrap().crash());
    eventually(10, "the seats are free", async || TestClient::connect(&nodes[1], "/ws/dashboard", &ann).await.ok())
        .await;
    let mut told = [follower.hear().await, follower.hear().await];
    told.sort_by_key(|message| message["type"].to_string());
    assert_eq!(
        (&told[0]["type"], &told[0]["payload"]["reason"]),
        (&json!("agent.offline"), &json!("node_lost")),
        "{told:?}"
    );
    assert_eq!((&told[1]["id"], &told[1]["payload"]["code"]), (&json!("lost"), &json!("TARGET_LOST")), "{told:?}");
    follower.hears_nothing().await;
    // It is named as missing until the next beat says who is here.
    eventually(10, "a list without it", async || {
        let (_, list) = nodes[0].api("GET", "/api/v1/agents", None).await;
        assert_eq!(list["total"], 0, "{list}");
        list.get("missing").is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_event_whose_publisher_hangs_up_is_told_once_and_known_at_every_node() {
    let redis = Redis::start();
    let nodes = TestGateway::joined(2, &redis, &config());
    are_well(&nodes).await;
    let mut ann = dashboard(&nodes[0], "ann").await;
    let id = uuid::Uuid::new_v4().to_string();
    let body = Some(json!({"to": ["user:ann"], "type": "news", "payload": 1, "eventId": id}));
    redis.pause();
    let said = body.as_ref().unwrap().to_string();
    let mut hasty = Raw::connect(nodes[0].address).await;
    let operator = token("operator", "admin");
    let head = format!("POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {operator}\r\n");
    hasty.send(format!("{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{said}", said.len())).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    hasty.reset();
    tokio::time::sleep(Duration::from_millis(300)).await;
    redis.resume();
    assert_eq!(ann.hear().await["eventId"], id.as_str());
    let again = nodes[1].api("POST", "/api/v1/events", body).await;
    assert_eq!(again, (200, json!({"eventId": id, "delivered": 1, "scope": "cluster", "duplicate": true})));
    ann.hears_nothing().await;
}

/// Those of whose ends a hook was told, with the code, in the order of users.
fn gone(hook: &Receiver) -> Vec<(String, String)> {
    let told = hook.taken().into_iter().filter(|request| request.event() == "disconnect");
    let code = |request: &Request| request.json["reason"]["code"].as_str().unwrap().to_owned();
    let mut gone: Vec<_> = told.map(|request| (request.user().to_owned(), code(&request))).collect();
    gone.sort();
    gone
}

/// Waits until nothing stands in Redis of that node but what its latest life holds.
async fn is_given_back(redis: &Redis, name: &str) {
    let lives = format!("{{node:{name}#");
    eventually(30, "what it held is given back", async || {
        let lives: HashSet<String> = redis.keys().into_iter().filter(|key| key.contains(&lives)).collect();
        lives.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_hook_is_told_once_of_who_went_with_a_node_whoever_tells() {
    let (redis, hook) = (Redis::start(), Receiver::start().await);
    let config = format!(
        "{}[state]\nfile = \"state.jsonl\"\n[[webhooks]]\nname = \"backend\"\nurl = \"{}\"\nsecret_file = \"hook.txt\"\n\
         events = [\"connect\", \"disconnect\"]\n[cluster]\nredis = \"{}\"\nlease = \"3s\"\n",
        config(),
        hook.url(),
        redis.url()
    );
    let start = |nth: usize, folder| {
        TestGateway::open(Options {
            config: config.clone(),
            env: vec![("GATEWAY__SERVER__NODE".into(), format!("node-{nth}"))],
            files: vec![("hook.txt".into(), b"a-secret-for-the-hook-of-32-bytes-or-more".to_vec())],
            folder,
            ..Options::default()
        })
    };
    let mut nodes = vec![start(1, None), start(2, None)];
    are_well(&nodes).await;
    let lost = |user: &str| (user.to_owned(), "node_lost".to_owned());

    // It is back before it is missed, and tells of its own; when its former life is missed, nobody tells again.
    let _ann = dashboard(&nodes[1], "ann").await;
    hook.has_taken(1).await;
    let folder = nodes.pop().unwrap().crash();
    nodes.push(start(2, Some(folder)));
    hook.has_taken(2).await;
    assert_eq!(gone(&hook), [lost("ann")]);
    is_given_back(&redis, "node-2").await;

    // It stays away: the other tells. When it is back it finds that told.
    let _bob = dashboard(&nodes[1], "bob").await;
    hook.has_taken(3).await;
    let folder = nodes.pop().unwrap().crash();
    hook.has_taken(4).await;
    assert_eq!(gone(&hook), [lost("ann"), lost("bob")]);
    nodes.push(start(2, Some(folder)));
    are_well(&nodes).await;

    // It only stood still, and is taken for lost: what is here after all is told to have come again.
    let cara = dashboard(&nodes[1], "cara").await;
    hook.has_taken(5).await;
    nodes[1].signal("STOP");
    hook.has_taken(6).await;
    assert_eq!(gone(&hook), [lost("ann"), lost("bob"), lost("cara")]);
    nodes[1].signal("CONT");
    let told = hook.has_taken(7).await;
    assert_eq!((told[6].event(), told[6].user()), ("connect", "cara"));
    assert_eq!(told[6].json["connection"]["connectionId"], cara.id());
    cara.leave().await;
    hook.has_taken(8).await;
    assert_eq!(gone(&hook)[2..], [("cara".to_owned(), "closed".to_owned()), lost("cara")]);
}

#[tokio::test]
async fn a_redis_that_starts_again_without_its_data_begins_new_epochs_and_everybody_is_told() {
    let mut redis = Redis::start();
    let nodes = TestGateway::joined(2, &redis, &config());
    are_well(&nodes).await;
    let mut ann = dashboard(&nodes[0], "ann").await;
    let began = ann.subscribe("lobby").await;
    let (_, told) = nodes[1].api("POST", "/api/v1/events", event(1)).await;
    assert_eq!((&told["delivered"], &told["scope"]), (&json!(1), &json!("cluster")), "{told}");
    assert_eq!(ann.hear().await["offset"], 1);
    redis.kill();
    eventually(10, "the nodes say that they are cut off", async || {
        (nodes[0].api("GET", "/readyz", None).await.1["clusterAway"] == true).then_some(())
    })
    .await;
    let (_, alone) = nodes[1].api("POST", "/api/v1/events", event(2)).await;
    assert_eq!(alone["scope"], "node", "{alone}");
    redis.go_on();
    are_well(&nodes).await;
    let lost = ann.hear().await;
    assert_eq!((&lost["type"], &lost["payload"]["recovered"]), (&json!("subscribed"), &json!(false)), "{lost}");
    assert_ne!(lost["payload"]["epoch"], began["epoch"]);
    let (_, told) = nodes[1].api("POST", "/api/v1/events", event(3)).await;
    assert_eq!((&told["delivered"], &told["scope"]), (&json!(1), &json!("cluster")), "{told}");
    assert_eq!(ann.hear().await["payload"]["n"], 3);
    ann.hears_nothing().await;
    nodes[0].audited("the node says that it was away", |line| line["event"] == "cluster.away").await;
    nodes[0].audited("the node says that it is back", |line| line["event"] == "cluster.back").await;
}

#[tokio::test]
async fn a_redis_that_is_paused_keeps_nobody_waiting_and_nothing_is_told_twice() {
    let redis = Redis::start();
    let nodes = TestGateway::joined(2, &redis, &config());
    are_well(&nodes).await;
    let mut ann = dashboard(&nodes[0], "ann").await;
    ann.subscribe("lobby").await;
    nodes[1].api("POST", "/api/v1/events", event(1)).await;
    assert_eq!(ann.hear().await["offset"], 1);
    redis.pause();
    let began = clock::now().tick;
    let (status, told) = nodes[1].api("POST", "/api/v1/events", event(2)).await;
    assert_eq!((status, &told["scope"]), (200, &json!("node")), "{told}");
    TestClient::connect(&nodes[1], "/ws/dashboard", &token("bob", "dashboard")).await.unwrap();
    assert!(clock::now().tick.since(began) < Duration::from_secs(9), "nobody hangs");
    redis.resume();
    are_well(&nodes).await;
    let (_, told) = eventually(20, "it is carried again", async || {
        let (status, told) = nodes[1].api("POST", "/api/v1/events", event(3)).await;
        (told["scope"] == "cluster").then_some((status, told))
    })
    .await;
    assert_eq!(told["delivered"], 1, "{told}");
    let mut heard = Vec::new();
    loop {
        let message = ann.hear().await;
        if message["payload"]["n"] == 3 {
            break;
        }
        heard.push(message);
    }
    assert!(heard.iter().all(|message| message["payload"]["n"] != 2), "it was said to the other node alone: {heard:?}");
}

#[tokio::test]
async fn a_node_that_has_not_reached_its_redis_yet_says_so_from_the_first() {
    for (policy, status) in [("fail_open_local", 200), ("fail_closed", 503)] {
        let place = format!("redis = \"redis://127.0.0.1:{}\"\nwhen_away = \"{policy}\"\n", free_port());
        let node = TestGateway::with(&format!("{}[cluster]\n{place}", config()));
        let (said, body) = node.api("GET", "/readyz", None).await;
        assert_eq!((said, &body["status"], &body["clusterAway"]), (status, &json!("degraded"), &json!(true)), "{body}");
    }
}

#[test]
fn a_wrong_password_is_refused_at_the_start_and_says_what_to_do() {
    let redis = Redis::with(gateway_tests::redis::Rules { password: Some("right".into()), ..Default::default() });
    let config = format!("[cluster]\nredis = \"redis://127.0.0.1:{}\"\npassword_file = \"redis.txt\"\n", redis.port);
    let files = vec![("redis.txt".to_owned(), b"wrong\n".to_vec())];
    let refused = TestGateway::try_open(Options { config, files, ..Options::default() }).unwrap_err();
    assert!(refused.contains("refuses the user or the password") && !refused.contains("wrong\n"), "{refused}");
}

#[test]
fn the_doctor_is_let_in_or_not_as_the_gateway_is_and_leaves_nothing_behind() {
    let redis = Redis::with(gateway_tests::redis::Rules { password: Some("right".into()), ..Default::default() });
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let config = |more: &str| {
        let text = "[[auth.keys]]\nkid = \"main\"\nalgorithm = \"HS256\"\nsecret_file = \"secret.txt\"\n[cluster]\n";
        std::fs::write(place("gateway.toml"), format!("{text}redis = \"redis://127.0.0.1:{}\"\n{more}", redis.port))
            .unwrap();
    };
    let finds = |words: &[&str]| {
        let arguments = ["doctor", "--json", "--config", "gateway.toml"];
        let (_, found, faults) = gateway_tests::program::run(folder.path(), &arguments, "", &[]);
        let fits = |line: &str| line.contains("\"redis\"") && words.iter().all(|word| line.contains(word));
        assert!(found.lines().any(fits), "no line with {words:?}: {found}{faults}");
    };
    std::fs::write(place("secret.txt"), gateway_tests::SECRET).unwrap();
    config("");
    finds(&["\"change\"", "refuses the user or the password", "cluster.password_file"]);
    config("password_file = \"redis.txt\"\n");
    std::fs::write(place("redis.txt"), "wrong\n").unwrap();
    finds(&["\"change\"", "refuses the user or the password", "does not start"]);
    std::fs::write(place("redis.txt"), "right\n").unwrap();
    finds(&["\"ok\"", "lets this gateway in"]);
    assert_eq!(redis.keys(), [""; 0], "the doctor leaves nothing behind");
}

#[test]
fn sentinels_that_want_a_password_of_their_own_are_given_it_and_not_that_of_the_redis() {
    let password = |of: &str| gateway_tests::redis::Rules { password: Some(of.into()), ..Default::default() };
    let redis = Redis::with(password("of-the-redis"));
    let more = vec![
        "sentinel auth-pass main of-the-redis".to_owned(),
        "user asker on >of-the-asker -@all +@connection +sentinel|get-master-addr-by-name".to_owned(),
    ];
    let rules = gateway_tests::redis::Rules { more, ..password("of-the-sentinels") };
    let sentinel = Redis::sentinel_by(redis.port, Duration::from_secs(5), rules);
    let open = |more: &str, words: &[u8]| {
        let nodes = format!("master = \"main\", nodes = [\"127.0.0.1:{}\"]", sentinel.port);
        let config = format!("[cluster]\npassword_file = \"redis.txt\"\nsentinel = {{ {nodes}{more} }}\n");
        let files =
            vec![("redis.txt".to_owned(), b"of-the-redis\n".to_vec()), ("sentinels.txt".to_owned(), words.to_vec())];
        TestGateway::try_open(Options { config, files, alone: true, ..Options::default() })
    };
    let password_file = ", password_file = \"sentinels.txt\"";
    let as_asker = format!(", username = \"asker\"{password_file}");
    for (more, words) in [("", "none"), (password_file, "of-the-redis\n"), (&as_asker, "of-the-sentinels\n")] {
        let refused = open(more, words.as_bytes()).unwrap_err();
        let said = refused.contains("the Sentinel at 127.0.0.1") && refused.contains("password of the Sentinels");
        assert!(said && !refused.contains("of-the-"), "{refused}");
    }
    for (more, words) in [(password_file, "of-the-sentinels\n"), (&as_asker, "of-the-asker\n")] {
        let gateway = open(more, words.as_bytes()).unwrap();
        assert!(redis.keys().contains(&"gateway:1:nodes".to_owned()), "it is at the master that the Sentinel names");
        assert!(!gateway.written().contains("of-the-"), "no password is written");
        drop(gateway);
        redis.ask(&["FLUSHALL"]);
    }
}

#[test]
fn a_redis_that_repeats_what_it_does_not_know_gives_no_password_away() {
    let more = vec!["rename-command HELLO gone".to_owned()];
    let redis =
        Redis::with(gateway_tests::redis::Rules { password: Some("hunted".into()), more, ..Default::default() });
    let config = format!("[cluster]\nredis = \"redis://127.0.0.1:{}\"\npassword_file = \"redis.txt\"\n", redis.port);
    let files = vec![("redis.txt".to_owned(), b"hunted\n".to_vec())];
    let written = match TestGateway::try_open(Options { config, files, ..Options::default() }) {
        Ok(gateway) => gateway.written(),
        Err(written) => written,
    };
    assert!(written.contains("HELLO") && !written.contains("hunted"), "{written}");
}
