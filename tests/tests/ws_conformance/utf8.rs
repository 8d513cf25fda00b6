//! Text is UTF-8: what is, comes back however it was cut; what is not, ends the connection as soon as that can be told.

use crate::case::{BINARY, Back, CONTINUATION as MORE, Case, PING, TEXT, play, text, wire};

/// The first and the last of each length, what stands around the surrogates, what is no character and may still be sent.
const GOOD: [&str; 14] = [
    "κόσμε",
    "\u{0}",
    "\u{7f}",
    "\u{80}",
    "\u{7ff}",
    "\u{800}",
    "\u{d7ff}",
    "\u{e000}",
    "\u{fffd}",
    "\u{fffe}",
    "\u{ffff}",
    "\u{10000}",
    "\u{10ffff}",
    "Hello-µ@ßöäüàá-UTF-8!! żółć 漢字 \u{1F980}",
];

/// Bytes that are no text, each by what is wrong with them.
const BAD: [(&str, &[u8]); 30] = [
    ("a continuation alone", b"\x80"),
    ("the last continuation alone", b"\xbf"),
    ("several continuations", b"\x80\xbf\x80\xbf\x80"),
    ("a beginning of two, then a space", b"\xc3 "),
    ("a beginning of three, then a space", b"\xe2\x82 "),
    ("a beginning of four, then a space", b"\xf0\x9f\xa6 "),
    ("a beginning behind a beginning", b"\xc3\xc3\xb6"),
    ("the byte fe", b"\xfe"),
    ("the byte ff", b"\xff"),
    ("both of them", b"\xfe\xfe\xff\xff"),
    ("a slash in two bytes", b"\xc0\xaf"),
    ("a slash in three", b"\xe0\x80\xaf"),
    ("a slash in four", b"\xf0\x80\x80\xaf"),
    ("a slash in five", b"\xf8\x80\x80\x80\xaf"),
    ("a slash in six", b"\xfc\x80\x80\x80\x80\xaf"),
    ("a NUL in two", b"\xc0\x80"),
    ("the largest overlong of two", b"\xc1\xbf"),
    ("the largest overlong of three", b"\xe0\x9f\xbf"),
    ("the largest overlong of four", b"\xf0\x8f\xbf\xbf"),
    ("the first high surrogate", b"\xed\xa0\x80"),
    ("the last high surrogate", b"\xed\xaf\xbf"),
    ("the first low surrogate", b"\xed\xb0\x80"),
    ("the last low surrogate", b"\xed\xbf\xbf"),
    ("a pair of surrogates", b"\xed\xa0\x80\xed\xb0\x80"),
    ("one above the last character", b"\xf4\x90\x80\x80"),
    ("far above it", b"\xf7\xbf\xbf\xbf"),
    ("five bytes", b"\xfb\xbf\xbf\xbf\xbf"),
    ("six bytes", b"\xfd\xbf\xbf\xbf\xbf\xbf"),
    ("good, then bad, then good", b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80edited"),
    ("a mark of byte order in another encoding", b"\xff\xfeH\x00"),
];

#[tokio::test]
async fn good_text_comes_back_however_it_was_cut() {
    let mut cases = Vec::new();
    for words in GOOD {
        let bytes = words.as_bytes();
        cases.push(Case::goes_on(format!("{words:?}"), wire().frame(TEXT, words), [text(words)]));
        cases.push(Case::goes_on(format!("{words:?}"), wire().frame(TEXT, words), [text(words)]).in_portions(1));
        for cut in 0..=bytes.len() {
            let sent = wire().part(TEXT, &bytes[..cut]).frame(PING, "").frame(MORE, &bytes[cut..]);
            let back = [Back::Pong(Vec::new()), text(words)];
            cases.push(Case::goes_on(format!("{words:?} cut at {cut}"), sent, back));
        }
        let split = bytes
            .iter()
            .enumerate()
            .fold(wire(), |wire, (nth, byte)| wire.part(if nth == 0 { TEXT } else { MORE }, [*byte]));
        cases.push(Case::goes_on(format!("{words:?}, each byte a part"), split.frame(MORE, ""), [text(words)]));
    }
    play(cases).await;
}

#[tokio::test]
async fn what_is_no_text_ends_the_connection() {
    let mut cases = Vec::new();
    for (what, bytes) in BAD {
        let behind = [b"before ", bytes].concat();
        cases.push(Case::ends(what, wire().frame(TEXT, bytes), [], 1007));
        cases.push(Case::ends(what, wire().frame(TEXT, bytes), [], 1007).in_portions(1));
        cases.push(Case::ends(format!("{what}, behind others"), wire().frame(TEXT, &behind), [], 1007));
        let after = wire().frame(TEXT, "good").frame(TEXT, bytes);
        cases.push(Case::ends(format!("{what}, behind a message"), after, [text("good")], 1007));
        let second = wire().part(TEXT, "good").frame(MORE, bytes);
        cases.push(Case::ends(format!("{what}, in a second part"), second, [], 1007));
        // In a binary message it is as good as anything.
        let binary = wire().frame(BINARY, bytes);
        cases.push(Case::goes_on(format!("{what}, in a binary"), binary, [Back::Binary(bytes.to_vec())]));
    }
    play(cases).await;
}

#[tokio::test]
async fn a_text_that_ends_in_the_middle_of_a_character_is_none() {
    let mut cases = Vec::new();
    for whole in ["ö", "€", "\u{1F980}"] {
        for cut in 1..whole.len() {
            let half = &whole.as_bytes()[..cut];
            cases.push(Case::ends(format!("{cut} bytes of {whole}"), wire().frame(TEXT, half), [], 1007));
            let last = wire().part(TEXT, "good").frame(MORE, half);
            cases.push(Case::ends(format!("{cut} bytes of {whole} in the last part"), last, [], 1007));
            let empty = wire().part(TEXT, half).frame(MORE, "");
            cases.push(Case::ends(format!("{cut} bytes of {whole}, and an empty part"), empty, [], 1007));
        }
    }
    play(cases).await;
}

#[tokio::test]
async fn bad_text_is_not_waited_out() {
    // The rest never comes: the end has to come without it.
    let mask = [9, 8, 7, 6];
    let masked: Vec<u8> = b"\xed\xa0\x80".iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    let mut cases = Vec::new();
    for (what, bytes) in BAD {
        cases.push(Case::ends(format!("{what}, in a first part"), wire().part(TEXT, bytes), [], 1007));
    }
    let begun = wire().head(0x81, 1_000, mask).bytes(masked);
    cases.push(Case::ends("a surrogate at the head of a long frame", begun, [], 1007));
    play(cases).await;
}
