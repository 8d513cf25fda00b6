//! The two halves of the corridor: what is refused at the door, and what at CONNECT.

use gateway_tests::{Claims, TestClient, TestGateway, eventually, rooms::unlimited, tokens::token};
use serde_json::{Value, json};

use crate::by_hand::{Poller, Socket, ask, connect, door, http, refusal};

/// `[[socketio.namespaces]]` for tests with several.
const NAMESPACES: &str = "[[socketio.namespaces]]\npath = \"/dashboard\"\nroles = [\"dashboard\"]\norigins = [\"https://app.example\"]\n\
    [[socketio.namespaces]]\npath = \"/\"\n[[socketio.namespaces]]\npath = \"/a\"\norigins = [\"https://other.example\"]\n\
    [[socketio.namespaces]]\npath = \"/b\"\n[[socketio.namespaces]]\npath = \"/c\"\n";

/// What a CONNECT with that packet is refused with; the connection closes behind it.
async fn turned_away(gateway: &TestGateway, packet: &str) -> Value {
    let (mut socket, _) = Socket::open(gateway).await;
    socket.say(packet).await;
    let refused = refusal(&socket.packet().await, "/dashboard");
    assert_eq!(socket.next().await, None, "the connection is closed behind {refused}");
    refused
}

fn with(token: &str) -> String {
    format!("40/dashboard,{}", json!({ "token": token }))
}

#[tokio::test]
async fn who_is_refused_reads_why_and_what_to_do_and_so_does_the_audit() {
    let gateway = unlimited("");
    let order = json!({ "user": "mallory", "reason": "a test" });
    gateway.api("PUT", "/api/v1/bans", Some(order)).await;
    let expired = Claims::of("ann", "dashboard").expiring_in(-60).sign();
    for (packet, code, reason, then) in [
        ("40/dashboard,".to_owned(), "AUTH_FAILED", "AUTH_REQUIRED", "stop"),
        ("40/dashboard,{\"token\":\"\"}".to_owned(), "AUTH_FAILED", "AUTH_REQUIRED", "stop"),
        ("40/dashboard,{\"token\":7}".to_owned(), "AUTH_FAILED", "TOKEN_INVALID", "stop"),
        (with("nonsense"), "AUTH_FAILED", "TOKEN_INVALID", "stop"),
        (with(&expired), "AUTH_FAILED", "TOKEN_EXPIRED", "refresh"),
        (with(&token("ann", "agent")), "ROLE_MISMATCH", "ROLE_MISMATCH", "stop"),
        (with(&token("mallory", "dashboard")), "BANNED", "BANNED", "stop"),
    ] {
        let refused = turned_away(&gateway, &packet).await;
        let data = &refused["data"];
        assert_eq!((&data["code"], &data["reason"], &data["then"]), (&json!(code), &json!(reason), &json!(then)));
        assert!(refused["message"].as_str().is_some_and(|message| message.len() > 3), "{refused}");
        let line = gateway.audited("its line", |line| line["requestId"] == data["requestId"]).await;
        assert_eq!(
            (&line["event"], &line["code"], &line["endpoint"]),
            (&json!("refused"), &json!(reason), &json!("/dashboard"))
        );
    }
    let mut poller = Poller::open(&gateway).await;
    poller.say(&with("nonsense")).await;
    assert_eq!(refusal(&poller.packet().await, "/dashboard")["data"]["reason"], "TOKEN_INVALID");
    assert_eq!(poller.packet().await, "1", "the session closes in the same breath");
    assert_eq!(gateway.connections().await, 0);
}

#[tokio::test]
async fn the_token_of_the_connect_goes_before_that_of_the_request_which_serves_where_there_is_none() {
    let gateway = unlimited("");
    let address = format!("{}&token={}", door(&gateway, "websocket"), token("ann", "dashboard"));
    let mut socket = Socket::connect(&address).await;
    socket.packet().await;
    socket.say("40/dashboard,").await;
    assert!(socket.packet().await.starts_with("40/dashboard,"));
    let mut socket = Socket::connect(&address).await;
    socket.packet().await;
    socket.say(&with("nonsense")).await;
    assert_eq!(refusal(&socket.packet().await, "/dashboard")["data"]["reason"], "TOKEN_INVALID");
}

#[tokio::test]
async fn an_unknown_namespace_is_told_in_the_words_of_the_protocol_and_tries_are_counted() {
    let gateway = unlimited("");
    let (mut socket, _) = Socket::open(&gateway).await;
    for _ in 0..7 {
        socket.say("40/nowhere,").await;
        assert_eq!(refusal(&socket.packet().await, "/nowhere"), json!({ "message": "Invalid namespace" }));
    }
    socket.say(&connect("/dashboard", "ann")).await;
    assert!(socket.packet().await.starts_with("40/dashboard,"), "the connection stayed");
    socket.say("40").await;
    assert_eq!(refusal(&socket.packet().await.replace("44", "44/,"), "/"), json!({ "message": "Invalid namespace" }));
    while socket.next().await.is_some() {}
    gateway.audited("the end", |line| line["event"] == "disconnected" && line["code"] == "PROTOCOL_ERROR").await;
}

#[tokio::test]
async fn each_namespace_is_a_connection_of_its_own_and_there_are_four_at_most() {
    let gateway = unlimited(NAMESPACES);
    let (mut socket, _) = Socket::open(&gateway).await;
    for namespace in ["/dashboard", "/a", "/b", "/c"] {
        socket.say(&connect(namespace, "ann")).await;
        assert!(socket.packet().await.starts_with(&format!("40{namespace},{{\"sid\":")));
    }
    assert_eq!(gateway.connections().await, 4);
    socket.say(&format!("40{}", json!({ "token": token("ann", "dashboard") }))).await;
    let refused: Value = serde_json::from_str(socket.packet().await.strip_prefix("44").unwrap()).unwrap();
    assert_eq!(refused["data"]["code"], "LIMIT_EXCEEDED");
    socket.say("41/c,").await;
    gateway.audited("its end", |line| line["event"] == "disconnected" && line["endpoint"] == "/c").await;
    socket.say(&format!("40{}", json!({ "token": token("ann", "dashboard") }))).await;
    assert!(socket.packet().await.starts_with("40{\"sid\":"), "there is room again, for the one without a name, too");
}

#[tokio::test]
async fn a_second_namespace_that_is_refused_takes_the_first_nothing_away() {
    let gateway = unlimited(NAMESPACES);
    let mut socket = Socket::enter(&gateway, "ann").await;
    socket.say("40/a,").await;
    assert_eq!(refusal(&socket.packet().await, "/a")["data"]["reason"], "AUTH_REQUIRED");
    assert_eq!(socket.ask(1, &json!(["ping"])).await, json!({ "ok": true }));
}

#[tokio::test]
async fn seats_are_counted_over_every_transport() {
    let gateway = TestGateway::with("[plans.default]\nconnections = 3\non_connection_limit = \"reject_new\"\n");
    let _raw = TestClient::greeted(&gateway, "/ws/dashboard", &token("ann", "dashboard")).await;
    let _socket = Socket::enter(&gateway, "ann").await;
    let _poller = Poller::enter(&gateway, "ann").await;
    let refused = turned_away(&gateway, &connect("/dashboard", "ann")).await;
    assert_eq!((&refused["data"]["code"], &refused["data"]["then"]), (&json!("CONNECTION_LIMIT"), &json!("wait")));
    assert!(refused["data"]["retryAfter"].is_number());
    let (_, list) = gateway.api("GET", "/api/v1/connections", None).await;
    let mut transports: Vec<_> =
        list["connections"].as_array().unwrap().iter().map(|one| one["transport"].as_str().unwrap()).collect();
    transports.sort_unstable();
    assert_eq!(transports, ["socketio-polling", "socketio-websocket", "websocket"]);
}

#[tokio::test]
async fn a_page_comes_as_far_as_the_door_where_some_namespace_lets_it_in_and_into_that_one_only() {
    let gateway = unlimited(NAMESPACES);
    let polling = door(&gateway, "polling");
    let from = |origin: &'static str| http().get(&polling).header("origin", origin).send();
    let foreign = from("https://evil.example").await.unwrap();
    assert_eq!(foreign.status(), 403);
    assert!(foreign.headers().get("access-control-allow-origin").is_none());
    let own = from("https://other.example").await.unwrap();
    assert_eq!(own.status(), 200);
    assert_eq!(own.headers()["access-control-allow-origin"], "https://other.example");
    let body = own.text().await.unwrap();
    let opening: Value = serde_json::from_str(&body[1..]).unwrap();
    let session = format!("{polling}&sid={}", opening["sid"].as_str().unwrap());
    let post = |body: String| http().post(&session).header("origin", "https://other.example").body(body).send();
    assert_eq!(post(connect("/a", "ann")).await.unwrap().status(), 200);
    assert!(ask("GET", &session, "").await.1.starts_with("40/a,"));
    assert_eq!(post(connect("/dashboard", "ann")).await.unwrap().status(), 200);
    let refused = refusal(&ask("GET", &session, "").await.1, "/dashboard");
    assert_eq!(refused["data"]["code"], "ORIGIN_NOT_ALLOWED");
    let asked = http().request(reqwest::Method::OPTIONS, &session).header("origin", "https://app.example");
    let allowed = asked.header("access-control-request-method", "POST").send().await.unwrap();
    assert_eq!(allowed.status(), 204);
    assert_eq!(allowed.headers()["access-control-allow-methods"], "GET, POST");
    assert_eq!(allowed.headers()["access-control-allow-origin"], "https://app.example");
}

#[tokio::test]
async fn who_never_connects_to_a_namespace_is_gone_in_time_and_a_stranger_may_say_little() {
    let gateway = unlimited("[socketio]\nconnect_timeout = \"1s\"\n");
    let (mut socket, _) = Socket::open(&gateway).await;
    let poller = Poller::open(&gateway).await;
    assert_eq!(socket.next().await, None);
    let unknown = (400, json!({ "code": 1, "message": "Session ID unknown" }).to_string());
    eventually(10, "its end", async || (poller.poll().await == unknown).then_some(())).await;
    gateway.audited("why", |line| line["event"] == "refused" && line["code"] == "AUTH_REQUIRED").await;
    let poller = Poller::open(&gateway).await;
    let (status, _) = poller.post(&format!("40/dashboard,{{\"token\":\"{}\"}}", "x".repeat(70_000))).await;
    assert_eq!(status, 413);
}

#[tokio::test]
async fn an_address_that_is_banned_does_not_come_as_far_as_a_session() {
    let gateway = unlimited("[[bans]]\naddress = \"127.0.0.1\"\n");
    let (status, body) = ask("GET", &door(&gateway, "polling"), "").await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["error"]["code"]), (403, &json!("BANNED")));
}
