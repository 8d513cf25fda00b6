//! Strangers who begin a handshake and never end it: a thousand of them keep no honest client out, and each is gone
//! when the configured time is over, whatever it drips, in TLS as in the clear.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::time::Duration;

use futures_util::future::join_all;
use gateway_tests::{
    Options, TestClient, TestGateway,
    crowd::{address, connect_from},
    eventually,
    process::{allow_open_files, open_files, stopwatch},
    raw::{Raw, upgrade},
    secure,
    tokens::token,
};
use tokio::io::AsyncWriteExt;

/// The time for headers is longer: it is the handshake's that ends them.
const THREE_SECONDS: &str = "[limits]\nhandshake_timeout = \"3s\"\nheader_timeout = \"20s\"\n";

/// What a stranger does.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// It connects and says nothing.
    Silent,
    /// It says half of a head.
    Half,
    /// It says a byte now and then, always another.
    Drips,
    /// It says a whole head but for its last line end.
    AlmostThere,
}

const MANNERS: [Manner; 4] = [Manner::Silent, Manner::Half, Manner::Drips, Manner::AlmostThere];

/// Behaves so until the gateway hangs up; how long that took, since the connection stood.
async fn behave(mut raw: Raw, manner: Manner, token: String) -> Option<Duration> {
    let watch = stopwatch();
    let head = upgrade(&format!("/ws?token={token}"), "");
    match manner {
        Manner::Silent => {}
        Manner::Half => drop(raw.send(&head.as_bytes()[..head.len() / 2]).await),
        Manner::AlmostThere => drop(raw.send(&head.as_bytes()[..head.len() - 2]).await),
        Manner::Drips => {
            let (mut reading, mut writing) = tokio::io::split(raw.stream);
            let dripping = async {
                // Headers without end, so slowly that the head is never too large.
                let text = format!("{}X-Drip: ", &head[..head.len() - 2]);
                for byte in text.bytes().chain(std::iter::repeat(b'x')) {
                    if writing.write_all(&[byte]).await.is_err() {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                std::future::pending::<()>().await;
            };
            let mut space = [0; 1024];
            let hung_up = async {
                while !matches!(tokio::io::AsyncReadExt::read(&mut reading, &mut space).await, Ok(0) | Err(_)) {}
            };
            tokio::select! {
                () = dripping => {}
                () = hung_up => return Some(watch.elapsed()),
                () = tokio::time::sleep(Duration::from_secs(20)) => {}
            }
            return None;
        }
    }
    raw.hung_up(Duration::from_secs(20)).await.then(|| watch.elapsed())
}

#[tokio::test]
async fn a_thousand_half_open_handshakes_keep_nobody_out_and_end_in_the_configured_time() {
    allow_open_files(8_192);
    let gateway = TestGateway::with(THREE_SECONDS);
    let ann = token("ann", "dashboard");
    TestClient::connect(&gateway, "/ws", &ann).await.expect("a warm-up").leave().await;
    let before = open_files(gateway.pid());
    let strangers: Vec<_> = (0..1_000u16)
        .map(|n| {
            let (to, ann, manner) = (gateway.address, ann.clone(), MANNERS[usize::from(n % 4)]);
            tokio::spawn(async move { behave(Raw::connect_from(address(n), to).await, manner, ann).await })
        })
        .collect();
    eventually(10, "they are all there", async || (open_files(gateway.pid()) >= before + 900).then_some(())).await;
    for n in 0..5 {
        let watch = stopwatch();
        let honest = TestClient::connect(&gateway, "/ws", &token(&format!("honest-{n}"), "dashboard")).await;
        honest.expect("an honest client").leave().await;
        assert!(watch.elapsed() < Duration::from_secs(2), "in after {:?}", watch.elapsed());
    }
    for (n, stranger) in join_all(strangers).await.into_iter().enumerate() {
        let took = stranger.expect("no panic").unwrap_or_else(|| panic!("{:?} was never ended", MANNERS[n % 4]));
        assert!(took < Duration::from_secs(6), "{:?} was ended after {took:?}", MANNERS[n % 4]);
        assert!(took > Duration::from_millis(2_500), "{:?} was ended early, after {took:?}", MANNERS[n % 4]);
    }
    eventually(5, "their files are closed", async || (open_files(gateway.pid()) <= before + 4).then_some(())).await;
}

#[tokio::test]
async fn more_of_them_than_the_node_takes_make_room_for_each_other_and_for_the_honest() {
    allow_open_files(8_192);
    let gateway = TestGateway::with("[limits]\nhandshake_timeout = \"30s\"\nunauthenticated = 100\n");
    let ann = token("ann", "dashboard");
    let mut strangers = Vec::new();
    for n in 0..300u16 {
        strangers.push(Raw::connect_from(address(n), gateway.address).await);
    }
    connect_from(address(1_000), &gateway, "/ws", &ann).await.expect("an honest client").leave().await;
    // The newest stay, the oldest made room: at most so many are there at any time.
    let files = eventually(5, "the oldest are gone", async || {
        let files = open_files(gateway.pid());
        (files < 160).then_some(files)
    });
    assert!(files.await > 90, "the others were left alone");
    assert!(strangers[0].hung_up(Duration::from_secs(2)).await);
    assert!(!strangers[299].hung_up(Duration::from_millis(300)).await);
}

#[tokio::test]
async fn one_address_has_so_many_and_takes_no_place_of_anothers() {
    let gateway = TestGateway::with("[limits]\nhandshake_timeout = \"30s\"\nunauthenticated_per_address = 10\n");
    let ann = token("ann", "dashboard");
    let mut strangers = Vec::new();
    for _ in 0..30 {
        strangers.push(Raw::connect_from(address(1), gateway.address).await);
    }
    let hung_up = join_all(strangers.iter_mut().map(|raw| raw.hung_up(Duration::from_secs(1)))).await;
    assert_eq!(hung_up.iter().filter(|gone| **gone).count(), 20, "the newest are refused");
    assert!(!hung_up[..10].contains(&true));
    connect_from(address(2), &gateway, "/ws", &ann).await.expect("another address").leave().await;
    drop(strangers);
    eventually(5, "the address is free again", async || {
        let mut raw = Raw::connect_from(address(1), gateway.address).await;
        let answer = raw.ask(&upgrade(&format!("/ws?token={ann}"), "")).await;
        (answer.status == Some(101)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn connections_that_were_admitted_are_no_strangers_any_more() {
    let gateway = TestGateway::with(
        "[limits]\nunauthenticated = 4\nunauthenticated_per_address = 2\nhandshake_timeout = \"1s\"\n",
    );
    let ann = token("ann", "dashboard");
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(TestClient::greeted(&gateway, "/ws", &ann).await.0);
    }
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    for client in &mut clients {
        let pong = client.ask(serde_json::json!({"type": "ping", "id": "1"})).await;
        assert_eq!(pong["type"], "pong", "the time for the handshake is no time for the connection");
    }
}

#[tokio::test]
async fn a_tls_handshake_that_does_not_end_is_ended_in_the_same_time() {
    allow_open_files(8_192);
    let (files, certificate) = secure::certificate();
    let gateway = TestGateway::open(Options {
        config: format!("[server]\ntls = {{ cert_file = \"cert.pem\", key_file = \"key.pem\" }}\n{THREE_SECONDS}"),
        files,
        ..Options::default()
    });
    let strangers: Vec<_> = (0..200u16)
        .map(|n| {
            let to = gateway.address;
            tokio::spawn(async move {
                let mut raw = Raw::connect_from(address(n), to).await;
                let watch = stopwatch();
                // The head of a TLS record that says to be long, and a part of it; or nothing at all.
                if n % 2 == 0 {
                    raw.send([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]).await;
                }
                raw.hung_up(Duration::from_secs(20)).await.then(|| watch.elapsed())
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let target = format!("/ws?token={}", token("ann", "dashboard"));
    let mut honest = secure::connect(&gateway, &certificate, &target).await.expect("an honest client");
    assert!(honest.greeting().await["connectionId"].is_string());
    for stranger in join_all(strangers).await {
        let took = stranger.expect("no panic").expect("it is ended");
        assert!((Duration::from_millis(2_500)..Duration::from_secs(6)).contains(&took), "{took:?}");
    }
    assert_eq!(honest.ask(serde_json::json!({"type": "ping", "id": "1"})).await["type"], "pong");
}

#[tokio::test]
async fn a_head_that_is_too_large_or_has_too_many_headers_is_refused_and_a_late_one_ended() {
    let gateway = TestGateway::with("[limits]\nheader_timeout = \"1s\"\nhandshake_timeout = \"5s\"\n");
    let target = format!("/ws?token={}", token("ann", "dashboard"));
    for more in
        [format!("X-Large: {}\r\n", "x".repeat(40_000)), (0..200).map(|n| format!("X-{n}: 1\r\n")).collect::<String>()]
    {
        let mut raw = Raw::connect(gateway.address).await;
        let answer = raw.ask(&upgrade(&target, &more)).await;
        assert_eq!(answer.status, Some(431), "{answer:?}");
        assert!(raw.hung_up(Duration::from_secs(5)).await);
    }
    let mut raw = Raw::connect(gateway.address).await;
    let watch = stopwatch();
    raw.send("GET /ws HTTP/1.1\r\nHost: loc").await;
    assert!(raw.hung_up(Duration::from_secs(4)).await, "a head has a time of its own");
    assert!(watch.elapsed() > Duration::from_millis(900));
}

#[tokio::test]
async fn a_body_that_never_ends_is_ended_too_and_so_is_silence_after_an_answer() {
    let gateway = TestGateway::with(&format!("[auth.issuer]\nkey = \"main\"\n{THREE_SECONDS}"));
    let watch = stopwatch();
    let mut slow = Raw::connect(gateway.address).await;
    let head = "POST /auth/refresh HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    slow.send(format!("{head}Content-Length: 1000\r\n\r\n{{\"refresh")).await;
    let mut quiet = Raw::connect(gateway.address).await;
    assert_eq!(quiet.ask("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.status, Some(200));
    assert!(slow.hung_up(Duration::from_secs(8)).await);
    assert!(watch.elapsed() < Duration::from_secs(6), "{:?}", watch.elapsed());
    // From answer to answer the time starts again, and then it is over, too.
    assert!(quiet.hung_up(Duration::from_secs(5)).await);
}
