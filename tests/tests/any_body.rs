//! Whatever bytes a caller sends as a body: the answer is one of the table, and never a fault of the gateway.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use gateway_tests::{TestGateway, calls::call, rooms::agent, tokens::token};
use proptest::{
    collection::vec,
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::json;

const ISSUING: &str = "[http]\nrate = \"off\"\n[auth.issuer]\nkey = \"main\"\n\
                       [limits]\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = \"off\"\n";

/// Every call with a body, and the most bytes that it takes.
const CALLS: [(&str, &str, usize); 8] = [
    ("POST", "/api/v1/events", 1 << 20),
    ("POST", "/api/v1/events/batch", 4 << 20),
    ("POST", "/api/v1/agents/press-7/requests", 1 << 20),
    ("PUT", "/api/v1/bans", 256 << 10),
    ("DELETE", "/api/v1/bans", 256 << 10),
    ("POST", "/api/v1/revocations", 256 << 10),
    ("POST", "/auth/token", 256 << 10),
    ("POST", "/auth/refresh", 256 << 10),
];

/// Words that are nearly right, so that more than the first brace is read.
const WORDS: [&str; 28] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\"to\"",
    "\"type\"",
    "\"payload\"",
    "\"events\"",
    "\"user\"",
    "\"jti\"",
    "\"timeout\"",
    "\"address\"",
    "\"until\"",
    "\"dryRun\"",
    "\"refresh_token\"",
    "\"user:ann\"",
    "\"0s\"",
    "null",
    "true",
    "-1e999",
    "18446744073709551616",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "\u{feff}",
    " \n\t",
];

/// The status of an answer, which must have the form of one.
async fn answered(gateway: &TestGateway, method: &str, path: &str, kind: Option<&str>, body: Vec<u8>) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.request(method.parse().unwrap(), gateway.http(path)).bearer_auth(token("root", "admin"));
    if let Some(kind) = kind {
        request = request.header("content-type", kind);
    }
    let response = request.body(body).send().await.expect("an answer");
    let status = response.status().as_u16();
    let answer: serde_json::Value = response.json().await.expect("an answer is JSON");
    let code = answer["error"]["code"].as_str().unwrap_or_default().to_owned();
    assert!(status == 200 || !code.is_empty(), "{method} {path}: {status} {answer}");
    (status, code)
}

#[tokio::test]
async fn any_bytes_at_all_are_answered_and_never_by_a_fault() {
    let gateway = TestGateway::with(ISSUING);
    let random = vec(any::<u8>(), 0..2_000);
    let nearly = vec(proptest::sample::select(WORDS.to_vec()), 0..40).prop_map(|words| words.concat().into_bytes());
    let cut = (0..400usize).prop_map(|at| {
        let whole = json!({"events": [{"to": ["user:ann", "room:x"], "type": "x", "payload": {"a": [1, 2.5, "\u{e9}\u{1f600}"]}}]});
        whole.to_string().into_bytes().into_iter().take(at).collect()
    });
    let bodies = prop_oneof![random, nearly, cut];
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    for (method, path, _) in CALLS {
        for _ in 0..60 {
            let body = bodies.new_tree(&mut runner).unwrap().current();
            let (status, code) = answered(&gateway, method, path, Some("application/json"), body.clone()).await;
            assert!(status < 500, "{method} {path}: {status} {code} for {:?}", String::from_utf8_lossy(&body));
        }
    }
    assert_eq!(call(&gateway, "GET", "/healthz", &[], None).await.status, 200);
}

#[tokio::test]
async fn a_body_that_is_too_large_or_of_another_kind_is_told_so() {
    let gateway = TestGateway::with(ISSUING);
    for (method, path, most) in CALLS.into_iter().filter(|(_, path, _)| *path != "/auth/token") {
        let large = format!("\"{}\"", "x".repeat(most - 2));
        let code = answered(&gateway, method, path, None, large.clone().into_bytes()).await.1;
        assert_eq!(code, "INVALID_REQUEST", "{method} {path}: as large as it may be");
        let told = answered(&gateway, method, path, None, (large + " ").into_bytes()).await;
        assert_eq!(told, (413, "MESSAGE_TOO_BIG".into()), "{method} {path}");
        for kind in ["text/plain", "application/xml", "application/json5", "multipart/form-data; boundary=x", "\u{e9}"]
        {
            let told = answered(&gateway, method, path, Some(kind), b"{}".to_vec()).await;
            assert_eq!(told, (415, "UNSUPPORTED_DATA".into()), "{method} {path} {kind}");
        }
        for kind in ["application/json; charset=utf-8", "Application/JSON"] {
            let told = answered(&gateway, method, path, Some(kind), b"{".to_vec()).await;
            assert_eq!(told, (400, "INVALID_REQUEST".into()), "{method} {path} {kind}");
        }
    }
}

#[tokio::test]
async fn a_malformed_body_is_told_where_and_depth_breaks_nothing() {
    let gateway = TestGateway::with(ISSUING);
    let bearer = format!("Bearer {}", token("root", "admin"));
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let post = async |path: &str, body: String| call(&gateway, "POST", path, &headers, body).await;
    let answer = post("/api/v1/events", "{\"to\": [\"user:ann\"],\n \"type\": }".into()).await;
    assert_eq!(answer.told(), (400, "INVALID_REQUEST"));
    let fault = &answer.body["error"]["details"][0];
    assert_eq!(fault["path"], "line 2 column 10", "{fault}");
    for (body, named) in [
        (json!({"to": [], "type": "x", "payload": 1}), "/to"),
        (json!({"to": ["user:ann", "nobody"], "type": "x", "payload": 1}), "/to/1"),
        (json!({"to": ["user:ann"], "type": "ping", "payload": 1}), "/type"),
    ] {
        let answer = post("/api/v1/events", body.to_string()).await;
        assert_eq!(
            (answer.told(), &answer.body["error"]["details"][0]["path"]),
            ((400, "INVALID_REQUEST"), &json!(named))
        );
    }
    let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    // Where a text is wanted.
    let answer =
        post("/api/v1/events", format!("{{\"to\": {}, \"type\": \"x\", \"payload\": 1}}", deep(100_000))).await;
    assert_eq!(answer.told(), (400, "INVALID_REQUEST"));
    let answer = post("/api/v1/events/batch", deep(1_000_000)).await;
    assert_eq!(answer.told(), (400, "INVALID_REQUEST"));
    // A payload is nobody's business here: it goes through, there and back.
    let payload = deep(100_000);
    let answer =
        post("/api/v1/events", format!("{{\"to\": [\"room:x\"], \"type\": \"x\", \"payload\": {payload}}}")).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let mut press = agent(&gateway, "press-7").await;
    let asking = post("/api/v1/agents/press-7/requests", "{\"type\": \"x\"}".into());
    let answering = async {
        let asked = press.json().await;
        press.send(format!("{{\"type\":\"reply\",\"replyTo\":{},\"payload\":{payload}}}", asked["requestId"])).await;
    };
    let (answer, ()) = tokio::join!(asking, answering);
    assert_eq!(answer.status, 200, "as it was written, whatever a reader makes of it");
    press.leave().await;
}
