//! Sizes: the largest message is taken, one byte more is refused as soon as it is declared, in one frame or in many.

use crate::case::{BINARY, Back, CONTINUATION as MORE, Case, MOST, PING, TEXT, play, text, wire};

#[tokio::test]
async fn the_largest_message_is_taken_and_one_byte_more_is_refused_unread() {
    let largest = "*".repeat(MOST);
    let (half, rest) = largest.split_at(MOST / 2);
    let announced = |length: u64| wire().head(0x82, length, [1, 2, 3, 4]);
    play(vec![
        Case::goes_on("the largest text", wire().frame(TEXT, &largest), [text(&largest)]).in_portions(4_096),
        Case::goes_on("the largest text in two parts", wire().part(TEXT, half).frame(MORE, rest), [text(&largest)]),
        Case::goes_on(
            "the largest binary, twice",
            wire().frame(BINARY, &largest).frame(BINARY, &largest),
            vec![Back::Binary(largest.clone().into_bytes()); 2],
        ),
        Case::ends("one byte more is announced", announced(MOST as u64 + 1), [], 1009),
        Case::ends("four GiB are announced", announced(1 << 32), [], 1009),
        Case::ends("the most that can be announced", announced((1 << 63) - 1), [], 1009),
        Case::ends("more than can be announced", announced(1 << 63), [], 1002),
        Case::ends("one byte more in a second part", wire().part(TEXT, &largest).head(0x80, 1, [0; 4]), [], 1009),
        Case::ends(
            "one byte more behind a ping",
            wire().part(TEXT, &largest).frame(PING, "p").head(0x80, 1, [0; 4]),
            [Back::Pong(b"p".to_vec())],
            1009,
        ),
        Case::ends(
            "one byte more behind a message",
            wire().frame(TEXT, "a").head(0x81, MOST as u64 + 1, [0; 4]),
            [text("a")],
            1009,
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_message_of_very_many_parts_is_cut_off_before_it_costs() {
    let of_one = |count: usize| (1..count).fold(wire().part(TEXT, "x"), |wire, _| wire.part(MORE, "x"));
    let of_none = |count: usize| (1..count).fold(wire().part(TEXT, ""), |wire, _| wire.part(MORE, ""));
    play(vec![
        Case::goes_on("a thousand parts of a byte", of_one(1_000).frame(MORE, ""), [text("x".repeat(1_000))]),
        Case::goes_on("a thousand empty parts", of_none(1_000).frame(MORE, "end"), [text("end")]),
        Case::ends("forty thousand parts of a byte", of_one(40_000), [], 1009),
        Case::ends("forty thousand empty parts", of_none(40_000), [], 1009),
    ])
    .await;
}
