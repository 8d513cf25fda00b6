//! The receivers of the page on webhooks, each run as it stands there: it takes what a gateway tells it, once, and
//! nothing else: nothing forged, changed or old, and nothing twice.

use std::{
    fs,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use gateway_auth::Seal;
use gateway_tests::{
    Options, TestClient, TestGateway,
    receiver::{Answer, Receiver},
    tokens::{now, token},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use super::{
    page::Page,
    rust_receiver::{Verdict, Verifier},
    stage::is_there,
};

const SECRET: &str = "the-secret-of-today-has-32-bytes-or-more";
const BEFORE: &str = "the-secret-of-yesterday-has-them-as-well";

/// A receiver of the page, running.
struct Program {
    _child: Child,
    _folder: tempfile::TempDir,
    lines: Lines<BufReader<ChildStdout>>,
    url: String,
}

impl Program {
    async fn start(interpreter: &str, name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        fs::write(&file, Page::read("docs/webhooks.md").file(name)).unwrap();
        let mut command = Command::new(interpreter);
        command.arg(file).env("PORT", "0").env("HOOK_SECRET", SECRET).env("HOOK_SECRET_BEFORE", BEFORE);
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut program = Self { _child: child, _folder: folder, lines, url: String::new() };
        let port = program.says().await;
        program.url = format!("http://127.0.0.1:{}/hook", port.strip_prefix("on ").expect("a port"));
        program
    }

    async fn says(&mut self) -> String {
        let line = tokio::time::timeout(Duration::from_secs(30), self.lines.next_line()).await;
        line.expect("it says something").unwrap().expect("it runs")
    }

    async fn hears(&mut self) -> Value {
        serde_json::from_str(&self.says().await).expect("JSON")
    }

    async fn post(&self, signature: &str, body: &str) -> u16 {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.post(&self.url).header("gateway-signature", signature).body(body.to_owned());
        request.send().await.unwrap().status().as_u16()
    }
}

fn signature(secret: &str, time: i64, body: &str) -> String {
    let seal = Seal::new(secret.as_bytes()).over(&[time.to_string().as_bytes(), b".", body.as_bytes()]);
    format!("t={time},v1={seal}")
}

/// Signatures that are nobody's, or of another time or body.
fn forged(body: &str) -> Vec<String> {
    let good = signature(SECRET, now(), body);
    let (time, seal) = good.split_once(',').unwrap();
    vec![
        String::new(),
        "t=,v1=".into(),
        time.into(),
        seal.into(),
        format!("{time},v1=zz"),
        format!("{time},v1=é"),
        format!("{time},v0={}", &seal[3..]),
        format!("t={},{seal}", now() - 1),
        signature("another-secret-that-has-32-bytes-as-well", now(), body),
        signature(SECRET, now() - 400, body),
        signature(SECRET, now() + 400, body),
        signature(SECRET, now(), &format!("{body} ")),
    ]
}

/// A gateway tells it who comes and goes.
async fn told_by_a_gateway(url: &str) -> TestGateway {
    let config = format!("[[webhooks]]\nname = \"backend\"\nurl = \"{url}\"\nsecret_file = \"h.txt\"\n");
    let files = vec![("h.txt".to_owned(), SECRET.as_bytes().to_vec())];
    let gateway = TestGateway::open(Options { config, files, ..Options::default() });
    let (ann, _) = TestClient::greeted(&gateway, "/ws/dashboard", &token("ann", "dashboard")).await;
    ann.leave().await;
    gateway
}

async fn verifies(mut program: Program) {
    let _gateway = told_by_a_gateway(&program.url).await;
    for wanted in ["connect", "disconnect"] {
        let event = program.hears().await;
        assert_eq!((&event["event"], &event["connection"]["userId"]), (&json!(wanted), &json!("ann")));
    }
    let body = r#"{"id":"1","event":"message","message":{"forged":true}}"#;
    for forged in forged(body).iter().filter(|text| text.is_ascii()) {
        assert_eq!(program.post(forged, body).await, 401, "{forged}");
    }
    let once = r#"{"id":"2","event":"message","message":1}"#;
    for _ in 0..3 {
        assert_eq!(program.post(&signature(SECRET, now(), once), once).await, 204);
    }
    let rotated = r#"{"id":"3","event":"message","message":2}"#;
    let both = signature("another-secret-that-has-32-bytes-as-well", now(), rotated);
    let (_, other) = both.split_once(',').unwrap();
    assert_eq!(program.post(&format!("{},{other}", signature(BEFORE, now(), rotated)), rotated).await, 204);
    assert_eq!(program.hears().await["id"], "2");
    assert_eq!(program.hears().await["id"], "3", "nothing forged was acted on, and nothing twice");
}

#[tokio::test]
async fn the_node_receiver_takes_what_is_the_gateways_once() {
    verifies(Program::start("node", "receiver.mjs").await).await;
}

#[tokio::test]
async fn the_python_receiver_takes_what_is_the_gateways_once() {
    if !is_there("python3") {
        eprintln!("not run: there is no python3");
        return;
    }
    verifies(Program::start("python3", "receiver.py").await).await;
}

#[tokio::test]
async fn the_rust_receiver_takes_what_is_the_gateways_once() {
    let receiver = Receiver::start().await;
    let told = Arc::<Mutex<Vec<Value>>>::default();
    let (mut verifier, heard) = (Verifier::new(&[SECRET, BEFORE]), Arc::clone(&told));
    receiver.answers(move |request| {
        match verifier.judge(request.header("gateway-signature"), &request.body, now().unsigned_abs()) {
            Verdict::New(event) => heard.lock().unwrap().push(event),
            Verdict::Again => {}
            Verdict::Forged => return Answer::Status(401),
        }
        Answer::Status(204)
    });
    let _gateway = told_by_a_gateway(&receiver.url()).await;
    receiver.has_taken(2).await;
    let events: Vec<_> = told.lock().unwrap().iter().map(|event| event["event"].clone()).collect();
    assert_eq!(events, [json!("connect"), json!("disconnect")]);

    let mut verifier = Verifier::new(&[SECRET, BEFORE]);
    let body = r#"{"id":"1"}"#;
    let mut judge = |signature: &str| verifier.judge(signature, body.as_bytes(), now().unsigned_abs());
    for forged in forged(body) {
        assert_eq!(judge(&forged), Verdict::Forged, "{forged}");
    }
    assert_eq!(judge(&signature(BEFORE, now(), body)), Verdict::New(json!({"id": "1"})));
    assert_eq!(judge(&signature(SECRET, now(), body)), Verdict::Again);
}
