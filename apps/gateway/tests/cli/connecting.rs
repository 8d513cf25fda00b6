//! `gateway connect`: without a terminal, against a gateway and against peers that behave oddly.

use std::{net::TcpListener, thread::JoinHandle, time::Duration};

use tokio_tungstenite::tungstenite::{
    Message, accept,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use crate::support::{CONFIG, Folder, Said, Serving};

fn connect(folder: &Folder, url: &str, more: &[&str], input: &str, token: &str) -> Said {
    folder.run_with(&[&["connect", url], more].concat(), input, &[("GATEWAY_TOKEN", token)])
}

fn served() -> (Folder, Serving, String) {
    let folder = Folder::configured();
    let serving = folder.serve();
    let token = folder.mint(&["--user", "ann", "--role", "dashboard"]);
    (folder, serving, token)
}

#[test]
fn what_is_sent_and_typed_comes_back_a_line_for_each_message() {
    let (folder, serving, token) = served();
    let more = ["--send", "one", "--send", "two\nlines", "--for", "1s"];
    let said = connect(&folder, &serving.ws("/ws/echo"), &more, "three\r\n\nfour", &token);
    assert_eq!(said.fine(), "one\ntwo\\nlines\nthree\nfour\n");
}

#[test]
fn a_page_may_be_pretended() {
    let (folder, serving, token) = served();
    let url = serving.ws("/ws/dashboard");
    let origin = |origin| connect(&folder, &url, &["--origin", origin, "--for", "200ms"], "", &token);
    origin("https://evil.example").ends(1, &["refused 403 Forbidden", "ORIGIN_NOT_ALLOWED"]);
    origin("https://app.example").ends(0, &["connection_ready"]);
}

#[test]
fn a_refusal_is_printed_with_its_status_and_its_body() {
    let (folder, serving, token) = served();
    let said = connect(&folder, &serving.ws("/ws/agent"), &["--for", "5s"], "", &token);
    let said = said.ends(1, &["refused 403 Forbidden\n", "\"code\":\"ROLE_MISMATCH\""]);
    assert!(said.err.is_empty() && !said.out.contains(&token));
    connect(&folder, &serving.ws("/ws/agent"), &[], "", "").ends(1, &["refused 401 Unauthorized", "AUTH_REQUIRED"]);
}

#[test]
fn a_refusal_by_close_code_is_one_too() {
    let (folder, serving, _) = served();
    let said = connect(&folder, &serving.ws("/ws/simulate"), &["--for", "5s"], "", "");
    said.ends(1, &["closed 4001 {\"code\":\"AUTH_REQUIRED\"", "requestId"]);
}

#[test]
fn a_gateway_that_leaves_says_so() {
    let (folder, serving, token) = served();
    let url = serving.ws("/ws/dashboard");
    let leaving = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(700));
        serving.leave();
        std::thread::sleep(Duration::from_secs(1));
    });
    let said = connect(&folder, &url, &["--for", "10s"], "", &token);
    said.ends(1, &["connection_ready", "closed 1012 {\"code\":\"DRAINING\""]);
    leaving.join().unwrap();
}

#[test]
fn what_cannot_be_reached_or_asked_is_told_without_the_token() {
    let folder = Folder::empty();
    for (url, word) in [
        ("ws://127.0.0.1:1/ws", "no connection"),
        ("http://127.0.0.1:1/ws", "ws://"),
        ("ws://127.0.0.1:1/ws?token=sesame", "GATEWAY_TOKEN"),
    ] {
        let said = connect(&folder, url, &[], "", "sesame").ends(1, &[word]);
        assert!(!said.err.contains("sesame"), "{said:?}");
    }
    folder.run(&["connect", "ws://127.0.0.1:1/ws", "--for", "soon"]).ends(2, &["duration"]);
}

#[test]
fn it_speaks_tls_to_a_host_that_it_can_verify() {
    let folder = Folder::configured();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    folder.write("tls.crt", made.cert.pem());
    folder.write("tls.key", made.signing_key.serialize_pem());
    folder.write("gateway.toml", format!("{CONFIG}\n[server.tls]\ncert_file = \"tls.crt\"\nkey_file = \"tls.key\"\n"));
    let serving = folder.serve();
    let token = folder.mint(&["--user", "ann", "--role", "dashboard"]);
    let (_, port) = serving.address.rsplit_once(':').unwrap();
    let url = format!("wss://localhost:{port}/ws/dashboard");
    let trusted = folder.path("tls.crt");
    let environment = [("GATEWAY_TOKEN", &*token), ("SSL_CERT_FILE", trusted.to_str().unwrap())];
    folder.run_with(&["connect", &url, "--for", "300ms"], "", &environment).ends(0, &["connection_ready"]);
    connect(&folder, &url, &["--for", "300ms"], "", &token).ends(1, &["no connection", "certificate"]);
}

/// A peer that does as it is told once somebody connected.
fn peer(
    behave: impl FnOnce(&mut tokio_tungstenite::tungstenite::WebSocket<std::net::TcpStream>) + Send + 'static,
) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        behave(&mut accept(stream).unwrap());
    });
    (url, thread)
}

#[test]
fn bytes_are_printed_in_base64_and_a_lost_connection_is_an_error() {
    let (url, thread) = peer(|socket| {
        socket.send(Message::Ping("x".into())).unwrap();
        socket.send(Message::binary(vec![0, 255])).unwrap();
    });
    let said = connect(&Folder::empty(), &url, &["--for", "10s"], "", "");
    said.ends(1, &["binary, 2 bytes in base64: AP8=\n", "the connection was lost"]);
    thread.join().unwrap();
}

#[test]
fn a_normal_close_is_a_normal_end() {
    for (frame, words) in [
        (Some(CloseFrame { code: CloseCode::Normal, reason: "b\u{1b}ye".into() }), "closed 1000 b\\u{1b}ye\n"),
        (None, "closed without a code\n"),
    ] {
        let (url, thread) = peer(move |socket| {
            socket.close(frame).unwrap();
            while socket.read().is_ok() {}
        });
        let said = connect(&Folder::empty(), &url, &["--for", "10s"], "", "");
        assert_eq!(said.fine(), words);
        thread.join().unwrap();
    }
}

#[test]
fn what_comes_between_the_goodbyes_is_printed_too() {
    let (url, thread) = peer(|socket| {
        // The client's close is read only after this was sent.
        std::thread::sleep(Duration::from_millis(700));
        socket.send(Message::text("late")).unwrap();
        while socket.read().is_ok() {}
    });
    let said = connect(&Folder::empty(), &url, &["--for", "300ms"], "", "");
    assert_eq!(said.fine(), "late\n");
    thread.join().unwrap();
}

#[test]
fn a_close_with_a_reason_counts_even_when_both_close_at_once() {
    let (url, thread) = peer(|socket| {
        std::thread::sleep(Duration::from_millis(700));
        socket.close(Some(CloseFrame { code: CloseCode::Library(4003), reason: "late".into() })).unwrap();
        while socket.read().is_ok() {}
    });
    connect(&Folder::empty(), &url, &["--for", "300ms"], "", "").ends(1, &["closed 4003 late"]);
    thread.join().unwrap();
}

#[test]
fn a_close_is_read_even_where_nothing_more_could_be_sent() {
    let (url, thread) = peer(|socket| {
        let frame = CloseFrame { code: CloseCode::Library(4002), reason: "no more".into() };
        socket.close(Some(frame)).unwrap();
        socket.get_ref().shutdown(std::net::Shutdown::Read).unwrap();
        std::thread::sleep(Duration::from_millis(500));
    });
    let long = "x".repeat(100_000);
    let more: Vec<&str> = (0..12).flat_map(|_| ["--send", &*long]).collect();
    connect(&Folder::empty(), &url, &more, "", "").ends(1, &["closed 4002 no more"]);
    thread.join().unwrap();
}

#[test]
fn a_peer_that_vanishes_while_it_is_sent_to_is_lost() {
    let (url, thread) = peer(|_| {});
    let long = "x".repeat(100_000);
    let more: Vec<&str> = (0..12).flat_map(|_| ["--send", &*long]).collect();
    connect(&Folder::empty(), &url, &more, "", "").ends(1, &["the connection was lost"]);
    thread.join().unwrap();
}

#[test]
fn an_interrupt_is_a_goodbye() {
    let (url, thread) = peer(|socket| {
        socket.send(Message::text("hello")).unwrap();
        while socket.read().is_ok() {}
    });
    let folder = Folder::empty();
    let mut command = folder.command(&["connect", &url]);
    let mut child = command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0; 6]).unwrap();
    let interrupted = std::process::Command::new("kill").arg("-INT").arg(child.id().to_string()).status();
    assert!(interrupted.unwrap().success());
    assert!(child.wait().unwrap().success());
    thread.join().unwrap();
}

#[test]
fn a_reader_that_went_away_ends_it() {
    let (folder, serving, token) = served();
    let mut command = folder.command(&["connect", &serving.ws("/ws/echo"), "--send", "one"]);
    let mut child = command
        .env("GATEWAY_TOKEN", token)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}
