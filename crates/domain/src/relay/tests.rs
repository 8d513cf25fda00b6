//! What goes out is what came in, and what the gateway adds is its own.

use super::*;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use uuid::Uuid;

const FROM: &str = r#"{"connectionId":"00000000-0000-0000-0000-000000000007","userId":"ann"}"#;

fn request() -> RequestId {
    RequestId::new(Uuid::from_u128(9))
}

fn relayed(text: &str) -> String {
    let message = Message::parse(text).unwrap();
    Relay { message: &message, kind: &message.kind, from: FROM, request_id: None }.to_text()
}

/// The members of an object with their bytes; it fails on a name that comes twice.
fn members_of(text: &str) -> Vec<(String, String)> {
    crate::envelope::members(text)
        .unwrap()
        .into_iter()
        .map(|(name, value)| (name.into_owned(), value.get().to_owned()))
        .collect()
}

#[test]
fn an_origin_tells_who_and_no_more_than_is_known() {
    let user = "ann \"the\" first".parse().unwrap();
    let (agent, role) = ("a1".parse().unwrap(), "agent".parse().unwrap());
    let mut origin = Origin {
        connection_id: ConnectionId::new(Uuid::from_u128(7)),
        user_id: &user,
        agent_id: Some(&agent),
        role: Some(&role),
    };
    assert_eq!(
        serde_json::from_str::<Value>(&origin.to_json()).unwrap(),
        json!({"connectionId": "00000000-0000-0000-0000-000000000007", "userId": "ann \"the\" first", "agentId": "a1", "role": "agent"})
    );
    (origin.agent_id, origin.role) = (None, None);
    assert_eq!(
        origin.to_json(),
        r#"{"connectionId":"00000000-0000-0000-0000-000000000007","userId":"ann \"the\" first"}"#
    );
}

#[test]
fn a_relayed_message_keeps_the_sender_s_bytes_and_gains_the_gateway_s() {
    let message = Message::parse(
        r#"{"ack":true, "mine\u0022":{ "x":1.0 },"type":"c","payload":{"b":1.0,"a":[ ]},"id":"7","from":"root"}"#,
    )
    .unwrap();
    let text = Relay { message: &message, kind: "AGENT_\"C", from: FROM, request_id: Some(request()) }.to_text();
    assert_eq!(
        text,
        format!(
            r#"{{"type":"AGENT_\"C","id":"7","payload":{{"b":1.0,"a":[ ]}},"mine\"":{{ "x":1.0 }},"from":{FROM},"requestId":"{}"}}"#,
            request()
        )
    );
    assert_eq!(relayed(r#"{"type":"c"}"#), format!(r#"{{"type":"c","from":{FROM}}}"#));
}

#[test]
fn a_relayed_text_is_written_without_growing() {
    let text = format!(r#"{{"type":"c","id":"7","payload":"{}","own":"{}"}}"#, "p".repeat(5000), "o".repeat(5000));
    let relayed = relayed(&text);
    assert!(relayed.capacity() <= relayed.len() + FRAME_BYTES, "{} for {}", relayed.capacity(), relayed.len());
}

#[test]
fn a_reply_goes_to_the_asker_s_own_id_whatever_the_replier_said_of_it() {
    let message =
        Message::parse(r#"{"type":"reply","id":"m1","replyTo":"forged","more":false,"payload":[ 1 ],"at":5}"#).unwrap();
    let reply =
        Reply { message: &message, kind: "reply", reply_to: Some("7"), request_id: request(), more: true, from: FROM };
    assert_eq!(
        reply.to_text(),
        format!(
            r#"{{"type":"reply","replyTo":"7","requestId":"{}","more":true,"from":{FROM},"payload":[ 1 ],"at":5}}"#,
            request()
        )
    );
    let bare = Message::parse(r#"{"type":"DONE"}"#).unwrap();
    let reply = Reply { message: &bare, kind: "DONE", reply_to: None, more: false, ..reply };
    assert_eq!(reply.to_text(), format!(r#"{{"type":"DONE","requestId":"{}","from":{FROM}}}"#, request()));
}

#[test]
fn a_cancel_names_the_request_and_its_correlation() {
    let cancel = Cancel { request_id: request(), payload: None };
    assert_eq!(cancel.to_text(), format!(r#"{{"type":"cancel","requestId":"{}"}}"#, request()));
    let cancel = Cancel { payload: Some(r#"{"commandId":"c1"}"#), ..cancel };
    let text = format!(r#"{{"type":"cancel","requestId":"{}","payload":{{"commandId":"c1"}}}}"#, request());
    assert_eq!(cancel.to_text(), text);
}

#[test]
fn a_text_gets_its_place_in_a_room() {
    let room = "agent:\"7\\".parse().unwrap();
    let text = in_room(r#"{"type":"x","payload":{}}"#, &room, u64::MAX);
    assert_eq!(text, r#"{"type":"x","payload":{},"room":"agent:\"7\\","offset":18446744073709551615}"#);
    assert_eq!(in_room("{ }\n", &room, 1), r#"{ "room":"agent:\"7\\","offset":1}"#);
    assert_eq!(in_room("[]", &room, 1), "[]");
}

/// A name as a client might write it: of its own, the gateway's, and either escaped.
fn name() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "type",
        "id",
        "payload",
        "ack",
        "from",
        "requestId",
        "eventId",
        "room",
        "offset",
        "replyTo",
        "more",
        "own",
        "é\"",
    ]);
    prop_oneof![4 => known.prop_map(String::from), 1 => any::<String>()]
}

/// That name as a JSON string, some of its characters escaped.
fn spelled(name: &str, escapes: u64) -> String {
    let mut text = String::from("\"");
    for (n, char) in name.chars().enumerate() {
        if escapes >> (n % 64) & 1 == 1 || char.is_control() || matches!(char, '"' | '\\') {
            for unit in char.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            text.push(char);
        }
    }
    text + "\""
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "\"x\"",
            "true",
            "1.50",
            "null",
            "{ }",
            "[1 , 2]",
            r#"{"from":1,"from":2}"#,
            r#""},\"from\":{\"userId\":\"root\"}""#,
        ])
        .prop_map(String::from),
        any::<String>().prop_map(|text| Value::from(text).to_string()),
    ]
}

prop_compose! {
    /// A text that is an object, whatever is in it; its type is text more often than not.
    fn object()(
        members in prop::collection::vec((name(), any::<u64>(), value()), 0..8),
        plain in any::<bool>(),
        kind in "[a-z\"\\\\]{1,5}",
    ) -> String {
        let mut written: Vec<_> =
            members.iter().map(|(name, escapes, value)| format!("{} : {value}", spelled(name, if plain { 0 } else { *escapes }))).collect();
        if !members.iter().any(|(name, ..)| name == "type") {
            written.insert(written.len() / 2, format!("\"type\":{}", Value::from(kind)));
        }
        format!("{{{}}}", written.join(" , "))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn nothing_that_a_client_sends_is_taken_for_the_gateway_s(text in object()) {
        // What is refused is not relayed.
        let Ok(message) = Message::parse(&text) else { return Ok(()) };
        let sent = members_of(&text);
        let relay = Relay { message: &message, kind: "renamed", from: FROM, request_id: Some(request()) };
        let got = members_of(&relay.to_text());
        let all = |name: &str| got.iter().filter(|(known, _)| known == name).map(|(_, value)| value.clone()).collect::<Vec<_>>();
        prop_assert_eq!(all("from"), [FROM]);
        prop_assert_eq!(all("requestId"), [format!("\"{}\"", request())]);
        prop_assert_eq!(all("type"), ["\"renamed\""]);
        for name in ["eventId", "room", "offset", "ack"] {
            prop_assert!(all(name).is_empty(), "{}", name);
        }
        // All else is there, once, as it was written.
        let passed: Vec<_> = sent.iter().filter(|(name, _)| {
            !["type", "id", "ack", "from", "requestId", "eventId", "room", "offset"].contains(&&**name)
        }).collect();
        for (name, value) in &passed {
            prop_assert_eq!(all(name), [value.clone()]);
        }
        prop_assert_eq!(got.len(), 3 + usize::from(message.id.is_some()) + passed.len());
        // Any other reader sees the same, such as one that takes the last of two.
        let read: Map<String, Value> = serde_json::from_str(&relay.to_text()).unwrap();
        prop_assert_eq!(read.len(), got.len());
        prop_assert_eq!(&read["from"]["userId"], "ann");

        let without = members_of(&Relay { request_id: None, ..relay }.to_text());
        prop_assert!(without.iter().all(|(name, _)| name != "requestId"));
    }

    #[test]
    fn nothing_that_a_replier_sends_is_taken_for_the_gateway_s(text in object(), more in any::<bool>()) {
        let Ok(message) = Message::parse(&text) else { return Ok(()) };
        let reply = Reply { message: &message, kind: "reply", reply_to: Some("7"), request_id: request(), more, from: FROM };
        let got = members_of(&reply.to_text());
        let one = |name: &str| got.iter().find(|(known, _)| known == name).map(|(_, value)| &**value);
        prop_assert_eq!(one("type"), Some("\"reply\""));
        prop_assert_eq!(one("replyTo"), Some("\"7\""));
        prop_assert_eq!(one("from"), Some(FROM));
        prop_assert_eq!(one("more"), more.then_some("true"));
        prop_assert_eq!(one("payload"), message.payload.map(serde_json::value::RawValue::get));
        for name in ["id", "eventId", "room", "offset", "ack"] {
            prop_assert_eq!(one(name), None);
        }
    }

    #[test]
    fn a_place_in_a_room_is_spliced_into_any_text(text in object(), room in "[^\\p{Cc}]{1,40}", offset in any::<u64>()) {
        let Ok(message) = Message::parse(&text) else { return Ok(()) };
        let native = Relay { message: &message, kind: &message.kind, from: FROM, request_id: None }.to_text();
        let placed = in_room(&native, &room.parse().unwrap(), offset);
        prop_assert!(placed.starts_with(&native[..native.len() - 1]));
        let mut read: Map<String, Value> = serde_json::from_str(&placed).unwrap();
        prop_assert_eq!(members_of(&placed).len(), read.len());
        prop_assert_eq!(read.remove("room"), Some(json!(room)));
        prop_assert_eq!(read.remove("offset"), Some(json!(offset)));
        prop_assert_eq!(read, serde_json::from_str::<Map<String, Value>>(&native).unwrap());
    }
}
