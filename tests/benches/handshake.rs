//! What a handshake costs: connects to a release gateway with 64 in flight, per algorithm, and prints the time from the
//! TCP connect to `connection_ready` (median, p99), the server's CPU time a handshake, and its memory an idle
//! connection. Ratios hold from machine to machine; times do not.
//!
//! `cargo bench -p gateway-tests --bench handshake` (or `make bench`). Bounded: 4 algorithms, 2,000 connections each.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock and prints"
)]

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use gateway_auth::{Algorithm as Named, generate};
use gateway_tests::{Claims, Options, TestGateway, process};
use jsonwebtoken::{Algorithm, EncodingKey};
use tokio::net::TcpSocket;
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::client::IntoClientRequest};

const CONNECTIONS: usize = 2_000;
const IN_FLIGHT: usize = 64;

const CONFIG: &str = "
[[endpoints]]
path = \"/ws\"
[plans.default]
connections = \"off\"
[limits]
handshakes_per_ip = \"off\"
handshakes_per_user = \"off\"
unauthenticated_per_address = 4096
unauthenticated = 4096
";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    println!("{:<7} {:>10} {:>10} {:>16} {:>14}", "", "median ms", "p99 ms", "server CPU us", "KiB idle");
    for (named, algorithm) in [
        (Named::Hs256, Algorithm::HS256),
        (Named::Rs256, Algorithm::RS256),
        (Named::Es256, Algorithm::ES256),
        (Named::EdDsa, Algorithm::EdDSA),
    ] {
        runtime.block_on(measure(named, algorithm));
    }
}

async fn measure(named: Named, algorithm: Algorithm) {
    let pair = generate(named).unwrap();
    let (config, key) = match &pair.public {
        None => ("secret_file = \"key\"".to_owned(), EncodingKey::from_secret(pair.private.trim().as_bytes())),
        Some(_) => ("public_key_file = \"key\"".to_owned(), signing(algorithm, pair.private.as_bytes())),
    };
    let file = pair.public.clone().unwrap_or_else(|| pair.private.clone());
    let gateway = TestGateway::open(Options {
        config: format!("[[auth.keys]]\nkid = \"main\"\nalgorithm = \"{named}\"\n{config}\n{CONFIG}"),
        own_keys: true,
        files: vec![("key".into(), file.into_bytes())],
        ..Options::default()
    });
    let tokens: Vec<String> = (0..64)
        .map(|n| Claims::of(&format!("user-{n}"), "dashboard").sign_with(algorithm, Some("main"), &key))
        .collect();
    let tokens = Arc::new(tokens);
    // The first connections warm everything up, and are not counted.
    let warm = connect_all(&gateway, &tokens, 64).await;
    let (cpu, memory) = (process::cpu_micros(gateway.pid()), process::resident_kib(gateway.pid()));
    let held = connect_all(&gateway, &tokens, CONNECTIONS).await;
    let cpu = process::cpu_micros(gateway.pid()) - cpu;
    let memory = process::resident_kib(gateway.pid()).saturating_sub(memory);
    let mut times: Vec<Duration> = held.iter().map(|(time, _)| *time).collect();
    times.sort_unstable();
    let millis = |at: usize| times[at].as_secs_f64() * 1000.0;
    println!(
        "{:<7} {:>10.2} {:>10.2} {:>16.1} {:>14.2}",
        named.to_string(),
        millis(times.len() / 2),
        millis(times.len() * 99 / 100),
        cpu as f64 / CONNECTIONS as f64,
        memory as f64 / CONNECTIONS as f64,
    );
    drop((warm, held));
}

fn signing(algorithm: Algorithm, pem: &[u8]) -> EncodingKey {
    match algorithm {
        Algorithm::ES256 => EncodingKey::from_ec_pem(pem).unwrap(),
        Algorithm::EdDSA => EncodingKey::from_ed_pem(pem).unwrap(),
        _ => EncodingKey::from_rsa_pem(pem).unwrap(),
    }
}

type Held = (Duration, WebSocketStream<tokio::net::TcpStream>);

async fn connect_all(gateway: &TestGateway, tokens: &Arc<Vec<String>>, count: usize) -> Vec<Held> {
    let address = gateway.address;
    let connections = stream::iter(0..count).map(|n| {
        let tokens = Arc::clone(tokens);
        async move { connect(address, &tokens[n % tokens.len()], n).await }
    });
    connections.buffer_unordered(IN_FLIGHT).collect().await
}

async fn connect(address: SocketAddr, token: &str, nth: usize) -> Held {
    let request = format!("ws://{address}/ws?token={token}").into_client_request().unwrap();
    let start = Instant::now();
    let socket = TcpSocket::new_v4().unwrap();
    // Spread over loopback addresses, as many clients are.
    let own = Ipv4Addr::new(127, 1, (nth / 250) as u8, (nth % 250 + 1) as u8);
    socket.bind(SocketAddr::V4(SocketAddrV4::new(own, 0))).unwrap();
    let stream = socket.connect(address).await.unwrap();
    let (mut socket, _) = client_async(request, stream).await.unwrap();
    let ready = socket.next().await.unwrap().unwrap();
    assert!(ready.to_text().unwrap().contains("connection_ready"));
    (start.elapsed(), socket)
}
