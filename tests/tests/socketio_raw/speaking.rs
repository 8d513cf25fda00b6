//! What is said in a namespace, and what is heard.

use gateway_tests::{
    TestGateway,
    rooms::{agent, dashboard, unlimited},
};
use serde_json::{Value, json};

use crate::by_hand::{Poller, Socket, connect, publish};

/// Routes from and to `/dashboard`, and a request to an agent.
const ROUTES: &str = "[[routes]]\nfrom = \"endpoint:/dashboard\"\ntypes = [\"note\"]\nto = \"endpoint:/dashboard\"\n\
    [[routes]]\nfrom = \"dashboard\"\ntypes = [\"connect\"]\nto = \"role:dashboard\"\n\
    [[routes]]\nfrom = \"dashboard\"\ntypes = [\"command\"]\nto = \"agent:{payload.agentId}\"\nreply_timeout = \"30s\"\n\
    [[routes]]\nfrom = \"agent\"\ntypes = [\"question\"]\nto = \"user:ann\"\nreply_timeout = \"30s\"\n";

#[tokio::test]
async fn an_event_of_a_backend_arrives_with_its_four_members_over_every_transport() {
    let gateway = TestGateway::start();
    let mut raw = dashboard(&gateway, "ann").await;
    let (mut socket, mut poller) = (Socket::enter(&gateway, "ann").await, Poller::enter(&gateway, "ann").await);
    let payload = json!({ "n": [1, 2.5, null] });
    let answer = publish(&gateway, "ann", &payload).await;
    assert_eq!(answer["delivered"], 3);
    let native = raw.json().await;
    for (name, event) in [socket.event().await, poller.event().await] {
        assert_eq!((&*name, &event), ("dashboard:summaryUpdated", &native), "the same on all three");
    }
    let members: Vec<_> = native.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["eventId", "payload", "timestamp", "type"]);
    publish(&gateway, "bob", &payload).await;
    assert_eq!(socket.ask(1, &json!(["ping"])).await, json!({ "ok": true }));
    poller.say("42/dashboard,1[\"ping\"]").await;
    assert_eq!(poller.packet().await, "43/dashboard,1[{\"ok\":true}]", "never another's");
}

#[tokio::test]
async fn a_room_with_a_history_leaves_no_trace_in_an_event() {
    let gateway = unlimited("[[rooms.rules]]\nmatch = \"user:{id}\"\njoin = [{ user = \"{id}\" }]\n");
    let mut socket = Socket::enter(&gateway, "ann").await;
    let subscribed = socket.ask(1, &json!(["subscribe", { "room": "user:ann" }])).await;
    assert_eq!(subscribed["payload"]["room"], "user:ann");
    publish(&gateway, "ann", &json!(1)).await;
    let (_, event) = socket.event().await;
    assert!(event.get("room").is_none() && event.get("offset").is_none(), "{event}");
    let since = json!({ "epoch": subscribed["payload"]["epoch"], "offset": 0 });
    let again = socket.ask(2, &json!(["subscribe", { "room": "user:ann", "since": since }])).await;
    assert_eq!((&again["payload"]["recovered"], &again["payload"]["missed"]), (&json!(true), &json!(1)));
    assert_eq!(socket.event().await.1, event, "what was missed comes behind the answer");
}

#[tokio::test]
async fn a_callback_gets_one_answer_whatever_became_of_the_message() {
    let gateway = unlimited("");
    let mut socket = Socket::enter(&gateway, "ann").await;
    assert_eq!(socket.ask(1, &json!(["ping", { "a": 1 }])).await, json!({ "ok": true, "payload": { "a": 1 } }));
    for (id, list, code) in [
        (2, json!(["nowhere", 1]), "INVALID_MESSAGE"),
        (3, json!(["ping", 1, 2]), "INVALID_MESSAGE"),
        (4, json!(["", 1]), "INVALID_MESSAGE"),
        (5, json!(["connection_ready"]), "INVALID_MESSAGE"),
        (6, json!(["command", { "agentId": "press-7" }]), "TARGET_OFFLINE"),
        (7, json!(["subscribe", { "room": "user:bob" }]), "FORBIDDEN"),
        (8, json!(["reply", { "replyTo": "none" }]), "NOT_ASKED"),
        (9, json!(["cancel", { "replyTo": "none" }]), "NOT_ASKED"),
        (10, json!(["auth.refresh", {}]), "AUTH_REQUIRED"),
    ] {
        let refused = socket.ask(id, &list).await;
        assert_eq!((&refused["ok"], &refused["error"]["code"]), (&json!(false), &json!(code)), "{list}");
        assert!(refused["error"]["message"].is_string());
    }
    assert_eq!(socket.ask(11, &json!(["pong"])).await, json!({ "ok": true }));
    socket.say("42/dashboard,[\"nowhere\"]").await;
    let (name, error) = socket.event().await;
    assert_eq!((&*name, &error["code"]), ("error", &json!("INVALID_MESSAGE")), "without a callback, an event");
    socket.say("42/dashboard,[\"ping\"]").await;
    assert_eq!(
        socket.ask(12, &json!(["ping"])).await,
        json!({ "ok": true }),
        "a pong that nobody waits for is not sent"
    );
}

#[tokio::test]
async fn an_answer_is_given_even_while_messages_are_refused_for_their_number() {
    let gateway = TestGateway::with("[plans.default]\nmessages = { rate = \"3/m\", burst = \"off\" }\n");
    let mut socket = Socket::enter(&gateway, "ann").await;
    for id in 0..3 {
        assert_eq!(socket.ask(id, &json!(["ping"])).await["ok"], true);
    }
    for id in 3..9 {
        let refused = socket.ask(id, &json!(["ping"])).await;
        assert_eq!(refused["error"]["code"], "RATE_LIMITED");
        assert!(refused["error"]["retryAfter"].is_number());
    }
}

#[tokio::test]
async fn what_is_emitted_goes_by_the_routes_and_arrives_whole() {
    let gateway = unlimited(ROUTES);
    let (mut ann, mut bob) = (Socket::enter(&gateway, "ann").await, Socket::enter(&gateway, "bob").await);
    let mut raw = dashboard(&gateway, "cleo").await;
    assert_eq!(ann.ask(1, &json!(["note", { "a": 1 }])).await, json!({ "ok": true, "payload": { "delivered": 1 } }));
    let (name, message) = bob.event().await;
    assert_eq!((&*name, &message["payload"], &message["from"]["userId"]), ("note", &json!({ "a": 1 }), &json!("ann")));
    raw.send(json!({ "type": "connect" })).await;
    raw.send(json!({ "type": "note" })).await;
    assert_eq!(raw.json().await["payload"]["code"], "INVALID_MESSAGE", "the route is for the namespace");
    assert_eq!(ann.ask(2, &json!(["ping"])).await, json!({ "ok": true }), "a word of the library is withheld");
}

#[tokio::test]
async fn a_request_ends_in_its_callback_and_progress_comes_as_events() {
    let gateway = unlimited(ROUTES);
    let (mut press, mut ann) = (agent(&gateway, "press-7").await, Socket::enter(&gateway, "ann").await);
    ann.say("42/dashboard,9[\"command\",{\"agentId\":\"press-7\",\"do\":\"it\"}]").await;
    let asked = press.json().await;
    assert_eq!((&asked["payload"]["do"], &asked["from"]["userId"]), (&json!("it"), &json!("ann")));
    let reply = |payload: Value, more: bool| {
        let mut reply = json!({ "type": "reply", "replyTo": asked["requestId"], "payload": payload });
        if more {
            reply["more"] = json!(true);
        }
        reply
    };
    press.send(reply(json!(50), true)).await;
    press.send(reply(json!("done"), false)).await;
    let (name, progress) = ann.event().await;
    assert_eq!((&*name, &progress["payload"], &progress["more"]), ("reply", &json!(50), &json!(true)));
    assert_eq!(ann.packet().await, "43/dashboard,9[{\"ok\":true,\"payload\":\"done\"}]");
    ann.say("42/dashboard,10[\"command\",{\"agentId\":\"press-7\"}]").await;
    press.json().await;
    press.leave().await;
    let lost: Value = serde_json::from_str(ann.packet().await.strip_prefix("43/dashboard,10").unwrap()).unwrap();
    assert_eq!((&lost[0]["ok"], &lost[0]["error"]["code"]), (&json!(false), &json!("TARGET_LOST")));
}

#[tokio::test]
async fn a_client_of_socket_io_answers_what_it_is_asked() {
    let gateway = unlimited(ROUTES);
    let (mut press, mut ann) = (agent(&gateway, "press-7").await, Socket::enter(&gateway, "ann").await);
    press.send(json!({ "type": "question", "id": "q", "payload": "why?" })).await;
    let (name, question) = ann.event().await;
    assert_eq!((&*name, &question["payload"]), ("question", &json!("why?")));
    let answer = json!(["reply", { "replyTo": question["requestId"], "payload": "because" }]);
    assert_eq!(ann.ask(1, &answer).await, json!({ "ok": true }));
    let reply = press.json().await;
    assert_eq!((&reply["replyTo"], &reply["payload"]), (&json!("q"), &json!("because")));
}

#[tokio::test]
async fn a_dead_client_makes_room_for_the_retry_as_elsewhere() {
    let gateway = TestGateway::with("[plans.default]\nconnections = 1\n");
    let dead = Poller::enter(&gateway, "ann").await;
    let (mut socket, _) = Socket::open(&gateway).await;
    socket.say(&connect("/dashboard", "ann")).await;
    assert!(socket.packet().await.contains("\"CONNECTION_LIMIT\""));
    let fits = |line: &Value| line["event"] == "disconnected" && line["code"] == "HEARTBEAT_TIMEOUT";
    gateway.audited("the silent one makes room", fits).await;
    Socket::enter(&gateway, "ann").await;
    drop(dead);
}
