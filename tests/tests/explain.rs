//! Why was I refused: whoever has the request id that the client was told gets the whole answer from `gateway explain`,
//! from the running gateway or from its audit file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use gateway_tests::{Claims, Options, TestClient, TestGateway, program::run, tokens::token};
use serde_json::{Value, json};

const KEY: &str = "key-of-the-operator-0123456789abcdef";

fn gateway() -> TestGateway {
    TestGateway::open(Options {
        config: "[[api_keys]]\nid = \"ops\"\nkey_env = \"OPS_KEY\"\nuser = \"ops\"\nroles = [\"admin\"]\n".into(),
        env: vec![("OPS_KEY".into(), KEY.into())],
        ..Options::default()
    })
}

fn explained(gateway: &TestGateway, id: &str, more: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut arguments = vec!["explain", id];
    arguments.extend_from_slice(more);
    run(gateway.folder.path(), &arguments, "", env)
}

/// Which check decided, of the list that is printed.
fn decided(page: &str) -> &str {
    let mut lines = page.lines().filter(|line| line.contains("DECIDED"));
    let line = lines.next();
    assert!(line.is_some() && lines.next().is_none(), "one check decides:\n{page}");
    line.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_running_gateway_says_which_check_decided() {
    let gateway = gateway();
    gateway.api("PUT", "/api/v1/bans", Some(json!({"user": "mallory", "reason": "abuse"}))).await;
    let url = gateway.http("");
    for (door, token, code, check) in [
        ("/ws", String::new(), "AUTH_REQUIRED", "is there a token"),
        ("/ws", "nonsense".into(), "TOKEN_INVALID", "is the token valid"),
        ("/ws", Claims::of("ann", "x").expiring_in(-9).sign(), "TOKEN_EXPIRED", "is the token valid"),
        ("/ws", token("mallory", "x"), "BANNED", "is the user welcome"),
        ("/ws/agent", token("ann", "dashboard"), "ROLE_MISMATCH", "roles open the endpoint"),
    ] {
        let refused = TestClient::connect(&gateway, door, &token).await.unwrap_err();
        let id = refused.body["error"]["requestId"].as_str().unwrap();
        let (exit, page, errors) = explained(&gateway, id, &["--url", &url], &[("GATEWAY_API_KEY", KEY)]);
        assert_eq!(exit, Some(0), "{errors}");
        assert!(page.contains(id) && page.contains(code) && page.contains(door), "{page}");
        assert!(decided(&page).contains(check), "{page}");
        assert!(!page.contains("eyJ") && !page.contains(KEY), "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_file_tells_the_same_when_the_gateway_is_gone() {
    let gateway = gateway();
    let mut client = TestClient::connect(&gateway, "/ws/simulate", "nonsense").await.unwrap();
    let (_, reason) = client.closed().await;
    let id = reason["requestId"].as_str().unwrap().to_owned();
    gateway.audited("the line", |line| line["requestId"] == *id).await;
    let admin = token("root", "admin");
    let url = gateway.http("");
    let (_, from_gateway, _) = explained(&gateway, &id, &["--url", &url], &[("GATEWAY_TOKEN", &admin)]);
    let folder = gateway.crash();
    let (exit, from_file, errors) = run(folder.path(), &["explain", &id, "--file", "audit.jsonl"], "", &[]);
    assert_eq!((exit, &from_file), (Some(0), &from_gateway), "{errors}");
    assert!(decided(&from_file).contains("is the token valid") && from_file.contains("malformed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_explained_is_said_plainly() {
    let gateway = gateway();
    let refused = TestClient::connect(&gateway, "/ws", "nonsense").await.unwrap_err();
    let id = refused.body["error"]["requestId"].as_str().unwrap().to_owned();
    gateway.audited("the line", |line: &Value| line["requestId"] == *id).await;
    let (url, unknown) = (gateway.http(""), "00000000-0000-4000-8000-000000000000");
    let service = token("backend", "service");
    for (id, more, env, said) in [
        (unknown, vec!["--url", &url], vec![("GATEWAY_API_KEY", KEY)], "--file"),
        (unknown, vec!["--file", "audit.jsonl"], vec![], unknown),
        (&*id, vec!["--url", &url], vec![], "GATEWAY_TOKEN"),
        (&*id, vec!["--url", &url], vec![("GATEWAY_API_KEY", "guess")], "TOKEN_INVALID"),
        (&*id, vec!["--url", &url], vec![("GATEWAY_TOKEN", &*service)], "FORBIDDEN"),
        (&*id, vec!["--url", "http://127.0.0.1:1"], vec![("GATEWAY_API_KEY", KEY)], "does not answer"),
        (&*id, vec!["--file", "missing.jsonl"], vec![], "missing.jsonl"),
        ("nonsense", vec!["--file", "audit.jsonl"], vec![], "nonsense"),
    ] {
        let (exit, page, errors) = explained(&gateway, id, &more, &env);
        assert!(exit.is_some_and(|exit| exit != 0), "{said}: {page}");
        assert!(errors.contains(said), "{said}: {errors}");
        assert!(!errors.contains("eyJ") && !errors.contains(KEY), "{errors}");
    }
}
