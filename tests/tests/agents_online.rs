//! Agents come and go: those who follow them learn when, and why; an agent is one live connection, which its own user
//! may take over at any time, and nobody else while it lives.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::time::Duration;

use gateway_domain::Timestamp;
use gateway_tests::{
    Claims, TestClient, TestGateway,
    crowd::settles_at,
    raw::Raw,
    rooms::{UNLIMITED, agent, agent_of, dashboard, kinds, unlimited},
    tokens::token,
};
use serde_json::{Value, json};

/// Agents are named by a claim of their own, and a user may have two connections.
const BY_CLAIM: &str = "[auth.claims]\nagent = \"agent\"\n";

/// An agent's token: whose it is, and which agent.
fn named(user: &str, id: &str) -> String {
    Claims::of(user, "agent").with("agent", id).sign()
}

/// Type, agent and reason of a sighting, whose time is a time.
fn sighting(message: &Value) -> (&str, &str, Option<&str>) {
    let payload = &message["payload"];
    let _: Timestamp = serde_json::from_value(payload["lastSeen"].clone()).expect("a time");
    let text = |value: &'static str| payload[value].as_str();
    (message["type"].as_str().unwrap(), text("agentId").unwrap(), text("reason"))
}

const fn online(id: &str) -> (&str, &str, Option<&'static str>) {
    ("agent.online", id, None)
}

const fn offline<'a>(id: &'a str, reason: &'static str) -> (&'a str, &'a str, Option<&'static str>) {
    ("agent.offline", id, Some(reason))
}

#[tokio::test]
async fn followers_of_one_agent_and_of_all_learn_when_it_comes_and_when_it_closes() {
    let gateway = unlimited("");
    let (mut one, mut all) = (dashboard(&gateway, "ann").await, dashboard(&gateway, "bob").await);
    let mut both = dashboard(&gateway, "carl").await;
    let mut nobody = dashboard(&gateway, "dan").await;
    one.join("agent:a1").await;
    assert_eq!(all.join("agents").await["presence"], json!([]), "of agents, not of those who follow");
    both.join("agents").await;
    both.join("agent:a1").await;
    one.heard().await;
    all.heard().await;

    let drone = agent(&gateway, "a1").await;
    let told = one.json().await;
    assert_eq!((sighting(&told), &told["room"], &told["offset"]), (online("a1"), &json!("agent:a1"), &json!(1)));
    assert!(told.get("from").is_none(), "the gateway itself says so: {told}");
    let told = all.json().await;
    assert_eq!((sighting(&told), &told["room"]), (online("a1"), &json!("agents")));
    // Who follows it twice is told twice, each time with the place in that room.
    let mut rooms = [both.json().await, both.json().await].map(|told| told["room"].as_str().unwrap().to_owned());
    rooms.sort();
    assert_eq!(rooms, ["agent:a1", "agents"]);

    let other = agent(&gateway, "a2").await;
    assert_eq!(sighting(&all.json().await), online("a2"));
    drone.leave().await;
    assert_eq!(sighting(&one.json().await), offline("a1", "closed"));
    assert_eq!(sighting(&all.json().await), offline("a1", "closed"));
    drop(other);
    assert_eq!(sighting(&all.json().await), offline("a2", "closed"));
    let told = [both.json().await, both.json().await, both.json().await, both.json().await];
    assert_eq!(kinds(&told), ["agent.online", "agent.offline", "agent.offline", "agent.offline"]);
    for quiet in [&mut one, &mut both, &mut nobody] {
        assert!(quiet.heard().await.is_empty());
    }
    // And what was missed of it can be recovered like anything else.
    let since = json!({"epoch": one.join("agent:a1").await["epoch"], "offset": 0});
    assert_eq!(one.join_since("agent:a1", Some(&since)).await["missed"], 2);
    assert_eq!(kinds(&one.heard().await), ["agent.online", "agent.offline"]);
}

#[tokio::test]
async fn who_subscribes_to_agents_finds_who_is_online() {
    let gateway = TestGateway::with(&format!("{BY_CLAIM}{UNLIMITED}"));
    let _x = agent_of(&gateway, "ann", "x").await;
    let y = agent_of(&gateway, "ann", "y").await;
    let _z = agent_of(&gateway, "zoe", "z").await;
    let mut bob = dashboard(&gateway, "bob").await;
    let told = bob.join("agents").await;
    let found = told["presence"].as_array().unwrap().iter().map(|agent| {
        let _: Timestamp = serde_json::from_value(agent["lastSeen"].clone()).expect("a time");
        let text = |name: &str| agent[name].as_str().unwrap_or_default().to_owned();
        (text("agentId"), text("userId"), text("role"))
    });
    let found: Vec<_> = found.collect();
    let is = |agent: &str, user: &str| (agent.to_owned(), user.to_owned(), "agent".to_owned());
    assert_eq!(found, [is("x", "ann"), is("y", "ann"), is("z", "zoe")]);
    y.leave().await;
    assert_eq!(sighting(&bob.json().await), offline("y", "closed"));
    let told = bob.join("agents").await;
    assert_eq!(told["presence"].as_array().unwrap().len(), 2, "{told}");
}

#[tokio::test]
async fn the_reason_says_whether_it_fell_silent_was_sent_away_or_vanished() {
    let gateway = unlimited(
        "[[endpoints]]\npath = \"/ws/dashboard\"\nroles = [\"dashboard\"]\n\
         [[endpoints]]\npath = \"/ws/agent\"\nroles = [\"agent\"]\nagents = true\nheartbeat = \"1s\"\nheartbeat_timeout = \"1s\"\n",
    );
    let mut ann = dashboard(&gateway, "ann").await;
    ann.join("agents").await;

    let silent = Raw::admitted(gateway.somewhere(), "/ws/agent", &token("silent", "agent")).await;
    assert_eq!(sighting(&ann.json().await), online("silent"));
    let told = ann.json().await;
    assert_eq!(sighting(&told), offline("silent", "timeout"));
    drop(silent);

    let (mut kicked, greeting) = TestClient::greeted(&gateway, "/ws/agent", &token("kicked", "agent")).await;
    assert_eq!(sighting(&ann.json().await), online("kicked"));
    let id = greeting["connectionId"].as_str().unwrap();
    gateway.api("DELETE", &format!("/api/v1/connections/{id}"), None).await;
    assert_eq!(sighting(&ann.json().await), offline("kicked", "kicked"));
    assert_eq!(kicked.closed().await.0, 4011);

    let mut revoked = agent(&gateway, "revoked").await;
    assert_eq!(sighting(&ann.json().await), online("revoked"));
    gateway.api("POST", "/api/v1/revocations", Some(json!({"user": "revoked"}))).await;
    assert_eq!(sighting(&ann.json().await), offline("revoked", "kicked"));
    assert_eq!(revoked.closed().await.0, 4009);

    let lost = Raw::admitted(gateway.somewhere(), "/ws/agent", &token("lost", "agent")).await;
    assert_eq!(sighting(&ann.json().await), online("lost"));
    lost.reset();
    assert_eq!(sighting(&ann.json().await), offline("lost", "closed"));
    assert!(ann.heard().await.is_empty());
}

#[tokio::test]
async fn a_newer_connection_of_the_same_user_takes_over_even_where_every_seat_is_taken() {
    let gateway = TestGateway::with(&format!(
        "{BY_CLAIM}[plans.tight]\nconnections = 1\nmessages = \"off\"\non_connection_limit = \"reject_new\"\n{UNLIMITED}"
    ));
    let token = Claims::of("ann", "agent").with("agent", "a1").with("plan", "tight").sign();
    let mut bob = dashboard(&gateway, "bob").await;
    bob.join("agents").await;
    let (mut first, _) = TestClient::greeted(&gateway, "/ws/agent", &token).await;
    assert_eq!(sighting(&bob.json().await), online("a1"));
    let (mut second, greeting) = TestClient::greeted(&gateway, "/ws/agent", &token).await;
    let (code, reason) = first.closed().await;
    assert_eq!((code, &reason["code"]), (4013, &json!("REPLACED")));
    let told = [bob.json().await, bob.json().await];
    assert_eq!(told.each_ref().map(sighting), [offline("a1", "replaced"), online("a1")]);
    settles_at(&gateway, 2).await;

    // A command reaches the one that is here now, and the end of the old one took nothing from it.
    bob.send(json!({"type": "command", "id": "c", "payload": {"agentId": "a1"}})).await;
    assert_eq!(second.json().await["type"], "command");
    assert!(bob.heard().await.is_empty());
    // Another agent of that user needs a seat of its own.
    let other = Claims::of("ann", "agent").with("agent", "a2").with("plan", "tight").sign();
    let refused = TestClient::connect(&gateway, "/ws/agent", &other).await.unwrap_err();
    assert_eq!((refused.status, refused.code()), (429, "CONNECTION_LIMIT"));
    assert_eq!(second.heard().await.len(), 0, "and puts nobody out: {greeting}");
}

#[tokio::test]
async fn many_that_take_over_at_once_leave_one_and_the_followers_agree() {
    let gateway = unlimited("");
    let mut bob = dashboard(&gateway, "bob").await;
    bob.join("agents").await;
    let token = token("a1", "agent");
    let rush = (0..30).map(|_| TestClient::connect(&gateway, "/ws/agent", &token));
    let clients: Vec<_> = futures_util::future::join_all(rush).await.into_iter().map(Result::unwrap).collect();
    settles_at(&gateway, 2).await;
    let heard = bob.heard().await;
    let mut here = false;
    for message in &heard {
        let (kind, ..) = sighting(message);
        assert_eq!(kind == "agent.online", !here, "it comes and goes by turns: {:?}", kinds(&heard));
        here = !here;
    }
    assert!(here);
    let ends = clients.into_iter().map(|mut client| async move {
        // Whoever is in greets, and answers a ping; the others were told why not.
        client.send(json!({"type": "ping", "id": "alive"})).await;
        let mut code = 0;
        while let Some(message) = client.next().await {
            match message {
                tokio_tungstenite::tungstenite::Message::Text(text) if text.contains("alive") => break,
                tokio_tungstenite::tungstenite::Message::Close(Some(frame)) => code = frame.code.into(),
                _ => {}
            }
        }
        code
    });
    let codes: Vec<u16> = futures_util::future::join_all(ends).await;
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == 4013).count(), 29, "{codes:?}");
}

#[tokio::test]
async fn another_users_agent_is_not_taken_over_while_it_lives() {
    let gateway = TestGateway::with(&format!(
        "{BY_CLAIM}{UNLIMITED}[[endpoints]]\npath = \"/ws/agent\"\nagents = true\n\
         [[endpoints]]\npath = \"/browser\"\nagents = true\nreject_with = \"close_code\"\n\
         [[endpoints]]\npath = \"/ws/dashboard\"\nroles = [\"dashboard\"]\n"
    ));
    let mut bob = dashboard(&gateway, "bob").await;
    bob.join("agents").await;
    let mut anns = agent_of(&gateway, "ann", "a1").await;
    assert_eq!(sighting(&bob.json().await), online("a1"));
    for _ in 0..3 {
        let refused = TestClient::connect(&gateway, "/ws/agent", &named("eve", "a1")).await.unwrap_err();
        assert_eq!((refused.status, refused.code()), (409, "AGENT_ID_TAKEN"));
        assert_eq!(refused.body["error"]["then"], "stop");
    }
    let mut turned_away = TestClient::connect(&gateway, "/browser", &named("eve", "a1")).await.unwrap();
    let (code, reason) = turned_away.closed().await;
    assert_eq!((code, &reason["code"]), (4014, &json!("AGENT_ID_TAKEN")));
    let line = gateway.audited("it", |line| line["code"] == "AGENT_ID_TAKEN").await;
    assert_eq!((&line["event"], &line["userId"]), (&json!("refused"), &json!("eve")));
    // Eve may be another agent; and ann was asked whether she lives, and does.
    let _eves = agent_of(&gateway, "eve", "a2").await;
    assert_eq!(sighting(&bob.json().await), online("a2"));
    assert!(anns.heard().await.is_empty());
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert!(anns.heard().await.is_empty() && bob.heard().await.is_empty());
    // When she is gone, the name is free.
    anns.leave().await;
    assert_eq!(sighting(&bob.json().await), offline("a1", "closed"));
    let _now_eves = agent_of(&gateway, "eve", "a1").await;
    assert_eq!(sighting(&bob.json().await), online("a1"));
}

#[tokio::test]
async fn a_dead_holder_is_found_out_so_that_a_later_attempt_gets_in() {
    let gateway = TestGateway::with(&format!("{BY_CLAIM}{UNLIMITED}"));
    let mut bob = dashboard(&gateway, "bob").await;
    bob.join("agents").await;
    let dead = Raw::admitted(gateway.somewhere(), "/ws/agent", &named("ann", "a1")).await;
    assert_eq!(sighting(&bob.json().await), online("a1"));
    let refused = TestClient::connect(&gateway, "/ws/agent", &named("eve", "a1")).await.unwrap_err();
    assert_eq!((refused.status, refused.code()), (409, "AGENT_ID_TAKEN"));
    // Its heartbeat alone would have taken 35 s.
    let told = tokio::time::timeout(Duration::from_secs(4), bob.json()).await.expect("it was asked at once");
    assert_eq!(sighting(&told), offline("a1", "timeout"));
    let _eves = agent_of(&gateway, "eve", "a1").await;
    assert_eq!(sighting(&bob.json().await), online("a1"));
    drop(dead);
}

#[tokio::test]
async fn who_names_no_agent_is_none_and_takes_nobodys_place() {
    let gateway = TestGateway::with(&format!("{BY_CLAIM}{UNLIMITED}"));
    let mut bob = dashboard(&gateway, "bob").await;
    bob.join("agents").await;
    let (mut first, greeting) = TestClient::greeted(&gateway, "/ws/agent", &token("ann", "agent")).await;
    assert!(greeting.get("agentId").is_none(), "so it can know: {greeting}");
    let (mut second, _) = TestClient::greeted(&gateway, "/ws/agent", &token("ann", "agent")).await;
    // Elsewhere nobody is an agent, whatever the token says.
    let (mut named, _) = TestClient::greeted(&gateway, "/ws", &named("ann", "a1")).await;
    for agent in ["ann", "a1", ""] {
        let answer = bob.ask(json!({"type": "command", "id": "c", "payload": {"agentId": agent}})).await;
        let expected = if agent.is_empty() { "INVALID_MESSAGE" } else { "TARGET_OFFLINE" };
        assert_eq!(answer["payload"]["code"], expected, "nobody is agent {agent:?}");
    }
    let answer = first.ask(json!({"type": "event", "id": "e"})).await;
    assert_eq!(
        (&answer["id"], &answer["payload"]["code"]),
        (&json!("e"), &json!("INVALID_MESSAGE")),
        "nobody's report"
    );
    for client in [&mut first, &mut second, &mut named] {
        assert!(client.heard().await.is_empty());
    }
    first.leave().await;
    settles_at(&gateway, 3).await;
    assert_eq!(bob.join("agents").await["presence"], json!([]));
    assert!(bob.heard().await.is_empty(), "and nobody was told of it");
}

#[tokio::test]
async fn an_agent_may_name_itself_within_its_user_where_the_operator_lets_it() {
    let gateway = TestGateway::with(&format!("[auth.claims]\nagent = \"query:agentId\"\n{UNLIMITED}"));
    let named = async |user: &str| {
        let url = gateway.ws(&format!("/ws/agent?agentId=drone&token={}", token(user, "agent")));
        let mut client = TestClient::open(&url, &[]).await.unwrap();
        (client.json().await["payload"]["agentId"].clone(), client)
    };
    let (anns, _first) = named("ann").await;
    let (eves, _second) = named("eve").await;
    assert_eq!((anns, eves), (json!("ann/drone"), json!("eve/drone")), "each a name of its own");
    let mut bob = dashboard(&gateway, "bob").await;
    let there = bob.join("agents").await["presence"].as_array().unwrap().len();
    assert_eq!(there, 2);
}
