//! What is a message and what is not, and why.

use super::*;
use proptest::prelude::*;

fn fault(text: &str) -> MessageFault {
    Message::parse(text).unwrap_err()
}

#[test]
fn a_message_keeps_its_payload_and_its_own_members_byte_for_byte() {
    let text = r#"{"type":"command","id":"7","payload": {"b":1.0,"a":[ ]},"ack":true,"mine":{"x" : 1}}"#;
    let message = Message::parse(text).unwrap();
    assert_eq!((&*message.kind, message.id.as_deref(), message.ack), ("command", Some("7"), true));
    assert_eq!(message.payload.unwrap().get(), r#"{"b":1.0,"a":[ ]}"#);
    assert_eq!((&*message.others[0].0, message.others[0].1.get()), ("mine", r#"{"x" : 1}"#));
}

#[test]
fn what_only_the_gateway_sets_is_dropped() {
    let text = r#"{"type":"x","from":{"userId":"root"},"requestId":1,"\u0065ventId":2,"room":"r","offset":9,"own":1}"#;
    let message = Message::parse(text).unwrap();
    assert_eq!(message.others.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["own"]);
}

#[test]
fn a_member_that_comes_twice_is_refused_however_it_is_escaped() {
    assert_eq!(fault(r#"{"type":"a","type":"b"}"#), MessageFault::Repeated("type".into()));
    assert_eq!(fault(r#"{"type":"a","\u0074ype":"b"}"#), MessageFault::Repeated("type".into()));
    assert_eq!(fault(r#"{"type":"a","from":1,"fro\u006d":2}"#), MessageFault::Repeated("from".into()));
}

#[test]
fn what_has_not_the_form_is_told_why() {
    for text in ["", "[]", "1", "\"x\"", "{", r#"{"type":"x"} x"#, r#"{"type":"x","ack":1}"#, "null"] {
        assert!(matches!(fault(text), MessageFault::Form(_)), "{text}");
    }
    for text in ["{}", r#"{"type":""}"#, r#"{"type":1}"#] {
        assert_eq!(fault(text), MessageFault::NoType, "{text}");
    }
    let long = format!(r#"{{"type":"x","id":"{}"}}"#, "i".repeat(129));
    for text in [r#"{"type":"x","id":""}"#, r#"{"type":"x","id":7}"#, &long] {
        assert_eq!(fault(text), MessageFault::Id, "{text}");
    }
    let many: Vec<_> = (0..MOST_MEMBERS).map(|n| format!(r#""m{n}":0"#)).collect();
    assert_eq!(fault(&format!(r#"{{"type":"x",{}}}"#, many.join(","))), MessageFault::TooManyMembers);
}

#[test]
fn depth_alone_breaks_nothing() {
    let deep = format!(r#"{{"type":"x","payload":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let message = Message::parse(&deep);
    assert!(message.is_err() || message.unwrap().payload.is_some());
}

#[test]
fn a_payload_is_read_as_what_it_should_be() {
    let message = Message::parse(r#"{"type":"x","payload":{"token":"t\u0031"}}"#).unwrap();
    #[derive(Deserialize)]
    struct Payload {
        token: String,
    }
    assert_eq!(message.payload_as::<Payload>().unwrap().token, "t1");
    assert!(message.payload_as::<u8>().unwrap_err().to_string().starts_with("the payload of `x`"));
    assert_eq!(Message::parse(r#"{"type":"x"}"#).unwrap().payload_as::<Option<u8>>().unwrap(), None);
}

#[test]
fn reserved_types_are_known() {
    for kind in ["ping", "auth.refresh", "auth.x", "presence.joined", "agent.online", "connection_ready"] {
        assert!(is_reserved_type(kind), "{kind}");
    }
    for kind in ["command", "PING", "agent.status", "authx", "event"] {
        assert!(!is_reserved_type(kind), "{kind}");
    }
}

#[test]
fn a_notice_has_what_it_needs_and_no_more() {
    let notice = Notice { kind: "pong", id: None, payload: None::<()> };
    assert_eq!(notice.to_text().unwrap(), r#"{"type":"pong"}"#);
    let notice = Notice { kind: "pong", id: Some("7"), payload: Some([1]) };
    assert_eq!(notice.to_text().unwrap(), r#"{"type":"pong","id":"7","payload":[1]}"#);
}

#[test]
fn a_reply_says_what_it_answers_and_whether_there_is_more() {
    let message = Message::parse(r#"{"type":"reply","reply\u0054o":"r\u0031","more":true}"#).unwrap();
    assert_eq!((message.reply_to().as_deref(), message.more()), (Some("r1"), Ok(true)));
    assert_eq!(message.own("more").unwrap().get(), "true");
    let message = Message::parse(r#"{"type":"reply","replyTo":7,"more":1}"#).unwrap();
    assert_eq!(message.reply_to(), None);
    assert_eq!(message.more(), Err(MessageFault::Form("`more` is true or false".into())));
    let message = Message::parse(r#"{"type":"reply"}"#).unwrap();
    assert_eq!((message.reply_to(), message.more(), message.own("more").is_none()), (None, Ok(false), true));
}

#[test]
fn a_text_that_is_half_a_character_is_no_type_and_no_id() {
    assert_eq!(fault(r#"{"type":"\ud800"}"#), MessageFault::NoType);
    assert_eq!(fault(r#"{"type":"x","id":"\ud800"}"#), MessageFault::Id);
    assert_eq!(fault(r#"{"id":"","type":7}"#), MessageFault::Id, "the first fault is told");
    assert!(matches!(fault(r#"{"type":"x","\ud800":1}"#), MessageFault::Form(_)));
}

#[test]
fn every_type_that_the_gateway_uses_is_reserved() {
    assert!(GATEWAY_TYPES.iter().all(|kind| is_reserved_type(kind)));
}

#[test]
fn the_last_of_many_names_is_compared_with_all() {
    let many: Vec<_> = (0..MOST_MEMBERS - 2).map(|n| format!(r#""m{n}":0"#)).collect();
    let text = |last: &str| format!(r#"{{"type":"x",{},"{last}":0}}"#, many.join(","));
    assert_eq!(Message::parse(&text("last")).unwrap().others.len(), MOST_MEMBERS - 1);
    assert_eq!(fault(&text("m0")), MessageFault::Repeated("m0".into()));
    assert_eq!(fault(&text("\\u006d61")), MessageFault::Repeated("m61".into()));
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        let _ = Message::parse(&text);
    }

    #[test]
    fn what_serde_json_wrote_is_read_back(kind in "[a-z\\\\\"é]{1,20}", id in "[^\\p{C}]{1,20}", payload in any::<i64>()) {
        let text = serde_json::json!({"type": kind, "id": id, "payload": payload}).to_string();
        match Message::parse(&text) {
            Ok(message) => {
                prop_assert_eq!(&*message.kind, kind);
                prop_assert_eq!(message.id.as_deref(), Some(&*id));
                prop_assert_eq!(message.payload_as::<i64>().unwrap(), payload);
            }
            Err(fault) => { prop_assert_eq!(fault, MessageFault::Id); prop_assert!(id.len() > 128); }
        }
    }
}
