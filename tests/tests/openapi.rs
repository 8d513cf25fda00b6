//! The document of the HTTP API and the gateway say the same: it is committed as it is, a linter finds nothing in it, each
//! of its calls is there, what is answered fits it, and a program that makes up calls from it finds no answer that it does
//! not have.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use futures_util::StreamExt;
use gateway_tests::{
    Options, TestClient, TestGateway,
    calls::call,
    node,
    program::run,
    python,
    rooms::{agent, unlimited},
    tokens::token,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

const KEY: &str = "gateway-test-key-of-forty-characters-000";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn committed() -> String {
    fs::read_to_string(root().join("docs/openapi.json")).unwrap()
}

fn document() -> Value {
    serde_json::from_str(&committed()).unwrap()
}

/// Method, path and declaration of each call.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let calls = |(path, calls): (&String, &Value)| -> Vec<_> {
        let calls = calls.as_object().unwrap().iter();
        calls.map(|(method, call)| (method.to_uppercase(), path.clone(), call.clone())).collect()
    };
    paths.iter().flat_map(calls).collect()
}

#[test]
fn the_committed_document_is_that_of_these_sources() {
    let folder = tempfile::tempdir().unwrap();
    let (code, printed, faults) = run(folder.path(), &["openapi"], "", &[]);
    assert_eq!((code, faults.as_str()), (Some(0), ""));
    assert!(printed == committed(), "docs/openapi.json is old: cargo run -p gateway -- openapi > docs/openapi.json");
}

#[tokio::test]
async fn the_document_is_served_where_the_api_is_to_everybody() {
    let gateway = TestGateway::start();
    let served = call(&gateway, "GET", "/openapi.json", &[], None).await;
    assert_eq!((served.status, served.header("content-type")), (200, "application/json"));
    assert_eq!(served.body, document());
    let head = call(&gateway, "HEAD", "/openapi.json", &[], None).await;
    assert_eq!((head.status, head.header("content-length")), (200, served.header("content-length")));
    let refused = call(&gateway, "POST", "/openapi.json", &[], None).await;
    assert_eq!((refused.told(), refused.header("allow")), ((405, "METHOD_NOT_ALLOWED"), "GET, HEAD"));
    let apart = TestGateway::with("[admin]\nlisten = \"127.0.0.1:0\"\n");
    assert_eq!(call(&apart, "GET", "/openapi.json", &[], None).await.told(), (404, "NOT_FOUND"));
}

#[test]
fn a_linter_finds_nothing_in_the_document() {
    let mut command = Command::new(node::packages().join(".bin/spectral"));
    command.args(["lint", "--fail-severity", "hint", "--ruleset", "tests/node/spectral.yaml", "docs/openapi.json"]);
    let ended = command.current_dir(root()).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
}

#[tokio::test]
async fn each_call_of_the_document_is_there_and_asks_for_the_credential_that_it_names() {
    let gateway = open("");
    let mut calls = operations(&document());
    // The one that ends it is the last.
    calls.sort_by_key(|(_, path, _)| path.ends_with("/drain"));
    for (method, path, declared) in calls {
        let path = path.replace("{requestId}", "3f0c2b57-9f0e-4c7e-8a51-6f1f6f5f0a6e");
        let path = path.replace(['{', '}'], "");
        let stranger = call(&gateway, &method, &path, &[], None).await;
        let schemes = declared["security"].as_array().unwrap();
        let asked = !schemes.is_empty() && !schemes.contains(&json!({}));
        assert_eq!(stranger.told() == (401, "AUTH_REQUIRED"), asked, "{method} {path}: {stranger:?}");
        // With a credential of the role that it names, and with no other.
        for role in ["dashboard", "service", "admin"] {
            let bearer = format!("Bearer {}", token("root", role));
            let answer = call(&gateway, &method, &path, &[("authorization", &bearer)], None).await;
            let nowhere = answer.body["error"]["message"] == "there is nothing at this address";
            assert!(!nowhere && answer.status < 500, "{method} {path}: {answer:?}");
            let may = match declared["x-role"].as_str() {
                Some("admin") => role == "admin",
                Some(_) => role != "dashboard",
                None => true,
            };
            assert_eq!(answer.code() == "FORBIDDEN", !may && asked, "{method} {path} as {role}: {answer:?}");
        }
    }
}

/// A gateway with all that the document has, and without a rate that many calls would meet.
fn open(more: &str) -> TestGateway {
    let hash = gateway_auth::api_key::hash_text(&gateway_auth::api_key::hash(KEY));
    let config = format!(
        "[http]\nrate = \"off\"\n[auth.issuer]\nkey = \"main\"\n\
         [[api_keys]]\nid = \"backend\"\nsha256 = \"{hash}\"\nuser = \"backend\"\nroles = [\"service\"]\n\
         [limits]\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = \"off\"\n{more}"
    );
    TestGateway::open(Options { config, ..Options::default() })
}

/// An agent that answers whatever it is asked.
fn answering(mut agent: TestClient) -> JoinHandle<()> {
    tokio::spawn(async move {
        while let Some(Ok(frame)) = agent.socket.next().await {
            let message: Value = serde_json::from_slice(&frame.into_data()).unwrap_or_default();
            if message["requestId"].is_string() {
                let reply = json!({"type": "reply", "replyTo": message["requestId"], "payload": message["payload"]});
                agent.send(reply).await;
            }
        }
    })
}

#[tokio::test]
async fn no_made_up_call_has_an_answer_that_the_document_has_not() {
    let tool = python::program("schemathesis");
    let gateway = open("");
    let (mut ann, ready) = TestClient::greeted(&gateway, "/ws/dashboard", &token("ann", "dashboard")).await;
    let press = answering(agent(&gateway, "press-7").await);
    ann.join("agent:press-7").await;
    let event = json!({"to": ["room:agent:press-7"], "type": "reading", "payload": {"bar": 180}});
    assert_eq!(gateway.api("POST", "/api/v1/events", Some(event)).await.0, 200);
    let refused = call(&gateway, "GET", "/api/v1/bans", &[], None).await;
    let ours = root().join("tests/python");
    // What it remembers of a run goes with its folder.
    let folder = tempfile::tempdir().unwrap();
    let mut command = tokio::process::Command::new(tool);
    command
        .arg("--config-file")
        .arg(ours.join("schemathesis.toml"))
        .args(["run", &gateway.http("/openapi.json"), "--no-color"])
        .env("PYTHONPATH", ours)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("GATEWAY_TOKEN", token("root", "admin"))
        .env("GATEWAY_API_KEY", KEY)
        .env("GATEWAY_CONNECTION", ready["connectionId"].as_str().unwrap())
        .env("GATEWAY_REQUEST", refused.body["error"]["requestId"].as_str().unwrap())
        .env("no_proxy", "*")
        .current_dir(folder.path())
        .kill_on_drop(true);
    let ended = tokio::time::timeout(std::time::Duration::from_secs(300), command.output()).await;
    let ended = ended.expect("an end in time").unwrap();
    let said = String::from_utf8_lossy(&ended.stdout) + String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
    // Nothing that was made up locked its maker out, so that the rest would have been refused alike.
    assert_eq!(gateway.api("GET", "/api/v1/bans", None).await.0, 200);
    // All but the document itself, which it has read already, and the one that would end it.
    let tested = operations(&document()).len() - 2;
    assert!(said.contains(&format!("Tested: {tested}")), "{said}");
    press.abort();
}

/// The document's schema of that answer, with nothing in any object but what is declared.
fn strict(document: &Value, method: &str, path: &str, status: u16) -> Value {
    let response = &document["paths"][path][method.to_lowercase()]["responses"][status.to_string()];
    let response = match response["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => response,
    };
    let schema = &response["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{method} {path} has no {status}");
    let mut components = document["components"].clone();
    let schemas = components["schemas"].as_object_mut().unwrap();
    schemas.values_mut().for_each(closed);
    json!({ "allOf": [schema], "components": { "schemas": schemas } })
}

fn closed(schema: &mut Value) {
    if let Some(members) = schema.as_object_mut() {
        if members.contains_key("properties") && !members.contains_key("additionalProperties") {
            members.insert("additionalProperties".into(), false.into());
        }
        members.values_mut().for_each(closed);
    } else if let Some(items) = schema.as_array_mut() {
        items.iter_mut().for_each(closed);
    }
}

#[tokio::test]
async fn what_is_answered_has_no_member_that_the_document_does_not_tell() {
    let gateway = unlimited("");
    let mut ann = TestClient::greeted(&gateway, "/ws/dashboard", &token("ann", "dashboard")).await;
    let press = answering(agent(&gateway, "press-7").await);
    ann.0.join("agent:press-7").await;
    let id = "3f0c2b57-9f0e-4c7e-8a51-6f1f6f5f0a6e";
    let event = json!({"to": ["room:agent:press-7"], "type": "reading", "payload": {"bar": 180}, "eventId": id});
    let other = json!({"to": ["user:bob"], "type": "reading", "payload": 1, "eventId": id});
    let connection = ann.1["connectionId"].as_str().unwrap().to_owned();
    let calls = [
        ("POST", "/api/v1/events", "", Some(event.clone()), 200),
        ("POST", "/api/v1/events", "", Some(event), 200),
        ("POST", "/api/v1/events", "", Some(other.clone()), 409),
        ("POST", "/api/v1/events", "", Some(json!({"to": ["user:a"], "type": "x", "payload": 1, "eventId": "x"})), 422),
        ("POST", "/api/v1/events/batch", "", Some(json!({"events": [other]})), 200),
        ("POST", "/api/v1/agents/{agentId}/requests", "press-7", Some(json!({"type": "x", "payload": {"a": 1}})), 200),
        ("POST", "/api/v1/agents/{agentId}/requests", "nobody", Some(json!({"type": "x"})), 404),
        ("GET", "/api/v1/agents", "", None, 200),
        ("GET", "/api/v1/connections", "", None, 200),
        ("GET", "/api/v1/connections/{connectionId}", &connection, None, 200),
        ("GET", "/api/v1/users/{userId}", "ann", None, 200),
        ("GET", "/api/v1/rooms", "", None, 200),
        ("GET", "/api/v1/rooms/{room}", "agent:press-7", None, 200),
        ("GET", "/api/v1/rooms/{room}/history", "agent:press-7", None, 200),
        ("GET", "/api/v1/rooms/{room}/presence", "agent:press-7", None, 200),
        ("PUT", "/api/v1/bans", "", Some(json!({"address": "203.0.113.0/24", "until": "2100-01-01T00:00:00Z"})), 200),
        ("PUT", "/api/v1/bans", "", Some(json!({"user": "mallory", "reason": "spam"})), 200),
        ("PUT", "/api/v1/bans", "", Some(json!({"user": "mallory", "dryRun": true})), 200),
        ("GET", "/api/v1/bans", "", None, 200),
        ("DELETE", "/api/v1/bans", "", Some(json!({"user": "mallory"})), 200),
        ("DELETE", "/api/v1/bans", "", Some(json!({"user": "mallory"})), 404),
        ("POST", "/api/v1/revocations", "", Some(json!({"user": "mallory"})), 200),
        ("POST", "/api/v1/revocations", "", Some(json!({"jti": "x", "until": "2100-01-01T00:00:00Z"})), 200),
        ("POST", "/api/v1/revocations", "", Some(json!({})), 400),
        ("GET", "/api/v1/audit", "", None, 200),
        ("GET", "/readyz", "", None, 200),
        ("GET", "/health", "", None, 200),
        ("GET", "/api/v1/config", "", None, 200),
        ("POST", "/api/v1/reload", "", None, 200),
        ("POST", "/api/v1/users/{userId}/disconnect", "ann", None, 200),
        ("POST", "/api/v1/drain", "", None, 200),
    ];
    let document = document();
    for (method, path, parameter, body, status) in calls {
        let place = match path.split_once('{') {
            Some((before, rest)) => format!("{before}{parameter}{}", rest.split_once('}').unwrap().1),
            None => path.to_owned(),
        };
        let (got, answer) = gateway.api(method, &place, body).await;
        assert_eq!(got, status, "{method} {place}: {answer}");
        let schema = jsonschema::validator_for(&strict(&document, method, path, status)).unwrap();
        let faults: Vec<_> = schema.iter_errors(&answer).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{method} {place}: {faults:?}\n{answer:#}");
    }
    press.abort();
}
