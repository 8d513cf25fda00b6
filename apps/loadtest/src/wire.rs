//! The little of HTTP and of WebSocket frames that a load client and a bare server need: whole frames, whole heads.
//! Both ends of it are in this program, and neither is strict: what is measured is somebody else's strictness.

use anyhow::{Result, ensure};

/// The key that every client here offers, and the answer to it (RFC 6455, section 1.3).
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// What a server answers to [`KEY`].
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// The status of an upgrade.
pub const SWITCHING: u16 = 101;
/// A text message.
pub const TEXT: u8 = 1;
/// The end of a conversation.
pub const CLOSE: u8 = 8;
/// Is anybody there?
pub const PING: u8 = 9;
/// Somebody is.
pub const PONG: u8 = 10;
/// Longer frames are not for a load test.
const LONGEST: usize = 16 << 20;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Where a whole frame is in the bytes that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub opcode: u8,
    /// How its payload is masked, where it is.
    pub mask: Option<[u8; 4]>,
    /// Where its payload begins.
    pub start: usize,
    /// Where it ends, and the next frame begins.
    pub end: usize,
}

/// The frame with which the bytes begin, if all of it is there.
pub fn frame_at(bytes: &[u8]) -> Result<Option<Frame>> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    let (length, wide) = match (second & 0x7f, rest) {
        (126, [a, b, ..]) => (usize::from(u16::from_be_bytes([*a, *b])), 2),
        (127, [a, b, c, d, e, f, g, h, ..]) => {
            let length = u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
            (usize::try_from(length).unwrap_or(usize::MAX), 8)
        }
        (126 | 127, _) => return Ok(None),
        (short, _) => (usize::from(short), 0),
    };
    ensure!(length <= LONGEST, "a frame of {length} bytes came: something else than a WebSocket is being read");
    let mut start = 2 + wide;
    let mut mask = None;
    if second & 0x80 != 0 {
        let Some([a, b, c, d]) = bytes.get(start..start + 4) else { return Ok(None) };
        mask = Some([*a, *b, *c, *d]);
        start += 4;
    }
    let end = start + length;
    Ok((bytes.len() >= end).then_some(Frame { opcode: first & 0x0f, mask, start, end }))
}

/// Writes a frame as a server does.
pub fn put_server_frame(opcode: u8, payload: &[u8], into: &mut Vec<u8>) {
    put_head(opcode, payload.len(), 0, into);
    into.extend_from_slice(payload);
}

/// Writes a frame as a client does.
pub fn put_client_frame(opcode: u8, payload: &[u8], into: &mut Vec<u8>) {
    put_head(opcode, payload.len(), 0x80, into);
    into.extend_from_slice(&MASK);
    into.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// A frame as a client writes it.
pub fn client_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 14);
    put_client_frame(opcode, payload, &mut frame);
    frame
}

/// Takes the mask off.
pub fn unmasked(payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mask = mask.unwrap_or_default();
    payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect()
}

fn put_head(opcode: u8, length: usize, masked: u8, into: &mut Vec<u8>) {
    into.push(0x80 | opcode);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < 126 => into.push(masked | short),
        (_, Ok(medium)) => {
            into.push(masked | 126);
            into.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            into.push(masked | 127);
            into.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

/// Where the head of an HTTP message ends, and its body begins.
pub fn head_end(bytes: &[u8]) -> Option<usize> {
    find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// The status of an answer.
pub fn status(head: &[u8]) -> Option<u16> {
    str::from_utf8(head.get(9..12)?).ok()?.parse().ok()
}

/// The path that is asked for.
pub fn path(head: &[u8]) -> Option<&str> {
    str::from_utf8(head).ok()?.split(' ').nth(1)
}

/// A header of a head, by its name in lower case.
pub fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    let lines = str::from_utf8(head).ok()?.split("\r\n");
    lines.filter_map(|line| line.split_once(':')).find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim())
}

/// Where something is first found.
pub fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written_and_not_before_it_is_whole() {
        for length in [0, 1, 125, 126, 300, 65_535, 65_536, 100_000] {
            let payload: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let mut server = Vec::new();
            put_server_frame(TEXT, &payload, &mut server);
            for bytes in [client_frame(TEXT, &payload), server] {
                for cut in [0, 1, 2, 5, bytes.len() - 1] {
                    assert_eq!(frame_at(&bytes[..cut.min(bytes.len() - 1)]).unwrap(), None, "{length} cut at {cut}");
                }
                let mut more = bytes.clone();
                more.push(0x81);
                let frame = frame_at(&more).unwrap().unwrap();
                assert_eq!((frame.opcode, frame.end), (TEXT, bytes.len()));
                assert_eq!(unmasked(&more[frame.start..frame.end], frame.mask), payload);
            }
        }
    }

    #[test]
    fn what_is_no_frame_of_ours_is_said_to_be_none() {
        assert!(frame_at(&[0x81, 127, 1, 0, 0, 0, 0, 0, 0, 0]).is_err());
    }

    #[test]
    fn heads_are_read() {
        let answer = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\ncontent-length: 2\r\n\r\n{}";
        let end = head_end(answer).unwrap();
        assert_eq!(&answer[end..], b"{}");
        assert_eq!(status(answer), Some(429));
        assert_eq!(header(&answer[..end], "content-length"), Some("2"));
        assert_eq!(header(&answer[..end], "retry-after"), Some("3"));
        assert_eq!(path(b"GET /pair/7 HTTP/1.1\r\n\r\n"), Some("/pair/7"));
        assert_eq!(head_end(b"HTTP/1.1 200 OK\r\n"), None);
    }
}
