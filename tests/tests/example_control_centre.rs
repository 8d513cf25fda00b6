//! The agent control centre of `deploy/examples`, run as it ships: dashboards and agents that speak its upper-case
//! types. Every line of its configuration is needed by something that is told here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

#[path = "example_control_centre/doors.rs"]
mod doors;

use std::time::Duration;

use gateway_server::clock;
use gateway_tests::{
    Claims, TestGateway,
    example::{self, Speaker, TIMESTAMP, Words},
    house::TestHouse,
    node,
    tokens::token,
};
use serde_json::{Value, json};

const EXAMPLE: &str = "agent-control-centre";
const WORDS: Words = Words { ready: "CONNECTION_READY", ping: "PING", pong: "PONG", ..Words::NATIVE };

async fn agent(gateway: &TestGateway, name: &str) -> Speaker {
    Speaker::enter(gateway, "/ws/agent", &Claims::of(name, "agent"), WORDS).await
}

/// Somebody at a dashboard who may do everything.
async fn dashboard(gateway: &TestGateway, name: &str) -> Speaker {
    let claims = Claims::of(name, "dashboard").with("permissions", json!(["command.execute", "agents.stop"]));
    Speaker::enter(gateway, "/ws/dashboard", &claims, WORDS).await
}

/// Somebody at a dashboard who may look.
async fn onlooker(gateway: &TestGateway, name: &str) -> Speaker {
    Speaker::enter(gateway, "/ws/dashboard", &Claims::of(name, "dashboard"), WORDS).await
}

#[track_caller]
fn is_error(message: &Value, id: &str, code: &str) {
    let told = (&message["type"], &message["id"], &message["payload"]["code"]);
    assert_eq!(told, (&json!("ERROR"), &json!(id), &json!(code)), "{message}");
}

#[test]
fn the_configuration_is_sound_and_its_policy_holds() {
    example::is_sound(EXAMPLE, &[]);
}

#[tokio::test]
async fn a_command_goes_its_whole_way_and_everybody_hears_their_part() {
    let gateway = example::open(EXAMPLE, &[]);
    let mut a1 = agent(&gateway, "a1").await;
    let mut a2 = agent(&gateway, "a2").await;
    let mut ann = dashboard(&gateway, "ann").await;
    let mut bob = onlooker(&gateway, "bob").await;

    let init = ann.ask("DASHBOARD_INIT", "i1", json!({"userId": "ann"})).await;
    assert_eq!((&init["type"], &init["id"]), (&json!("DASHBOARD_SUBSCRIBED"), &json!("i1")), "{init}");
    let online: Vec<_> = init["payload"]["presence"].as_array().unwrap().iter().map(|one| &one["agentId"]).collect();
    assert_eq!(online, [&json!("a1"), &json!("a2")]);
    assert_eq!(init["payload"]["room"], "agents");
    assert!(init["payload"].get("offset").is_none(), "heartbeats are not kept: {init}");
    // The page that shows one agent, here and at another desk.
    for somebody in [&mut ann, &mut bob] {
        let subscribed = somebody.ask("DASHBOARD_SUBSCRIBE", "s1", json!({"agentId": "a1"})).await;
        let payload = &subscribed["payload"];
        assert_eq!((&subscribed["type"], &subscribed["id"]), (&json!("DASHBOARD_SUBSCRIBED"), &json!("s1")));
        // What is kept so far is that it came.
        assert_eq!((&payload["room"], &payload["offset"]), (&json!("agent:a1"), &json!(1)), "{payload}");
        assert!(payload.get("presence").is_none(), "dashboards are not told of one another: {payload}");
    }
    ann.hears_nothing().await;

    // What an agent says of itself reaches those who watch all of them; who it is nobody can make up.
    for kind in ["AGENT_CONNECT", "AGENT_HEARTBEAT"] {
        let payload = json!({"agentId": "a9", "health": {"cpu": 12.5}});
        a2.say(kind, "h1", payload.clone()).await;
        let expected =
            json!({"type": kind, "id": "h1", "timestamp": TIMESTAMP, "payload": payload, "from": a2.from_agent()});
        assert_eq!(ann.hear().await, expected);
    }
    bob.hears_nothing().await;

    // A command, under its own id and the dashboard's commandId.
    let command = json!({"agentId": "a1", "commandId": "c1", "command": "npm test", "args": {"deep": [1, null]}});
    ann.say("COMMAND_REQUEST", "m1", command.clone()).await;
    let asked = a1.hear().await;
    let request = asked["requestId"].clone();
    assert!(request.is_string(), "{asked}");
    let expected = json!({
        "type": "COMMAND_REQUEST", "id": "m1", "timestamp": TIMESTAMP, "payload": command,
        "from": ann.from(), "requestId": request,
    });
    assert_eq!(asked, expected);
    for (kind, status, more) in
        [("COMMAND_ACK", "received", true), ("COMMAND_STATUS", "running", true), ("COMMAND_COMPLETE", "done", false)]
    {
        if !more {
            a1.say("TERMINAL_OUTPUT", "t1", json!({"commandId": "c1", "content": "ok 1"})).await;
            for (somebody, who) in [(&mut ann, "ann"), (&mut bob, "bob")] {
                let output = somebody.hear().await;
                assert_eq!(
                    (&output["type"], &output["payload"]["content"]),
                    (&json!("TERMINAL_OUTPUT"), &json!("ok 1"))
                );
                assert_eq!((&output["room"], &output["offset"]), (&json!("agent:a1"), &json!(2)), "{who}: {output}");
                assert_eq!((&output["from"], &output["timestamp"]), (&a1.from_agent(), &json!(TIMESTAMP)));
            }
        }
        a1.say(kind, "x", json!({"commandId": "c1", "status": status})).await;
        let mut expected = json!({
            "type": kind, "replyTo": "m1", "requestId": request, "from": a1.from_agent(),
            "payload": {"commandId": "c1", "status": status}, "timestamp": TIMESTAMP,
        });
        if more {
            expected["more"] = true.into();
        }
        assert_eq!(ann.hear().await, expected);
    }
    // It is over, and it was nobody else's business.
    is_error(&a1.ask("COMMAND_COMPLETE", "late", json!({"commandId": "c1"})).await, "late", "NOT_ASKED");
    is_error(&a2.ask("COMMAND_COMPLETE", "forged", json!({"commandId": "c1"})).await, "forged", "NOT_ASKED");
    for somebody in [&mut ann, &mut bob, &mut a1, &mut a2] {
        somebody.hears_nothing().await;
    }
}

#[tokio::test]
async fn a_command_is_called_off_by_whoever_gave_it() {
    let gateway = example::open(EXAMPLE, &[]);
    let mut a1 = agent(&gateway, "a1").await;
    let mut ann = dashboard(&gateway, "ann").await;
    let mut bob = dashboard(&gateway, "bob").await;
    let mut requests = Vec::new();
    for command in ["c1", "c2"] {
        ann.say("COMMAND_REQUEST", command, json!({"agentId": "a1", "commandId": command})).await;
        requests.push(a1.hear().await["requestId"].clone());
    }
    is_error(&bob.ask("COMMAND_CANCEL", "b", json!({"commandId": "c1"})).await, "b", "NOT_ASKED");
    ann.say("COMMAND_CANCEL", "x1", json!({"commandId": "c1", "reason": "wrong branch"})).await;
    let cancel = json!({"type": "COMMAND_CANCEL", "requestId": requests[0], "payload": {"commandId": "c1"}});
    assert_eq!(a1.hear().await, cancel);
    a1.say("COMMAND_COMPLETE", "y", json!({"commandId": "c1", "status": "cancelled"})).await;
    assert_eq!(ann.hears("COMMAND_COMPLETE").await["status"], "cancelled");
    // Whoever closes the page calls off what is still open.
    ann.hears_nothing().await;
    ann.client.leave().await;
    let cancel = json!({"type": "COMMAND_CANCEL", "requestId": requests[1], "payload": {"commandId": "c2"}});
    assert_eq!(a1.hear().await, cancel);
    bob.hears_nothing().await;
}

#[tokio::test]
async fn a_command_that_cannot_be_done_ends_with_an_error() {
    let gateway = example::open(EXAMPLE, &[]);
    let mut ann = dashboard(&gateway, "ann").await;
    let mut bob = onlooker(&gateway, "bob").await;
    let command = |agent: &str, command: &str| json!({"agentId": agent, "commandId": command});
    let offline = ann.ask("COMMAND_REQUEST", "m1", command("a1", "c1")).await;
    is_error(&offline, "m1", "TARGET_OFFLINE");
    assert_eq!(offline["payload"]["commandId"], "c1", "who looks for the commandId finds it: {offline}");
    let mut a1 = agent(&gateway, "a1").await;
    ann.say("COMMAND_REQUEST", "m2", command("a1", "c2")).await;
    a1.hears("COMMAND_REQUEST").await;
    is_error(&bob.ask("COMMAND_REQUEST", "m3", command("a1", "c3")).await, "m3", "FORBIDDEN");
    is_error(&a1.ask("COMMAND_REQUEST", "m4", command("a1", "c4")).await, "m4", "INVALID_MESSAGE");
    is_error(&ann.ask("COMMAND_REQUEST", "m5", json!({"commandId": "c5"})).await, "m5", "INVALID_MESSAGE");
    a1.client.leave().await;
    let lost = ann.hear().await;
    is_error(&lost, "m2", "TARGET_LOST");
    assert_eq!(lost["payload"]["commandId"], "c2");
    ann.hears_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_command_waits_for_a_minute_of_silence_and_no_longer() {
    let house = TestHouse::of(&example::file(EXAMPLE, "gateway.toml"), &[]);
    let claims = Claims::of("ann", "dashboard").with("permissions", json!(["command.execute"]));
    let mut ann = house.visit("/ws/dashboard", &claims.sign()).await;
    let mut a1 = house.visit("/ws/agent", &token("a1", "agent")).await;
    for somebody in [&mut ann, &mut a1] {
        assert_eq!(somebody.json().await.unwrap()["type"], "CONNECTION_READY");
    }
    ann.send(json!({"type": "COMMAND_REQUEST", "id": "m1", "payload": {"agentId": "a1", "commandId": "c1"}})).await;
    // It answers pings all the time, and the command twice, each time at the last moment.
    tokio::spawn(async move {
        let mut next = Duration::from_secs(59);
        let mut answers = ["COMMAND_ACK", "COMMAND_STATUS"].into_iter();
        while a1.json().await.unwrap()["type"] != "COMMAND_REQUEST" {}
        let mut timer = Box::pin(tokio::time::sleep(next));
        loop {
            tokio::select! {
                message = a1.json() => assert_eq!(message.unwrap()["type"], "PING"),
                () = &mut timer => {
                    let Some(kind) = answers.next() else { return std::future::pending().await };
                    a1.send(json!({"type": kind, "payload": {"commandId": "c1"}})).await;
                    next = Duration::from_secs(if answers.len() == 0 { 3600 } else { 59 });
                    timer = Box::pin(tokio::time::sleep(next));
                }
            }
        }
    });
    let begun = clock::now().wall.millis();
    let mut heard = Vec::new();
    while heard.len() < 3 {
        let message = ann.json().await.expect("the connection stays");
        if message["type"] != "PING" {
            let seconds = (clock::now().wall.millis() - begun) / 1000;
            heard.push((message["type"].clone(), message["payload"]["code"].clone(), seconds));
            assert_eq!(message["payload"]["commandId"], "c1", "{message}");
        }
    }
    let told = |kind: &str, code: Value, seconds: i64| (json!(kind), code, seconds);
    let expected = [
        told("COMMAND_ACK", Value::Null, 59),
        told("COMMAND_STATUS", Value::Null, 118),
        told("ERROR", json!("REPLY_TIMEOUT"), 178),
    ];
    assert_eq!(heard, expected);
}

#[tokio::test]
async fn an_emergency_stop_reaches_one_agent_or_all_even_over_the_limit() {
    let gateway = example::open(EXAMPLE, &[]);
    let mut agents = [agent(&gateway, "a1").await, agent(&gateway, "a2").await];
    let mut ann = dashboard(&gateway, "ann").await;
    let mut bob = onlooker(&gateway, "bob").await;

    // Who may not stop them all may stop one.
    is_error(&bob.ask("EMERGENCY_STOP", "all", json!({"reason": "fire"})).await, "all", "FORBIDDEN");
    let mut stop = bob.message("EMERGENCY_STOP", "one", json!({"agentId": "a2", "reason": "smoke"}));
    stop["ack"] = true.into();
    let ack = bob.client.ask(stop).await;
    assert_eq!(ack, json!({"type": "ACK", "id": "one", "payload": {"delivered": 1}}));
    let stopped = agents[1].hear().await;
    let expected = json!({
        "type": "EMERGENCY_STOP", "id": "one", "timestamp": TIMESTAMP,
        "payload": {"agentId": "a2", "reason": "smoke"}, "from": bob.from(),
    });
    assert_eq!(stopped, expected);
    agents[0].hears_nothing().await;

    // A page that went wild is over its limit, and its stops still pass.
    for _ in 0..60 {
        ann.say("PING", "wild", json!(null)).await;
    }
    while ann.hear().await["type"] != "ERROR" {}
    ann.say("EMERGENCY_STOP", "one", json!({"agentId": "a1"})).await;
    ann.say("EMERGENCY_STOP", "all", json!({"reason": "fire"})).await;
    for (agent, ids) in agents.iter_mut().zip([&["one", "all"][..], &["all"][..]]) {
        for id in ids {
            let stopped = agent.hear().await;
            assert_eq!((&stopped["type"], &stopped["id"]), (&json!("EMERGENCY_STOP"), &json!(id)), "{stopped}");
            assert_eq!(stopped["from"], ann.from());
        }
        agent.hears_nothing().await;
    }
}

#[tokio::test]
async fn those_who_follow_an_agent_see_it_come_and_go_until_they_do_not_want_to() {
    let gateway = example::open(EXAMPLE, &[]);
    let mut ann = dashboard(&gateway, "ann").await;
    let mut bob = dashboard(&gateway, "bob").await;
    ann.ask("DASHBOARD_INIT", "1", json!({})).await;
    bob.ask("DASHBOARD_SUBSCRIBE", "1", json!({"agentId": "a1"})).await;
    let mut a1 = agent(&gateway, "a1").await;
    for somebody in [&mut ann, &mut bob] {
        let came = somebody.hears("AGENT_CONNECTED").await;
        assert_eq!((&came["agentId"], came["lastSeen"].is_string()), (&json!("a1"), true), "{came}");
    }
    // An agent follows nobody, by whatever word it asks.
    is_error(&a1.ask("DASHBOARD_SUBSCRIBE", "s", json!({"agentId": "a1"})).await, "s", "INVALID_MESSAGE");
    is_error(&a1.ask("subscribe", "s", json!({"room": "agents"})).await, "s", "FORBIDDEN");
    is_error(&bob.ask("DASHBOARD_SUBSCRIBE", "s", json!({"id": "a1"})).await, "s", "INVALID_MESSAGE");
    let gone = bob.ask("DASHBOARD_UNSUBSCRIBE", "u", json!({"room": "agent:a1"})).await;
    assert_eq!(gone, json!({"type": "DASHBOARD_UNSUBSCRIBED", "id": "u", "payload": {"room": "agent:a1"}}));
    a1.client.leave().await;
    let went = ann.hears("AGENT_DISCONNECTED").await;
    assert_eq!((&went["agentId"], &went["reason"]), (&json!("a1"), &json!("closed")), "{went}");
    bob.hears_nothing().await;
}

#[tokio::test]
async fn a_dashboard_that_was_cut_off_catches_up_with_the_terminal() {
    let gateway = example::open(EXAMPLE, &[]);
    let mut a1 = agent(&gateway, "a1").await;
    let mut ann = dashboard(&gateway, "ann").await;
    let position = ann.ask("DASHBOARD_SUBSCRIBE", "1", json!({"agentId": "a1"})).await["payload"].clone();
    ann.client.leave().await;
    // More than a room keeps where nothing is said of it.
    for line in 0..150 {
        a1.say("TERMINAL_OUTPUT", "t", json!({"content": line})).await;
        if line % 50 == 49 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
    a1.hears_nothing().await;
    let mut ann = dashboard(&gateway, "ann").await;
    let since = json!({"epoch": position["epoch"], "offset": position["offset"]});
    let back = ann.ask("subscribe", "2", json!({"room": "agent:a1", "since": since})).await;
    let told = (&back["type"], &back["payload"]["recovered"], &back["payload"]["missed"]);
    assert_eq!(told, (&json!("DASHBOARD_SUBSCRIBED"), &json!(true), &json!(150)), "{back}");
    for line in 0..150 {
        assert_eq!(ann.hears("TERMINAL_OUTPUT").await, json!({"content": line}));
    }
}

#[tokio::test]
async fn clients_that_other_people_wrote_find_their_way() {
    let gateway = example::open(EXAMPLE, &[]);
    let ann = Claims::of("ann", "dashboard").with("permissions", json!(["command.execute", "agents.stop"])).sign();
    let tokens = json!({"a1": token("a1", "agent"), "a2": token("a2", "agent"), "ann": ann}).to_string();
    let address = gateway.somewhere().to_string();
    let told = node::run("control_centre.mjs", &[("GATEWAY", &address), ("TOKENS", &tokens)]).await;
    let steps: Vec<_> = told.iter().map(|line| line["step"].as_str().unwrap_or_default()).collect();
    assert_eq!(
        steps,
        ["online", "connected", "heartbeat", "answers", "output", "cancelled", "stopped", "left"],
        "{told:?}"
    );
    assert_eq!(told[0]["agents"], json!(["a1"]));
    assert_eq!(told[1]["agent"], "a2");
    assert_eq!(told[2]["cpu"], 12);
    assert_eq!(told[3]["types"], json!(["COMMAND_ACK", "COMMAND_STATUS", "COMMAND_COMPLETE"]));
    assert_eq!(told[4]["content"], "all tests pass");
    assert_eq!(told[5]["status"], "cancelled");
    assert_eq!(told[6]["agents"], json!(["a1", "a2"]));
    assert_eq!(told[7], json!({"step": "left", "agent": "a2", "reason": "closed"}));
}
