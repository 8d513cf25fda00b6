//! Messages in parts: they are whole when the last part is there, control frames come between, and nothing else does.

use crate::case::{BINARY, Back, CLOSE, CONTINUATION as MORE, Case, PING, PONG, TEXT, code, play, text, wire};

fn pong(payload: &str) -> Back {
    Back::Pong(payload.as_bytes().to_vec())
}

#[tokio::test]
async fn a_message_in_parts_comes_back_whole() {
    let mut cases = Vec::new();
    for parts in [2_usize, 3, 5, 100] {
        let words: Vec<String> = (0..parts).map(|nth| format!("part {nth};")).collect();
        let all = words.concat();
        for (kind, opcode) in [("text", TEXT), ("binary", BINARY)] {
            let sent = words.iter().enumerate().fold(wire(), |wire, (nth, part)| {
                let opcode = if nth == 0 { opcode } else { MORE };
                if nth + 1 == parts { wire.frame(opcode, part) } else { wire.part(opcode, part) }
            });
            let back = if opcode == TEXT { text(&all) } else { Back::Binary(all.clone().into_bytes()) };
            let what = format!("a {kind} in {parts} parts");
            cases.push(Case::goes_on(&what, sent.clone(), [back.clone()]));
            cases.push(Case::goes_on(&what, sent, [back]).in_portions(3));
        }
    }
    let empty = wire().part(TEXT, "").part(MORE, "").frame(MORE, "");
    let hollow = wire().part(TEXT, "").part(MORE, "in the middle").frame(MORE, "");
    cases.push(Case::goes_on("three empty parts", empty, [text("")]));
    cases.push(Case::goes_on("empty parts around one", hollow, [text("in the middle")]));
    let two = wire().part(TEXT, "a").frame(MORE, "b").part(BINARY, "c").frame(MORE, "d");
    cases.push(Case::goes_on("two in parts, one behind the other", two, [text("ab"), Back::Binary(b"cd".to_vec())]));
    play(cases).await;
}

#[tokio::test]
async fn control_frames_between_the_parts_are_dealt_with_at_once() {
    let pinged = wire().part(TEXT, "a").frame(PING, "between").frame(MORE, "b");
    let often = wire().part(TEXT, "1").frame(PING, "p1").part(MORE, "2").frame(PONG, "").part(MORE, "3");
    let often = often.frame(PING, "p2").part(MORE, "4").frame(MORE, "5").frame(PING, "p3");
    let closed = wire().part(TEXT, "a").frame(CLOSE, code(1000, "")).frame(MORE, "b");
    play(vec![
        Case::goes_on("a ping between two parts", pinged.clone(), [pong("between"), text("ab")]),
        Case::goes_on("a ping between two parts", pinged, [pong("between"), text("ab")]).in_portions(1),
        Case::goes_on("pings among five parts", often.clone(), [pong("p1"), pong("p2"), text("12345"), pong("p3")])
            .in_portions(1),
        Case::ends("a close between two parts", closed, [], 1000),
    ])
    .await;
}

#[tokio::test]
async fn parts_in_a_wrong_order_are_a_protocol_error() {
    let good = || wire().frame(TEXT, "good");
    play(vec![
        Case::ends("a last part of nothing", wire().frame(MORE, "x"), [], 1002),
        Case::ends("a part of nothing", wire().part(MORE, "x"), [], 1002),
        Case::ends("an empty part of nothing", wire().part(MORE, ""), [], 1002),
        Case::ends("a part behind a whole message", good().frame(MORE, "x"), [text("good")], 1002),
        Case::ends(
            "a part behind a message in parts",
            wire().part(TEXT, "a").frame(MORE, "b").part(MORE, "c"),
            [text("ab")],
            1002,
        ),
        Case::ends("a text within a text", wire().part(TEXT, "a").frame(TEXT, "b"), [], 1002),
        Case::ends("a text in parts within a text", wire().part(TEXT, "a").part(TEXT, "b"), [], 1002),
        Case::ends("a binary within a text", wire().part(TEXT, "a").frame(BINARY, "b"), [], 1002),
        Case::ends("a text within a binary", wire().part(BINARY, "a").frame(TEXT, "b"), [], 1002).in_portions(1),
        Case::ends(
            "a text behind a ping within a text",
            wire().part(TEXT, "a").frame(PING, "").frame(TEXT, "b"),
            [pong("")],
            1002,
        ),
    ])
    .await;
}
