//! Whose address it is: one source is read, from right to left, and only where a trusted proxy wrote it. What a client
//! writes by itself never chooses the address that limits, bans and the audit know.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use gateway_tests::{
    TestClient, TestGateway,
    crowd::address,
    raw::{Raw, upgrade},
    tokens::token,
};
use serde_json::{Value, json};

const BY_HEADER: &str = "[server]\nclient_address = \"x-forwarded-for\"\n\
    trusted_proxies = [\"127.0.0.1/32\", \"10.0.0.0/8\", \"fd00::/8\"]\n[limits]\nhandshakes_per_user = \"off\"\n";
const BY_FORWARDED: &str = "[server]\nclient_address = \"forwarded\"\n\
    trusted_proxies = [\"127.0.0.1/32\", \"10.0.0.0/8\"]\n[limits]\nhandshakes_per_user = \"off\"\n";

/// Connects with those header lines and says which address the gateway took.
async fn seen(gateway: &TestGateway, headers: &[(&str, &str)]) -> String {
    let url = gateway.ws(&format!("/ws?token={}", token("ann", "dashboard")));
    let mut client = TestClient::open(&url, headers).await.expect("a connection");
    let greeting = client.json().await;
    let id = greeting["payload"]["connectionId"].as_str().expect("an id").to_owned();
    let (status, here) = gateway.api("GET", &format!("/api/v1/connections/{id}"), None).await;
    assert_eq!(status, 200, "{here}");
    client.leave().await;
    here["ip"].as_str().expect("an address").to_owned()
}

const XFF: &str = "x-forwarded-for";

#[tokio::test]
async fn x_forwarded_for_is_read_from_the_right_up_to_the_first_that_is_no_proxy() {
    let gateway = TestGateway::with(BY_HEADER);
    for (lines, expected) in [
        (&["203.0.113.9"][..], "203.0.113.9"),
        (&["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
        (&["203.0.113.9, 10.0.0.7"], "203.0.113.9"),
        (&["198.51.100.1, 203.0.113.9, 10.0.0.7,10.1.2.3"], "203.0.113.9"),
        (&["198.51.100.1", "203.0.113.9"], "203.0.113.9"),
        (&["203.0.113.9", "10.0.0.7"], "203.0.113.9"),
        (&["203.0.113.9:4711"], "203.0.113.9"),
        (&["2001:db8::9"], "2001:db8::9"),
        (&["[2001:db8::9]:4711"], "2001:db8::9"),
        (&["::ffff:203.0.113.9"], "203.0.113.9"),
        (&["203.0.113.9, fd00::1"], "203.0.113.9"),
        // Where every hop is a proxy, the farthest of them is the client.
        (&["10.0.0.8, 10.0.0.7"], "10.0.0.8"),
        // What is no address ends the walk at the nearest proxy: the client cannot choose.
        (&["203.0.113.9, rubbish"], "127.0.0.1"),
        (&["203.0.113.9, rubbish, 10.0.0.7"], "10.0.0.7"),
        (&["203.0.113.9,"], "127.0.0.1"),
        (&[""], "127.0.0.1"),
        (&["unknown"], "127.0.0.1"),
        (&[], "127.0.0.1"),
    ] {
        let headers: Vec<_> = lines.iter().map(|line| (XFF, *line)).collect();
        assert_eq!(seen(&gateway, &headers).await, expected, "{lines:?}");
    }
    // The other headers are other sources.
    let others = [("forwarded", "for=198.51.100.1"), ("x-real-ip", "198.51.100.1"), (XFF, "203.0.113.9")];
    assert_eq!(seen(&gateway, &others).await, "203.0.113.9");
    assert_eq!(seen(&gateway, &others[..2]).await, "127.0.0.1");
}

#[tokio::test]
async fn forwarded_is_read_by_the_same_law() {
    let gateway = TestGateway::with(BY_FORWARDED);
    for (value, expected) in [
        ("for=203.0.113.9", "203.0.113.9"),
        ("For=203.0.113.9;proto=https;by=10.0.0.7", "203.0.113.9"),
        ("for=198.51.100.1, for=203.0.113.9", "203.0.113.9"),
        ("for=203.0.113.9, for=10.0.0.7", "203.0.113.9"),
        ("for=\"203.0.113.9:4711\"", "203.0.113.9"),
        ("for=\"[2001:db8::9]:4711\";proto=https", "2001:db8::9"),
        ("for=\"[2001:db8::9]\"", "2001:db8::9"),
        // A quote that a client left open swallows nothing that a proxy wrote behind it.
        ("for=\"198.51.100.1, for=203.0.113.9", "203.0.113.9"),
        ("for=203.0.113.9, for=unknown", "127.0.0.1"),
        ("for=203.0.113.9, for=_hidden, for=10.0.0.7", "10.0.0.7"),
        ("by=203.0.113.9", "127.0.0.1"),
        ("for=198.51.100.1;for=203.0.113.9", "127.0.0.1"),
    ] {
        assert_eq!(seen(&gateway, &[("forwarded", value)]).await, expected, "{value}");
    }
    assert_eq!(seen(&gateway, &[(XFF, "203.0.113.9")]).await, "127.0.0.1");
}

#[tokio::test]
async fn a_client_that_is_no_proxy_cannot_say_where_it_is() {
    for (config, header) in [
        (BY_HEADER, "X-Forwarded-For: 203.0.113.9\r\n"),
        (BY_FORWARDED, "Forwarded: for=203.0.113.9\r\n"),
        ("", "X-Forwarded-For: 203.0.113.9\r\nForwarded: for=203.0.113.9\r\nX-Real-IP: 203.0.113.9\r\n"),
    ] {
        let gateway = TestGateway::with(config);
        let mut raw = Raw::connect_from(address(7), gateway.address).await;
        let target = format!("/ws?token={}", token("ann", "dashboard"));
        assert_eq!(raw.ask(&upgrade(&target, header)).await.status, Some(101));
        let mine = address(7).to_string();
        gateway.audited("its own address", |line| line["event"] == "connected" && line["ip"] == mine.as_str()).await;
        assert!(gateway.audit().iter().all(|line| line["ip"] != "203.0.113.9"));
    }
}

#[tokio::test]
async fn limits_and_bans_are_about_the_client_and_not_about_its_proxy() {
    let gateway = TestGateway::with(
        "[server]\nclient_address = \"x-forwarded-for\"\ntrusted_proxies = [\"127.0.0.1/32\"]\n\
         [limits]\nhandshakes_per_ip = { rate = \"1/h\", burst = 2 }\n[[bans]]\naddress = \"198.51.100.0/24\"\n",
    );
    let url = gateway.ws("/ws?token=rubbish");
    let from = async |client: &str| {
        let refused = TestClient::open(&url, &[(XFF, client)]).await.unwrap_err();
        refused.code().to_owned()
    };
    assert_eq!(from("198.51.100.77").await, "BANNED");
    // Who claims to come from somebody who is banned, or from everywhere, is still who the proxy saw.
    for forged in ["198.51.100.77, 203.0.113.9", "192.0.2.1, 203.0.113.9"] {
        assert_eq!(from(forged).await, "TOKEN_INVALID");
    }
    assert_eq!(from("192.0.2.2, 203.0.113.9").await, "RATE_LIMITED");
    assert_eq!(from("203.0.113.10").await, "TOKEN_INVALID", "another client of the same proxy");
    // A v6 customer has a whole /64.
    for host in ["2001:db8::1", "2001:db8::2"] {
        assert_eq!(from(host).await, "TOKEN_INVALID");
    }
    assert_eq!(from("2001:db8::ffff:1").await, "RATE_LIMITED");
    assert_eq!(from("2001:db8:0:1::1").await, "TOKEN_INVALID");
}

#[tokio::test]
async fn a_chain_without_end_is_refused() {
    let gateway = TestGateway::with(BY_HEADER);
    let chain = vec!["10.0.0.7"; 200].join(", ");
    let url = gateway.ws(&format!("/ws?token={}", token("ann", "dashboard")));
    let refused = TestClient::open(&url, &[(XFF, &chain)]).await.unwrap_err();
    assert_eq!((refused.status, refused.code()), (400, "INVALID_REQUEST"));
}

#[tokio::test]
async fn the_audit_tells_as_much_of_an_address_as_it_should() {
    for (detail, fits) in [
        ("full", (|ip: &str| ip == "203.0.113.9") as fn(&str) -> bool),
        ("prefix", |ip| ip.starts_with("203.0.113.0") && !ip.contains(".9")),
        ("hash", |ip| !ip.contains("203") && ip.len() > 8),
    ] {
        let config = format!("{BY_HEADER}[audit]\nfile = \"audit.jsonl\"\naddress = \"{detail}\"\n");
        let gateway = TestGateway::with(&config);
        let url = gateway.ws(&format!("/ws?token={}", token("ann", "dashboard")));
        TestClient::open(&url, &[(XFF, "203.0.113.9")]).await.expect("a connection").leave().await;
        let line = gateway.audited("the connection", |line: &Value| line["event"] == "connected").await;
        assert!(line["ip"].as_str().is_some_and(fits), "{detail}: {line}");
        assert_ne!(line["ip"], json!(null));
    }
}
