//! Pings and pongs: each ping has its pong with the same payload, a pong that nobody asked for has nothing.

use crate::case::{BINARY, Back, Case, PING, PONG, TEXT, play, text, wire};

fn pong(payload: impl AsRef<[u8]>) -> Back {
    Back::Pong(payload.as_ref().to_vec())
}

#[tokio::test]
async fn a_ping_is_answered_with_its_own_payload() {
    let binary = [0x00, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0x00, 0xff];
    let longest = [0xfe; 125];
    let tens: Vec<String> = (0..10).map(|nth| format!("ping {nth}")).collect();
    let pings = tens.iter().fold(wire(), |wire, words| wire.frame(PING, words));
    let pongs: Vec<Back> = tens.iter().map(pong).collect();
    let apart = tens.iter().fold(wire(), |wire, words| wire.frame(PING, words).frame(TEXT, words));
    let apart_back: Vec<Back> = tens.iter().flat_map(|words| [pong(words), text(words)]).collect();
    play(vec![
        Case::goes_on("a ping without a payload", wire().frame(PING, ""), [pong("")]),
        Case::goes_on("a ping with a payload", wire().frame(PING, "Hello"), [pong("Hello")]),
        Case::goes_on("a ping that is no text", wire().frame(PING, binary), [pong(binary)]),
        Case::goes_on("the longest ping", wire().frame(PING, longest), [pong(longest)]),
        Case::goes_on("the longest ping", wire().frame(PING, longest), [pong(longest)]).in_portions(1),
        Case::ends("a ping that is too long", wire().frame(PING, [0xfe; 126]), [], 1002),
        Case::ends("a pong that is too long", wire().frame(PONG, [0xfe; 126]), [], 1002),
        Case::goes_on("ten pings in one write", pings.clone(), pongs.clone()),
        Case::goes_on("ten pings", pings, pongs).in_portions(1),
        Case::goes_on("ten pings with messages between", apart, apart_back).in_portions(16),
    ])
    .await;
}

#[tokio::test]
async fn a_pong_that_nobody_asked_for_changes_nothing() {
    let ping_behind = wire().frame(PONG, "unasked").frame(PING, "asked");
    let around = wire().frame(PONG, "").frame(TEXT, "a").frame(PONG, [0xff]).frame(BINARY, [1]).frame(PONG, "x");
    play(vec![
        Case::goes_on("a pong without a payload", wire().frame(PONG, ""), []),
        Case::goes_on("a pong with a payload", wire().frame(PONG, "unasked"), []),
        Case::goes_on("a pong, then a ping", ping_behind, [pong("asked")]),
        Case::goes_on("pongs around messages", around, [text("a"), Back::Binary(vec![1])]),
    ])
    .await;
}

#[tokio::test]
async fn a_control_frame_is_never_in_parts() {
    let mut cases = Vec::new();
    for (kind, opcode) in [("ping", PING), ("pong", PONG), ("close", 8)] {
        let two = wire().part(opcode, "").frame(0, "");
        cases.push(Case::ends(format!("a {kind} in two parts"), two, [], 1002));
        let within = wire().part(TEXT, "a").part(opcode, "").frame(0, "b");
        cases.push(Case::ends(format!("a {kind} in parts, within a message"), within, [], 1002));
    }
    play(cases).await;
}
