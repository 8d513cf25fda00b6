//! What an event costs that is published by HTTP: the server's CPU time for each, to one of 1,000 who listen, beside one
//! HTTP echo of the same listener. Nothing on a gateway echoes by HTTP; what stands for it is a call that is the same to
//! the last byte of its headers and body, by the same caller over the same kept connections, but for its path: it asks
//! for the agents, of whom there are none, and is answered in as few bytes. Rounds of all variants are interleaved, and
//! medians told. Ratios hold from machine to machine; times do not.
//!
//! `cargo bench -p gateway-tests --bench publishing` (or `make bench`). Bounded: 7 rounds of 8,000 calls a variant.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints")]

use std::{num::NonZero, process::Command, sync::OnceLock};

use futures_util::{StreamExt, future::join_all};
use gateway_tests::{
    Options, TestClient, TestGateway,
    chance::Chance,
    kept::Kept,
    process::{allow_open_files, cpu_micros, stopwatch},
    program,
    rooms::UNLIMITED,
    tokens::token,
};
use serde_json::json;

const LISTENERS: usize = 1_000;
const LINES: usize = 16;
const CALLS: usize = 500;
const ROUNDS: usize = 7;

const API_KEY: &str = "a key of a benchmark that is long enough for anybody";

/// What is called.
#[derive(Clone, Copy)]
struct Variant {
    name: &'static str,
    line: &'static str,
    by_key: bool,
    to: &'static str,
}

const VARIANTS: [Variant; 4] = [
    Variant { name: "echo: an authenticated GET", line: "GET /api/v1/agents", by_key: false, to: "user" },
    Variant { name: "an event to nobody", line: "POST /api/v1/events", by_key: false, to: "none" },
    Variant { name: "an event to one user", line: "POST /api/v1/events", by_key: false, to: "user" },
    Variant { name: "the same by API key", line: "POST /api/v1/events", by_key: true, to: "user" },
];

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure());
}

async fn measure() {
    allow_open_files(4_096);
    let key = "[[api_keys]]\nid = \"bench\"\nkey_env = \"BENCH_KEY\"\nuser = \"backend\"\nroles = [\"service\"]\n";
    // The server has one core and this another, where there are two. It inherits its own, so that it has a thread for it.
    program::gateway();
    stay_on("0");
    let gateway = TestGateway::open(Options {
        config: format!("{UNLIMITED}{key}"),
        env: vec![("BENCH_KEY".into(), API_KEY.into())],
        ..Options::default()
    });
    stay_on("1");
    for some in (0..LISTENERS).collect::<Vec<_>>().chunks(50) {
        for client in join_all(some.iter().map(|user| enter(&gateway, *user))).await {
            tokio::spawn(listen(client));
        }
    }
    let mut costs = VARIANTS.map(|_| Vec::new());
    let mut paces = VARIANTS.map(|_| Vec::new());
    // The first round warms everything up.
    for round in 0..=ROUNDS {
        for (at, variant) in VARIANTS.iter().enumerate() {
            let (before, watch) = (cpu_micros(gateway.pid()), stopwatch());
            join_all((0..LINES).map(|line| tokio::spawn(calls(gateway.address, *variant, line)))).await;
            let seconds = watch.elapsed().as_secs_f64();
            let cost = (cpu_micros(gateway.pid()) - before) as f64 / (LINES * CALLS) as f64;
            if round > 0 {
                costs[at].push(cost);
                paces[at].push((LINES * CALLS) as f64 / seconds);
            }
        }
    }
    println!("{:<28} {:>16} {:>12} {:>12}", "", "server CPU us", "to the echo", "calls/s");
    let echo = median(&mut costs[0]);
    for (at, variant) in VARIANTS.iter().enumerate() {
        let cost = median(&mut costs[at]);
        println!("{:<28} {cost:>16.1} {:>12.2} {:>12.0}", variant.name, cost / echo, median(&mut paces[at]));
    }
}

async fn enter(gateway: &TestGateway, user: usize) -> TestClient {
    TestClient::greeted(gateway, "/ws/dashboard", &token(&format!("user{user}"), "dashboard")).await.0
}

async fn listen(mut client: TestClient) {
    while let Some(Ok(_)) = client.socket.next().await {}
}

async fn calls(to: std::net::SocketAddr, variant: Variant, line: usize) {
    let credential = if variant.by_key {
        format!("x-api-key: {API_KEY}\r\n")
    } else {
        format!("authorization: Bearer {}\r\n", token("backend", "service"))
    };
    let (mut kept, mut chance) = (Kept::open(to, &credential).await, Chance::of(line as u64 + 1));
    for n in 0..CALLS {
        let user = format!("user:{}{}", variant.to, chance.below(LISTENERS));
        let payload = json!({"id": n, "title": "Lighthouse", "theme": "Harbour", "buildStatus": "ADDED"});
        let body = json!({"to": [user], "type": "dashboard:note", "payload": payload}).to_string();
        let (status, _) = kept.call(variant.line, &body).await;
        assert_eq!(status, 200);
    }
}

/// Keeps this process, and those that it starts from now on, on one core.
fn stay_on(core: &str) {
    static CORES: OnceLock<usize> = OnceLock::new();
    if *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, NonZero::get)) > 1 {
        let _ = Command::new("taskset").args(["-acp", core, &std::process::id().to_string()]).output();
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
