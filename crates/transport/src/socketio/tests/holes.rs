//! The holes that other parsers of this protocol had, each by its name: what was sent, and what it comes to here.

use super::*;

/// socket.io-parser took an event's name as it came; an object with a `toString` of its own killed the process.
#[test]
fn cve_2023_32695_a_name_that_is_no_text_crashed_the_server() {
    for name in [r#"{"toString":"foo"}"#, r#"["a"]"#, "null", "true", "1.5", "{}"] {
        assert_eq!(one(&format!("2[{name}]")), Err(Fault::NoName), "{name}");
        let binary = format!(r#"51-[{name},{{"_placeholder":true,"num":0}}]"#);
        assert_eq!(one(&binary), Err(Fault::NoName), "{name}");
    }
    for body in ["", "{}", "null", "1", r#"{"0":"a","length":1}"#] {
        assert!(one(&format!("2{body}")).is_err(), "{body}");
    }
}

/// socket.io-parser took any `num` of a placeholder as the key of an array, `splice` for instance: a function stood
/// where bytes should be.
#[test]
fn cve_2022_2421_a_placeholder_named_what_it_liked() {
    for number in [r#""splice""#, r#""__proto__""#, r#""0""#, "1", "-1", "0.5", "1e400", "{}", "[0]", "null"] {
        let text = format!(r#"51-["hello",{{"_placeholder":true,"num":{number}}}]"#);
        assert!(matches!(one(&text), Err(Fault::Placeholders | Fault::Body)), "{number}");
    }
    assert_eq!(one(r#"51-["hello",{"_placeholder":true}]"#), Err(Fault::Placeholders));
}

/// socket.io-parser waited for as many attachments as a packet announced, and kept them all.
#[test]
fn cve_2026_33151_any_number_of_attachments_was_waited_for() {
    let limits = PacketLimits::default();
    for count in ["11", "1000", "4294967296", "18446744073709551616", &"9".repeat(1000)] {
        assert_eq!(one(&format!(r#"5{count}-["a"]"#)), Err(Fault::TooManyAttachments(10)), "{count}");
    }
    let places: Vec<_> = (0..10).map(|number| format!(r#"{{"_placeholder":true,"num":{number}}}"#)).collect();
    let event = format!(r#"510-["a",{}]"#, places.join(","));
    let chunk = vec![0; limits.bytes / 4];
    let mut messages = vec![Text(&event)];
    messages.extend((0..10).map(|_| Binary(&chunk)));
    assert_eq!(read(limits, &messages), Err(Fault::TooLong(limits.bytes)), "few can be large, too");
}

/// socket.io-parser took a binary packet with no attachments, never found it whole, and kept whatever bytes came.
#[test]
fn cve_2026_69185_a_packet_with_no_attachments_kept_all_that_came() {
    for count in ["0", "00", "000000"] {
        assert_eq!(one(&format!(r#"5{count}-["a"]"#)), Err(Fault::NoAttachments));
        assert_eq!(one(&format!("6{count}-1[]")), Err(Fault::NoAttachments));
    }
    let mut decoder = Decoder::new(PacketLimits::default());
    assert_eq!(decoder.text(r#"50-["a"]"#).err(), Some(Fault::NoAttachments));
    assert_eq!(decoder.binary(Bytes::from_static(b"x")).err(), Some(Fault::Unannounced));
}

/// python-socketio went on collecting when the next packet came before the attachments of the last.
#[test]
fn cve_2026_48804_attachments_piled_up() {
    let event = r#"52-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#;
    let limits = PacketLimits::default();
    assert_eq!(read(limits, &[Text(event), Binary(b"x"), Text(event)]), Err(Fault::Interrupted));
    let mut decoder = Decoder::new(limits);
    assert!(decoder.text(event).unwrap().is_none());
    assert!(decoder.text(event).is_err() && !decoder.is_waiting(), "nothing is kept after a fault");
}

/// socket.io-parser built the numbers of a packet one character after the other, as long as they went on.
#[test]
fn cve_2020_36049_endless_numbers_swelled_the_memory() {
    let digits = "1".repeat(1_000_000);
    for kind in ["2", "3", "2/a,", "51-"] {
        assert_eq!(one(&format!("{kind}{digits}[\"a\"]")), Err(Fault::AckId(16)), "{kind}");
    }
    assert_eq!(one(&format!("5{digits}")), Err(Fault::Attachments));
    assert_eq!(one(&format!("2{}", digits.repeat(2))), Err(Fault::TooLong(1 << 20)));
}

/// An event that a Node server raises against itself (`error`) killed the process where nobody listened. It is a name
/// like any other here; those that a client's machinery says to itself are refused.
#[test]
fn cve_2024_38355_a_name_with_a_meaning_inside_the_server() {
    assert_eq!(one(r#"2["error",1]"#).unwrap(), "/ error(1)");
    for name in ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"] {
        assert_eq!(one(&format!("2[{name:?}]")), Err(Fault::ReservedName), "{name}");
    }
}

/// Lists in lists overflow the stack of parsers that recurse.
#[test]
fn depth_overflows_no_stack() {
    let deep = "[".repeat(500_000);
    for text in [format!("2{deep}"), format!("0{}", "{\"a\":".repeat(200_000)), format!("51-[\"a\",{deep}")] {
        assert_eq!(one(&text), Err(Fault::TooDeep(64)));
    }
    let list = format!("{}{}", "[".repeat(63), "]".repeat(63));
    assert!(one(&format!(r#"2["a",{list}]"#)).is_ok());
    assert_eq!(one(&format!(r#"2["a",[{list}]]"#)), Err(Fault::TooDeep(64)));
}
