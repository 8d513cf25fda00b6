//! The load test, run as its users run it, with tiny counts: every scenario is measured against the real gateway, what
//! it reports is sound, and it says so when something is not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    fs,
    net::SocketAddr,
    process::{Command, Output},
};

use futures_util::{SinkExt, StreamExt};
use gateway_tests::{
    Options, SECRET, TestGateway,
    program::{self, loadtest},
};
use serde_json::Value;
use tempfile::TempDir;

/// What it printed, and how it ended.
struct Told {
    code: Option<i32>,
    output: String,
    errors: String,
}

fn run(arguments: &[&str]) -> Told {
    let Output { status, stdout, stderr } = Command::new(loadtest()).args(arguments).output().unwrap();
    let told = Told {
        code: status.code(),
        output: String::from_utf8(stdout).unwrap(),
        errors: String::from_utf8(stderr).unwrap(),
    };
    for text in [&told.output, &told.errors] {
        assert!(!text.contains("eyJ") && !text.contains(SECRET), "a token or a secret was shown: {text}");
    }
    told
}

fn of_program(arguments: &[&str]) -> Told {
    run(&[&["--size", "tiny", "--gateway", program::gateway().to_str().unwrap()], arguments].concat())
}

/// Runs scenarios against a server that is there already.
fn of_url(address: SocketAddr, pid: Option<u32>, arguments: &[&str]) -> Told {
    let folder = TempDir::new().unwrap();
    let secret = folder.path().join("secret.txt");
    fs::write(&secret, SECRET).unwrap();
    let (url, pid) = (format!("ws://{address}"), pid.map(|pid| pid.to_string()));
    let mut all = vec!["--size", "tiny", "--url", &url, "--secret-file", secret.to_str().unwrap(), "--kid", "main"];
    all.extend(pid.iter().flat_map(|pid| ["--pid", pid]));
    all.extend(arguments);
    run(&all)
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn every_scenario_is_measured_and_its_figures_are_sound() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let told = of_program(&["--json", &at("all.json"), "--html", &at("all.html")]);
    assert_eq!(told.code, Some(0), "{}{}", told.output, told.errors);
    let report: Value = serde_json::from_str(&fs::read_to_string(at("all.json")).unwrap()).unwrap();
    assert_eq!(report["faults"], Value::Array(Vec::new()));
    let rows = report["rows"].as_array().unwrap();
    let of = |scenario: &str| rows.iter().filter(|row| row["scenario"] == scenario).collect::<Vec<_>>();
    for row in rows {
        let (gateway, floor) = (&row["gateway"], &row["floor"]);
        for side in [gateway, floor].into_iter().filter(|side| !side.is_null()) {
            assert!(side["units"].as_u64().unwrap() > 0, "{row}");
            for none in ["lost", "disordered", "failed"] {
                assert_eq!(side[none], 0, "{row}");
            }
            if row["scenario"] != "idle" {
                assert!(number(&side["cpuMicros"]) > 0.0 && number(&side["perSecond"]) > 0.0, "{row}");
                let latency = &side["latency"];
                let times = ["p50", "p90", "p99", "p999", "max"].map(|name| number(&latency[name]));
                assert!(times[0] > 0.0 && times.is_sorted(), "{row}");
            }
        }
        if !floor.is_null() && row["scenario"] != "idle" {
            assert!(number(&row["ratio"]) > 0.0, "{row}");
        }
    }
    // Two rounds of each: 40 handshakes for each of four algorithms, 20 deliveries a message, 200 echoes, and so on.
    let units =
        |scenario: &str| of(scenario).iter().map(|row| row["gateway"]["units"].as_u64().unwrap()).collect::<Vec<_>>();
    assert_eq!(units("handshake"), [80; 4]);
    assert_eq!(units("idle"), [50]);
    assert_eq!(units("fanout"), [800, 800, 200]);
    assert_eq!(units("echo"), [400]);
    assert_eq!(units("command"), [200]);
    assert_eq!(units("targeted"), [400, 200]);
    assert_eq!(units("churn"), [80]);
    assert_eq!(units("storm"), [120]);
    assert_eq!(units("leave"), [120]);
    assert_eq!(units("slow"), [10_000]);
    // Forty publishes beside two crowds and once more in as many rooms; rooms of two sizes, the larger with four texts.
    assert_eq!(units("growth"), [80, 80, 80, 800, 800, 800, 800, 160, 160]);
    let growth: Vec<&Value> = of("growth").iter().map(|row| &row["figures"]).collect();
    assert!(growth[..3].iter().all(|figures| number(&figures["residentMib"]) > 1.0), "{growth:?}");
    assert!(growth[1]["kibPerOther"].is_number() && growth[2]["kibPerRoom"].is_number(), "{growth:?}");
    let storm = &of("storm")[0]["figures"];
    assert!(number(&storm["newcomersMaxMillis"]) >= number(&storm["newcomersP99Millis"]), "{storm}");
    assert!(number(&of("idle")[0]["figures"]["kibPerConnection"]) > 0.5, "fifty connections weigh something");
    let slow = &of("slow")[0]["figures"];
    assert_eq!(slow["cut"], slow["stalled"], "who reads nothing is let go");
    let page = fs::read_to_string(at("all.html")).unwrap();
    let all =
        ["handshake", "idle", "fanout", "echo", "command", "targeted", "churn", "storm", "leave", "growth", "slow"];
    for scenario in all {
        assert!(!of(scenario).is_empty() && told.output.contains(scenario) && page.contains(scenario), "{scenario}");
    }
    assert!(page.contains("<svg") && !page.contains("http"), "the page is whole in itself");
}

#[test]
fn every_target_is_held_against_what_was_measured_in_one_run() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (json, html, chart) = (at("all.json"), at("all.html"), at("chart.svg"));
    let program = program::gateway().to_str().unwrap();
    let files = ["--json", &json, "--html", &html, "--chart", &chart];
    let told = run(&[&["targets", "--size", "tiny", "--gateway", program, "--no-peers"], &files[..]].concat());
    assert_eq!(told.code, Some(0), "{}{}", told.output, told.errors);
    let report: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    let targets = report["targets"].as_array().unwrap();
    for target in targets {
        let what = target["what"].as_str().unwrap();
        assert!(told.output.contains(&format!("| {what} ")), "{what} is not in the table");
        // What needs another server was not measured here, and is not called met.
        let needs_another = ["published by HTTP", "by Socket.IO"].iter().any(|other| what.contains(other));
        assert_eq!(target["measured"].is_null(), needs_another, "{target}");
        let within = target["measured"].as_f64().map(|measured| measured <= number(&target["most"]));
        assert_eq!(target["met"].as_bool(), within, "{target}");
    }
    let of = |part: &str| targets.iter().filter(|target| target["what"].as_str().unwrap().contains(part)).count();
    let parts = ["a delivery in a room", "echo", "command", "to one user", "handshake", "ready", "idle", "goodbye"];
    assert_eq!(parts.map(of), [2, 1, 1, 1, 1, 4, 3, 1]);
    assert_eq!(["a return", "newcomers", "a publish", "heard by all", "lost"].map(of), [1, 2, 1, 1, 1]);
    let (page, chart) = (fs::read_to_string(html).unwrap(), fs::read_to_string(chart).unwrap());
    assert!(page.contains("<h2>Targets</h2>") && chart.starts_with("<svg xmlns="), "{chart}");
}

#[test]
fn dashboards_are_measured_by_socketio_with_nothing_lost() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("socketio.json");
    let told = of_program(&["--protocol", "socketio", "--algorithms", "HS256", "--json", file.to_str().unwrap()]);
    assert_eq!(told.code, Some(0), "{}{}", told.output, told.errors);
    let report: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!((&report["protocol"], &report["faults"]), (&"socketio".into(), &Value::Array(Vec::new())));
    let units: Vec<(&str, u64)> = report["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["scenario"].as_str().unwrap(), row["gateway"]["units"].as_u64().unwrap()))
        .collect();
    let [fanout, targeted] = ["fanout", "targeted"];
    let all = [("handshake", 80), ("idle", 50), (fanout, 800), (fanout, 800), (fanout, 200), ("echo", 400)];
    assert_eq!(units, [&all[..], &[(targeted, 400), (targeted, 200)]].concat());
}

#[test]
fn what_is_heard_at_another_node_is_measured_beside_a_gateway_that_stands_alone() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("cluster.json");
    let told = of_program(&["cluster", "--json", file.to_str().unwrap()]);
    assert_eq!(told.code, Some(0), "{}{}", told.output, told.errors);
    let report: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let rows = report["rows"].as_array().unwrap();
    // Rooms of ten and of twenty, not remembered and remembered, one and four under way; then as many as go through, in
    // band and by HTTP.
    let units: Vec<u64> = rows.iter().map(|row| row["gateway"]["units"].as_u64().unwrap()).collect();
    assert_eq!(units, [[800; 8].as_slice(), &[400; 3]].concat());
    for row in &rows[..8] {
        assert_eq!(
            (&row["peers"][0]["name"], &row["peers"][0]["side"]["units"]),
            (&"alone".into(), &800.into()),
            "{row}"
        );
        for figure in ["timesAlone", "spokenMicros", "postedMicros", "redisMicros"] {
            assert!(number(&row["figures"][figure]) > 0.0, "{figure}: {row}");
        }
    }
    for row in &rows[8..] {
        assert!(
            number(&row["figures"]["perSecondAtSeventyPercent"]) > number(&row["figures"]["redisPercent"]),
            "{row}"
        );
    }
}

#[test]
fn without_a_redis_to_meet_at_it_is_said_what_to_install() {
    let arguments = ["cluster", "--size", "tiny", "--gateway", program::gateway().to_str().unwrap()];
    let told = Command::new(loadtest()).args(arguments).env("PATH", "").output().unwrap();
    let errors = String::from_utf8(told.stderr).unwrap();
    assert!(told.status.code() == Some(2) && errors.contains("install Redis 7"), "{errors}");
    let told = run(&["cluster", "--url", "ws://127.0.0.1:1"]);
    assert!(told.code == Some(2) && told.errors.contains("leave out --url"), "{}", told.errors);
}

#[test]
fn a_figure_above_its_threshold_fails_the_run() {
    let told = of_program(&["echo", "--max-ratio", "0.001"]);
    assert_eq!(told.code, Some(1), "{}", told.errors);
    assert!(told.errors.contains("the ratio to the floor is"), "{}", told.errors);
    let told = of_program(&["echo", "--max-ratio", "1000", "--max-p99", "60000"]);
    assert_eq!(told.code, Some(0), "{}", told.errors);
}

#[test]
fn a_gateway_that_runs_already_is_measured_with_the_configuration_that_is_shown() {
    let shown = run(&["--show-config"]);
    let gateway = TestGateway::open(Options { config: shown.output, ..Options::default() });
    let pid = Some(gateway.pid());
    let told = of_url(gateway.address, pid, &["echo", "fanout", "command", "targeted", "handshake"]);
    assert_eq!(told.code, Some(0), "{}{}", told.output, told.errors);
    let told = of_url(gateway.address, None, &["echo"]);
    assert_eq!(told.code, Some(0), "{}{}", told.output, told.errors);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_twice_or_not_at_all_fails_the_run() {
    for (fault, named) in [(Fault::Twice, "out of order"), (Fault::Never, "lost")] {
        let address = unreliable(fault).await;
        let told = tokio::task::spawn_blocking(move || of_url(address, None, &["echo", "--rounds", "1", "--no-floor"]));
        let told = told.await.unwrap();
        assert_eq!(told.code, Some(1), "{}{}", told.output, told.errors);
        assert!(told.errors.contains(named), "{}", told.errors);
    }
}

#[derive(Clone, Copy)]
enum Fault {
    Twice,
    Never,
}

/// A server that echoes, but for the tenth message of each client: that comes twice, or the eleventh in its place.
async fn unreliable(fault: Fault) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
                let mut nth = 0;
                while let Some(Ok(message)) = socket.next().await {
                    nth += 1;
                    let answers = match (fault, nth) {
                        (Fault::Twice, 10) => vec![message.clone(), message],
                        (Fault::Never, 10) => {
                            let text = message.to_text().unwrap().replace("0000000010", "0000000011");
                            vec![text.into()]
                        }
                        _ => vec![message],
                    };
                    for answer in answers {
                        if socket.send(answer).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    address
}

#[test]
fn what_cannot_be_measured_is_told_with_a_remedy() {
    let told = of_program(&["idle", "--connections", "900000"]);
    assert!(told.code == Some(2) && told.errors.contains("ulimit -n"), "{}", told.errors);
    let told = of_program(&["slow", "--protocol", "socketio"]);
    assert!(told.code == Some(2) && told.errors.contains("leave out --protocol"), "{}", told.errors);
    let empty = TempDir::new().unwrap();
    let told = of_program(&["echo", "--peers", "ws", "--peers-folder", empty.path().to_str().unwrap()]);
    assert!(told.code == Some(2) && told.errors.contains("make peers"), "{}", told.errors);
    let told = run(&["echo", "--gateway", "/nowhere/gateway"]);
    assert!(told.code == Some(2) && told.errors.contains("cargo build --release -p gateway"), "{}", told.errors);
    let told = run(&["echo", "--url", "ws://127.0.0.1:1"]);
    assert!(told.code == Some(2) && told.errors.contains("--secret-file"), "{}", told.errors);
    let told = of_url("127.0.0.1:1".parse().unwrap(), None, &["echo"]);
    assert_eq!(told.code, Some(2), "{}", told.errors);
}
