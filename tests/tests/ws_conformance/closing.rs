//! The end: a close is answered once with its own code, a bad one with what is wrong, and nothing behind it is heard.

use crate::case::{BINARY, CLOSE, Case, PING, TEXT, code, play, text, wire};

#[tokio::test]
async fn a_close_is_answered_with_its_own_code() {
    let mut cases = vec![
        Case::ends("a close that says nothing", wire().frame(CLOSE, ""), [], None),
        Case::ends("a close with a reason", wire().frame(CLOSE, code(1000, "Hello")), [], 1000),
        Case::ends("a close with a reason", wire().frame(CLOSE, code(1000, "żółć")), [], 1000).in_portions(1),
        Case::ends("the longest reason", wire().frame(CLOSE, code(1000, "*".repeat(123))), [], 1000),
        Case::ends("a close behind a message", wire().frame(TEXT, "a").frame(CLOSE, code(1000, "")), [text("a")], 1000),
    ];
    let allowed = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];
    for number in allowed.into_iter().chain([3000, 3999, 4000, 4999]) {
        cases.push(Case::ends(format!("code {number}"), wire().frame(CLOSE, code(number, "")), [], number));
        let told = wire().frame(CLOSE, code(number, "a reason"));
        cases.push(Case::ends(format!("code {number} with a reason"), told, [], number));
    }
    play(cases).await;
}

#[tokio::test]
async fn a_close_that_may_not_be_sent_is_a_protocol_error() {
    let mut cases = vec![
        Case::ends("half a code", wire().frame(CLOSE, [3]), [], 1002),
        Case::ends("a close that is too long", wire().frame(CLOSE, code(1000, "*".repeat(124))), [], 1002),
        Case::ends("a reason that is no text", wire().frame(CLOSE, code(1000, b"\xce\xba\xed\xa0\x80")), [], 1007),
        Case::ends("a reason cut in a character", wire().frame(CLOSE, code(1000, b"\xe2\x82")), [], 1007),
    ];
    for number in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 65_535] {
        cases.push(Case::ends(format!("code {number}"), wire().frame(CLOSE, code(number, "")), [], 1002));
        let told = wire().frame(CLOSE, code(number, "a reason"));
        cases.push(Case::ends(format!("code {number} with a reason"), told, [], 1002));
    }
    play(cases).await;
}

#[tokio::test]
async fn what_comes_behind_a_close_is_not_heard() {
    let close = || wire().frame(CLOSE, code(1000, ""));
    let bad = close().put(0xf1, b"bad").bytes([0xff; 64]);
    play(vec![
        Case::ends("two closes", close().frame(CLOSE, code(1001, "")), [], 1000),
        Case::ends("a ping behind the close", close().frame(PING, "unheard"), [], 1000),
        Case::ends("a text behind the close", close().frame(TEXT, "unheard"), [], 1000),
        Case::ends("256 KiB behind the close", close().frame(BINARY, vec![0; 256 << 10]), [], 1000),
        Case::ends("what is no frame behind the close", bad, [], 1000),
        Case::ends("a text behind the close", close().frame(TEXT, "unheard"), [], 1000).in_portions(1),
        Case::ends("messages behind an error", wire().frame(3, "").frame(TEXT, "unheard").frame(PING, ""), [], 1002),
    ])
    .await;
}
