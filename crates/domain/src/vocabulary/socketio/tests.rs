//! What is emitted becomes a message, what is said becomes a packet: each form once, then any text at all.

use crate::vocabulary::Vocabulary;
use proptest::prelude::*;

fn dashboard() -> Vocabulary {
    Vocabulary::socketio("/dashboard")
}

fn written(native: &str) -> Option<String> {
    dashboard().write(native)
}

fn replied(native: &str) -> Option<String> {
    dashboard().write_reply(native)
}

#[test]
fn what_is_emitted_is_a_message_of_that_type() {
    let vocabulary = dashboard();
    let message = vocabulary.read(r#"["command",{ "a":1 }]"#).unwrap();
    assert_eq!((&*message.kind, message.id.as_deref(), message.ack), ("command", None, false));
    assert_eq!(message.payload.unwrap().get(), r#"{ "a":1 }"#);
    let message = vocabulary.read(r#"17["ping"]"#).unwrap();
    assert_eq!((&*message.kind, message.id.as_deref(), message.ack), ("ping", Some("17"), true));
    assert!(message.payload.is_none() && message.others.is_empty());
}

#[test]
fn a_reply_and_a_cancel_say_what_they_answer_in_their_argument() {
    let vocabulary = dashboard();
    let message = vocabulary.read(r#"4["reply",{"replyTo":"r","more":true,"payload":[1],"id":"x","from":1}]"#).unwrap();
    assert_eq!((&*message.kind, message.id.as_deref()), ("reply", Some("4")));
    assert_eq!((message.reply_to().as_deref(), message.more().unwrap()), (Some("r"), true));
    assert_eq!(message.payload.unwrap().get(), "[1]");
    assert!(message.own("from").is_none(), "only the gateway says who speaks");
    assert!(vocabulary.read(r#"["cancel","r"]"#).is_err());
}

#[test]
fn what_is_no_event_is_told_so_with_its_number() {
    let vocabulary = dashboard();
    for text in ["", "7", "7{}", r#"7["a""#, "7[1]", "7[]", r#"7["",1]"#, r#"7["a",1,2]"#, r#"7["a",1]x"#] {
        assert!(vocabulary.read(text).is_err(), "{text}");
    }
    assert_eq!(vocabulary.id_in(r#"7["a",1,2]"#).as_deref(), Some("7"));
    assert_eq!(vocabulary.id_in(r#"["a",1,2]"#), None);
    let fault = vocabulary.read(r#"["a",1,2]"#).unwrap_err().to_string();
    assert!(fault.contains("one argument"), "{fault}");
}

#[test]
fn an_event_arrives_whole_and_without_its_room() {
    let event = r#"{"eventId":"e","type":"dashboard:x","timestamp":"t","payload":{ "a":1 }}"#;
    let packet = format!(r#"42/dashboard,["dashboard:x",{event}]"#);
    assert_eq!(written(event).as_deref(), Some(&*packet));
    let placed = format!(r#"{},"room":"r","offset":7}}"#, event.strip_suffix('}').unwrap());
    assert_eq!(written(&placed).as_deref(), Some(&*packet));
    assert_eq!(Vocabulary::socketio("/").write(event).unwrap(), format!(r#"42["dashboard:x",{event}]"#));
}

#[test]
fn what_another_client_said_arrives_whole_and_its_id_is_no_callback_of_ours() {
    let text = r#"{"type":"note","id":"17","payload":1,"own":2,"from":{"userId":"ann"}}"#;
    assert_eq!(written(text).unwrap(), format!(r#"42/dashboard,["note",{text}]"#));
}

#[test]
fn what_the_gateway_says_arrives_as_its_payload() {
    let say = |text: &str| written(text).unwrap();
    assert_eq!(say(r#"{"type":"auth.expiring","payload":{"a":1}}"#), r#"42/dashboard,["auth.expiring",{"a":1}]"#);
    assert_eq!(say(r#"{"type":"error","payload":{"code":"X"}}"#), r#"42/dashboard,["error",{"code":"X"}]"#);
    assert_eq!(say(r#"{"type":"subscribed"}"#), r#"42/dashboard,["subscribed"]"#);
    let cancel = r#"{"type":"cancel","requestId":"r"}"#;
    assert_eq!(say(cancel), format!(r#"42/dashboard,["cancel",{cancel}]"#));
}

#[test]
fn an_answer_goes_into_its_callback() {
    let say = |text: &str| written(text).unwrap();
    assert_eq!(
        say(r#"{"type":"ack","id":"3","payload":{"delivered":2}}"#),
        r#"43/dashboard,3[{"ok":true,"payload":{"delivered":2}}]"#
    );
    assert_eq!(say(r#"{"type":"ack","id":"3"}"#), r#"43/dashboard,3[{"ok":true}]"#);
    assert_eq!(say(r#"{"type":"pong","id":"3","payload":null}"#), r#"43/dashboard,3[{"ok":true,"payload":null}]"#);
    assert_eq!(
        say(r#"{"type":"error","id":"3","payload":{"code":"X"}}"#),
        r#"43/dashboard,3[{"ok":false,"error":{"code":"X"}}]"#
    );
    assert_eq!(
        say(r#"{"type":"reply","payload":1,"replyTo":"3"}"#),
        r#"43/dashboard,3[{"ok":true,"payload":1}]"#,
        "the answer of a service"
    );
}

#[test]
fn the_last_reply_goes_into_the_callback_and_progress_is_an_event() {
    let last = r#"{"type":"DONE","replyTo":"3","requestId":"r","from":{},"payload":1}"#;
    assert_eq!(replied(last).unwrap(), r#"43/dashboard,3[{"ok":true,"payload":1}]"#);
    let progress = r#"{"type":"reply","replyTo":"3","requestId":"r","more":true,"from":{},"payload":1}"#;
    assert_eq!(replied(progress).unwrap(), format!(r#"42/dashboard,["reply",{progress}]"#));
    let without = r#"{"type":"reply","requestId":"r","from":{},"payload":1}"#;
    assert_eq!(replied(without).unwrap(), format!(r#"42/dashboard,["reply",{without}]"#));
}

#[test]
fn heartbeats_and_words_of_the_library_are_withheld_and_the_greeting_is_the_admission() {
    for native in [r#"{"type":"ping"}"#, r#"{"type":"pong","payload":1}"#, r#"{"type":"connect","from":{}}"#] {
        assert_eq!(written(native), None, "{native}");
    }
    assert_eq!(
        written(r#"{"type":"connection_ready","payload":{"protocol":1,"connectionId":"c","more":[]}}"#).unwrap(),
        r#"40/dashboard,{"sid":"c"}"#
    );
}

proptest! {
    #[test]
    fn no_text_panics(text in "[0-9]{0,3}[\\[\\]\",a-z:{}0-9]{0,40}") {
        let vocabulary = dashboard();
        let _ = (vocabulary.read(&text), vocabulary.id_in(&text));
        let _ = (vocabulary.write(&text), vocabulary.write_reply(&text));
    }

    /// Whatever a payload is, it comes through as it was written.
    #[test]
    fn payloads_are_untouched(number in prop::option::of(0u64..), text in any::<String>()) {
        let payload = serde_json::json!({ "text": text }).to_string();
        let number = number.map(|number| number.to_string()).unwrap_or_default();
        let emitted = format!(r#"{number}["note",{payload}]"#);
        prop_assert_eq!(dashboard().read(&emitted).unwrap().payload.unwrap().get(), &payload);
        let native = format!(r#"{{"type":"note","payload":{payload}}}"#);
        prop_assert_eq!(dashboard().write(&native).unwrap(), format!(r#"42/dashboard,["note",{payload}]"#));
    }
}
