//! What carries a session: the forms of Engine.IO, the heartbeat, and the way from polling to a WebSocket.

use gateway_tests::{TestGateway, eventually, rooms::unlimited};
use serde_json::{Value, json};

use crate::by_hand::{Poller, Socket, ask, connect, event, publish};

async fn transport(gateway: &TestGateway) -> Value {
    gateway.api("GET", "/api/v1/connections", None).await.1["connections"][0]["transport"].clone()
}

#[tokio::test]
async fn the_open_packet_says_how_the_session_is_kept() {
    let gateway = TestGateway::with("[socketio]\nping_interval = \"7s\"\nping_timeout = \"3s\"\n");
    let (_, over_socket) = Socket::open(&gateway).await;
    let polled = Poller::open(&gateway).await.opening;
    for (opening, upgrades) in [(over_socket, json!([])), (polled, json!(["websocket"]))] {
        assert_eq!((&opening["pingInterval"], &opening["pingTimeout"]), (&json!(7_000), &json!(3_000)));
        assert_eq!(opening["upgrades"], upgrades);
        assert!(opening["maxPayload"].as_u64().is_some_and(|most| most >= 1 << 20), "{opening}");
        assert!(opening["sid"].as_str().is_some_and(|sid| sid.len() >= 20), "nobody guesses it");
    }
}

#[tokio::test]
async fn what_does_not_fit_is_refused_by_the_numbers_of_the_protocol() {
    let gateway = unlimited("");
    let base = gateway.http("/socket.io/?EIO=4");
    let poller = Poller::open(&gateway).await;
    for (method, address, code, message) in [
        ("GET", base.clone(), 0, "Transport unknown"),
        ("GET", format!("{base}&transport=carrier-pigeon"), 0, "Transport unknown"),
        ("GET", format!("{base}&transport=polling&sid=unknown"), 1, "Session ID unknown"),
        ("POST", format!("{base}&transport=polling&sid=unknown"), 1, "Session ID unknown"),
        ("POST", format!("{base}&transport=polling"), 2, "Bad handshake method"),
        ("GET", format!("{base}&transport=websocket"), 3, "Bad request"),
        ("PUT", poller.address(), 3, "Bad request"),
        ("GET", gateway.http("/socket.io/?EIO=3&transport=polling"), 5, "Unsupported protocol version"),
        ("GET", gateway.http("/socket.io/?transport=polling"), 5, "Unsupported protocol version"),
    ] {
        let (status, body) = ask(method, &address, "").await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, body), (400, json!({ "code": code, "message": message })), "{method} {address}");
    }
    let (status, body) = ask("GET", &gateway.http("/socket.io?EIO=4&transport=polling"), "").await;
    assert!(status == 200 && body.starts_with("0{"), "without the slash, too: {body}");
}

#[tokio::test]
async fn a_poll_is_held_until_there_is_something_to_say_and_bodies_carry_several_packets() {
    let gateway = unlimited("");
    let mut poller = Poller::enter(&gateway, "ann").await;
    let held = tokio::spawn({
        let (http, address) = (poller.http.clone(), poller.address());
        async move { http.get(address).send().await.unwrap().text().await.unwrap() }
    });
    publish(&gateway, "ann", &json!("first")).await;
    assert_eq!(event(&held.await.unwrap()).1["payload"], "first");
    for payload in ["second", "third"] {
        publish(&gateway, "ann", &json!(payload)).await;
    }
    poller.say("42/dashboard,1[\"ping\"]\u{1e}42/dashboard,2[\"ping\"]").await;
    let mut packets = Vec::new();
    while packets.len() < 4 {
        packets.push(poller.packet().await);
    }
    assert_eq!(event(&packets[0]).1["payload"], "second");
    assert_eq!(event(&packets[1]).1["payload"], "third");
    assert_eq!(packets[2..], ["43/dashboard,1[{\"ok\":true}]", "43/dashboard,2[{\"ok\":true}]"]);
}

#[tokio::test]
async fn a_second_poll_beside_a_held_one_ends_the_session() {
    let gateway = unlimited("");
    let poller = Poller::enter(&gateway, "ann").await;
    let (one, other) = tokio::join!(poller.poll(), poller.poll());
    let statuses = [one.0, other.0];
    assert!(statuses.contains(&400) && statuses.contains(&200), "{one:?} {other:?}");
    gateway.audited("why", |line| line["event"] == "disconnected" && line["code"] == "PROTOCOL_ERROR").await;
    eventually(10, "the session is gone", async || (poller.poll().await.0 == 400).then_some(())).await;
    assert_eq!(gateway.connections().await, 0);
}

#[tokio::test]
async fn who_is_silent_is_given_up_and_who_answers_stays() {
    let gateway = unlimited("[socketio]\nping_interval = \"300ms\"\nping_timeout = \"700ms\"\n");
    let mut alive = Socket::enter(&gateway, "ann").await;
    let mut silent = Socket::enter(&gateway, "bob").await;
    let polled = Poller::enter(&gateway, "cleo").await;
    let ends = async |user: &str| {
        let fits = |line: &Value| line["event"] == "disconnected" && line["userId"] == user;
        gateway.audited("its end", fits).await
    };
    let hears = async { while alive.next().await.is_some_and(|packet| packet == "6") {} };
    tokio::select! {
        () = hears => panic!("who answers every ping is not closed"),
        lines = async { (ends("bob").await, ends("cleo").await) } => {
            assert_eq!((&lines.0["code"], &lines.1["code"]), (&json!("HEARTBEAT_TIMEOUT"), &json!("HEARTBEAT_TIMEOUT")));
        }
    }
    let mut last = Vec::new();
    while let Some(packet) = silent.next().await {
        last.push(packet);
    }
    let (name, error) = event(last.first().expect("the reason"));
    assert_eq!((&*name, &error["code"], &error["then"]), ("error", &json!("HEARTBEAT_TIMEOUT"), &json!("wait")));
    assert_eq!(last.len(), 1, "it is to come back by itself, so it is not put out: {last:?}");
    drop(polled);
    assert_eq!(alive.ask(1, &json!(["ping"])).await, json!({ "ok": true }));
}

#[tokio::test]
async fn a_session_moves_to_a_websocket_and_nothing_is_lost_or_said_twice() {
    let gateway = unlimited("");
    let mut poller = Poller::enter(&gateway, "ann").await;
    assert_eq!(transport(&gateway).await, "socketio-polling");
    let held = tokio::spawn({
        let (http, address) = (poller.http.clone(), poller.address());
        async move { http.get(address).send().await.unwrap().text().await.unwrap() }
    });
    let mut socket = Socket::connect(&poller.address().replace("polling", "websocket")).await;
    socket.say("2probe").await;
    assert_eq!(socket.packet().await, "3probe");
    assert_eq!(held.await.unwrap(), "6", "the poll that was held ends, so that the client can move");
    for n in 0..5 {
        publish(&gateway, "ann", &json!(n)).await;
    }
    assert_eq!(poller.packet().await, "6", "what is said meanwhile is held back");
    socket.say("5").await;
    for n in 0..5 {
        assert_eq!(socket.event().await.1["payload"], n);
    }
    assert_eq!(socket.ask(1, &json!(["ping"])).await, json!({ "ok": true }));
    assert_eq!(transport(&gateway).await, "socketio-websocket");
    assert_eq!(poller.poll().await.0, 400, "the old way is closed");
    assert_eq!(poller.post("3").await.0, 400);
    let mut other = Socket::connect(&poller.address().replace("polling", "websocket")).await;
    assert_eq!(other.next().await, None, "and it moves only once");
    assert_eq!(socket.ask(2, &json!(["ping"])).await, json!({ "ok": true }));
}

#[tokio::test]
async fn a_move_that_comes_to_nothing_leaves_the_session_where_it_was() {
    let gateway = unlimited("");
    let mut poller = Poller::enter(&gateway, "ann").await;
    for first in ["2probe", "5", "nonsense", "4hello"] {
        let mut socket = Socket::connect(&poller.address().replace("polling", "websocket")).await;
        socket.say(first).await;
        if first == "2probe" {
            assert_eq!(socket.packet().await, "3probe");
            socket.0.close(None).await.unwrap();
        } else {
            assert_eq!(socket.next().await, None, "{first}");
        }
    }
    publish(&gateway, "ann", &json!("here")).await;
    let packet = loop {
        match poller.packet().await {
            noop if noop == "6" => {}
            packet => break packet,
        }
    };
    assert_eq!(event(&packet).1["payload"], "here");
}

#[tokio::test]
async fn bodies_are_bounded_and_what_is_no_body_ends_the_session() {
    let gateway = unlimited("");
    for (body, status) in
        [("2\u{1e}".repeat(64) + "2", 400), (String::new(), 400), ("x".to_owned(), 400), ("4".repeat(2 << 20), 413)]
    {
        let poller = Poller::enter(&gateway, "ann").await;
        assert_eq!(poller.post(&body).await.0, status);
        eventually(10, "its end", async || (gateway.connections().await == 0).then_some(())).await;
    }
    let (mut socket, _) = Socket::open(&gateway).await;
    socket.say(&connect("/dashboard", "ann")).await;
    socket.packet().await;
}

#[tokio::test]
async fn whoever_is_put_out_in_the_midst_of_its_move_reads_why_by_the_new_way() {
    let gateway = unlimited("");
    let poller = Poller::enter(&gateway, "ann").await;
    let mut socket = Socket::connect(&poller.address().replace("polling", "websocket")).await;
    socket.say("2probe").await;
    assert_eq!(socket.packet().await, "3probe");
    // From here on it makes no new poll, and moves when the last has ended.
    gateway.api("POST", "/api/v1/users/ann/disconnect", None).await;
    assert_eq!(poller.poll().await, (200, "6".to_owned()));
    socket.say("5").await;
    let (name, error) = socket.event().await;
    assert_eq!((&*name, &error["code"]), ("error", &json!("DISCONNECTED")));
    assert_eq!(socket.packet().await, "41/dashboard,");
    assert_eq!(socket.next().await, None, "and nothing behind it");
}
