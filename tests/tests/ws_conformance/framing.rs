//! Frames: every length in each of its forms, reserved bits and kinds, masks, however the bytes arrive.

use crate::case::{BINARY, Back, Case, PING, TEXT, code, play, text, wire};

/// Around where the form of the length changes, and the largest that is taken.
const LENGTHS: [usize; 9] = [0, 1, 125, 126, 127, 128, 4_096, 65_535, 65_536];

fn payload(length: usize) -> Vec<u8> {
    (0..length).map(|nth| (nth % 251) as u8).collect()
}

#[tokio::test]
async fn messages_of_every_form_of_length_come_back_as_they_were_said() {
    let mut cases = Vec::new();
    for length in LENGTHS {
        let (binary, words) = (payload(length), "*".repeat(length));
        for portions in [None, Some(1), Some(997)] {
            // A byte at a time is for what is short.
            if portions == Some(1) && length > 4_096 {
                continue;
            }
            let says = Case::goes_on(format!("text of {length}"), wire().frame(TEXT, &words), [text(&words)]);
            let sends = wire().frame(BINARY, &binary);
            let sends = Case::goes_on(format!("binary of {length}"), sends, [Back::Binary(binary.clone())]);
            for case in [says, sends] {
                cases.push(match portions {
                    None => case,
                    Some(of) => case.in_portions(of),
                });
            }
        }
    }
    for (form, head) in [
        ("two", [&[0x81, 0xfe][..], &5_u16.to_be_bytes()].concat()),
        ("eight", { [&[0x81, 0xff][..], &5_u64.to_be_bytes()].concat() }),
    ] {
        let sent = wire().bytes(head).bytes([0; 4]).bytes("Hello");
        cases.push(Case::goes_on(format!("a length of 5 written in {form} bytes"), sent, [text("Hello")]));
    }
    play(cases).await;
}

#[tokio::test]
async fn many_messages_at_once_come_back_in_their_order() {
    let said: Vec<String> = (0..1_000).map(|nth| format!("message {nth}")).collect();
    let sent = said.iter().fold(wire(), |wire, words| wire.frame(TEXT, words));
    let back: Vec<Back> = said.iter().map(text).collect();
    let mixed = wire().frame(TEXT, "a").frame(BINARY, [0, 255]).frame(TEXT, "").frame(BINARY, []).frame(TEXT, "b");
    let mixed_back = [text("a"), Back::Binary(vec![0, 255]), text(""), Back::Binary(Vec::new()), text("b")];
    play(vec![
        Case::goes_on("a thousand messages in one write", sent.clone(), back.clone()),
        Case::goes_on("a thousand messages", sent, back).in_portions(13),
        Case::goes_on("texts and binaries in turn", mixed, mixed_back),
    ])
    .await;
}

#[tokio::test]
async fn a_reserved_bit_is_a_protocol_error_in_every_kind_of_frame() {
    let mut cases = Vec::new();
    for bits in 1..=7_u8 {
        let first = bits << 4;
        for (kind, opcode) in [("text", TEXT), ("binary", BINARY), ("close", 8), ("ping", PING), ("pong", 10)] {
            let what = format!("reserved bits {bits:03b} in a {kind}");
            let payload = if opcode == 8 { code(1000, "") } else { b"x".to_vec() };
            cases.push(Case::ends(what, wire().put(0x80 | first | opcode, &payload), [], 1002));
        }
        let behind = wire().frame(TEXT, "good").put(0x81 | first, b"bad").frame(PING, "unheard");
        cases.push(Case::ends(format!("reserved bits {bits:03b} behind a message"), behind, [text("good")], 1002));
        let second = wire().part(TEXT, "good").put(0x80 | first, b"bad");
        cases.push(Case::ends(format!("reserved bits {bits:03b} in a second fragment"), second, [], 1002));
    }
    play(cases).await;
}

#[tokio::test]
async fn a_kind_of_frame_that_there_is_not_is_a_protocol_error() {
    let mut cases = Vec::new();
    for opcode in (3..=7).chain(11..=15_u8) {
        cases.push(Case::ends(format!("opcode {opcode}, empty"), wire().frame(opcode, ""), [], 1002));
        cases.push(Case::ends(format!("opcode {opcode} with a payload"), wire().frame(opcode, "payload"), [], 1002));
        let behind = wire().frame(TEXT, "good").frame(opcode, "x").frame(PING, "");
        cases.push(Case::ends(format!("opcode {opcode} behind a message"), behind, [text("good")], 1002));
        cases.push(Case::ends(format!("opcode {opcode} in parts"), wire().part(opcode, "x"), [], 1002).in_portions(1));
    }
    play(cases).await;
}

#[tokio::test]
async fn a_client_masks_every_frame_with_whatever_key() {
    let unmasked = |first: u8| wire().bytes([first, 5]).bytes("Hello");
    let key = |key: [u8; 4]| {
        let masked: Vec<u8> = b"Hello".iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        wire().head(0x81, 5, key).bytes(masked)
    };
    play(vec![
        Case::ends("a text that is not masked", unmasked(0x81), [], 1002),
        Case::ends("a binary that is not masked", unmasked(0x82), [], 1002),
        Case::ends("a ping that is not masked", unmasked(0x89), [], 1002),
        Case::ends("a close that is not masked", wire().bytes([0x88, 2, 3, 232]), [], 1002),
        Case::ends("an unmasked text behind a message", wire().frame(TEXT, "a").bytes([0x81, 0]), [text("a")], 1002),
        Case::goes_on("a mask of zeros", key([0; 4]), [text("Hello")]),
        Case::goes_on("a mask of ones", key([255; 4]), [text("Hello")]),
        Case::goes_on("another mask", key([1, 2, 3, 4]), [text("Hello")]).in_portions(1),
    ])
    .await;
}
