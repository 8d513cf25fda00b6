//! The examples of the protocol document both ways, what it does not allow, and any text at all.

use super::*;
use proptest::prelude::*;
use std::time::Duration;

fn both_ways(text: &str, packet: Packet<'_>) {
    assert_eq!(Packet::parse(text).as_ref(), Ok(&packet), "{text:?}");
    assert_eq!(packet.to_text(), text);
}

fn read(body: &str) -> Result<Vec<Packet<'_>>, Fault> {
    Payload::parse(body.as_bytes(), PayloadLimits { bytes: 100, packets: 4 })?.packets().collect()
}

#[test]
fn every_kind_is_read_and_written() {
    both_ways("0{}", Packet::Open("{}"));
    both_ways("1", Packet::Close);
    both_ways("2", Packet::Ping { probe: false });
    both_ways("2probe", Packet::Ping { probe: true });
    both_ways("3", Packet::Pong { probe: false });
    both_ways("3probe", Packet::Pong { probe: true });
    both_ways("4hello", Packet::Message("hello"));
    both_ways("4€€€", Packet::Message("€€€"));
    both_ways("4", Packet::Message(""));
    both_ways("5", Packet::Upgrade);
    both_ways("6", Packet::Noop);
}

#[test]
fn what_is_no_packet_is_named() {
    for (text, fault) in [
        ("", Fault::Empty),
        ("7", Fault::UnknownKind),
        ("x", Fault::UnknownKind),
        ("é", Fault::UnknownKind),
        ("-1", Fault::UnknownKind),
        ("٤", Fault::UnknownKind),
        ("bAQID", Fault::UnknownKind),
        ("1x", Fault::Surplus),
        ("2prob", Fault::Surplus),
        ("2probe ", Fault::Surplus),
        ("3x", Fault::Surplus),
        ("5probe", Fault::Surplus),
        ("66", Fault::Surplus),
    ] {
        assert_eq!(Packet::parse(text), Err(fault), "{text:?}");
        assert!(fault.refusal().code.close_code().is_some());
    }
}

#[test]
fn a_payload_is_its_packets_in_order() {
    let hello = [Packet::Message("hello"), Packet::Ping { probe: false }, Packet::Message("world")];
    assert_eq!(read("4hello\u{1e}2\u{1e}4world").unwrap(), hello);
    assert_eq!(
        read("4hello\u{1e}bAQIDBA==").unwrap(),
        [Packet::Message("hello"), Packet::Binary(Cow::Borrowed(&[1, 2, 3, 4]))]
    );
    assert_eq!(read("4€\u{1e}4").unwrap(), [Packet::Message("€"), Packet::Message("")]);
    assert_eq!(read("b").unwrap(), [Packet::Binary(Cow::Borrowed(&[]))]);
}

#[test]
fn a_payload_is_bounded_in_bytes_and_in_packets() {
    assert_eq!(read(""), Err(Fault::Empty));
    assert_eq!(read("\u{1e}"), Err(Fault::Empty));
    assert_eq!(read("4a\u{1e}"), Err(Fault::Empty));
    assert_eq!(read("2\u{1e}2\u{1e}2\u{1e}2").map(|packets| packets.len()), Ok(4));
    assert_eq!(read("2\u{1e}2\u{1e}2\u{1e}2\u{1e}2"), Err(Fault::TooMany(4)));
    assert_eq!(read(&format!("4{}", "x".repeat(99))).map(|packets| packets.len()), Ok(1));
    assert_eq!(read(&"4".repeat(101)), Err(Fault::TooLong(100)));
    for bad in ["bA", "bAQID BA==", "bAQIDBA", "b-_==", "b====", "bAQIDBB=="] {
        assert_eq!(read(bad), Err(Fault::Base64), "{bad}");
    }
    let limits = PayloadLimits::default();
    assert_eq!(Payload::parse(b"4\xff", limits).err(), Some(Fault::Utf8));
}

#[test]
fn a_body_is_filled_as_far_as_it_may_be() {
    let mut writer = PayloadWriter::new(PayloadLimits { bytes: 12, packets: 3 });
    assert!(writer.is_empty() && writer.has_room_for(1000), "what fits nowhere goes alone");
    writer.push_text("4hello");
    assert!(writer.has_room_for(5) && !writer.has_room_for(6));
    writer.push(&Packet::Noop);
    writer.push(&Packet::Binary(Cow::Borrowed(&[1])));
    assert!(!writer.has_room_for(0), "three packets are three packets");
    assert_eq!(writer.into_text(), "4hello\u{1e}6\u{1e}bAQ==");
}

#[test]
fn the_first_word_is_as_the_protocol_has_it() {
    let opening = Opening {
        sid: "lv_VI97HAXpY6yYWAAAC",
        upgradable: true,
        ping_interval: Duration::from_secs(25),
        ping_timeout: Duration::from_secs(20),
        max_payload: 1_000_000,
    };
    assert_eq!(
        opening.to_text(),
        r#"0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#
    );
    assert!(Opening { upgradable: false, ..opening }.to_text().contains(r#""upgrades":[]"#));
}

#[test]
fn what_a_packet_says_is_not_shown() {
    let said = format!("{:?} {:?}", Packet::Message("secret"), Packet::Binary(Cow::Borrowed(b"secret")));
    assert_eq!(said, "Message(6 bytes) Binary(6 bytes)");
}

fn packets() -> impl Strategy<Value = Packet<'static>> {
    prop_oneof![
        any::<bool>().prop_map(|probe| Packet::Ping { probe }),
        any::<bool>().prop_map(|probe| Packet::Pong { probe }),
        proptest::sample::select(&["", "2[\"a\"]", "€", "b", "4"]).prop_map(Packet::Message),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| Packet::Binary(bytes.into())),
        Just(Packet::Close),
        Just(Packet::Upgrade),
        Just(Packet::Noop),
    ]
}

proptest! {
    #[test]
    fn no_text_panics(text in "(?s).{0,40}") {
        if let Ok(packet) = Packet::parse(&text) {
            prop_assert_eq!(packet.to_text(), text);
        }
    }

    #[test]
    fn no_body_panics(body in proptest::collection::vec(prop_oneof![Just(0x1e), Just(b'4'), Just(b'b'), any::<u8>()], 0..200)) {
        let limits = PayloadLimits { bytes: 100, packets: 4 };
        if let Ok(payload) = Payload::parse(&body, limits) {
            prop_assert!(body.len() <= limits.bytes);
            prop_assert!(payload.packets().count() <= limits.packets);
        }
    }

    #[test]
    fn what_was_written_is_read(packets in proptest::collection::vec(packets(), 1..20)) {
        let limits = PayloadLimits { bytes: 200, packets: 7 };
        let mut writer = PayloadWriter::new(limits);
        let mut written = 0;
        while let Some(packet) = packets.get(written).filter(|packet| writer.has_room_for(packet.to_text().len())) {
            writer.push(packet);
            written += 1;
        }
        let text = writer.into_text();
        let read: Result<Vec<_>, _> = Payload::parse(text.as_bytes(), limits).unwrap().packets().collect();
        prop_assert_eq!(read.unwrap(), packets[..written].to_vec());
    }
}
