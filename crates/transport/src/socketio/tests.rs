//! The examples of the protocol document, what it does not allow, and every limit from both sides.

use super::*;
use proptest::prelude::*;

mod holes;

/// All that a client sends, one message after the other.
enum Message<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
}
use Message::{Binary, Text};

/// What came of it, in a line each.
fn read(limits: PacketLimits, messages: &[Message<'_>]) -> Result<Vec<String>, Fault> {
    let mut decoder = Decoder::new(limits);
    let mut said = Vec::new();
    for message in messages {
        let packet = match message {
            Text(text) => decoder.text(text)?,
            Binary(bytes) => decoder.binary(Bytes::copy_from_slice(bytes))?,
        };
        said.extend(packet.map(|packet| told(&packet)));
    }
    Ok(said)
}

fn one(text: &str) -> Result<String, Fault> {
    read(PacketLimits::default(), &[Text(text)]).map(|said| said.concat())
}

fn told(packet: &Packet<'_>) -> String {
    let json = |list: &[Json<'_>]| list.iter().map(|json| json.get()).collect::<Vec<_>>().join(" ");
    let bytes = |list: &[Bytes]| list.iter().map(|bytes| format!(" {bytes:?}")).collect::<String>();
    let place = format!("{}{}", packet.namespace.path(), packet.namespace.query().map_or("", |_| "?"));
    match &packet.body {
        Body::Connect(credentials) => format!("{place} connect {}", credentials.json().map_or("", RawValue::get)),
        Body::Disconnect => format!("{place} disconnect"),
        Body::ConnectError(json) => format!("{place} refused {}", json.get()),
        Body::Event(Event { ack, name, arguments, attachments }) => {
            let ack = ack.map(|ack| format!("#{ack} ")).unwrap_or_default();
            format!("{place} {ack}{name}({}){}", json(arguments), bytes(attachments))
        }
        Body::Ack(Ack { id, arguments, attachments }) => {
            format!("{place} ack #{id}({}){}", json(arguments), bytes(attachments))
        }
    }
}

#[test]
fn the_examples_of_the_protocol_are_read() {
    for (text, expected) in [
        ("0", "/ connect "),
        ("0/admin,", "/admin connect "),
        ("0/admin", "/admin connect "),
        (r#"0/admin,{"token":"123"}"#, r#"/admin connect {"token":"123"}"#),
        (r#"0{"token":"123"}"#, r#"/ connect {"token":"123"}"#),
        ("0/admin?x=1,{}", "/admin? connect {}"),
        (r#"4{"message":"Not authorized"}"#, r#"/ refused {"message":"Not authorized"}"#),
        (r#"4/admin,"no""#, r#"/admin refused "no""#),
        (r#"2["foo"]"#, "/ foo()"),
        (r#"2/admin,["bar"]"#, "/admin bar()"),
        (r#"212["foo"]"#, "/ #12 foo()"),
        (r#"2/admin,456["project:delete",123]"#, "/admin #456 project:delete(123)"),
        (r#"2["hello",1,"2",{"b":[ 3 ]}]"#, r#"/ hello(1 "2" {"b":[ 3 ]})"#),
        (r#"2["gr\u00fc\n"]"#, "/ grü\n()"),
        (r#"2[""]"#, "/ ()"),
        ("3/admin,456[]", "/admin ack #456()"),
        (r#"3/admin,13["bar"]"#, r#"/admin ack #13("bar")"#),
        ("30[]", "/ ack #0()"),
        ("1", "/ disconnect"),
        ("1/admin,", "/admin disconnect"),
        ("1/admin", "/admin disconnect"),
    ] {
        assert_eq!(one(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn attachments_are_waited_for_and_belong_to_their_packet() {
    let limits = PacketLimits::default();
    let place = |number: usize| format!(r#"{{"_placeholder":true,"num":{number}}}"#);
    let event = format!(r#"52-/admin,["baz",{},[{{"deep":{}}}]]"#, place(1), place(0));
    assert_eq!(
        read(limits, &[Text(&event), Binary(b"a"), Binary(b"b"), Text("1")]).unwrap(),
        [format!(r#"/admin baz({} [{{"deep":{}}}]) b"a" b"b""#, place(1), place(0)), "/ disconnect".into(),]
    );
    let ack = format!(r#"61-15["bar",{}]"#, place(0));
    assert_eq!(
        read(limits, &[Text(&ack), Binary(&[1, 2])]).unwrap(),
        [format!(r#"/ ack #15("bar" {}) b"\x01\x02""#, place(0))]
    );
    assert_eq!(
        one(&format!(r#"2["a",{}]"#, place(7))).unwrap(),
        format!("/ a({})", place(7)),
        "without attachments it is an object like any other"
    );
    let mut decoder = Decoder::new(limits);
    assert!(decoder.text(&ack).unwrap().is_none() && decoder.is_waiting());
    assert!(decoder.binary(Bytes::new()).unwrap().is_some() && !decoder.is_waiting());
}

#[test]
fn what_is_no_packet_is_named() {
    for (text, fault) in [
        ("", Fault::Empty),
        ("7", Fault::UnknownKind),
        ("x", Fault::UnknownKind),
        ("é", Fault::UnknownKind),
        ("02", Fault::StrayAckId),
        ("0[]", Fault::Body),
        ("0x", Fault::Body),
        (r#"0"token""#, Fault::Body),
        ("0{", Fault::Body),
        ("0{}{}", Fault::Body),
        ("0/a\u{7},", Fault::Namespace(256)),
        ("11", Fault::StrayAckId),
        ("1{}", Fault::Body),
        ("1/admin,{}", Fault::Body),
        ("2", Fault::Body),
        ("2[]", Fault::NoName),
        ("2{}", Fault::Body),
        (r#"2"a""#, Fault::Body),
        ("2[1]", Fault::NoName),
        (r#"2[["a"]]"#, Fault::NoName),
        (r#"2["a"]x"#, Fault::Body),
        (r#"2["a",]"#, Fault::Body),
        (r#"2["a" "b"]"#, Fault::Body),
        (r#"2["\ud800"]"#, Fault::NoName),
        (r#"2["connect"]"#, Fault::ReservedName),
        (r#"2["disconn\u0065ct"]"#, Fault::ReservedName),
        (r#"2["newListener",1]"#, Fault::ReservedName),
        ("2admin,[\"a\"]", Fault::Body),
        ("3[]", Fault::StrayAckId),
        ("3/admin,[]", Fault::StrayAckId),
        ("31{}", Fault::Body),
        ("4", Fault::Body),
        ("4[]", Fault::Body),
        ("41{}", Fault::StrayAckId),
        ("5", Fault::Attachments),
        (r#"5["a"]"#, Fault::Attachments),
        (r#"51["a"]"#, Fault::Attachments),
        (r#"5-["a"]"#, Fault::Attachments),
        (r#"5+1-["a"]"#, Fault::Attachments),
        ("61-[]", Fault::StrayAckId),
    ] {
        assert_eq!(one(text), Err(fault), "{text:?}");
        assert!(fault.refusal().code.close_code().is_some());
    }
}

#[test]
fn bytes_and_texts_come_in_their_order() {
    let limits = PacketLimits::default();
    let event = r#"51-["a",{"_placeholder":true,"num":0}]"#;
    assert_eq!(read(limits, &[Binary(b"x")]), Err(Fault::Unannounced));
    assert_eq!(read(limits, &[Text(event), Binary(b"x"), Binary(b"y")]), Err(Fault::Unannounced));
    assert_eq!(read(limits, &[Text(event), Text("1")]), Err(Fault::Interrupted));
    assert_eq!(read(limits, &[Text(r#"2["a"]"#), Binary(b"x")]), Err(Fault::Unannounced));
}

#[test]
fn each_attachment_has_one_place() {
    let place = |number: &str| format!(r#"{{"_placeholder":true,"num":{number}}}"#);
    let (zero, one_) = (place("0"), place("1"));
    for list in [
        format!("[\"a\",{zero}]"),
        format!("[\"a\",{zero},{zero}]"),
        format!("[\"a\",{zero},{}]", place("2")),
        format!("[\"a\",{zero},{}]", place("-1")),
        format!("[\"a\",{zero},{}]", place("1.0")),
        format!("[\"a\",{zero},{}]", place("1e0")),
        format!("[\"a\",{zero},{}]", place("\"1\"")),
        format!("[\"a\",{zero},{}]", place("null")),
        format!("[\"a\",{zero},{}]", place("18446744073709551616")),
        format!("[\"a\",{zero},{one_},{zero}]"),
        format!("[\"a\",{zero},{}]", r#"{"_placeholder":true}"#),
        format!("[\"a\",{zero},{}]", r#"{"_placeholder":true,"num":1,"x":1}"#),
        format!("[\"a\",{zero},{}]", r#"{"_placeholder":true,"num":0,"num":1}"#),
        format!("[\"a\",{zero},{}]", r#"{"_placeholder":true,"_placeholder":true}"#),
        format!("[\"a\",{zero},{}]", r#"{"_placeholder":1,"num":1}"#),
        format!("[\"a\",{zero},{}]", r#"{"_placeholder":false,"num":1}"#),
    ] {
        assert_eq!(one(&format!("52-{list}")), Err(Fault::Placeholders), "{list}");
    }
    for list in [
        format!("[\"a\",{one_},{zero}]"),
        format!("[\"a\",[[{zero}],{{\"x\":{one_},\"num\":1}}]]"),
        format!("[\"a\",{zero},{}]", r#"{"num":1,"\u005fplaceholder":true}"#),
        format!("[\"a\",{zero},{one_},{}]", r#"{"_placeholder":false,"num":1}"#),
    ] {
        assert_eq!(one(&format!("52-{list}")).as_deref(), Ok(""), "{list}: attachments are waited for");
    }
}

#[test]
fn every_limit_holds_and_does_not_bite_before() {
    let limits =
        PacketLimits { bytes: 100, attachments: 2, depth: 3, arguments: 2, namespace: 4, name: 3, ack_digits: 5 };
    let said = |text: &str| read(limits, &[Text(text)]).map(|said| said.concat());
    for (good, bad, fault) in [
        (format!("2[\"a\",\"{}\"]", "x".repeat(91)), format!("2[\"a\",\"{}\"]", "x".repeat(92)), Fault::TooLong(100)),
        (r#"2["a",[[]]]"#.into(), r#"2["a",[[[]]]]"#.into(), Fault::TooDeep(3)),
        (r#"2["a",{"x":[1]}]"#.into(), r#"2["a",{"x":[{}]}]"#.into(), Fault::TooDeep(3)),
        (r#"2["a","[[[[{{{{"]"#.into(), r#"2["a",[[["#.into(), Fault::TooDeep(3)),
        (r#"2["a","\"[[["]"#.into(), r#"2["a","\\",[[["]"#.into(), Fault::TooDeep(3)),
        (r#"2["a",1,2]"#.into(), r#"2["a",1,2,3]"#.into(), Fault::TooManyArguments(2)),
        ("31[1,2]".into(), "31[1,2,3]".into(), Fault::TooManyArguments(2)),
        ("1/abc,".into(), "1/abcd,".into(), Fault::Namespace(4)),
        ("1/abc".into(), "1/a?b=".into(), Fault::Namespace(4)),
        (r#"2["abc"]"#.into(), r#"2["abcd"]"#.into(), Fault::LongName(3)),
        (r#"2["\u0061bc"]"#.into(), r#"2["éé"]"#.into(), Fault::LongName(3)),
        (r#"299999["a"]"#.into(), r#"2100000["a"]"#.into(), Fault::AckId(5)),
    ] {
        assert!(said(&good).is_ok(), "{good}: {:?}", said(&good));
        assert_eq!(said(&bad), Err(fault), "{bad}");
    }
    assert_eq!(said(r#"53-["a"]"#), Err(Fault::TooManyAttachments(2)));
    let (event, fits) = (r#"51-["a",{"_placeholder":true,"num":0}]"#, vec![0; 62]);
    assert_eq!(event.len(), 38);
    assert!(read(limits, &[Text(event), Binary(&fits)]).is_ok());
    assert_eq!(read(limits, &[Text(event), Binary(&[0; 63])]), Err(Fault::TooLong(100)));
    let twenty = PacketLimits { ack_digits: 20, ..limits };
    assert_eq!(read(twenty, &[Text("318446744073709551615[]")]).unwrap(), ["/ ack #18446744073709551615()"]);
    assert_eq!(read(twenty, &[Text("318446744073709551616[]")]), Err(Fault::AckId(20)));
}

#[test]
fn a_token_is_one_text() {
    let token = |json: &str| {
        let json = RawValue::from_string(json.into()).unwrap();
        Credentials(Some(Cow::Owned(json))).token().map(|token| token.map(|token| token.expose().to_owned()))
    };
    assert_eq!(token(r#"{"x":[1],"tok\u0065n":"a\u0062c"}"#).unwrap().as_deref(), Some("abc"));
    for none in ["{}", r#"{"token":""}"#, r#"{"token":null}"#, r#"{"Token":"abc"}"#] {
        assert_eq!(token(none).unwrap(), None, "{none}");
    }
    for bad in
        [r#"{"token":1}"#, r#"{"token":{"token":"a"}}"#, r#"{"token":"a","token":"b"}"#, r#"{"token":"","token":"b"}"#]
    {
        let refusal = token(bad).unwrap_err();
        assert_eq!((refusal.code, refusal.detail), (Code::TokenInvalid, Some(Detail::Malformed)), "{bad}");
    }
    assert_eq!(Credentials(None).token().unwrap(), None);
}

#[test]
fn a_server_says_what_the_protocol_has() {
    let json = |text: &str| RawValue::from_string(text.into()).unwrap();
    let (list, data) = (json("[1]"), json(r#"{"code":"BANNED"}"#));
    for (outgoing, namespace, text) in [
        (Outgoing::ConnectError { message: "no", data: None }, "/", r#"44{"message":"no"}"#),
        (
            Outgoing::ConnectError { message: "n\"o", data: Some(&data) },
            "/admin",
            r#"44/admin,{"message":"n\"o","data":{"code":"BANNED"}}"#,
        ),
        (Outgoing::Event { name: "a\"b", argument: &list }, "/admin", r#"42/admin,["a\"b",[1]]"#),
        (Outgoing::Event { name: "a", argument: &list }, "/", r#"42["a",[1]]"#),
        (Outgoing::Disconnect, "/admin", "41/admin,"),
        (Outgoing::Disconnect, "/", "41"),
    ] {
        assert_eq!(outgoing.to_message(namespace), text);
        let read = one(text.strip_prefix('4').unwrap()).unwrap();
        assert!(read.starts_with(&format!("{namespace} ")), "{read}");
    }
}

#[test]
fn what_a_client_says_is_not_shown() {
    let mut decoder = Decoder::new(PacketLimits::default());
    let shown = format!("{:?}", decoder.text(r#"0/a,{"token":"secret"}"#).unwrap());
    assert!(shown.contains("/a") && !shown.contains("secret"), "{shown}");
    let shown = format!("{:?}", decoder.text(r#"21["say","secret"]"#).unwrap());
    assert!(shown.contains("say") && !shown.contains("secret"), "{shown}");
}

/// JSON of any shape, some of it marked as a place of an attachment.
fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i32>().prop_map(|number| number.to_string()),
        "[a-z\"\\\\\u{1e}é]{0,6}".prop_map(|text| serde_json::to_string(&text).unwrap()),
        (0u8..4).prop_map(|number| format!(r#"{{"_placeholder":true,"num":{number}}}"#)),
    ];
    leaf.prop_recursive(4, 20, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|list| format!("[{}]", list.join(","))),
            proptest::collection::vec(("[a-z]{1,4}", inner), 0..4).prop_map(|members| {
                let members: Vec<_> = members.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

fn small() -> PacketLimits {
    PacketLimits { bytes: 200, attachments: 3, depth: 5, arguments: 4, namespace: 10, name: 8, ack_digits: 4 }
}

proptest! {
    #[test]
    fn no_messages_panic(messages in proptest::collection::vec(("(?s)[0-7]?[0-9]{0,3}-?(/[a-z]{0,3},)?[0-9]{0,3}.{0,20}", any::<bool>()), 0..6)) {
        let mut decoder = Decoder::new(small());
        for (text, is_text) in &messages {
            let packet = if *is_text { decoder.text(text) } else { decoder.binary(Bytes::from(text.clone())) };
            if packet.is_err() {
                break;
            }
        }
    }

    #[test]
    fn any_argument_comes_out_as_it_went_in(name in "[a-z]{1,8}", json in any_json(), ack in proptest::option::of(0u64..9999)) {
        let argument = RawValue::from_string(json.clone()).unwrap();
        let message = Outgoing::Event { name: &name, argument: &argument }.to_message("/ns");
        let numbered = message.replacen("/ns,", &format!("/ns,{}", ack.map(|ack| ack.to_string()).unwrap_or_default()), 1);
        let mut decoder = Decoder::new(PacketLimits::default());
        let packet = decoder.text(&numbered[1..]);
        if ["connect", "newListener"].contains(&name.as_str()) {
            prop_assert_eq!(packet.err(), Some(Fault::ReservedName));
        } else {
            let Packet { namespace, body: Body::Event(event) } = packet.unwrap().unwrap() else { panic!("no event") };
            prop_assert_eq!((namespace.path(), event.ack, &*event.name), ("/ns", ack, &*name));
            prop_assert_eq!(event.arguments.iter().map(|json| json.get()).collect::<Vec<_>>(), [json]);
        }
    }

    #[test]
    fn whatever_is_read_is_within_its_limits(
        head in "[25][0-4]-(/[a-z]{0,12},)?[0-9]{0,6}",
        list in proptest::collection::vec(any_json(), 0..8),
        attachments in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..5),
    ) {
        let limits = small();
        let text = format!("{head}[\"name\"{}]", list.iter().map(|json| format!(",{json}")).collect::<String>());
        let mut decoder = Decoder::new(limits);
        let first = decoder.text(&text);
        let mut read = match first { Ok(packet) => packet, Err(_) => return Ok(()) };
        let mut bytes = text.len();
        for attachment in attachments {
            if read.is_some() {
                break;
            }
            bytes += attachment.len();
            match decoder.binary(attachment.into()) {
                Ok(packet) => read = packet,
                Err(fault) => {
                    prop_assert_eq!(fault, Fault::TooLong(200));
                    prop_assert!(bytes > limits.bytes);
                    return Ok(());
                }
            }
        }
        prop_assert!(bytes <= limits.bytes);
        if let Some(Packet { namespace, body: Body::Event(event) }) = read {
            prop_assert!(namespace.path().len() <= limits.namespace);
            prop_assert!(event.attachments.len() <= limits.attachments && event.arguments.len() <= limits.arguments);
            let json: String = event.arguments.iter().map(|json| json.get()).collect();
            for number in 0..event.attachments.len() {
                prop_assert_eq!(json.matches(&format!(r#"{{"_placeholder":true,"num":{number}}}"#)).count(), 1);
            }
        }
    }
}
