//! The proxies that ship, each in front of two gateways: WebSockets pass and are spread, polls stick, clients keep their
//! own address, a gateway that goes takes nobody's way in with it, and no log has a token.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::{collections::BTreeSet, net::IpAddr, path::Path};

use gateway_tests::{
    TestClient, TestGateway,
    crowd::address,
    eventually,
    proxy::{Kind, Proxy},
    raw::{Raw, upgrade},
    tokens::token,
};
use serde_json::json;

const CONFIG: &str = "[server]\nclient_address = \"x-forwarded-for\"\ntrusted_proxies = [\"127.0.0.1/32\"]\n\
    drain_timeout = \"5s\"\n[limits]\nhandshakes_per_user = \"off\"\nhandshakes_per_ip = \"off\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn nginx_carries_clients_to_two_gateways_and_tells_no_token() {
    carries(Kind::Nginx).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn haproxy_carries_clients_to_two_gateways_and_tells_no_token() {
    carries(Kind::Haproxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn caddy_carries_clients_to_two_gateways_and_tells_no_token() {
    carries(Kind::Caddy).await;
}

async fn carries(kind: Kind) {
    let gateways = [TestGateway::with(CONFIG), TestGateway::with(CONFIG)];
    let proxy = Proxy::start(kind, gateways.each_ref().map(|gateway| gateway.address)).await;
    let target = format!("/ws/dashboard?token={}", token("ann", "dashboard"));
    // Where a proxy asks first who is well, it lets nobody in before it knows.
    eventually(20, "the proxy knows its gateways", async || TestClient::open(&proxy.ws(&target), &[]).await.ok())
        .await
        .leave()
        .await;

    let mut clients = spread_over_both(&proxy, &gateways, &target).await;
    for client in &mut clients {
        assert_eq!(client.ask(json!({"type": "ping", "id": "1"})).await["type"], "pong");
    }
    keep_their_addresses(&proxy, &gateways).await;
    polls_stick(&proxy).await;
    refusals_pass_and_the_rest_is_not_there(&proxy).await;

    // A gateway that goes: whoever was there comes back, and nobody is turned away meanwhile.
    let [first, second] = gateways;
    let leaving = tokio::task::spawn_blocking(move || first.stop());
    for client in clients {
        drop(client);
        comes_back(kind, &proxy, &target).await;
    }
    assert!(leaving.await.unwrap().0, "the first gateway ended well");
    for _ in 0..4 {
        comes_back(kind, &proxy, &target).await;
    }

    // With nobody behind it a proxy complains, and that is where tokens are told most easily.
    drop(second);
    let alone = TestClient::open(&proxy.ws(&target), &[]).await.unwrap_err();
    assert!([502, 503].contains(&alone.status), "{alone:?}");
    let log = eventually(10, "the log has the last handshake", async || {
        let log = proxy.written();
        log.lines()
            .any(|line| line.contains("/ws/dashboard") && line.contains(&alone.status.to_string()))
            .then_some(log)
    })
    .await;
    assert!(log.contains("/socket.io/"), "{log}");
    for sign in ["eyJ", "token=", "Bearer"] {
        assert!(!log.contains(sign), "{kind:?} wrote {sign:?}:\n{log}");
    }
}

/// Is let in by the other gateway, at once; behind Caddy, after being told that the first one leaves.
async fn comes_back(kind: Kind, proxy: &Proxy, target: &str) {
    let back = eventually(10, "the other gateway", async || match TestClient::open(&proxy.ws(target), &[]).await {
        Ok(client) => Some(client),
        Err(refused) if kind == Kind::Caddy && refused.code() == "DRAINING" => None,
        Err(refused) => panic!("turned away: {refused:?}"),
    });
    back.await.leave().await;
}

/// So many come in that each gateway has some.
async fn spread_over_both(proxy: &Proxy, gateways: &[TestGateway; 2], target: &str) -> Vec<TestClient> {
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = TestClient::open(&proxy.ws(target), &[]).await.expect("a connection");
        assert_eq!(client.json().await["type"], "connection_ready");
        clients.push(client);
    }
    for gateway in gateways {
        assert!(gateway.connections().await >= 1, "one gateway has them all");
    }
    clients
}

/// The gateways know clients by the address that the proxy saw, whatever they say of themselves.
async fn keep_their_addresses(proxy: &Proxy, gateways: &[TestGateway; 2]) {
    let forged = "X-Forwarded-For: 203.0.113.9\r\nForwarded: for=203.0.113.9\r\n";
    let mut raw = Raw::connect_from(address(7), proxy.address).await;
    let answer = raw.ask(&upgrade(&format!("/ws?token={}", token("bob", "dashboard")), forged)).await;
    assert_eq!(answer.status, Some(101), "{answer:?}");
    let seen = eventually(10, "the audit has bob", async || {
        let audits = gateways.iter().flat_map(TestGateway::audit);
        audits.into_iter().find(|line| line["event"] == "connected" && line["userId"] == "bob")
    })
    .await;
    assert_eq!(seen["ip"], address(7).to_string(), "{seen}");
}

/// Every poll of a session reaches the gateway that has it, from whatever address it comes.
async fn polls_stick(proxy: &Proxy) {
    let mut nodes = BTreeSet::new();
    for number in 20..32 {
        let from: IpAddr = address(number);
        let client = reqwest::Client::builder().no_proxy().local_address(from).build().unwrap();
        let url = proxy.http("/socket.io/?EIO=4&transport=polling");
        let opened = client.get(&url).send().await.unwrap().text().await.unwrap();
        let opened: serde_json::Value = serde_json::from_str(opened.trim_start_matches('0')).expect("a session");
        let url = format!("{url}&sid={}", opened["sid"].as_str().unwrap());
        let connect = format!("40/dashboard,{}", json!({"token": token("cid", "dashboard")}));
        let said = client.post(&url).body(connect).send().await.unwrap();
        assert_eq!(said.status(), 200, "{}", said.text().await.unwrap());
        let heard = client.get(&url).send().await.unwrap().text().await.unwrap();
        assert!(heard.starts_with("40/dashboard,{"), "{heard}");
        nodes.insert(client.get(url.replace("sid=", "sid=x")).send().await.unwrap().status().as_u16());
    }
    assert_eq!(nodes, BTreeSet::from([400]), "a session that nobody has");
}

/// What a gateway says to whom it refuses comes through as it is; what is for operators does not come through at all.
async fn refusals_pass_and_the_rest_is_not_there(proxy: &Proxy) {
    let refused = TestClient::open(&proxy.ws("/ws/agent?token=rubbish"), &[]).await.unwrap_err();
    assert_eq!((refused.status, refused.code()), (401, "TOKEN_INVALID"));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for path in ["/api/v1/connections", "/metrics", "/readyz", "/console", "/"] {
        let answer = client.get(proxy.http(path)).bearer_auth(token("root", "admin")).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
    }
}

/// The first number of seconds behind each of these words.
fn seconds(text: &str, words: &[&str]) -> Vec<u64> {
    let of = |word: &&str| {
        let rest = text.split(*word).nth(1).unwrap_or_else(|| panic!("no `{word}`"));
        rest.trim_start().chars().take_while(char::is_ascii_digit).collect::<String>().parse().expect("seconds")
    };
    words.iter().map(of).collect()
}

#[test]
fn no_proxy_gives_up_on_a_silent_client_before_the_gateway_does() {
    let shipped = gateway::config::Config::dev().unwrap().config;
    let endpoints =
        shipped.endpoints.iter().map(|endpoint| endpoint.heartbeat.get() + endpoint.heartbeat_timeout.get());
    let polls = shipped.socketio.ping_interval.get() + shipped.socketio.ping_timeout.get();
    let longest = endpoints.chain([polls]).max().unwrap().as_secs();
    let read = |kind: Kind| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/proxies");
        std::fs::read_to_string(folder.join(kind.file())).unwrap()
    };
    let nginx = seconds(&read(Kind::Nginx), &["proxy_read_timeout", "proxy_send_timeout"]);
    let haproxy = seconds(&read(Kind::Haproxy), &["timeout client", "timeout server", "timeout tunnel"]);
    for timeout in nginx.into_iter().chain(haproxy) {
        assert!(timeout > longest, "{timeout} s is not longer than {longest} s");
    }
    // Caddy ends no stream by itself.
    assert!(!read(Kind::Caddy).contains("_timeout 7"));
}
