//! How it ends: for whom to come back, for whom not; and what is broken ends its own connection only.

use gateway_tests::{Claims, TestGateway, eventually, rooms::unlimited, scrape::Scrape};
use serde_json::{Value, json};

use crate::by_hand::{Poller, Socket, connect, event, refusal};

/// Everything until the connection closes.
async fn rest(socket: &mut Socket) -> Vec<String> {
    let mut packets = Vec::new();
    while let Some(packet) = socket.next().await {
        packets.push(packet);
    }
    packets
}

/// An error with that code and advice, and then the word that puts the client out.
fn assert_put_out(packets: &[String], code: &str, then: &str) {
    let [error, out] = packets else { panic!("an error and an end: {packets:?}") };
    let (name, payload) = event(error);
    assert_eq!((&*name, &payload["code"], &payload["then"]), ("error", &json!(code), &json!(then)), "{payload}");
    assert_eq!(out, "41/dashboard,");
}

#[tokio::test]
async fn a_ban_a_kick_and_a_revocation_end_it_with_the_reason_and_it_does_not_come_back_by_itself() {
    let gateway = unlimited("");
    for (method, path, body, code) in [
        ("PUT", "/api/v1/bans", Some(json!({ "user": "ann" })), "BANNED"),
        ("POST", "/api/v1/users/bob/disconnect", None, "DISCONNECTED"),
        ("POST", "/api/v1/revocations", Some(json!({ "user": "cleo" })), "TOKEN_REVOKED"),
    ] {
        let user = match code {
            "BANNED" => "ann",
            "DISCONNECTED" => "bob",
            _ => "cleo",
        };
        let (mut socket, mut poller) = (Socket::enter(&gateway, user).await, Poller::enter(&gateway, user).await);
        let (status, answer) = gateway.api(method, path, body).await;
        assert_eq!(status, 200, "{answer}");
        assert_put_out(&rest(&mut socket).await, code, "stop");
        assert_put_out(&[poller.packet().await, poller.packet().await], code, "stop");
        assert_eq!(poller.packet().await, "1");
        let fits = |line: &Value| line["event"] == "disconnected" && line["userId"] == user;
        assert_eq!(gateway.audited("its line", fits).await["code"], code);
    }
}

#[tokio::test]
async fn an_expired_token_is_warned_of_and_then_sends_for_a_new_one_unless_it_was_refreshed() {
    let gateway = unlimited("");
    let brief = |user: &str| Claims::of(user, "dashboard").expiring_in(4).sign();
    let (mut one, _) = Socket::open(&gateway).await;
    let (mut other, _) = Socket::open(&gateway).await;
    for (socket, user) in [(&mut one, "ann"), (&mut other, "bob")] {
        socket.say(&format!("40/dashboard,{}", json!({ "token": brief(user) }))).await;
        socket.packet().await;
        assert_eq!(socket.event().await.0, "auth.expiring");
    }
    let fresh = Claims::of("bob", "dashboard").sign();
    let answer = other.ask(1, &json!(["auth.refresh", { "token": fresh }])).await;
    assert_eq!((&answer["ok"], &answer["payload"]["roles"]), (&json!(true), &json!(["dashboard"])));
    assert_put_out(&rest(&mut one).await, "TOKEN_EXPIRED", "refresh");
    assert_eq!(other.ask(2, &json!(["ping"])).await, json!({ "ok": true }));
    let refused = other.ask(3, &json!(["auth.refresh", { "token": Claims::of("ann", "dashboard").sign() }])).await;
    assert_eq!(refused["error"]["code"], "IDENTITY_CHANGED");
}

#[tokio::test]
async fn what_comes_too_late_for_a_refused_session_is_answered_and_no_refusal_of_its_own() {
    let gateway = unlimited("");
    let mut poller = Poller::open(&gateway).await;
    poller.say("40/dashboard,{\"token\":\"not.a.token\"}").await;
    assert_eq!(refusal(&poller.packet().await, "/dashboard")["data"]["reason"], "TOKEN_INVALID");
    assert_eq!(poller.packet().await, "1");
    let unknown = (400, "{\"code\":1,\"message\":\"Session ID unknown\"}".to_owned());
    eventually(10, "its end", async || (poller.poll().await == unknown).then_some(())).await;
    assert_eq!(poller.post("41/dashboard,").await, unknown);
    // A guess is written down, and is the only one.
    let guessed = Poller { sid: "0".repeat(32), ..Poller::open(&gateway).await };
    assert_eq!(guessed.post("41/dashboard,").await, unknown);
    gateway.audited("the guess", |line| line["code"] == "NOT_FOUND").await;
    let scrape = Scrape::of(&gateway).await;
    assert_eq!(scrape.sum("gateway_refusals_total", &[("code", "NOT_FOUND")]), 1.0, "{}", scrape.text);
}

#[tokio::test]
async fn a_leaving_node_says_so_and_closes_the_transport_so_that_clients_come_back_by_themselves() {
    let gateway = unlimited("");
    let mut socket = Socket::enter(&gateway, "ann").await;
    let mut poller = Poller::enter(&gateway, "bob").await;
    let _stranger = Poller::open(&gateway).await;
    gateway.signal("TERM");
    let packets = rest(&mut socket).await;
    let [error] = packets.as_slice() else { panic!("only the reason: {packets:?}") };
    let (name, payload) = event(error);
    assert_eq!((&*name, &payload["code"], &payload["then"]), ("error", &json!("DRAINING"), &json!("wait")));
    assert!(payload["retryAfter"].is_number());
    assert_eq!(poller.event().await.1["code"], "DRAINING");
    assert_eq!(poller.packet().await, "1");
    let (well, written) = gateway.stop_already_told();
    assert!(well, "{written}");
}

#[tokio::test]
async fn what_is_broken_ends_its_own_connection_with_a_line_and_nobody_elses() {
    let gateway = unlimited("");
    let mut bystander = Socket::enter(&gateway, "bystander").await;
    for (at, broken) in [
        "",
        "7",
        "0{}",
        "2",
        "5",
        "4",
        "49",
        "42/dashboard,",
        "42/dashboard,{}",
        "42/dashboard,[]",
        "42/dashboard,[1]",
        "42/dashboard,[\"connect\"]",
        "42/dashboard,99999999999999999999[\"a\"]",
        "43/dashboard,[]",
        "44/dashboard,{}",
        "451-/dashboard,[\"a\"]",
        "45-/dashboard,[\"a\"]",
        "42/elsewhere,[\"a\"]",
        "42[\"a\"]",
        "40/dashboard,",
        "42/dashboard,[\"a\",",
        "42/dashboard,[\"a\"]x",
    ]
    .into_iter()
    .enumerate()
    {
        let user = format!("user-{at}");
        let mut socket = Socket::enter(&gateway, &user).await;
        socket.say(broken).await;
        assert_put_out(&rest(&mut socket).await, "PROTOCOL_ERROR", "stop");
        let fits = |line: &Value| line["event"] == "disconnected" && line["userId"] == *user;
        let line = gateway.audited(broken, fits).await;
        assert_eq!(line["code"], "PROTOCOL_ERROR", "{broken}");
    }
    assert_eq!(bystander.ask(1, &json!(["ping"])).await, json!({ "ok": true }));
    let (mut stranger, _) = Socket::open(&gateway).await;
    stranger.say("42[\"a\"]").await;
    assert!(rest(&mut stranger).await.is_empty());
    gateway.audited("a stranger's", |line| line["event"] == "refused" && line["code"] == "PROTOCOL_ERROR").await;
}

#[tokio::test]
async fn an_event_with_binary_parts_is_refused_as_binary_frames_are_elsewhere() {
    use futures_util::SinkExt;
    use tokio_tungstenite::tungstenite::Message;
    let gateway = unlimited("");
    let mut socket = Socket::enter(&gateway, "ann").await;
    socket.say("451-/dashboard,[\"a\",{\"_placeholder\":true,\"num\":0}]").await;
    socket.0.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    assert_put_out(&rest(&mut socket).await, "UNSUPPORTED_DATA", "stop");
    let mut poller = Poller::enter(&gateway, "bob").await;
    let body = "451-/dashboard,[\"a\",{\"_placeholder\":true,\"num\":0}]\u{1e}bAQID";
    poller.post(body).await;
    assert_put_out(&[poller.packet().await, poller.packet().await], "UNSUPPORTED_DATA", "stop");
}

#[tokio::test]
async fn a_message_that_is_too_large_ends_it_and_acks_that_nobody_asked_for_do_not() {
    let gateway = unlimited("[[socketio.namespaces]]\npath = \"/dashboard\"\nmax_message = \"1KiB\"\n");
    let mut socket = Socket::enter(&gateway, "ann").await;
    for id in 0..20 {
        socket.say(&format!("43/dashboard,{id}[1]")).await;
    }
    assert_eq!(socket.ask(1, &json!(["ping"])).await, json!({ "ok": true }));
    socket.say(&format!("42/dashboard,{}", json!(["note", "x".repeat(1_100)]))).await;
    assert_put_out(&rest(&mut socket).await, "MESSAGE_TOO_BIG", "stop");
}

#[tokio::test]
async fn a_client_that_leaves_its_namespace_may_come_back_on_the_same_connection() {
    let gateway = unlimited("");
    let mut socket = Socket::enter(&gateway, "ann").await;
    socket.say("41/dashboard,").await;
    let line = gateway.audited("its end", |line| line["event"] == "disconnected").await;
    assert_eq!(line["reason"], "closed by the peer");
    socket.say("42/dashboard,[\"late\"]").await;
    socket.say(&connect("/dashboard", "ann")).await;
    assert!(socket.packet().await.starts_with("40/dashboard,"));
    assert_eq!(socket.ask(1, &json!(["ping"])).await, json!({ "ok": true }));
    let mut poller = Poller::enter(&gateway, "bob").await;
    poller.say("1").await;
    eventually(10, "its end", async || (gateway.connections().await == 1).then_some(())).await;
    assert_eq!(poller.poll().await.0, 400);
    socket.0.close(None).await.unwrap();
    eventually(10, "its end, too", async || (gateway.connections().await == 0).then_some(())).await;
    poller.waiting.clear();
}

#[tokio::test]
async fn a_crowd_that_comes_and_goes_leaves_nothing_behind() {
    let gateway = unlimited("");
    for round in 0..3 {
        let mut here = Vec::new();
        for n in 0..10 {
            here.push(Socket::enter(&gateway, &format!("user-{round}-{n}")).await);
        }
        let polls = Poller::enter(&gateway, "ann").await;
        assert_eq!(gateway.connections().await, 11);
        drop(here);
        polls.say("1").await;
        eventually(10, "all are gone", async || (gateway.connections().await == 0).then_some(())).await;
    }
}

/// So that the harness may search what was written for tokens.
#[tokio::test]
async fn no_token_is_written_whatever_is_sent() {
    let gateway = TestGateway::start();
    let (mut socket, _) = Socket::open(&gateway).await;
    socket.say(&connect("/nowhere", "ann")).await;
    socket.packet().await;
    socket.say(&connect("/dashboard", "ann").replace("\"}", "x\"}")).await;
    rest(&mut socket).await;
    let (well, written) = gateway.stop();
    assert!(well, "{written}");
}
