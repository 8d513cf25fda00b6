//! What is counted of key sets, hooks, books and the process.

use std::{os::unix::fs::symlink, sync::Arc};

use gateway_tests::{
    Claims, Options, TestClient, TestGateway,
    dev::DevGateway,
    eventually,
    jwks::{Answer as Keys, KeyServer},
    keys::{KeyPair, jwks},
    raw::Raw,
    receiver::{Answer, Receiver},
    rooms::{UNLIMITED, dashboard},
    scrape::Scrape,
    tokens::token,
};
use jsonwebtoken::Algorithm;
use serde_json::json;

use super::{Seen, shows};

/// A set that comes late, ages, and cannot be had any more.
pub(super) async fn sets_of_keys(seen: &mut Seen) {
    let pair = KeyPair::new("k1", Algorithm::ES256);
    let server = KeyServer::start(Keys::Status(500)).await;
    let gateway = TestGateway::with(&format!(
        "[[auth.keys]]\nkid = \"provider\"\njwks_url = \"{}\"\nrefresh = \"2s\"\n",
        server.url()
    ));
    let set = [("set", "provider")];
    let without = shows(&gateway, "it fails", |scrape| scrape.sum("gateway_jwks_failures_total", &set) >= 1.0).await;
    assert_eq!(without.sum("gateway_jwks_usable", &set), 0.0);
    assert!(!without.series().contains("gateway_jwks_age_seconds"), "it was never read");
    server.answers(Keys::Set(jwks([&pair])));
    let with = shows(&gateway, "it is read", |scrape| scrape.sum("gateway_jwks_usable", &set) == 1.0).await;
    assert!(with.sum("gateway_jwks_fetches_total", &set) >= 2.0 && with.sum("gateway_jwks_age_seconds", &set) < 60.0);
    let enters = pair.sign(&Claims::of("ann", "dashboard"));
    TestClient::connect(&gateway, "/ws", &enters).await.unwrap().leave().await;
    server.answers(Keys::Status(500));
    let failed = without.sum("gateway_jwks_failures_total", &set);
    let again =
        shows(&gateway, "it fails again", |scrape| scrape.sum("gateway_jwks_failures_total", &set) > failed).await;
    assert_eq!(again.sum("gateway_jwks_usable", &set), 1.0, "the old keys serve");
    seen.changed(&without, &with);
    seen.changed(&with, &again);
}

/// What hooks are told, wait for, and are not told.
pub(super) async fn hooks(seen: &mut Seen) {
    let receiver = Receiver::start().await;
    receiver.answers(|_| Answer::Hang);
    let gateway = TestGateway::open(Options {
        config: format!(
            "{UNLIMITED}[[webhooks]]\nname = \"backend\"\nurl = \"{}\"\nsecret_file = \"hook.txt\"\n\
             events = [\"message\"]\nbreaker = {{ failures = 1, pause = \"1s\" }}\n\
             [[routes]]\nfrom = \"dashboard\"\ntypes = [\"note\"]\nto = \"webhook:backend\"\n",
            receiver.url()
        ),
        files: vec![("hook.txt".into(), b"a-secret-of-thirty-two-bytes-or-more".to_vec())],
        ..Options::default()
    });
    let before = Scrape::of(&gateway).await;
    let mut ann = dashboard(&gateway, "ann").await;
    for n in 0..5 {
        ann.tell(json!({"type": "note", "payload": n})).await;
    }
    let hook = [("webhook", "backend")];
    let full = shows(&gateway, "they wait", |scrape| scrape.sum("gateway_webhook_waiting", &hook) >= 4.0).await;
    assert!(full.sum("gateway_webhook_waiting_bytes", &hook) > 400.0);
    // A refusal for good ends the first, and opens the circuit.
    receiver.answers(|_| Answer::Status(410));
    seen.changed(&before, &full);
    let open = shows(&gateway, "it opens", |scrape| scrape.sum("gateway_webhook_circuit_open", &hook) == 1.0).await;
    seen.changed(&full, &open);
    receiver.answers(|_| Answer::Status(204));
    eventually(30, "one is taken", async || {
        ann.tell(json!({"type": "note"})).await;
        let fate = [("webhook", "backend"), ("event", "message"), ("fate", "delivered")];
        (Scrape::of(&gateway).await.sum("gateway_webhook_events_total", &fate) >= 1.0).then_some(())
    })
    .await;
    let after = Scrape::of(&gateway).await;
    assert!(after.sum("gateway_webhook_attempts_total", &[("webhook", "backend"), ("outcome", "ok")]) >= 1.0);
    seen.changed(&before, &after);
}

/// Memory, files, time and tasks; the audit on a full disk; calls; sockets; a house that leaves; dev mode.
pub(super) async fn the_process_and_its_books(seen: &mut Seen) {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    // It has no end, and must not be read.
    symlink("/dev/full", folder.path().join("audit.full")).unwrap();
    let gateway = TestGateway::open(Options {
        config: format!("[audit]\nfile = \"audit.full\"\n{UNLIMITED}"),
        folder: Some(folder),
        ..Options::default()
    });
    let before = Scrape::of(&gateway).await;
    let mut here = Vec::new();
    for n in 0..100 {
        here.push(Raw::admitted(gateway.address, "/ws", &token(&format!("u{n}"), "dashboard")).await);
    }
    let full = shows(&gateway, "lines are lost", |scrape| scrape.sum("gateway_audit_lines_lost", &[]) >= 100.0).await;
    let more = |name: &str| full.sum(name, &[]) - before.sum(name, &[]);
    for (name, least) in [
        ("gateway_open_files", 90.0),
        ("gateway_tasks", 90.0),
        ("gateway_memory_bytes", 100_000.0),
        ("gateway_uptime_seconds", 0.01),
        ("gateway_cpu_seconds_total", 0.001),
        ("gateway_worker_busy_seconds_total", 0.001),
        ("gateway_audit_lines", 100.0),
    ] {
        assert!(more(name) >= least, "{name} grew by {}:\n{}", more(name), full.text);
    }
    assert!(full.sum("gateway_listener_events", &[("what", "accepted")]) >= 100.0);
    let calls = [("operation", "getMetrics"), ("status", "200")];
    assert!(full.sum("gateway_http_calls_total", &calls) >= 1.0);
    seen.changed(&before, &full);
    // Who does not say goodbye keeps the house open a little longer.
    gateway.signal("TERM");
    let leaving = shows(&gateway, "it leaves", |scrape| scrape.sum("gateway_draining", &[]) == 1.0).await;
    seen.changed(&full, &leaving);
    drop(here);

    let dev = DevGateway::start();
    let scrape = Scrape::at(&format!("http://{}/metrics", dev.address)).await;
    assert_eq!((scrape.sum("gateway_dev_mode", &[]), full.sum("gateway_dev_mode", &[])), (1.0, 0.0));
    seen.moved.insert("gateway_dev_mode".into());
    dev.stop();
}

/// What does not move while a gateway runs is what its operator wrote, and what it is.
pub(super) async fn bounds_as_configured(seen: &mut Seen) {
    let gateway = TestGateway::open(Options {
        config: "[limits]\nconnections = 7\n[rooms]\nmax = 11\nhistory_budget = \"3MiB\"\n".into(),
        open_files: Some(300),
        ..Options::default()
    });
    let scrape = Scrape::of(&gateway).await;
    for (name, value) in [
        ("gateway_connections_limit", 7.0),
        ("gateway_rooms_limit", 11.0),
        ("gateway_room_history_bytes_limit", 3.0 * 1024.0 * 1024.0),
        ("gateway_open_files_limit", 300.0),
        ("gateway_build_info", 1.0),
    ] {
        assert_eq!(scrape.sum(name, &[]), value, "{name}:\n{}", scrape.text);
    }
    assert_eq!(scrape.sum("gateway_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
    assert!(scrape.sum("gateway_workers", &[]) >= 1.0);
    let told =
        ["connections_limit", "rooms_limit", "room_history_bytes_limit", "open_files_limit", "build_info", "workers"];
    seen.moved.extend(told.map(|name| format!("gateway_{name}")));
}

/// A configuration that is read again, once sound and once not; what it takes away is told of no more.
pub(super) async fn another_configuration(seen: &mut Seen) {
    let (server, receiver) = (KeyServer::start(Keys::Status(500)).await, Receiver::start().await);
    let gateway = TestGateway::open(Options {
        config: format!(
            "[server]\nwatch = false\n[[auth.keys]]\nkid = \"provider\"\njwks_url = \"{}\"\n\
             [[webhooks]]\nname = \"backend\"\nurl = \"{}\"\nsecret_file = \"secret.txt\"\nevents = [\"message\"]\n",
            server.url(),
            receiver.url()
        ),
        ..Options::default()
    });
    let before = shows(&gateway, "a set is of no use", |scrape| scrape.series().contains("gateway_jwks_usable")).await;
    let file = gateway.folder.path().join("gateway.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}nonsense = 1\n")).unwrap();
    assert_eq!(gateway.api("POST", "/api/v1/reload", None).await.0, 400);
    let (sound, _) = text.split_once("[[auth.keys]]\nkid = \"provider\"").unwrap();
    std::fs::write(&file, sound).unwrap();
    let (status, answer) = gateway.api("POST", "/api/v1/reload", None).await;
    assert_eq!(status, 200, "{answer}");
    let after = Scrape::of(&gateway).await;
    let reloads = |outcome| after.sum("gateway_reloads_total", &[("outcome", outcome)]);
    assert_eq!((reloads("faulty"), reloads("in_force")), (1.0, 1.0), "{}", after.text);
    assert!(!after.series().contains("gateway_jwks_usable"), "no alert of a set that is gone: {}", after.text);
    assert_eq!(after.sum("gateway_webhook_circuit_open", &[]), 0.0);
    seen.changed(&before, &after);
}
