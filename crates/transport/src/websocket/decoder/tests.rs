//! Frames by hand: each violation as early as it can be seen, and any pieces the same as one.

use super::*;
use proptest::prelude::*;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame as a client sends it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..=125 => bytes.push(0x80 | short as u8),
        medium @ 126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend((medium as u16).to_be_bytes());
        }
        long => {
            bytes.push(0x80 | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

fn told(whole: Whole) -> String {
    match whole {
        Whole::Message(Inbound::Text(text)) => format!("text {text}"),
        Whole::Message(Inbound::Binary(bytes)) => format!("binary {}", bytes.len()),
        Whole::Message(other) => format!("{other:?}"),
        Whole::Ping(payload) => format!("ping {}", payload.len()),
        Whole::Pong => "pong".into(),
        Whole::Close(None) => "close".into(),
        Whole::Close(Some(frame)) => format!("close {} {}", frame.code, frame.reason),
    }
}

/// All that the bytes say, read in pieces of that size.
fn read(decoder: &mut Decoder, bytes: &[u8], size: usize) -> Result<Vec<String>, SocketFault> {
    let mut all = Vec::new();
    for mut piece in bytes.chunks(size.max(1)) {
        while let Some(whole) = decoder.decode(&mut piece)? {
            all.push(told(whole));
        }
        assert!(piece.is_empty());
    }
    Ok(all)
}

fn all(bytes: &[u8]) -> Result<Vec<String>, SocketFault> {
    read(&mut Decoder::new(1000), bytes, usize::MAX)
}

fn code(bytes: &[u8]) -> u16 {
    all(bytes).unwrap_err().refusal().unwrap().code.close_code().unwrap()
}

#[test]
fn messages_come_out_as_they_went_in() {
    let bytes = [
        frame(0x81, "grüße".as_bytes()),
        frame(0x82, &[1; 500]),
        frame(0x01, b"a"),
        frame(0x89, b"ping"),
        frame(0x00, b""),
        frame(0x8a, b"pong"),
        frame(0x80, b"b"),
        frame(0x81, b""),
        frame(0x88, &[0x0f, 0xa1, b'x']),
        b"whatever".to_vec(),
    ]
    .concat();
    let expected = ["text grüße", "binary 500", "ping 4", "pong", "text ab", "text ", "close 4001 x"];
    for size in [1, 2, 3, 7, 100, bytes.len()] {
        assert_eq!(read(&mut Decoder::new(1000), &bytes, size).unwrap(), expected, "pieces of {size}");
    }
    assert_eq!(all(&frame(0x88, b"")).unwrap(), ["close"]);
}

#[test]
fn a_frame_is_judged_by_its_first_two_bytes() {
    for (bytes, what) in [
        ([0x81, 0x05], "not masked"),
        ([0xc1, 0x85], "reserved bit"),
        ([0xa1, 0x85], "reserved bit"),
        ([0x91, 0x85], "reserved bit"),
        ([0x83, 0x85], "unknown kind"),
        ([0x8b, 0x85], "unknown kind"),
        ([0x8f, 0x85], "unknown kind"),
        ([0x80, 0x85], "continuation of no message"),
        ([0x09, 0x85], "fragmented control"),
        ([0x08, 0x85], "fragmented control"),
        ([0x89, 0xfe], "125"),
        ([0x88, 0xff], "125"),
    ] {
        let fault = all(&bytes).unwrap_err();
        assert!(matches!(fault, SocketFault::Protocol(said) if said.contains(what)), "{bytes:x?}: {fault}");
        assert_eq!(code(&bytes), 1002);
    }
    assert_eq!(code(&[frame(0x01, b"a"), frame(0x81, b"b")].concat()), 1002);
    assert_eq!(code(&[frame(0x01, b"a"), frame(0x82, b"b")].concat()), 1002);
}

#[test]
fn a_length_is_judged_before_anything_is_read_or_allocated() {
    assert_eq!(code(&[0x82, 0x80 | 126, 0x03, 0xe9, 0, 0, 0, 0]), 1009, "1,001 bytes");
    assert_eq!(code(&[&[0x82, 0x80 | 127, 0x7f][..], &[0xff; 11]].concat()), 1009);
    assert_eq!(code(&[&[0x82, 0x80 | 127, 0x80][..], &[0x00; 11]].concat()), 1002, "64 bits");
    assert_eq!(code(&[frame(0x02, &[0; 600]), frame(0x80, &[0; 401])].concat()), 1009);
    assert!(all(&[frame(0x02, &[0; 600]), frame(0x80, &[0; 400])].concat()).is_ok());

    let mut decoder = Decoder::new(1 << 30);
    let mut head: &[u8] = &[0x82, 0x80 | 127, 0, 0, 0, 0, 0x3f, 0xff, 0xff, 0xff, 1, 2, 3, 4, 9];
    assert!(decoder.decode(&mut head).unwrap().is_none());
    assert!(!decoder.is_between_messages());
    assert!(decoder.message.as_ref().is_some_and(|message| message.len() == 1));
}

#[test]
fn a_byte_a_frame_is_too_dear() {
    let mut decoder = Decoder::new(1000);
    assert!(read(&mut decoder, &frame(0x01, b""), usize::MAX).unwrap().is_empty());
    let empty = frame(0x00, b"").repeat(1000);
    let fault = (0..100).find_map(|_| read(&mut decoder, &empty, usize::MAX).err());
    assert!(matches!(fault, Some(SocketFault::TooBig)));
    let pings = [frame(0x01, b"a"), frame(0x89, b"").repeat(100_000), frame(0x80, b"b")].concat();
    assert_eq!(all(&pings).unwrap().len(), 100_001, "control frames between fragments cost a message nothing");
}

#[test]
fn text_is_checked_as_it_comes() {
    for bad in [&b"\xff"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"abc\x80"] {
        assert_eq!(code(&frame(0x81, bad)), 1007, "{bad:x?}");
        assert_eq!(code(&frame(0x01, bad)), 1007, "a bad character is found before the message ends");
    }
    assert_eq!(code(&[frame(0x01, b"\xc3"), frame(0x80, b"")].concat()), 1007, "half a character at the end");
    assert_eq!(all(&[frame(0x01, b"\xc3"), frame(0x80, b"\xa9")].concat()).unwrap(), ["text é"]);
    assert_eq!(all(&frame(0x82, b"\xff")).unwrap(), ["binary 1"]);
}

#[test]
fn a_close_frame_has_a_proper_code_and_reason() {
    for bad in [0u16, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535] {
        assert_eq!(code(&frame(0x88, &bad.to_be_bytes())), 1002, "{bad}");
    }
    for good in [1000u16, 1001, 1002, 1003, 1007, 1008, 1011, 1012, 1014, 3000, 4999] {
        assert_eq!(all(&frame(0x88, &good.to_be_bytes())).unwrap(), [format!("close {good} ")]);
    }
    assert_eq!(code(&frame(0x88, &[0x03])), 1002);
    assert_eq!(code(&frame(0x88, &[0x03, 0xe8, 0xff])), 1007);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), size in 1usize..50) {
        let _ = read(&mut Decoder::new(100), &bytes, size);
    }

    #[test]
    fn no_masked_frames_panic(frames in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..130)), 0..8), size in 1usize..50) {
        let bytes: Vec<_> = frames.iter().flat_map(|(first, payload)| frame(first & 0x8f, payload)).collect();
        let whole = read(&mut Decoder::new(300), &bytes, usize::MAX);
        let pieces = read(&mut Decoder::new(300), &bytes, size);
        prop_assert_eq!(whole.is_ok(), pieces.is_ok());
        if let (Ok(whole), Ok(pieces)) = (whole, pieces) {
            prop_assert_eq!(whole, pieces);
        }
    }

    #[test]
    fn any_fragments_make_the_same_text(text in ".{0,80}", cuts in proptest::collection::vec(0usize..20, 0..8), size in 1usize..40) {
        let (mut rest, mut bytes, mut first) = (text.as_bytes(), Vec::new(), 0x01);
        for cut in cuts {
            let (piece, left) = rest.split_at(cut.min(rest.len()));
            bytes.extend(frame(first, piece));
            (rest, first) = (left, 0x00);
        }
        bytes.extend(frame(first | 0x80, rest));
        prop_assert_eq!(read(&mut Decoder::new(1000), &bytes, size).unwrap(), [format!("text {text}")]);
    }
}
