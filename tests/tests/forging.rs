//! No agent can make a follower see a word of the gateway's own, or a `from`, `requestId`, `eventId`, `room` or `offset`
//! that is not true: not by a name that comes twice, is escaped, nested or in capitals, and not by the words of an
//! endpoint that has others.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use gateway_tests::{
    Actor, TestGateway,
    forgery::{self, Follower, OUTER_NAMES, OWN_MEMBERS, OWN_TYPES, followers},
};
use serde_json::{Value, json};

const STRANGER: &str = "00000000-0000-4000-8000-000000000000";

/// One agent says that, and this is what each follower hears of it, its place in the room apart.
async fn heard(agent: &mut Actor, followers: &mut [Follower], text: &str) -> Vec<Option<Value>> {
    agent.client.send(text).await;
    agent.hears_nothing().await;
    let mut all = Vec::new();
    for follower in followers {
        let mut messages = follower.heard_from(std::slice::from_ref(&agent.from)).await;
        assert!(messages.len() <= 1, "{messages:?}");
        all.push(messages.pop().map(|message| message.without_place()));
    }
    all
}

/// As every follower reads it who speaks the gateway's own language, and the loud one.
fn native_and_loud(heard: &[Option<Value>]) -> (Value, Option<Value>) {
    let [desk, loud, quoting, view] = heard else { panic!("four followers") };
    assert_eq!(desk, quoting);
    assert_eq!(desk, view);
    (desk.clone().expect("a message"), loud.clone())
}

/// The gateway comes first, so that it ends last.
async fn house() -> (TestGateway, Vec<Follower>, Actor) {
    let gateway = forgery::gateway();
    let followers = followers(&gateway).await;
    let agent = Actor::enter(&gateway, "/agent", "a-1", "agent").await;
    (gateway, followers, agent)
}

#[tokio::test]
async fn what_only_the_gateway_writes_is_dropped_however_it_is_spelled() {
    let (_gateway, mut followers, mut agent) = house().await;
    let forged = [
        r#""from":{"userId":"root","role":"admin"},"requestId":"S","eventId":"S","room":"agents","offset":999"#
            .to_owned(),
        r#""\u0066rom":{"userId":"root"},"request\u0049d":"S","\u0065ventId":"S","r\u006fom":"agents","offse\u0074":9"#
            .into(),
        r#""from":null,"requestId":null,"eventId":null,"room":null,"offset":null"#.into(),
    ];
    for forged in forged {
        let forged = forged.replace('S', STRANGER);
        for text in [
            format!(r#"{{"type":"event",{forged},"payload":1}}"#),
            format!(r#"{{{forged},"payload":1,"type":"event"}}"#),
            format!(" {{ \"payload\" : 1,{forged},\"type\":\"\\u0065vent\" }} \n"),
        ] {
            let (native, loud) = native_and_loud(&heard(&mut agent, &mut followers, &text).await);
            assert_eq!(native, json!({"type": "event", "payload": 1, "from": agent.from}), "{text}");
            assert_eq!(loud.unwrap(), json!({"type": "event", "data": 1, "from": agent.from}), "{text}");
        }
    }
}

#[tokio::test]
async fn what_comes_twice_is_refused_whole() {
    let (gateway, mut followers, mut agent) = house().await;
    let twice = |name: &str, again: &str| {
        format!(r#"{{"id":"n","type":"event","{name}":{{"userId":"a-1"}},"{again}":{{"userId":"root"}}}}"#)
    };
    let mut texts: Vec<String> = OWN_MEMBERS.iter().map(|name| twice(name, name)).collect();
    texts.extend([
        twice("from", "fro\\u006d"),
        twice("\\u0066rom", "from"),
        twice("payload", "payload"),
        twice("payload", "pay\\u006coad"),
        twice("own", "\\u006Fwn"),
        twice("", ""),
        r#"{"id":"n","type":"event","type":"error"}"#.into(),
        r#"{"id":"n","type":"error","t\u0079pe":"event"}"#.into(),
        r#"{"id":"n","type":"event","id":"m"}"#.into(),
        r#"{"type":"event","ack":false,"ack":true}"#.into(),
        r#"{"type":"event"}{"type":"error"}"#.into(),
        r#"[{"type":"event"}]"#.into(),
        r#""event""#.into(),
        r#"{"type":["event"]}"#.into(),
        r#"{"type":null}"#.into(),
        r#"{"Type":"event"}"#.into(),
        r#"{"type":"event","payload":1,}"#.into(),
        format!(r#"{{"type":"event"{}}}"#, (0..64).map(|n| format!(",\"m{n}\":1")).collect::<String>()),
    ]);
    for (n, text) in texts.iter().enumerate() {
        // Ten of them are a violation, which is another story.
        if n % 9 == 8 {
            agent.leave().await;
            agent = Actor::enter(&gateway, "/agent", &format!("a-{n}"), "agent").await;
        }
        agent.client.send(text).await;
        let error = agent.hear().await;
        assert_eq!((&error["type"], &error["payload"]["code"]), (&json!("error"), &json!("INVALID_MESSAGE")), "{text}");
        agent.hears_nothing().await;
    }
    for follower in &mut followers {
        assert!(follower.everything().await.is_empty());
    }
}

#[tokio::test]
async fn what_is_nested_or_in_capitals_is_the_clients_own_and_stands_beside_the_truth() {
    let (_gateway, mut followers, mut agent) = house().await;
    let own = json!({
        "FROM": {"userId": "root"}, "From": 1, "from ": 2, "\u{0}from": 3, "fr\u{43e}m": 4, "REQUESTID": 5, "request_Id": 6,
        "eventid": 7, "Room": "agents", "offset\u{200b}": 8, "__proto__": {"from": {"userId": "root"}}, "TYPE": "error",
        "reply_to": STRANGER, "more": true, "timestamp": "never",
    });
    let payload = json!({
        "type": "error", "from": {"userId": "root"}, "eventId": STRANGER, "room": "agents", "offset": 1, "code": "BANNED",
        "quoted": "\",\"from\":{\"userId\":\"root\"},\"x\":\"", "braces": "}}{{\"type\":\"error\"}",
    });
    let mut said = own.clone();
    said["type"] = json!("event");
    said["id"] = json!("\",\"from\":{}");
    said["payload"] = payload.clone();
    let (native, loud) = native_and_loud(&heard(&mut agent, &mut followers, &said.to_string()).await);
    said["from"] = agent.from.clone();
    assert_eq!(native, said);
    let loud = loud.unwrap();
    assert_eq!((&loud["data"], &loud["request_id"], &loud["from"]), (&payload, &said["id"], &agent.from));
    assert!(loud.get("replyTo").is_none() && loud.get("payload").is_none() && loud.get("id").is_none(), "{loud}");
}

#[tokio::test]
async fn a_type_that_is_the_gateways_own_somewhere_is_seen_nowhere_where_it_is() {
    let (gateway, mut followers, agent) = house().await;
    agent.leave().await;
    // What such a type is told is a matter between the gateway and the agent.
    let mut kinds: Vec<String> = OWN_TYPES.iter().map(ToString::to_string).collect();
    kinds.extend(["auth.", "auth.x", "presence.", "presence.joined.twice"].map(String::from));
    kinds.extend(OWN_TYPES.iter().map(|kind| kind.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect()));
    for (n, kind) in kinds.iter().enumerate() {
        for (path, payload) in [("/agent", "payload"), ("/loud-agent", "data")] {
            let mut agent = Actor::enter(&gateway, path, &format!("a-{n}"), "agent").await;
            let content = r#"{"room":"said","code":"BANNED","token":"x","agentId":"a-1"}"#;
            agent.client.send(format!(r#"{{"type":"{kind}","{payload}":{content},"replyTo":"x","from":1}}"#)).await;
            agent.leave().await;
        }
    }
    for follower in &mut followers {
        let all = follower.everything().await;
        assert!(all.is_empty(), "{}: {all:?}", follower.path);
    }

    // What is the name of one at an endpoint is withheld there, and elsewhere it is a type like any other.
    let mut agent = Actor::enter(&gateway, "/agent", "a-1", "agent").await;
    for (path, outer) in OUTER_NAMES {
        for kind in outer {
            let text = json!({"type": kind, "payload": {"code": "BANNED"}, "request_id": "x"}).to_string();
            for (follower, heard) in OUTER_NAMES.iter().zip(heard(&mut agent, &mut followers, &text).await) {
                assert_eq!(heard.is_none(), follower.0 == path, "{kind} at {}", follower.0);
                assert!(heard.is_none_or(|heard| heard["type"] == *kind && heard["from"] == agent.from));
            }
        }
    }
    for kind in ["Error", "error ", "ERROR ", "error\u{0}", "\u{feff}error", "еrror", "joined", "Hello"] {
        let text = json!({"type": kind}).to_string();
        let (native, loud) = native_and_loud(&heard(&mut agent, &mut followers, &text).await);
        let wanted = json!({"type": kind, "from": agent.from});
        assert_eq!((native, loud), (wanted.clone(), Some(wanted)));
    }
}

#[tokio::test]
async fn the_words_of_one_endpoint_forge_nothing_at_another() {
    let (gateway, mut followers, mut agent) = house().await;
    // Members that have a meaning at the loud endpoint stay behind there.
    let said = json!({
        "type": "event", "request_id": "forged", "data": {"forged": true}, "payload": {"true": 1}, "in_reply_to": "x",
    });
    let (native, loud) = native_and_loud(&heard(&mut agent, &mut followers, &said.to_string()).await);
    let mut wanted = said.clone();
    wanted["from"] = agent.from.clone();
    assert_eq!(native, wanted);
    let wanted = json!({"type": "event", "data": {"true": 1}, "in_reply_to": "x", "from": agent.from});
    assert_eq!(loud.unwrap(), wanted);

    // An agent of the loud language speaks in its own words; those of the gateway's language mean nothing there.
    let (client, _) = {
        let token = gateway_tests::tokens::token("a-2", "agent");
        gateway_tests::TestClient::greeted(&gateway, "/loud-agent", &token).await
    };
    let mut shouting = Actor::greeted(client, json!({"role": "agent"}));
    let text = json!({
        "type": "event", "request_id": "m", "data": {"true": 1}, "id": "forged", "payload": "forged", "replyTo": "forged",
        "from": {"userId": "root"}, "requestId": STRANGER,
    });
    shouting.client.send(text).await;
    // Its `ping` answers by another name.
    shouting.client.send(json!({"type": "PING", "request_id": "mark"})).await;
    assert_eq!(shouting.hear().await, json!({"type": "PONG", "request_id": "mark"}));
    let mut from = Value::Null;
    for follower in &mut followers {
        let message = follower.everything().await.pop().unwrap().without_place();
        from = message["from"].clone();
        let wanted = if follower.path == "/loud" {
            json!({"type": "event", "request_id": "m", "data": {"true": 1}, "from": from})
        } else {
            json!({"type": "event", "id": "m", "payload": {"true": 1}, "from": from})
        };
        assert_eq!(message, wanted, "{}", follower.path);
    }
    assert_eq!((&from["userId"], &from["agentId"], &from["role"]), (&json!("a-2"), &json!("a-2"), &json!("agent")));
    // Its names of the gateway's types go to nobody.
    for kind in ["ERROR", "PONG", "ACK", "COMMAND_COMPLETE"] {
        shouting.client.send(json!({"type": kind, "request_id": "n", "data": {}})).await;
        if kind != "PONG" {
            let error = shouting.hear().await;
            assert_eq!(error["type"], "ERROR", "{kind}: {error}");
        }
    }
    for follower in &mut followers {
        assert!(follower.everything().await.is_empty());
    }
}
