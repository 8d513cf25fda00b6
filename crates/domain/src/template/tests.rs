//! Values fill a target and never change it.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::sender::fixture::Somebody;

fn template(text: &str) -> TargetTemplate {
    TargetTemplate::parse(text).unwrap_or_else(|flaw| panic!("{text}: {flaw}"))
}

fn filled(text: &str, by: &Somebody, message: &str) -> Option<String> {
    template(text).target(&by.sender(), &Message::parse(message).unwrap()).map(|target| target.to_string())
}

fn ann() -> Somebody {
    Somebody::new("ann", "dashboard", "/ws").agent("a/1").claims(json!({"org": {"id": 7}, "bad": "x*"}))
}

#[test]
fn every_placeholder_has_its_value() {
    let message =
        r#"{"type":"t","id":"i7","tag":"\u0067reen","n":-5,"payload":{"agentId":"press-7","list":[{"id":9}]}}"#;
    for (text, target) in [
        ("user:{sender.userId}", "user:ann"),
        ("agent:{sender.agentId}", "agent:a/1"),
        ("connection:{sender.connectionId}", "connection:00000000-0000-0000-0000-000000000007"),
        ("room:{sender.plan}-{sender.role}", "room:free-dashboard"),
        ("room:org:{sender.claims.org.id}:all", "room:org:7:all"),
        ("agent:{payload.agentId}", "agent:press-7"),
        ("room:{payload.list.0.id}", "room:9"),
        ("room:{message.type}.{message.id}.{message.tag}{message.n}", "room:t.i7.green-5"),
        ("user:{payload.agentId}?role=agent", "user:press-7?role=agent"),
        ("role:{message.tag}", "role:green"),
        ("subscribe:agent:{payload.agentId}", "subscribe:agent:press-7"),
        ("sender", "sender"),
        ("endpoint:/ws/{agentId}", "endpoint:/ws/{agentId}"),
    ] {
        assert_eq!(filled(text, &ann(), message).as_deref(), Some(target), "{text}");
        assert_eq!(template(text).as_str(), text);
    }
}

#[test]
fn a_value_that_is_absent_makes_no_target() {
    let nobody = Somebody::new("ann", "", "/ws");
    for text in [
        "agent:{sender.agentId}",
        "room:{sender.role}",
        "room:{sender.claims.org}",
        "room:{payload.a}",
        "room:{message.id}",
        "room:{message.tag}",
    ] {
        assert_eq!(filled(text, &nobody, r#"{"type":"t"}"#), None, "{text}");
        assert_eq!(filled(text, &nobody, r#"{"type":"t","payload":[],"tag":{}}"#), None, "{text}");
    }
    assert_eq!(filled("room:{sender.claims.bad}", &ann(), r#"{"type":"t"}"#), None);
}

#[test]
fn a_value_that_could_be_taken_for_more_than_itself_fits_nowhere() {
    let with =
        |text: &str, value: &str| filled(text, &ann(), &json!({"type": "t", "payload": {"v": value}}).to_string());
    for value in ["", "*", "a*", "a\n", "\u{0}", &"x".repeat(129)] {
        assert_eq!(with("room:{payload.v}", value), None, "{value:?}");
    }
    assert_eq!(with("room:{payload.v}", &"x".repeat(128)).map(|room| room.len()), Some(133));
    assert_eq!(with("room:{payload.v}", "a:b").as_deref(), Some("room:a:b"));
    assert_eq!(with("room:x:{payload.v}", "a:b").as_deref(), Some("room:x:a:b"));
    assert_eq!(with("room:{payload.v}:x", "a:b"), None);
    assert_eq!(with("room:{payload.v}{sender.plan}", "a:b"), None);
    assert_eq!(with("connection:{payload.v}", "7"), None);
    assert_eq!(with("role:{payload.v}", &"x".repeat(65)), None);
    let long = Somebody::new(&"u".repeat(256), "x", "/ws");
    assert!(filled("room:user:{sender.userId}", &long, r#"{"type":"t"}"#).is_some());
}

#[test]
fn a_value_is_never_read_again() {
    let message = json!({"type": "t", "payload": {"v": "bob?role=admin", "w": "{sender.userId}"}}).to_string();
    let target = |text| template(text).target(&ann().sender(), &Message::parse(&message).unwrap()).unwrap();
    assert_eq!(target("user:{payload.v}"), Target::User { user: "bob?role=admin".parse().unwrap(), role: None });
    assert_eq!(target("room:{payload.w}"), Target::Room("{sender.userId}".parse().unwrap()));
}

#[test]
fn what_can_make_no_target_is_told_with_its_remedy() {
    for (text, what, remedy) in [
        ("agents:{payload.a}", "is no target", "did you mean `agent:` and a name?"),
        ("sender:x", "is no target", "did you mean `sender`, with nothing"),
        ("{payload.target}", "is no target", "`role:ROLE`"),
        ("agent:{payload.a", "is not closed", "put a `}`"),
        ("agent:{sender.userid}", "no placeholder `sender.userid`", "did you mean `sender.userId`?"),
        ("agent:{agentId}", "no placeholder `agentId`", "payload.PATH"),
        ("agent:{payload.}", "a step of the path is empty", "single dots"),
        ("agent:{sender.claims.a..b}", "a step of the path is empty", "single dots"),
        ("agent:{message.payload.a}", "no member of the client's own", "write `{payload.a}`"),
        ("agent:{message.from}", "never has a value", "only the gateway sets"),
        ("agent:{message.ack}", "never has a value", "only the gateway sets"),
        ("agent:{message.a.b}", "no single member", "without dots"),
        ("room:*", "takes one name", "`role:ROLE`"),
        ("agent:x?role=y", "narrows only `user:`", "`user:ID?role=ROLE`"),
        ("user:x?role={payload.r}", "is not for a message to say", "write the name of a role"),
        ("user:x?role=", "the role behind `?role=` is empty", "write the name of a role"),
        ("webhook:{payload.w}", "is not for a message to say", "without placeholders"),
        ("connection:x{payload.c}", "makes no UUID", "nothing beside the placeholder"),
        ("connection:x", "takes the UUID", "correct what stands"),
        ("endpoint:x", "takes the path", "correct what stands"),
        ("room:", "is empty", "correct what stands"),
        (&format!("role:{}{{payload.r}}", "x".repeat(64)), "is longer than 64", "shorten"),
    ] {
        let flaw = TargetTemplate::parse(text).unwrap_err();
        assert!(flaw.what.contains(what) && flaw.remedy.contains(remedy), "{text}: {flaw}");
    }
}

#[test]
fn only_what_cannot_fail_is_certain() {
    for text in
        ["room:x", "sender", "user:ann?role=x", "connection:{sender.connectionId}", "room:c:{sender.connectionId}:x"]
    {
        assert!(template(text).is_certain(), "{text}");
    }
    for text in ["user:{sender.userId}", "room:{sender.plan}", "room:{payload.a}", "room:{message.type}"] {
        assert!(!template(text).is_certain(), "{text}");
    }
    // Long enough that only the shortest of ids would have had a place.
    let long = format!("agent:{}{{sender.connectionId}}", "x".repeat(230));
    assert!(TargetTemplate::parse(&long).is_err());
}

#[test]
fn a_room_to_join_by_itself_knows_the_sender_only() {
    let room = |text: &str| RoomTemplate::parse(text).unwrap().room(&ann().sender()).map(|room| room.to_string());
    assert_eq!(room("nodes").as_deref(), Some("nodes"));
    assert_eq!(room("agent:{sender.agentId}").as_deref(), Some("agent:a/1"));
    assert_eq!(room("x:{sender.claims.none}"), None);
    assert_eq!(RoomTemplate::parse("x:{sender.plan}").unwrap().as_str(), "x:{sender.plan}");
    for (text, what) in [("", "is empty"), ("x:{payload.a}", "there is no message yet"), ("x{", "is not closed")] {
        let flaw = RoomTemplate::parse(text).unwrap_err();
        assert!(flaw.what.contains(what), "{text}: {flaw}");
    }
}

proptest! {
    #[test]
    fn values_never_change_the_structure_of_a_target(value in "(\\?role=|user:|room:|[ab:*{}?=\\n/\\\\\"é.]){0,6}", shape in 0usize..7) {
        let (before, kind, after) = [
            ("", "user", ""), ("", "agent", ""), ("a:", "room", ""), ("", "room", ":x"), ("", "role", ""),
            ("a-", "subscribe", "-b"), ("", "user", "?role=agent"),
        ][shape];
        let template = template(&format!("{kind}:{before}{{payload.v}}{after}"));
        let text = json!({"type": "t", "payload": {"v": value}}).to_string();
        let target = template.target(&ann().sender(), &Message::parse(&text).unwrap());
        let (role, suffix) = if shape == 6 { (Some("agent".parse().unwrap()), "") } else { (None, after) };
        let name = format!("{before}{value}{suffix}");
        let fits = !value.is_empty() && !value.contains(['*', '\n']) && (suffix.is_empty() || !value.contains(':'));
        let expected = match kind {
            "user" => Target::User { user: name.parse().unwrap_or_else(|_| "-".parse().unwrap()), role },
            "agent" => Target::Agent(name.parse().unwrap_or_else(|_| "-".parse().unwrap())),
            "room" => Target::Room(name.parse().unwrap_or_else(|_| "-".parse().unwrap())),
            "role" => Target::Role(name.parse().unwrap_or_else(|_| "-".parse().unwrap())),
            _ => Target::Subscribe(name.parse().unwrap_or_else(|_| "-".parse().unwrap())),
        };
        prop_assert_eq!(target, fits.then_some(expected));
    }
}
