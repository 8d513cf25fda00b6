//! `gateway explain`: from the running gateway, and from its file.

use std::{
    io::{Read, Write},
    net::TcpListener,
};

use crate::support::{ADMIN_KEY, Folder, Said};

const KEY: [(&str, &str); 1] = [("GATEWAY_API_KEY", ADMIN_KEY)];

/// The id in a refusal that `gateway connect` printed.
fn request_of(said: &Said) -> String {
    let (_, rest) = said.out.split_once("\"requestId\":\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

#[test]
fn a_refusal_is_explained_by_the_gateway_and_by_its_file_alike() {
    let folder = Folder::configured();
    let serving = folder.serve();
    let token = folder.mint(&["--user", "ann", "--role", "dashboard"]);
    let refused = folder.run_with(&["connect", &serving.ws("/ws/agent")], "", &[("GATEWAY_TOKEN", &token)]);
    let refused = refused.ends(1, &["refused 403", "ROLE_MISMATCH"]);
    let id = request_of(&refused);

    let asked = folder.run_with(&["explain", &id, "--url", &serving.url()], "", &KEY).ends(0, &[]);
    for (row, value) in [
        ("request", &*id),
        ("what", "refused"),
        ("who", "ann"),
        ("where from", "127.0.0.1"),
        ("door", "/ws/agent"),
        ("code", "ROLE_MISMATCH (HTTP 403, close 4006)"),
        ("reason", "/ws/agent is for: agent; the token has: dashboard"),
    ] {
        assert_eq!(asked.row(row), value);
    }
    assert!(asked.out.contains("  12  DECIDED         does one of its roles open the endpoint"), "{}", asked.out);
    assert!(asked.row("the client").contains("role") && asked.row("you").contains("roles"));

    let read = folder.run(&["explain", &id, "--file", "audit.jsonl"]).ends(0, &[]);
    assert_eq!(read.out, asked.out);

    let admin = folder.mint(&["--user", "root", "--role", "admin"]);
    let by_token = folder.run_with(&["explain", &id, "--url", &serving.url()], "", &[("GATEWAY_TOKEN", &admin)]);
    assert_eq!(by_token.fine(), asked.out);
}

#[test]
fn what_cannot_be_explained_says_what_to_do() {
    let folder = Folder::configured();
    let serving = folder.serve();
    let id = "7f0c1f0e-2f6e-4a53-9d0b-0a4c8a6f2f11";
    let ask =
        |environment: &[(&str, &str)]| folder.run_with(&["explain", id, "--url", &serving.url()], "", environment);
    ask(&[]).ends(1, &["GATEWAY_TOKEN", "GATEWAY_API_KEY", "--file"]);
    ask(&KEY).ends(1, &["nothing about", "--file"]);
    let said = ask(&[("GATEWAY_API_KEY", "sesame")]).ends(1, &["401", "TOKEN_INVALID"]);
    assert!(!said.err.contains("sesame"));
    let dashboard = folder.mint(&["--user", "ann", "--role", "dashboard"]);
    ask(&[("GATEWAY_TOKEN", &dashboard)]).ends(1, &["403", "FORBIDDEN", "`admin`"]);
    let said = ask(&[("GATEWAY_TOKEN", "sesame\nopen")]).ends(1, &["GATEWAY_TOKEN", "header"]);
    assert!(!said.err.contains("sesame"));
    folder.run_with(&["explain", id, "--url", "http://127.0.0.1:1"], "", &KEY).ends(1, &["does not answer", "--url"]);
    folder.run(&["explain", id, "--file", "audit.jsonl"]).ends(1, &["no line", id]);
    folder.run(&["explain", id, "--file", "nowhere.jsonl"]).ends(1, &["nowhere.jsonl"]);
    folder.run(&["explain", "nonsense"]).ends(2, &["nonsense"]);
}

#[test]
fn an_answer_that_is_no_gateways_is_told_as_such() {
    let folder = Folder::empty();
    for (status, words) in [("200 OK", "none of a gateway's"), ("500 Oops", "said nothing that a gateway says")] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 7\r\nconnection: close\r\n\r\n<html/>").unwrap();
        });
        let id = "7f0c1f0e-2f6e-4a53-9d0b-0a4c8a6f2f11";
        folder.run_with(&["explain", id, "--url", &url], "", &KEY).ends(1, &[words]);
        answering.join().unwrap();
    }
}

#[test]
fn a_file_is_read_line_by_line_whatever_else_is_in_it() {
    let folder = Folder::empty();
    let id = "7f0c1f0e-2f6e-4a53-9d0b-0a4c8a6f2f11";
    let lines = [
        "not JSON".to_owned(),
        "x".repeat(200_000),
        format!(
            r#"{{"time":"2026-01-01T00:00:00.000Z","event":"refused","code":"RATE_LIMITED","reason":"too many","requestId":"{id}","ip":"203.0.113.9","endpoint":"/ws","userAgent":"a\u001b[2J","count":40,"until":"2026-01-01T00:01:00.000Z","newer":1}}"#
        ),
        format!(
            r#"{{"time":"2026-01-01T00:00:01.000Z","event":"connected","reason":"admitted","requestId":"{id}","userId":"ann","agentId":"press-7","connectionId":"c"}}"#
        ),
        format!(
            r#"{{"time":"2026-01-01T00:00:02.000Z","event":"disconnected","code":"IDLE_TIMEOUT","requestId":"{id}","userId":"ann"}}"#
        ),
        format!(r#"{{"time":"2026-01-01T00:00:03.000Z","event":"refused","code":"OF_TOMORROW","requestId":"{id}"}}"#),
        format!(r#"{{"time":"2026-01-01T00:00:03.000Z","event":"refused","code":"FORBIDDEN","requestId":"{id}"}}"#),
        r#"{"time":"2026-01-01T00:00:00.000Z","event":"refused","requestId":"of another"}"#.to_owned(),
    ];
    folder.write("audit.jsonl", lines.join("\n"));
    let said = folder.run(&["explain", id, "--file", "audit.jsonl"]).ends(
        0,
        &[
            "40 of this kind, the last at 2026-01-01T00:01:00.000Z",
            "not known: no token was verified",
            "a\\u{1b}[2J",
            "   6  DECIDED         does the address keep to the rate",
            "ann, agent press-7",
            "IDLE_TIMEOUT (close 4018)",
            "OF_TOMORROW",
            "FORBIDDEN (HTTP 403)",
        ],
    );
    assert_eq!(said.out.matches("\nwhen ").count(), 5);
    assert_eq!(said.out.matches("checks").count(), 1, "only what the gate refused has a list");
}
