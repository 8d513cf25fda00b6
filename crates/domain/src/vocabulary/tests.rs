//! There and back again in other words.

use super::*;
use proptest::prelude::*;

use crate::relay::{Cancel, Relay, Reply};

const FROM: &str = r#"{"userId":"ann"}"#;

fn spec(names: &[(&str, &str)], envelope: [Option<&str>; 3]) -> VocabularySpec {
    let [id, payload, reply_to] = envelope.map(|name| name.map(String::from));
    let names = names.iter().map(|(inner, outer)| (inner.to_string(), outer.to_string())).collect();
    VocabularySpec { names, id, payload, reply_to }
}

/// Upper-case types; `request_id` is both the id of a request and what a reply quotes.
fn simulation() -> Vocabulary {
    let names =
        [("ping", "PING"), ("pong", "PONG"), ("error", "ERROR"), ("reply", "COMMAND_COMPLETE"), ("cancel", "CANCEL")];
    Vocabulary::compile(&spec(&names, [Some("request_id"), Some("data"), Some("request_id")])).unwrap()
}

/// `replyTo` alone has another name.
fn quoting() -> Vocabulary {
    Vocabulary::compile(&spec(&[], [None, None, Some("in_reply_to")])).unwrap()
}

fn faults(spec: &VocabularySpec) -> Vec<(String, String)> {
    let faults = Vocabulary::compile(spec).unwrap_err();
    assert!(faults.iter().all(|fault| !fault.remedy.is_empty() && fault.to_string().contains(&fault.key)));
    faults.into_iter().map(|fault| (fault.key, fault.what)).collect()
}

#[test]
fn the_native_vocabulary_changes_nothing() {
    let same = Vocabulary::compile(&spec(&[("ping", "ping")], [Some("id"), None, Some("replyTo")])).unwrap();
    for native in [Vocabulary::native(), Vocabulary::default(), same] {
        assert!(native.is_native());
        let text = r#"{ "type":"PING", "request_id":"7", "id":"8" }"#;
        assert_eq!(native.write(text).as_deref(), Some(text));
        let message = native.read(text).unwrap();
        assert_eq!((&*message.kind, message.id.as_deref(), message.others.len()), ("PING", Some("8"), 1));
    }
    assert!(!simulation().is_native() && !quoting().is_native());
}

#[test]
fn a_client_is_read_in_its_own_words() {
    let words = simulation();
    let message = words.read(r#"{"type":"PING","request\u005fid":"7","data": { "a":1 },"own":[ ]}"#).unwrap();
    assert_eq!((&*message.kind, message.id.as_deref()), ("ping", Some("7")));
    assert_eq!(message.payload.unwrap().get(), r#"{ "a":1 }"#);
    assert_eq!((&*message.others[0].0, message.others[0].1.get()), ("own", "[ ]"));
    assert_eq!(words.read(r#"{"type":"ping"}"#).unwrap().kind, "ping");
    assert_eq!(words.read(r#"{"type":"ping_"}"#).unwrap().kind, "ping_");
}

#[test]
fn the_name_of_both_id_and_reply_to_means_reply_to_in_replies_and_cancels() {
    let words = simulation();
    for (outer, inner) in [("COMMAND_COMPLETE", "reply"), ("reply", "reply"), ("CANCEL", "cancel")] {
        let text = format!(r#"{{"request_id":"7","replyTo":"forged","id":"x","type":"{outer}"}}"#);
        let message = words.read(&text).unwrap();
        assert_eq!((&*message.kind, message.reply_to().as_deref(), message.id), (inner, Some("7"), None));
        assert_eq!(message.others.len(), 1);
    }
}

#[test]
fn native_names_that_are_called_otherwise_here_are_dropped() {
    let message = simulation().read(r#"{"type":"x","id":7,"payload":1,"replyTo":2,"from":3,"offset":4}"#).unwrap();
    assert!(message.id.is_none() && message.payload.is_none() && message.others.is_empty());
    let message = quoting().read(r#"{"type":"x","id":"7","payload":1,"replyTo":2,"in_reply_to":3}"#).unwrap();
    assert_eq!((message.id.as_deref(), message.payload.unwrap().get()), (Some("7"), "1"));
    assert_eq!(message.others.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["in_reply_to"]);
}

#[test]
fn faults_speak_the_client_s_words() {
    let words = simulation();
    let fault = words.read(r#"{"type":"x","request_id":7}"#).unwrap_err();
    assert_eq!(fault.to_string(), "`request_id` is a string of 1 to 128 bytes");
    assert_eq!(
        words.read(r#"{"type":"x","data":1,"d\u0061ta":1}"#).unwrap_err(),
        MessageFault::Repeated("data".into())
    );
    assert_eq!(words.read(r#"{"data":1}"#).unwrap_err(), MessageFault::NoType);
    assert!(matches!(words.read("[]").unwrap_err(), MessageFault::Form(_)));
}

#[test]
fn what_the_gateway_says_is_written_in_the_client_s_words() {
    let words = simulation();
    for (native, outer) in [
        (r#"{"type":"pong","id":"7","payload":{ "id":1 }}"#, r#"{"type":"PONG","request_id":"7","data":{ "id":1 }}"#),
        (r#"{"type":"subscribed","id":"7"}"#, r#"{"type":"subscribed","request_id":"7"}"#),
        (
            r#"{"eventId":"e","type":"PING","payload":1,"room":"r","offset":1}"#,
            r#"{"eventId":"e","type":"PING","data":1,"room":"r","offset":1}"#,
        ),
        (r#"{"type":"x","request_id":1,"data":2,"replyTo":3,"from":{}}"#, r#"{"type":"x","from":{}}"#),
    ] {
        assert_eq!(words.write(native).as_deref(), Some(outer));
    }
    assert_eq!(words.write("nonsense"), None);
    let kept = r#"{"type":"x","in_reply_to":1,"from":{}}"#;
    assert_eq!(quoting().write(kept).as_deref(), Some(kept));
}

#[test]
fn a_reply_and_a_cancel_quote_in_the_client_s_words() {
    let words = simulation();
    let message = Message::parse(r#"{"type":"reply","payload":1,"request_id":"forged"}"#).unwrap();
    let request_id = "00000000-0000-0000-0000-000000000009".parse().unwrap();
    let reply = Reply { message: &message, kind: "reply", reply_to: Some("7"), request_id, more: false, from: FROM };
    let text = r#"{"type":"COMMAND_COMPLETE","request_id":"7","requestId":"00000000-0000-0000-0000-000000000009","from":{"userId":"ann"},"data":1}"#;
    assert_eq!(words.write(&reply.to_text()).as_deref(), Some(text));
    assert_eq!(words.write_reply(&reply.to_text()).as_deref(), Some(text));
    // A reply of its own type, which is what this endpoint calls a reply.
    let own = Reply { kind: "COMMAND_COMPLETE", ..reply };
    assert_eq!(words.write_reply(&own.to_text()).as_deref(), Some(text));
    let cancel = Cancel { request_id, payload: Some("{}") }.to_text();
    assert_eq!(
        words.write(&cancel).as_deref(),
        Some(r#"{"type":"CANCEL","requestId":"00000000-0000-0000-0000-000000000009","data":{}}"#)
    );
    let quoted = quoting().write(&reply.to_text()).unwrap();
    assert!(quoted.starts_with(r#"{"type":"reply","in_reply_to":"7","#), "{quoted}");
}

#[test]
fn a_client_s_message_that_would_pass_for_the_gateway_s_is_withheld() {
    let words = simulation();
    for text in
        [r#"{"type":"PING"}"#, r#"{"type":"ERR\u004fR","from":0}"#, r#"{"type":"COMMAND_COMPLETE","replyTo":"7"}"#]
    {
        let message = Message::parse(text).unwrap();
        let native = Relay { message: &message, kind: &message.kind, from: FROM, request_id: None }.to_text();
        assert_eq!(words.write(&native), None);
        assert!(quoting().write(&native).is_some());
    }
}

#[test]
fn every_fault_of_a_vocabulary_is_told_with_its_place() {
    let long = "x".repeat(129);
    let wrong = spec(
        &[
            ("ping", "P"),
            ("pong", "P"),
            ("piing", "X"),
            ("ack", ""),
            ("reply", "cancel"),
            ("error", "auth.new"),
            ("cancel", "a\nb"),
            ("subscribe", &long),
        ],
        [Some("type"), Some("offset"), Some("")],
    );
    let told = faults(&wrong);
    let keys: Vec<_> = told.iter().map(|(key, _)| &**key).collect();
    assert_eq!(
        keys,
        [
            "names.ack",
            "names.cancel",
            "names.error",
            "names.piing",
            "names.pong",
            "names.reply",
            "names.subscribe",
            "envelope.id",
            "envelope.payload",
            "envelope.reply_to",
        ]
    );
    assert_eq!(told[4].1, "is `P`, which is the name of `ping` here, too");
    assert_eq!(told[6].1, "has 129 bytes");
    let fault = &Vocabulary::compile(&wrong).unwrap_err()[3];
    assert!(fault.remedy.contains("connection_ready, ping, pong"), "{fault}");
}

#[test]
fn two_members_have_not_one_name() {
    for (envelope, key) in [
        ([Some("x"), Some("x"), None], "envelope.id"),
        ([None, Some("id"), None], "envelope.payload"),
        ([None, Some("replyTo"), None], "envelope.payload"),
        ([None, None, Some("payload")], "envelope.reply_to"),
        ([None, None, Some("timestamp")], "envelope.reply_to"),
    ] {
        assert_eq!(faults(&spec(&[], envelope)).iter().map(|(key, _)| &**key).collect::<Vec<_>>(), [key]);
    }
    for envelope in [[None, None, Some("id")], [Some("replyTo"), None, None], [Some("payload"), Some("id"), None]] {
        assert!(Vocabulary::compile(&spec(&[], envelope)).is_ok(), "{envelope:?}");
    }
}

/// All that a message says, to be compared.
#[derive(Debug, PartialEq)]
struct Said {
    kind: String,
    id: Option<String>,
    payload: Option<String>,
    own: Vec<(String, String)>,
}

fn said(message: &Message<'_>) -> Said {
    Said {
        kind: message.kind.to_string(),
        id: message.id.as_deref().map(String::from),
        payload: message.payload.map(|payload| payload.get().to_owned()),
        own: message.others.iter().map(|(name, value)| (name.to_string(), value.get().to_owned())).collect(),
    }
}

prop_compose! {
    /// A vocabulary, and a native message in which nothing collides with it.
    fn conversation()(
        renamed in prop::collection::btree_set(prop::sample::select(crate::envelope::GATEWAY_TYPES.to_vec()), 0..6),
        id in prop::option::of("(request_id|_id|Id\"|replyTo)"),
        payload in prop::option::of("(data|body|é)"),
        reply_to in prop::option::of("(in_reply_to|id)"),
        both in any::<bool>(),
        kind in prop_oneof![prop::sample::select(crate::envelope::GATEWAY_TYPES.to_vec()).prop_map(String::from), "[a-z\"\\\\é]{1,8}"],
        own_id in prop::option::of("[^\\p{Cc}]{1,20}"),
        says in prop::option::of("[^\\p{Cc}]{0,20}"),
        quotes in prop::option::of("[a-z\"]{1,5}"),
        own in prop::collection::btree_map("own[a-z\"\\\\\\n]{0,5}", "[^\\p{Cc}]{0,9}", 0..4),
    ) -> (Vocabulary, String) {
        let names = renamed.iter().map(|inner| (inner.to_string(), inner.to_uppercase())).collect();
        let reply_to = if both { id.clone() } else { reply_to };
        let words = Vocabulary::compile(&VocabularySpec { names, id, payload, reply_to }).unwrap();
        let mut native = Object::with_capacity(0);
        native.text("type", &kind);
        let answers = is_answer(&kind);
        if let Some(id) = own_id.filter(|_| !answers) {
            native.text("id", &id);
        }
        if let Some(says) = says {
            native.text("payload", &says);
        }
        if let Some(quotes) = quotes.filter(|_| answers) {
            native.text("replyTo", &quotes);
        }
        for (name, value) in &own {
            native.member(name, &serde_json::to_string(value).unwrap());
        }
        (words, native.finish())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_was_written_in_some_words_reads_the_same_in_them((words, native) in conversation(), routed in any::<bool>()) {
        let message = Message::parse(&native).unwrap();
        let text = if routed {
            Relay { message: &message, kind: &message.kind, from: FROM, request_id: None }.to_text()
        } else {
            native.clone()
        };
        let outer = words.write(&text).unwrap();
        prop_assert_eq!(said(&words.read(&outer).unwrap()), said(&message));
    }

    #[test]
    fn no_text_makes_a_reader_or_a_writer_panic(text in "\\PC{0,100}", (words, _) in conversation()) {
        let _ = (words.read(&text), words.write(&text), words.write_reply(&text));
    }

    #[test]
    fn whatever_is_written_has_each_member_once(
        (words, _) in conversation(),
        names in prop::collection::btree_set("(id|payload|replyTo|request_id|data|in_reply_to|_id|body|own)", 0..8),
        kind in "(reply|cancel|x|REPLY|PING)",
    ) {
        let mut native = Object::with_capacity(0);
        native.text("type", &kind);
        names.iter().for_each(|name| native.member(name, r#""v""#));
        native.json("from", FROM);
        let native = native.finish();
        for outer in [words.write(&native), words.write_reply(&native)].into_iter().flatten() {
            let got = members(&outer);
            prop_assert!(got.is_ok(), "{}", outer);
            // Nothing of another name is taken for the gateway's.
            prop_assert_eq!(got.unwrap().iter().filter(|(name, _)| name == "from").count(), 1);
        }
    }
}

#[test]
fn the_id_of_what_is_no_message_is_found_where_there_is_one() {
    let native = Vocabulary::native();
    for (text, id) in [
        (r#"{"id":"7","type":1}"#, Some("7")),
        (r#"{"id":"7","type":"a","type":"b"}"#, Some("7")),
        (r#"{"\u0069d":"\u0037"}"#, Some("7")),
        (r#"{"id":"7","id":"8","type":"a"}"#, None),
        (r#"{"id":7}"#, None),
        (r#"{"id":""}"#, None),
        (r#"{"id":"7""#, None),
        ("[]", None),
    ] {
        assert_eq!(native.id_in(text).as_deref(), id, "{text}");
    }
    let other = Vocabulary::compile(&VocabularySpec { id: Some("request_id".into()), ..Default::default() }).unwrap();
    assert_eq!(other.id_in(r#"{"request_id":"7","id":"8"}"#).as_deref(), Some("7"));
}
