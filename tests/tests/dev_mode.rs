//! Dev mode: with nothing configured it runs, on this machine and for it alone, and what it prints works as pasted.
//! Where somebody may have forgotten a configuration, it does not run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::{collections::BTreeSet, fs};

use gateway_tests::{
    TestClient,
    dev::{DevGateway, bare},
    raw::{Raw, upgrade},
};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_banner_works_as_pasted() {
    let gateway = DevGateway::start();
    assert!(gateway.banner.contains("NOT for production"));
    let commands: Vec<String> = gateway.commands().into_iter().map(str::to_owned).collect();
    assert_eq!(commands.len(), 6, "{commands:#?}");
    let mut told = BTreeSet::new();
    for command in &commands {
        // A shell is waited for, and the gateway is another process.
        let output = tokio::task::block_in_place(|| gateway.paste(command));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        let is_refused = command.contains("$DASHBOARD_TOKEN") && command.contains("/ws/agent");
        assert_eq!(output.status.success(), !is_refused, "{command}\n{text}\n{errors}");
        let kind = match command {
            _ if is_refused => {
                assert!(text.contains("ROLE_MISMATCH") && text.contains("requestId"), "{command}\n{text}");
                "refused"
            }
            command if command.contains("/healthz") => "health",
            command if command.contains("/api/v1/connections") => {
                let listed: Value = serde_json::from_str(&text).expect("JSON");
                assert_eq!(listed["total"], 0, "{listed}");
                "list"
            }
            command if command.contains("/auth/token") => {
                let issued: Value = serde_json::from_str(&text).expect("JSON");
                assert_eq!((&issued["token_type"], &issued["user_id"]), (&json!("Bearer"), &json!("ann")), "{command}");
                assert!(issued["access_token"].is_string() && issued["refresh_token"].is_string());
                "token"
            }
            command if command.contains("/ws/dashboard") => {
                assert!(text.contains("connection_ready") && text.contains("pong"), "{command}\n{text}");
                "dashboard"
            }
            _ => {
                assert!(text.contains("connection_ready") && text.contains("agent-1"), "{command}\n{text}");
                "agent"
            }
        };
        told.insert(kind);
    }
    assert_eq!(told, BTreeSet::from(["agent", "dashboard", "health", "list", "refused", "token"]));
    assert_eq!(tokio::task::block_in_place(|| gateway.stop()), Some(0));
}

#[tokio::test]
async fn each_run_has_keys_of_its_own_and_says_no_token_in_its_log() {
    let (one, other) = (DevGateway::start(), DevGateway::start());
    for name in ["AGENT_TOKEN", "DASHBOARD_TOKEN", "ADMIN_TOKEN", "API_KEY"] {
        assert_ne!(one.exported(name), other.exported(name));
    }
    let url = |at: &DevGateway, token: &str| format!("ws://{}/ws?token={token}", at.address);
    let mine = one.exported("DASHBOARD_TOKEN");
    TestClient::open(&url(&one, mine), &[]).await.expect("its own token").leave().await;
    let refused = TestClient::open(&url(&other, mine), &[]).await.unwrap_err();
    assert_eq!((refused.status, refused.detail()), (401, "signature"));
    for gateway in [one, other] {
        let log = gateway.complaints();
        assert!(log.contains("listening for clients"), "{log}");
        assert!(!log.contains("eyJ") && !log.contains(gateway.exported("API_KEY")));
    }
}

#[test]
fn whoever_has_the_program_alone_is_shown_how_to_call_it_and_not_cargo() {
    let program = gateway_tests::program::gateway().display().to_string();
    let (by_cargo, alone) = (DevGateway::start(), DevGateway::alone());
    assert!(by_cargo.banner.contains("cargo run -q -p gateway -- connect") && !by_cargo.banner.contains(&program));
    assert!(alone.banner.contains(&format!("{program} connect")) && !alone.banner.contains("cargo"));
    let output = alone.paste(alone.commands().iter().find(|line| line.contains("/ws/dashboard")).unwrap());
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_first_run_begins_with_its_banner_and_no_warning() {
    let gateway = DevGateway::start();
    assert!(!gateway.complaints().contains("WARN"), "{}", gateway.complaints());
}

#[tokio::test]
async fn it_answers_nobody_on_behalf_of_others_and_to_no_other_name() {
    let gateway = DevGateway::start();
    let to = gateway.address.parse().unwrap();
    let target = format!("/ws?token={}", gateway.exported("DASHBOARD_TOKEN"));
    for forwarding in ["X-Forwarded-For: 1.2.3.4", "Forwarded: for=1.2.3.4", "X-Real-IP: 1.2.3.4", "Via: 1.1 proxy"] {
        let answer = Raw::connect(to).await.ask(&upgrade(&target, &format!("{forwarding}\r\n"))).await;
        assert_eq!((answer.status, answer.code()), (Some(400), "INVALID_REQUEST"), "{forwarding}");
    }
    let named = |host: &str| upgrade(&target, "").replace("Host: localhost", &format!("Host: {host}"));
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8080", "192.0.2.2:8080", ""] {
        let answer = Raw::connect(to).await.ask(&named(host)).await;
        assert_eq!((answer.status, answer.code()), (Some(400), "INVALID_REQUEST"), "{host}");
        let api = Raw::connect(to).await.ask(&format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!(api.status, Some(400), "{host}");
    }
    for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:8080"] {
        assert_eq!(Raw::connect(to).await.ask(&named(host)).await.status, Some(101), "{host}");
    }
}

/// Runs the program to its end: exit code and what it said.
fn ended(mut command: std::process::Command) -> (Option<i32>, String) {
    let output = command.output().expect("the program");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.code(), text)
}

#[test]
fn it_listens_to_this_machine_alone() {
    let folder = tempfile::tempdir().unwrap();
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.2:0"] {
        let mut command = bare(folder.path());
        command.args(["serve", "--listen", listen]);
        let (code, text) = ended(command);
        assert_eq!(code, Some(2), "{listen}: {text}");
        assert!(text.contains("dev mode") && text.contains("server.listen"), "{text}");
        assert!(!text.contains("eyJ"), "no banner");
    }
}

#[test]
fn a_container_without_a_configuration_stops_with_a_message() {
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in [("GATEWAY_CONTAINER", "1"), ("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("container", "oci")] {
        let mut command = bare(folder.path());
        command.env(name, value);
        let (code, text) = ended(command);
        assert_eq!(code, Some(2), "{name}: {text}");
        assert!(text.contains("no configuration") && text.contains("--config"), "{text}");
    }
}

#[test]
fn any_configuration_at_all_is_no_dev_mode() {
    let folder = tempfile::tempdir().unwrap();
    // A file without keys is an error, and not a reason to make some up.
    fs::write(folder.path().join("gateway.toml"), "[server]\nlisten = \"127.0.0.1:0\"\n").unwrap();
    let (code, text) = ended(bare(folder.path()));
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("gateway.toml") && text.contains("auth.keys") && !text.contains("eyJ"), "{text}");

    let empty = tempfile::tempdir().unwrap();
    let mut command = bare(empty.path());
    command.env("GATEWAY__SERVER__LISTEN", "127.0.0.1:0");
    let (code, text) = ended(command);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("auth.keys"), "{text}");
}

#[test]
fn a_wrong_configuration_names_every_fault_with_its_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let config = "[server]\nlisten = \"nowhere\"\n\n[limits]\nconections = 5\nhandshake_timeout = \"soon\"\n\n\
                  [[auth.keys]]\nkid = \"main\"\nalgorithm = \"HS256\"\nsecret_file = \"missing.txt\"\n";
    fs::write(folder.path().join("gateway.toml"), config).unwrap();
    let (code, text) = ended(bare(folder.path()));
    assert_eq!(code, Some(2), "{text}");
    for (line, key) in [(2, "server.listen"), (5, "conections"), (6, "handshake_timeout")] {
        assert!(text.contains(&format!("gateway.toml:{line}")) && text.contains(key), "{key}: {text}");
    }
    fs::write(
        folder.path().join("gateway.toml"),
        config.replace("nowhere", "127.0.0.1:0").replace("soon", "5s").replace("conections", "connections"),
    )
    .unwrap();
    let (code, text) = ended(bare(folder.path()));
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("gateway.toml:11") && text.contains("missing.txt"), "{text}");
}
