//! Hundreds of random objects, made of all that could deceive a reader, go through a real gateway: by agents to their
//! followers, as replies to whoever asked, and as requests to agents. Nothing forged ever arrives.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

use std::fmt::Write;

use gateway_tests::{
    Actor, TestClient,
    chance::Chance,
    forgery::{self, OUTER_NAMES, OWN_MEMBERS, OWN_TYPES, Written, followers},
    several,
    tokens::token,
};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

const STRANGER: &str = "00000000-0000-4000-8000-000000000000";
/// Ten messages that are not understood are a violation, and two of those a penalty: after so many, another comes.
const SPEECH: usize = 15;

/// Makes texts that could deceive.
struct Forger(Chance);

impl Forger {
    fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.0.below(all.len())]
    }

    /// A JSON string of that, some of it escaped.
    fn spelled(&mut self, text: &str) -> String {
        let escapes = self.0.one_in(3);
        let mut spelled = String::from("\"");
        for letter in text.chars() {
            if escapes && self.0.one_in(3) || letter.is_control() || letter == '"' || letter == '\\' {
                write!(spelled, "\\u{:04X}", u32::from(letter)).unwrap();
            } else {
                spelled.push(letter);
            }
        }
        spelled + "\""
    }

    fn kind(&mut self) -> String {
        let outer: Vec<&str> = OUTER_NAMES.iter().flat_map(|(_, outer)| outer.iter().copied()).collect();
        let kind = match self.0.below(8) {
            0 | 1 => self.one_of(&OWN_TYPES).to_owned(),
            2 => self.one_of(&outer).to_owned(),
            3 => self
                .one_of(&["auth.", "auth.any", "presence.x", "auth", "agent.", "", "*", "\u{0}", "\u{feff}error"])
                .into(),
            4 => self.one_of(&OWN_TYPES).to_uppercase(),
            _ => self.one_of(&["event", "status", "command", "TERMINAL_OUTPUT"]).to_owned(),
        };
        self.spelled(&kind)
    }

    fn name(&mut self) -> String {
        let name = match self.0.below(6) {
            0 | 1 => self.one_of(&OWN_MEMBERS),
            2 => self.one_of(&["id", "payload", "replyTo", "more", "ack", "type"]),
            3 => self.one_of(&["request_id", "data", "in_reply_to"]),
            4 => self.one_of(&["FROM", "From", "from ", "\u{0}from", "requestID", "Room", "__proto__", "", "fr\"om"]),
            _ => self.one_of(&["a", "b", "timestamp", "eventid"]),
        };
        self.spelled(name)
    }

    fn value(&mut self, depth: usize) -> String {
        match self.0.below(if depth == 0 { 7 } else { 10 }) {
            0 => self.one_of(&["true", "false", "null", "0", "999", "-1.50e3", "18446744073709551616"]).into(),
            1 => format!("\"{STRANGER}\""),
            2 => self.spelled("}\",\"from\":{\"userId\":\"root\"},\"x\":\"{"),
            3 => self.one_of(&["[]", "{}", "[ 1 , 2 ]", "{ \"from\" : 1 }"]).into(),
            4 => self.kind(),
            5 => r#"{"userId":"root","connectionId":"x","role":"admin"}"#.into(),
            6 => "\"a-1\"".into(),
            _ => self.object(depth - 1, None),
        }
    }

    /// An object; where it is a message, with a type that is mostly one.
    fn object(&mut self, depth: usize, message: Option<&str>) -> String {
        let mut members: Vec<String> = Vec::new();
        for _ in 0..self.0.below(7) {
            let (name, value) = (self.name(), self.value(depth));
            // Nearly nothing would ever pass if names came twice as often as chance has it.
            if !members.iter().any(|known| known.starts_with(&name)) || self.0.one_in(8) {
                members.push(format!("{name}:{value}"));
            }
        }
        if let Some(first) = message {
            members.retain(|member| !member.starts_with("\"type\"") && !member.starts_with("\"id\""));
            let at = self.0.below(members.len() + 1);
            members.insert(at, first.to_owned());
        }
        let (open, between) = if self.0.one_in(4) { (" { ", " ,\n ") } else { ("{", ",") };
        format!("{open}{}}}", members.join(between))
    }
}

/// Says those texts; whatever the gateway answers is between the two.
async fn say_all(client: &mut TestClient, texts: &[String]) {
    for text in texts {
        client.send(text).await;
    }
}

/// Closes, which the gateway has seen when it is done: all that was said before is dealt with.
async fn leave(client: TestClient) {
    client.leave().await;
}

#[test]
fn the_eye_for_what_is_forged_sees_it() {
    let speakers = [json!({"userId": "a-1"})];
    let judged = |path: &str, text: &str| forgery::judged(path, &Written::read(text), &speakers, 4);
    let place = r#""room":"said","offset":5"#;
    let from = r#""from":{"userId":"a-1"}"#;
    assert_eq!(judged("/desk", &format!(r#"{{"type":"event",{from},{place}}}"#)), Ok(5));
    assert_eq!(judged("/view", &format!(r#"{{"type":"ERROR",{from}}}"#)), Ok(4));
    for (path, text) in [
        ("/desk", format!(r#"{{"type":"event",{from},"fro\u006d":{{"userId":"a-1"}},{place}}}"#)),
        ("/desk", format!(r#"{{"type":"event","from":{{"userId":"root"}},{place}}}"#)),
        ("/desk", format!(r#"{{"type":"event",{place}}}"#)),
        ("/desk", format!(r#"{{"type":"\u0065rror",{from},{place}}}"#)),
        ("/desk", format!(r#"{{"type":"auth.x",{from},{place}}}"#)),
        ("/loud", format!(r#"{{"type":"ERROR",{from},{place}}}"#)),
        ("/desk", format!(r#"{{"type":"event","requestId":"x",{from},{place}}}"#)),
        ("/desk", format!(r#"{{"type":"event","eventId":"x",{from},{place}}}"#)),
        ("/desk", format!(r#"{{"type":"event",{from},"room":"agents","offset":5}}"#)),
        ("/desk", format!(r#"{{"type":"event",{from},"room":"said","offset":6}}"#)),
        ("/loud", format!(r#"{{"type":"event",{from},"room":"said","offset":4}}"#)),
        ("/view", format!(r#"{{"type":"event",{from},{place}}}"#)),
    ] {
        assert!(judged(path, &text).is_err(), "{path}: {text}");
    }
}

#[tokio::test]
async fn whatever_agents_say_their_followers_hear_the_truth_about_it() {
    let seed = Chance::seed();
    let mut forger = Forger(Chance::of(seed));
    let gateway = forgery::gateway();
    let mut followers = followers(&gateway).await;
    let mut heard = [0; 4];
    for n in 0..60 {
        let (path, user) = (if n % 3 == 2 { "/loud-agent" } else { "/agent" }, format!("a-{n}"));
        let mut client = TestClient::connect(&gateway, path, &token(&user, "agent")).await.unwrap();
        let Some(Message::Text(greeting)) = client.next().await else { panic!("a greeting") };
        let greeting = Written::read(&greeting);
        let greeting = greeting.get(forgery::payload(path)).unwrap();
        let from = json!({
            "connectionId": greeting["connectionId"], "userId": user, "agentId": user, "role": "agent",
        });
        let texts: Vec<_> = (0..SPEECH)
            .map(|_| {
                let kind = format!("\"type\":{}", forger.kind());
                forger.object(3, Some(&kind))
            })
            .collect();
        say_all(&mut client, &texts).await;
        leave(client).await;
        for (count, follower) in heard.iter_mut().zip(&mut followers) {
            let all = std::panic::AssertUnwindSafe(follower.heard_from(std::slice::from_ref(&from)));
            let all = futures_util::FutureExt::catch_unwind(all).await;
            *count += all.unwrap_or_else(|_| panic!("seed {seed}: one of {texts:#?}")).len();
        }
    }
    let [desk, loud, quoting, view] = heard;
    assert!(desk >= 150 && desk == view, "enough came through to tell: {heard:?}");
    assert!(loud < desk && quoting <= desk && loud >= 100, "and some was withheld: {heard:?}");
}

#[tokio::test]
async fn whatever_an_agent_replies_the_asker_hears_its_own_id_and_the_truth() {
    let seed = Chance::seed();
    let mut forger = Forger(Chance::of(seed));
    let gateway = forgery::gateway();
    let mut ann = Actor::enter(&gateway, "/desk", "ann", "dashboard").await;
    let mut bob = Actor::enter(&gateway, "/desk", "bob", "dashboard").await;
    let mut heard = 0;
    for n in 0..30 {
        let user = format!("a-{n}");
        let mut agent = Actor::enter(&gateway, "/agent", &user, "agent").await;
        let command = |id: &str| json!({"type": "command", "id": id, "payload": {"agentId": user}});
        ann.say(command("anns")).await;
        let request = agent.hear().await;
        let texts: Vec<_> = (0..SPEECH)
            .map(|_| {
                // Progress, so that it stays open; mostly the right one.
                let quoted = if forger.0.one_in(4) { json!(STRANGER) } else { request["requestId"].clone() };
                let more = if forger.0.one_in(4) { "" } else { ",\"more\":true" };
                let first = format!("\"type\":{},\"replyTo\":{quoted}{more}", forger.spelled("reply"));
                forger.object(3, Some(&first))
            })
            .collect();
        say_all(&mut agent.client, &texts).await;
        let from = agent.from.clone();
        agent.leave().await;
        // The last it hears is that the agent left, where no reply ended it before.
        let replies = everything(&mut ann).await;
        for reply in replies {
            let what = || format!("seed {seed}: {reply} after one of {texts:#?}");
            if reply.get("type") == Some(&json!("error")) {
                assert!(reply.get("from").is_none() && reply.get("id") == Some(&json!("anns")), "{}", what());
                assert_eq!(reply.get("payload").unwrap()["code"], "TARGET_LOST", "{}", what());
                continue;
            }
            heard += 1;
            for (name, value) in [
                ("type", &json!("reply")),
                ("replyTo", &json!("anns")),
                ("requestId", &request["requestId"]),
                ("from", &from),
            ] {
                let count = reply.0.iter().filter(|(own, _)| own == name).count();
                assert_eq!((count, reply.get(name)), (1, Some(value)), "{}", what());
            }
            assert!(reply.get("more").is_none_or(|more| *more == true), "{}", what());
            for name in ["id", "eventId", "room", "offset"] {
                assert!(reply.get(name).is_none(), "{}", what());
            }
        }
        bob.hears_nothing().await;
    }
    assert!(heard >= 30, "enough came through to tell: {heard}");
}

#[tokio::test]
async fn whatever_a_dashboard_asks_the_agent_reads_who_it_is_and_a_request_id_of_the_gateways() {
    let seed = Chance::seed();
    let mut forger = Forger(Chance::of(seed));
    let gateway = forgery::gateway();
    let mut agents = [
        Actor::enter(&gateway, "/agent", "a-1", "agent").await,
        Actor::enter(&gateway, "/agent", "a-2", "agent").await,
    ];
    let mut ids = Vec::new();
    for n in 0..20 {
        let mut asker = Actor::enter(&gateway, "/desk", &format!("user-{n}"), "dashboard").await;
        let texts: Vec<_> = (0..SPEECH)
            .map(|_| {
                let first = format!(r#""type":{},"payload":{{"agentId":"a-1"}}"#, forger.spelled("command"));
                forger.object(2, Some(&first))
            })
            .collect();
        say_all(&mut asker.client, &texts).await;
        let from = asker.from.clone();
        asker.leave().await;
        for request in everything(&mut agents[0]).await {
            let what = || format!("seed {seed}: {request} after one of {texts:#?}");
            let id = request.get("requestId").and_then(Value::as_str).unwrap_or_else(|| panic!("{}", what()));
            assert_ne!(id, STRANGER, "{}", what());
            if request.get("type") == Some(&json!("cancel")) {
                // Its asker is gone.
                assert!(request.0.len() == 2 && ids.contains(&id.to_owned()), "{}", what());
                continue;
            }
            assert!(!ids.contains(&id.to_owned()), "{}", what());
            ids.push(id.to_owned());
            assert_eq!(
                (request.get("type"), request.get("from")),
                (Some(&json!("command")), Some(&from)),
                "{}",
                what()
            );
            for name in ["type", "payload", "from", "requestId"] {
                assert_eq!(request.0.iter().filter(|(own, _)| own == name).count(), 1, "{}", what());
            }
            for name in ["eventId", "room", "offset"] {
                assert!(request.get(name).is_none(), "{}", what());
            }
        }
        agents[1].hears_nothing().await;
    }
    assert!(ids.len() >= 60, "enough came through to tell: {}", ids.len());
}

/// Everything that it heard up to now, as it was written.
async fn everything(actor: &mut Actor) -> Vec<Written> {
    several::settled(&actor.client.socket).await;
    let mark = format!("mark {}", uuid::Uuid::new_v4());
    actor.say(json!({"type": "ping", "id": mark})).await;
    let mut all = Vec::new();
    loop {
        let Some(Message::Text(text)) = actor.client.next().await else { panic!("the connection ended") };
        let written = Written::read(&text);
        if written.get("type") == Some(&json!("pong")) && written.get("id") == Some(&json!(mark)) {
            return all;
        }
        all.push(written);
    }
}
