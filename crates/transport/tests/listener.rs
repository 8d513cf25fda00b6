//! The listener on real sockets: honest clients, slow ones, greedy ones, and balancers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "listener/house.rs"]
mod house;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use gateway_transport::{AddressLaw, AddressRule, Limits, ListenAddr, PeerClose, TlsMaterial};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    time::{sleep, timeout},
};

use house::{A_WHILE, House, SHORT, UPGRADE, answer, ask, ends_within, short, text_frame, trusting};

#[tokio::test]
async fn a_connection_makes_several_requests_and_each_knows_whose_it_is() {
    let house = House::open(Limits::default(), AddressLaw::default());
    let mut stream = house.connect_from(7).await;
    for _ in 0..3 {
        let text = ask(&mut stream, "/").await;
        assert!(
            text.starts_with("HTTP/1.1 200") && text.ends_with("peer=127.0.0.7 proxied=None secure=false"),
            "{text}"
        );
    }
    assert_eq!(house.counted("accepted"), 1);
    let once = House::open(Limits { keep_alive: false, ..Limits::default() }, AddressLaw::default());
    let mut stream = once.connect().await;
    ask(&mut stream, "/").await;
    assert!(ends_within(&mut stream, A_WHILE).await);
}

#[tokio::test]
async fn silence_half_a_head_and_a_slow_drip_end_in_time() {
    let house = House::open(short(), AddressLaw::default());
    let mut silent = house.connect().await;
    let mut half = house.connect().await;
    half.write_all(b"GET / HTTP/1.1\r\nhost: ga").await.unwrap();
    let (mut drip_reader, mut drip) = house.connect().await.into_split();
    let dripping = tokio::spawn(async move {
        for byte in b"GET / HTTP/1.1\r\nhost: gateway\r\nx-slow: and-so-on-for-ever".iter().cycle() {
            if drip.write_all(&[*byte]).await.is_err() {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    let mut idle = house.connect().await;
    ask(&mut idle, "/").await;
    for stream in [&mut silent, &mut half, &mut idle] {
        assert!(ends_within(stream, A_WHILE).await);
    }
    assert!(ends_within(&mut drip_reader, A_WHILE).await);
    dripping.await.unwrap();
    assert!(house.counted("header_timeouts") >= 2);
}

#[tokio::test]
async fn a_head_that_is_too_large_gets_431() {
    let house = House::open(Limits::default(), AddressLaw::default());
    let large = format!("GET / HTTP/1.1\r\nhost: gateway\r\nx-large: {}\r\n\r\n", "x".repeat(17 << 10));
    let many = format!("GET / HTTP/1.1\r\nhost: gateway\r\n{}\r\n", "x: y\r\n".repeat(64));
    for head in [large, many] {
        let mut stream = house.connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        assert!(answer(&mut stream).await.starts_with("HTTP/1.1 431"));
    }
    let mut stream = house.connect().await;
    stream.write_all(b"\x16\x03\x01 this is no HTTP\r\n\r\n").await.unwrap();
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 400"));
    assert_eq!((house.counted("oversize_heads"), house.counted("malformed_heads")), (2, 1));
    let mut good = house.connect().await;
    assert!(ask(&mut good, "/").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn an_address_that_holds_too_many_gets_no_more_and_others_do() {
    let house = House::open(Limits { unauthenticated_per_address: 3, ..Limits::default() }, AddressLaw::default());
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = house.connect_from(1).await;
        ask(&mut stream, "/").await;
        held.push(stream);
    }
    assert!(ends_within(&mut house.connect_from(1).await, A_WHILE).await);
    assert!(ask(&mut house.connect_from(2).await, "/").await.starts_with("HTTP/1.1 200"));
    drop(held.pop());
    sleep(SHORT).await;
    assert!(ask(&mut house.connect_from(1).await, "/").await.starts_with("HTTP/1.1 200"));
    assert_eq!(house.counted("over_address_cap"), 1);
}

#[tokio::test]
async fn a_trusted_proxy_has_no_cap_of_its_own() {
    let limits = Limits { unauthenticated_per_address: 2, ..Limits::default() };
    let house = House::open(limits, trusting(AddressRule::XForwardedFor));
    let mut held = Vec::new();
    for _ in 0..5 {
        let mut stream = house.connect_from(1).await;
        assert!(ask(&mut stream, "/").await.starts_with("HTTP/1.1 200"));
        held.push(stream);
    }
}

#[tokio::test]
async fn a_thousand_half_open_handshakes_keep_nobody_out_and_end_in_time() {
    let limits = Limits { unauthenticated: 200, ..short() };
    let house = House::open(limits, AddressLaw::default());
    let mut flood = Vec::new();
    for n in 0..1000u32 {
        let mut stream = house.connect_from(u8::try_from(n % 250 + 2).unwrap()).await;
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nhost:").await;
        flood.push(stream);
        if n % 100 == 99 {
            let text = ask(&mut house.connect_from(1).await, "/").await;
            assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        }
    }
    // On a slow machine the time of some is over before their places are wanted.
    let gone: u64 = ["evicted", "header_timeouts", "handshake_timeouts"].map(|what| house.counted(what)).iter().sum();
    assert!(gone >= 700 && house.counted("evicted") > 0, "{gone}");
    for stream in &mut flood {
        assert!(ends_within(stream, A_WHILE).await);
    }
}

#[tokio::test]
async fn whoever_is_not_admitted_gets_an_answer_in_the_handshakes_time_or_none() {
    let house = House::open(short(), AddressLaw::default());
    let mut stranger = house.connect().await;
    stranger.write_all(b"GET /slow HTTP/1.1\r\nhost: gateway\r\n\r\n").await.unwrap();
    let mut got = Vec::new();
    timeout(A_WHILE, stranger.read_to_end(&mut got)).await.unwrap().unwrap();
    assert!(got.is_empty());
    assert_eq!(house.counted("handshake_timeouts"), 1);
    let mut known = house.connect().await;
    assert!(ask(&mut known, "/admit").await.ends_with("admitted"));
    assert!(ask(&mut known, "/slow").await.ends_with("slow"), "the time runs no more");
    // A stranger who goes on asking is no idle one.
    let mut busy = house.connect().await;
    for _ in 0..8 {
        ask(&mut busy, "/").await;
        sleep(SHORT / 2).await;
    }
}

#[tokio::test]
async fn a_websocket_is_upgraded_and_what_came_with_the_request_is_parsed_first() {
    let mut house = House::open(Limits { unauthenticated_per_address: 1, ..short() }, AddressLaw::default());
    let mut stream = house.connect().await;
    stream.write_all(&[UPGRADE.as_bytes(), &text_frame("early")].concat()).await.unwrap();
    let head = answer(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 101") && head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    let mut echo = [0; 7];
    stream.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"\x81\x05early");
    // Its place is free for the next of the same address, and none of the door's times runs.
    sleep(SHORT * 3).await;
    assert!(ask(&mut house.connect().await, "/").await.starts_with("HTTP/1.1 200"));
    stream.write_all(&text_frame("later")).await.unwrap();
    stream.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"\x81\x05later");
    stream.write_all(&[0x88, 0x80, 0, 0, 0, 0]).await.unwrap();
    assert!(ends_within(&mut stream, A_WHILE).await);
    assert_eq!(house.closes.recv().await, Some(PeerClose::Answered(None)));
}

#[tokio::test]
async fn an_upgrade_that_is_not_admitted_keeps_its_place_and_may_lose_it() {
    let house = House::open(Limits { unauthenticated: 1, ..Limits::default() }, AddressLaw::default());
    let mut limbo = house.connect_from(1).await;
    limbo.write_all(UPGRADE.replace("/ws", "/limbo").as_bytes()).await.unwrap();
    assert!(answer(&mut limbo).await.starts_with("HTTP/1.1 101"));
    assert!(!ends_within(&mut limbo, SHORT).await);
    assert!(ask(&mut house.connect_from(2).await, "/").await.starts_with("HTTP/1.1 200"));
    assert!(ends_within(&mut limbo, A_WHILE).await, "it made room");
}

#[tokio::test]
async fn a_protocol_violation_is_told_over_a_real_socket() {
    let mut house = House::open(Limits::default(), AddressLaw::default());
    let mut stream = house.connect().await;
    stream.write_all(&[UPGRADE.as_bytes(), &[0x81, 0x01, b'x'], &[0xff; 100_000]].concat()).await.unwrap();
    answer(&mut stream).await;
    let mut got = Vec::new();
    timeout(A_WHILE, stream.read_to_end(&mut got)).await.unwrap().unwrap();
    assert_eq!(got, b"\x88\x02\x03\xe8", "the close frame, and a clean end");
    drop(stream);
    assert_eq!(house.closes.recv().await, Some(PeerClose::Ended));
}

#[tokio::test]
async fn a_bad_upgrade_stays_http() {
    let house = House::open(Limits::default(), AddressLaw::default());
    let mut stream = house.connect().await;
    stream.write_all(UPGRADE.replace("version: 13", "version: 12").as_bytes()).await.unwrap();
    let text = answer(&mut stream).await;
    assert!(text.starts_with("HTTP/1.1 400") && text.contains("UPGRADE_REQUIRED"), "{text}");
}

#[tokio::test]
async fn tls_is_served_and_its_silence_and_noise_end() {
    let made = rcgen::generate_simple_self_signed(vec!["gateway.example".into()]).unwrap();
    let certificate = made.cert.pem();
    let material = TlsMaterial::from_pem(certificate.as_bytes(), made.signing_key.serialize_pem().as_bytes()).unwrap();
    let house = House::at(&"127.0.0.1:0".parse().unwrap(), short(), AddressLaw::default(), Some(&material));

    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let connector = tokio_rustls::TlsConnector::from(config);
    let name = ServerName::try_from("gateway.example").unwrap();
    let mut stream = connector.connect(name.clone(), house.connect().await).await.unwrap();
    assert!(ask(&mut stream, "/").await.ends_with("secure=true"));
    let early = [UPGRADE.as_bytes(), &text_frame("early")].concat();
    stream.write_all(&early).await.unwrap();
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 101"));
    let mut echo = [0; 7];
    stream.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"\x81\x05early");
    // A payload that is shared rather than copied takes the vectored way.
    let large = "x".repeat(60_000);
    let head = [0x81, 0xfe, 0xea, 0x60, 0, 0, 0, 0];
    stream.write_all(&[&head[..], large.as_bytes()].concat()).await.unwrap();
    let mut got = vec![0; 4 + large.len()];
    stream.read_exact(&mut got).await.unwrap();
    assert!(got.ends_with(large.as_bytes()));

    let mut plain = house.connect().await;
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(ends_within(&mut plain, A_WHILE).await);
    assert!(ends_within(&mut house.connect().await, A_WHILE).await);
    assert_eq!((house.counted("tls_faults"), house.counted("handshake_timeouts")), (1, 1));
}

#[tokio::test]
async fn a_unix_socket_is_served_without_a_cap() {
    let path = std::env::temp_dir().join(format!("gateway-listener-{}.sock", std::process::id()));
    let limits = Limits { unauthenticated_per_address: 1, ..Limits::default() };
    let house = House::at(&ListenAddr::Unix(path.clone()), limits, AddressLaw::default(), None);
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = UnixStream::connect(&path).await.unwrap();
        assert!(ask(&mut stream, "/").await.contains("peer=unix"));
        held.push(stream);
    }
    let mut stream = held.pop().unwrap();
    stream.write_all(&[UPGRADE.as_bytes(), &text_frame("hi")].concat()).await.unwrap();
    answer(&mut stream).await;
    let mut echo = [0; 4];
    stream.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"\x81\x02hi");
    house.shutdown.cancel();
    house.served.await.unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn a_balancer_tells_the_client_by_the_proxy_protocol() {
    let limits = Limits { unauthenticated_per_address: 1, ..short() };
    let house = House::open(limits, trusting(AddressRule::ProxyProtocol));
    let v1 = b"PROXY TCP4 198.51.100.7 10.0.0.1 4711 443\r\n".to_vec();
    let v2 = [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec(), vec![198, 51, 100, 8, 10, 0, 0, 1, 0, 1, 0, 2]].concat();
    let mut held = Vec::new();
    for (header, told) in [(&v1, "Some(198.51.100.7)"), (&v2, "Some(198.51.100.8)")] {
        let mut stream = house.connect().await;
        stream.write_all(header).await.unwrap();
        assert!(ask(&mut stream, "/").await.contains(&format!("proxied={told}")));
        held.push(stream);
    }
    let mut health_check = house.connect().await;
    health_check.write_all(b"PROXY UNKNOWN\r\n").await.unwrap();
    assert!(ask(&mut health_check, "/").await.contains("peer=127.0.0.1 proxied=None"));

    let mut greedy = house.connect().await;
    greedy.write_all(&v1).await.unwrap();
    assert!(ends_within(&mut greedy, A_WHILE).await, "the cap is the client's, not the balancer's");
    let mut missing = house.connect().await;
    missing.write_all(b"GET / HTTP/1.1\r\nhost: gateway\r\n\r\n").await.unwrap();
    assert!(ends_within(&mut missing, A_WHILE).await);
    assert!(ends_within(&mut house.connect().await, A_WHILE).await, "silence");
    let mut forger = house.connect_from(9).await;
    let _ = forger.write_all(&v2).await;
    assert!(ends_within(&mut forger, A_WHILE).await);
    assert_eq!((house.counted("proxy_faults"), house.counted("over_address_cap")), (2, 1));
}

#[tokio::test]
async fn when_it_stops_requests_in_flight_end_and_idle_ones_are_closed() {
    let house = House::open(Limits::default(), AddressLaw::default());
    let mut idle = house.connect().await;
    ask(&mut idle, "/").await;
    let mut in_flight = house.connect().await;
    in_flight.write_all(b"GET /slow HTTP/1.1\r\nhost: gateway\r\n\r\n").await.unwrap();
    let mut upgraded = house.connect().await;
    upgraded.write_all(UPGRADE.as_bytes()).await.unwrap();
    answer(&mut upgraded).await;
    let address = house.socket_addr();
    house.shutdown.cancel();
    assert!(ends_within(&mut idle, A_WHILE).await);
    assert!(answer(&mut in_flight).await.ends_with("slow"));
    timeout(A_WHILE, house.served).await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
    upgraded.write_all(&text_frame("still here")).await.unwrap();
    assert_eq!(upgraded.read_u8().await.unwrap(), 0x81, "an upgraded connection is not the listener's to end");
}

#[tokio::test]
async fn grace_has_an_end() {
    let house = House::open(Limits { grace: SHORT, ..Limits::default() }, AddressLaw::default());
    let mut in_flight = house.connect().await;
    in_flight.write_all(b"GET /slow HTTP/1.1\r\nhost: gateway\r\n\r\n").await.unwrap();
    sleep(SHORT / 2).await;
    house.shutdown.cancel();
    timeout(SHORT * 2, house.served).await.unwrap().unwrap();
    let mut got = Vec::new();
    let _ = in_flight.read_to_end(&mut got).await;
    assert_eq!(Bytes::from(got), Bytes::new());
}

#[tokio::test]
#[ignore = "needs a process that may open few files: run by the test below"]
async fn with_few_files() {
    let house = House::open(Limits::default(), AddressLaw::default());
    // Clients and listener share the files of this process. One is kept, so that the last goes to a client and the
    // listener has none for it, however many the process was born with.
    let last = std::fs::File::open("/dev/null").unwrap();
    let mut clients = Vec::new();
    while let Ok(stream) = TcpStream::connect(house.socket_addr()).await {
        clients.push(stream);
        sleep(Duration::from_millis(5)).await;
    }
    drop(last);
    let mut newest = house.connect().await;
    assert!(ask(&mut newest, "/").await.starts_with("HTTP/1.1 200"));
    assert!(house.counted("accept_faults") > 0 && house.counted("evicted") > 0);
}

#[test]
fn when_the_system_has_no_socket_left_the_oldest_idle_one_makes_room() {
    let tests = std::env::current_exe().unwrap();
    let run = std::process::Command::new("sh")
        .args(["-c", "ulimit -n 48 && exec \"$0\" --exact with_few_files --ignored"])
        .arg(tests)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
}
