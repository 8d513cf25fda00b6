//! A policy is changed while it is used: whoever the new one admits notices nothing, the others read POLICY_CHANGED, and a
//! faulty one changes nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    fs,
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt;
use gateway_tests::{
    Actor, Claims, Options, TestClient, TestGateway, eventually, program,
    receiver::{Answer, Receiver, Request},
    tokens::token,
};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const OLD: &str = "the-old-secret-of-at-least-thirty-two-bytes";
const NEXT: &str = "the-next-secret-of-at-least-thirty-two-byte";

/// The policy that each test begins with.
const POLICY: &str = r#"
[server]
watch = false
[limits]
handshakes_per_ip = "off"
handshakes_per_user = "off"
[plans.default]
messages = "off"
[plans.agent]
messages = "off"
[plans.small]
connections = 3
messages = "off"
[[endpoints]]
path = "/ws/agent"
roles = ["agent"]
agents = true
[[endpoints]]
path = "/ws/dashboard"
roles = ["dashboard"]
origins = ["https://a.example", "https://b.example"]
[[endpoints]]
path = "/ws/other"
[[routes]]
from = "dashboard"
types = ["command"]
to = "agent:{payload.agentId}"
reply_timeout = "20s"
[[rooms.rules]]
match = "news"
join = [{ role = "dashboard" }]
"#;

const OLD_KEY: &str = "[[auth.keys]]\nkid = \"old\"\nalgorithm = \"HS256\"\nsecret_file = \"old.txt\"\n";
const NEXT_KEY: &str = "[[auth.keys]]\nkid = \"next\"\nalgorithm = \"HS256\"\nsecret_file = \"next.txt\"\n";
const NUDGE: &str = "[[routes]]\nfrom = \"dashboard\"\ntypes = [\"nudge\"]\nto = \"agent:{payload.agentId}\"\n";

fn gateway(policy: &str) -> TestGateway {
    TestGateway::open(Options {
        config: policy.to_owned(),
        files: vec![("old.txt".into(), OLD.into()), ("next.txt".into(), NEXT.into())],
        ..Options::default()
    })
}

/// Changes what is written.
fn rewrite(gateway: &TestGateway, change: impl FnOnce(String) -> String) {
    let file = gateway.folder.path().join("gateway.toml");
    let text = change(fs::read_to_string(&file).unwrap());
    fs::write(file, text).unwrap();
}

async fn reload(gateway: &TestGateway) -> Value {
    let (status, answer) = gateway.api("POST", "/api/v1/reload", None).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

fn by(secret: &str, kid: &str, claims: &Claims) -> String {
    claims.sign_with(Algorithm::HS256, Some(kid), &EncodingKey::from_secret(secret.as_bytes()))
}

async fn run(gateway: &TestGateway, args: &[&str]) -> Output {
    let (args, folder) = (args.iter().map(ToString::to_string).collect::<Vec<_>>(), Arc::clone(&gateway.folder));
    let url = gateway.http("");
    tokio::task::spawn_blocking(move || {
        let mut command = Command::new(program::gateway());
        command.args(args).current_dir(folder.path()).env("GATEWAY_URL", url);
        command.env("GATEWAY_TOKEN", token("root", "admin")).output().unwrap()
    })
    .await
    .unwrap()
}

/// So many ask.
const ASKING: usize = 40;

/// Agents that answer, and dashboards that ask without a pause, until it is over. Whoever is closed fails.
struct Load {
    is_over: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
    tasks: JoinSet<()>,
}

impl Load {
    async fn on(gateway: &TestGateway) -> Self {
        let (is_over, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        // Agents stay for as long as anybody may wait for an answer.
        let asking = Arc::new(AtomicUsize::new(ASKING));
        let mut tasks = JoinSet::new();
        for n in 0..4 {
            let mut agent = Actor::enter(gateway, "/ws/agent", &format!("a-{n}"), "agent").await;
            let asking = Arc::clone(&asking);
            tasks.spawn(async move {
                while asking.load(Ordering::Relaxed) > 0 {
                    let heard = tokio::time::timeout(Duration::from_millis(200), agent.client.socket.next());
                    let Ok(frame) = heard.await else { continue };
                    let text = frame.expect("it is not closed").expect("a frame").into_text().unwrap_or_default();
                    let message: Value = serde_json::from_str(&text).unwrap_or_default();
                    if message["type"] == "command" {
                        agent.say(json!({"type": "reply", "replyTo": message["requestId"]})).await;
                    }
                }
            });
        }
        for n in 0..ASKING {
            let (mut client, _) =
                TestClient::greeted(gateway, "/ws/dashboard", &token(&format!("user-{n}"), "dashboard")).await;
            let (is_over, answers, asking) = (Arc::clone(&is_over), Arc::clone(&answers), Arc::clone(&asking));
            tasks.spawn(async move {
                let mut nth = 0;
                while !is_over.load(Ordering::Relaxed) {
                    nth += 1;
                    let id = nth.to_string();
                    let to = format!("a-{}", n % 4);
                    let answer = client.ask(json!({"type": "command", "id": id, "payload": {"agentId": to}})).await;
                    assert_eq!((&answer["type"], &answer["replyTo"]), (&json!("reply"), &json!(id)), "{answer}");
                    answers.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                asking.fetch_sub(1, Ordering::Relaxed);
            });
        }
        Self { is_over, answers, tasks }
    }

    /// Waits until everybody has had several more answers.
    async fn goes_on(&self) {
        let before = self.answers.load(Ordering::Relaxed);
        eventually(20, "it goes on", async || (self.answers.load(Ordering::Relaxed) > before + 200).then_some(()))
            .await;
    }

    async fn ends_well(self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.tasks.join_all().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_nobody_is_lost_whom_the_new_policy_admits() {
    let gateway = gateway(&format!("{POLICY}{OLD_KEY}"));
    let load = Load::on(&gateway).await;
    let claims = Claims::of("olga", "dashboard");
    let (mut olga, _) = TestClient::greeted(&gateway, "/ws/dashboard", &by(OLD, "old", &claims)).await;
    let small = Claims::of("sam", "dashboard").with("plan", "small").sign();
    let (mut first, _) = TestClient::greeted(&gateway, "/ws/dashboard", &small).await;
    let (mut second, _) = TestClient::greeted(&gateway, "/ws/dashboard", &small).await;
    let (mut third, _) = TestClient::greeted(&gateway, "/ws/dashboard", &small).await;
    let mut ann = Actor::enter(&gateway, "/ws/dashboard", "ann", "dashboard").await;
    let mut agent = Actor::enter(&gateway, "/ws/agent", "press", "agent").await;
    load.goes_on().await;

    // A faulty file changes nothing, and says why: in the answer, in the log and in the end of the command.
    let sound = fs::read_to_string(gateway.folder.path().join("gateway.toml")).unwrap();
    rewrite(&gateway, |text| text.replace("connections = 3", "connections = 1").replace("\"20s\"", "\"soon\""));
    let (status, answer) = gateway.api("POST", "/api/v1/reload", None).await;
    assert_eq!((status, &answer["error"]["code"]), (400, &json!("INVALID_REQUEST")), "{answer}");
    assert_eq!(answer["error"]["details"][0]["path"], "routes[0].reply_timeout", "{answer}");
    let output = run(&gateway, &["reload"]).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), said.contains("routes[0].reply_timeout")), (Some(1), true), "{said}");
    assert!(gateway.written().contains("what was in force stays in force"));
    let line = gateway.audited("the fault", |line| line["event"] == "reload").await;
    assert!(line["reason"].as_str().unwrap().contains("faulty"), "{line}");
    load.goes_on().await;
    assert_eq!(first.ask(json!({"type": "ping", "id": "1"})).await["type"], "pong");

    // A key is exchanged, a route added, a plan tightened.
    let sound = sound.replace("connections = 3", "connections = 2").replace(OLD_KEY, NEXT_KEY);
    rewrite(&gateway, |_| format!("{sound}{NUDGE}"));
    let output = run(&gateway, &["config", "diff", "--config", "gateway.toml"]).await;
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said.contains("~ plans.small.connections: 3 -> 2\n"), "{said}");
    assert!(said.contains("+ auth.keys[next].kid") && said.contains("- auth.keys[old].kid"), "{said}");
    assert!(said.contains("~ server.listen") && said.contains("(needs a restart)"), "{said}");
    let answer = reload(&gateway).await;
    assert_eq!(answer["closed"], 2, "{answer}");
    assert!(answer["changed"].as_array().unwrap().contains(&json!("plans.small.connections")), "{answer}");
    for (client, why) in [(&mut olga, "key"), (&mut third, "plan")] {
        let (code, reason) = client.closed().await;
        assert_eq!((code, &reason["code"]), (4016, &json!("POLICY_CHANGED")), "{why}");
    }
    let ends = gateway.audit().into_iter().filter(|line| line["event"] == "disconnected").collect::<Vec<_>>();
    assert!(ends.iter().any(|line| line["reason"].as_str().unwrap().contains("there is no key old")), "{ends:?}");
    for client in [&mut first, &mut second] {
        assert_eq!(client.ask(json!({"type": "ping", "id": "2"})).await["type"], "pong");
    }
    let refused = TestClient::connect(&gateway, "/ws/dashboard", &small).await.unwrap_err();
    assert_eq!(refused.code(), "CONNECTION_LIMIT");
    let refused = TestClient::connect(&gateway, "/ws/dashboard", &by(OLD, "old", &claims)).await.unwrap_err();
    assert_eq!(refused.detail(), "unknown_key");
    TestClient::greeted(&gateway, "/ws/dashboard", &by(NEXT, "next", &claims)).await;
    // Who was here before goes by the new routes.
    ann.say(json!({"type": "nudge", "payload": {"agentId": "press"}})).await;
    assert_eq!(agent.hear().await["type"], "nudge");
    load.goes_on().await;
    load.ends_well().await;
}

#[tokio::test]
async fn each_part_of_a_policy_is_held_against_those_who_are_here() {
    let gateway = gateway(POLICY);
    let from = async |origin: &str| {
        let address = gateway.ws(&format!("/ws/dashboard?token={}", token("ann", "dashboard")));
        let mut client = TestClient::open(&address, &[("origin", origin)]).await.unwrap();
        client.json().await;
        client
    };
    let (mut page_a, mut page_b) = (from("https://a.example").await, from("https://b.example").await);
    let mut bob = Actor::enter(&gateway, "/ws/dashboard", "bob", "dashboard").await;
    bob.subscribe("news").await;
    let mut other = TestClient::greeted(&gateway, "/ws/other", &token("cid", "dashboard")).await.0;
    let mut banned = TestClient::greeted(&gateway, "/ws/dashboard", &token("mallory", "dashboard")).await.0;
    let two = Claims::of("dora", "dashboard").with("roles", json!(["dashboard", "chief"])).sign();
    let (mut dora, ready) = TestClient::greeted(&gateway, "/ws/dashboard", &two).await;
    assert_eq!(ready["role"], "dashboard");
    let agent = Actor::enter(&gateway, "/ws/agent", "press", "agent").await;

    rewrite(&gateway, |text| {
        text.replace(", \"https://b.example\"", "")
            .replace("[[endpoints]]\npath = \"/ws/other\"\n", "")
            .replace("roles = [\"dashboard\"]", "roles = [\"chief\", \"dashboard\"]")
            .replace("join = [{ role = \"dashboard\" }]", "join = [{ role = \"chief\" }]")
            + "[[bans]]\nuser = \"mallory\"\nreason = \"spam\"\n[admin]\nlisten = \"127.0.0.1:1\"\n"
    });
    let answer = reload(&gateway).await;
    assert_eq!((&answer["closed"], &answer["needsRestart"]), (&json!(3), &json!(["admin.listen"])), "{answer}");
    let (code, reason) = page_b.closed().await;
    assert_eq!((code, &reason["code"]), (4016, &json!("POLICY_CHANGED")), "its page is on no list");
    assert_eq!(other.closed().await.0, 4016, "its endpoint is no more");
    let (code, reason) = banned.closed().await;
    assert_eq!((code, &reason["code"]), (4007, &json!("BANNED")));
    assert_eq!(page_a.ask(json!({"type": "ping", "id": "1"})).await["type"], "pong");
    let left = bob.hear().await;
    assert_eq!((&left["type"], &left["payload"]["room"]), (&json!("unsubscribed"), &json!("news")));
    // She is admitted in another role from now on, and a room is open to it.
    dora.send(json!({"type": "subscribe", "payload": {"room": "news"}})).await;
    assert_eq!(dora.json().await["type"], "subscribed");
    let (_, found) = gateway.api("GET", "/api/v1/connections?role=chief", None).await;
    assert_eq!(found["connections"].as_array().unwrap().len(), 1, "{found}");
    let (_, config) = gateway.api("GET", "/api/v1/config", None).await;
    assert_eq!((&config["bans"][0]["user"], &config["admin"]["listen"]), (&json!("mallory"), &Value::Null), "{config}");
    let backend = token("backend", "service");
    assert_eq!(gateway.api_as(&backend, "GET", "/api/v1/config", None).await.0, 403);
    drop((bob, agent));
}

#[tokio::test]
async fn a_signal_and_a_change_of_the_file_are_as_good_as_a_call() {
    let gateway = gateway(POLICY);
    let knocks = async || TestClient::connect(&gateway, "/ws/late", "rubbish").await.unwrap_err().status;
    assert_eq!(knocks().await, 404);
    let late = "[[endpoints]]\npath = \"/ws/late\"\n";
    rewrite(&gateway, |text| text.replace("watch = false", "watch = false\nlog = \"debug\"") + late);
    assert_eq!(knocks().await, 404, "nobody watches");
    gateway.signal("HUP");
    eventually(10, "the signal is heard", async || (knocks().await == 401).then_some(())).await;
    gateway
        .audited("who did it", |line| {
            line["event"] == "reload" && line["reason"].as_str().is_some_and(|reason| reason.contains("SIGHUP"))
        })
        .await;

    let gateway = TestGateway::with("[limits]\nhandshakes_per_ip = \"off\"\n");
    let knocks = async || TestClient::connect(&gateway, "/ws/late", "rubbish").await.unwrap_err().status;
    rewrite(&gateway, |text| format!("{text}\n{late}nonsense = true\n"));
    eventually(10, "the fault is seen", async || gateway.written().contains("nonsense").then_some(())).await;
    assert_eq!(knocks().await, 404);
    rewrite(&gateway, |text| text.replace("nonsense = true\n", ""));
    eventually(10, "the change is seen", async || (knocks().await == 401).then_some(())).await;
}

#[tokio::test]
async fn webhooks_come_go_and_move_and_what_was_told_before_still_arrives() {
    let gateway = gateway(POLICY);
    fs::write(gateway.folder.path().join("hook.txt"), OLD).unwrap();
    let (first, second) = (Receiver::start().await, Receiver::start().await);
    let hook = |to: &Receiver| {
        format!(
            "[[webhooks]]\nname = \"backend\"\nurl = \"{}\"\nsecret_file = \"hook.txt\"\nevents = [\"connect\"]\n",
            to.url()
        )
    };
    let (to_first, to_second) = (hook(&first), hook(&second));
    let comes = async |user: &str| TestClient::greeted(&gateway, "/ws/dashboard", &token(user, "dashboard")).await.0;
    // It answers late: what it was told is under way when another takes its place.
    first.answers(|_| Answer::Slow(Duration::from_millis(500), 204));
    rewrite(&gateway, |text| text + &to_first);
    reload(&gateway).await;
    let ann = comes("ann").await;
    rewrite(&gateway, |text| text.replace(&to_first, &to_second));
    reload(&gateway).await;
    let bob = comes("bob").await;
    // What did not change goes on as it is.
    rewrite(&gateway, |text| text + NUDGE);
    reload(&gateway).await;
    let cid = comes("cid").await;
    rewrite(&gateway, |text| text.replace(&to_second, ""));
    reload(&gateway).await;
    let dora = comes("dora").await;
    let users = |told: Vec<Request>| told.iter().map(|request| request.user().to_owned()).collect::<Vec<_>>();
    assert_eq!(users(first.has_taken(1).await), ["ann"]);
    assert_eq!(users(second.has_taken(2).await), ["bob", "cid"]);
    drop((ann, bob, cid, dora));
}
