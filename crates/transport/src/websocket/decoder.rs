//! Bytes to messages (RFC 6455, 5): a state machine over any pieces. A frame is judged by its first two bytes and by
//! its declared length before anything else of it is read.

use bytes::Bytes;

use super::{
    Inbound, SocketFault,
    message::{Message, unmask_into, whole},
};
use crate::close::CloseFrame;

/// Frames may cost a message this much on the wire beyond twice its largest size: who sends a byte a frame is cut off.
const FRAGMENT_ALLOWANCE: usize = 64 << 10;
const MOST_CONTROL: u64 = 125;

/// Reads one client's frames: what has come of the frame and of the message under way. It holds no stream and waits for
/// nothing; after a fault, nothing more should be read.
pub struct Decoder {
    max_message: usize,
    head: Head,
    frame: Option<Frame>,
    control: Vec<u8>,
    message: Option<Message>,
    ended: bool,
}

/// What came in, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whole {
    /// A text or binary message.
    Message(Inbound),
    /// A ping, and what its pong is to say.
    Ping(Bytes),
    /// A pong, whatever it says.
    Pong,
    /// The peer's close frame. Nothing behind it is read.
    Close(Option<CloseFrame>),
}

impl Decoder {
    /// Nothing has come yet; no message may be larger than that.
    pub fn new(max_message: usize) -> Self {
        Self { max_message, head: Head::default(), frame: None, control: Vec::new(), message: None, ended: false }
    }

    /// The largest message from now on.
    pub(super) fn allow(&mut self, max_message: usize) {
        self.max_message = max_message;
    }

    /// Takes from the input to the end of the next whole thing; nothing where the input ends before it.
    pub fn decode(&mut self, input: &mut &[u8]) -> Result<Option<Whole>, SocketFault> {
        loop {
            if self.ended {
                *input = &[];
                return Ok(None);
            }
            let Some(frame) = &mut self.frame else {
                let Some(frame) = self.next_frame(input)? else { return Ok(None) };
                self.frame = Some(frame);
                continue;
            };
            let (piece, rest) = input.split_at(frame.left.min(input.len()));
            *input = rest;
            frame.left -= piece.len();
            let is_whole = frame.left == 0;
            let whole = match frame.opcode {
                Opcode::Data { .. } | Opcode::Continuation => self.take_data(piece, is_whole)?,
                Opcode::Close | Opcode::Ping | Opcode::Pong => {
                    unmask_into(&mut self.control, piece, &mut frame.mask);
                    if is_whole { Some(self.take_control()?) } else { None }
                }
            };
            if is_whole {
                self.frame = None;
            }
            if whole.is_some() {
                return Ok(whole);
            }
            if !is_whole {
                return Ok(None);
            }
        }
    }

    /// Whether the next byte begins something new.
    pub fn is_between_messages(&self) -> bool {
        self.frame.is_none() && self.message.is_none() && self.head.len == 0
    }

    fn next_frame(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, SocketFault> {
        if !self.head.fill(2, input) {
            return Ok(None);
        }
        let opcode = self.head.opcode(self.message.is_some())?;
        if !self.head.fill(self.head.size(), input) {
            return Ok(None);
        }
        let head = std::mem::take(&mut self.head);
        let (length, mask) = head.length_and_mask()?;
        let too_big = || SocketFault::TooBig;
        let left = usize::try_from(length).map_err(|_| too_big())?;
        if matches!(opcode, Opcode::Data { .. } | Opcode::Continuation) {
            let (sofar, spent) = self.message.as_ref().map_or((0, 0), |message| (message.len(), message.spent));
            if left > self.max_message.saturating_sub(sofar) {
                return Err(too_big());
            }
            let spent = spent + usize::from(head.len) + left;
            if spent > self.max_message.saturating_mul(2).saturating_add(FRAGMENT_ALLOWANCE) {
                return Err(too_big());
            }
            if let Some(message) = &mut self.message {
                message.spent = spent;
            }
        }
        Ok(Some(Frame { opcode, is_last: head.is_last(), left, mask }))
    }

    fn take_data(&mut self, piece: &[u8], is_whole: bool) -> Result<Option<Whole>, SocketFault> {
        let Some(frame) = &mut self.frame else { return Ok(None) };
        let ends = is_whole && frame.is_last;
        let message = match (&mut self.message, frame.opcode) {
            (None, Opcode::Data { is_text }) if ends => {
                return whole(is_text, piece, &mut frame.mask).map(|message| Some(Whole::Message(message)));
            }
            (Some(message), _) => message,
            (none, opcode) => {
                let mut message = Message::new(matches!(opcode, Opcode::Data { is_text: true }));
                message.spent = MOST_HEAD + piece.len() + frame.left;
                none.insert(message)
            }
        };
        message.extend(piece, &mut frame.mask)?;
        if !ends {
            return Ok(None);
        }
        self.message.take().map(|message| message.complete().map(Whole::Message)).transpose()
    }

    fn take_control(&mut self) -> Result<Whole, SocketFault> {
        let payload = std::mem::take(&mut self.control);
        match self.frame.as_ref().map(|frame| frame.opcode) {
            Some(Opcode::Ping) => Ok(Whole::Ping(payload.into())),
            Some(Opcode::Close) => {
                self.ended = true;
                close_frame(payload).map(Whole::Close)
            }
            _ => Ok(Whole::Pong),
        }
    }
}

fn close_frame(payload: Vec<u8>) -> Result<Option<CloseFrame>, SocketFault> {
    match payload.split_first_chunk::<2>() {
        None if payload.is_empty() => Ok(None),
        None => Err(SocketFault::Protocol("a close frame with half a code")),
        Some((code, reason)) => {
            let code = u16::from_be_bytes(*code);
            if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                return Err(SocketFault::Protocol("a close code that may not be sent"));
            }
            let reason = std::str::from_utf8(reason).map_err(|_| SocketFault::InvalidUtf8)?;
            Ok(Some(CloseFrame::new(code, reason)))
        }
    }
}

struct Frame {
    opcode: Opcode,
    is_last: bool,
    left: usize,
    mask: [u8; 4],
}

#[derive(Clone, Copy)]
enum Opcode {
    Continuation,
    Data { is_text: bool },
    Close,
    Ping,
    Pong,
}

const MOST_HEAD: usize = 14;

/// The head of a frame, byte by byte.
#[derive(Default)]
struct Head {
    bytes: [u8; MOST_HEAD],
    len: u8,
}

impl Head {
    /// Takes bytes until there are so many; false where the input ends before.
    fn fill(&mut self, size: usize, input: &mut &[u8]) -> bool {
        while usize::from(self.len) < size {
            let Some((byte, rest)) = input.split_first() else { return false };
            if let Some(slot) = self.bytes.get_mut(usize::from(self.len)) {
                *slot = *byte;
            }
            self.len += 1;
            *input = rest;
        }
        true
    }

    fn is_last(&self) -> bool {
        self.bytes[0] & 0x80 != 0
    }

    fn short_length(&self) -> u8 {
        self.bytes[1] & 0x7f
    }

    /// How long the head is, as its first two bytes say.
    fn size(&self) -> usize {
        match self.short_length() {
            126 => 8,
            127 => MOST_HEAD,
            _ => 6,
        }
    }

    /// The first two bytes, judged.
    fn opcode(&self, in_message: bool) -> Result<Opcode, SocketFault> {
        let broken = |what| Err(SocketFault::Protocol(what));
        if self.bytes[0] & 0x70 != 0 {
            return broken("a reserved bit is set");
        }
        if self.bytes[1] & 0x80 == 0 {
            return broken("a frame is not masked");
        }
        let opcode = match self.bytes[0] & 0x0f {
            0 if in_message => return Ok(Opcode::Continuation),
            0 => return broken("a continuation of no message"),
            1 | 2 if in_message => return broken("a new message before the last one has ended"),
            1 => return Ok(Opcode::Data { is_text: true }),
            2 => return Ok(Opcode::Data { is_text: false }),
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            _ => return broken("an unknown kind of frame"),
        };
        if !self.is_last() {
            return broken("a fragmented control frame");
        }
        if u64::from(self.short_length()) > MOST_CONTROL {
            return broken("a control frame of more than 125 bytes");
        }
        Ok(opcode)
    }

    fn length_and_mask(&self) -> Result<(u64, [u8; 4]), SocketFault> {
        let [_, _, a, b, c, d, e, f, g, h, i, j, k, l] = self.bytes;
        match self.short_length() {
            126 => Ok((u64::from(u16::from_be_bytes([a, b])), [c, d, e, f])),
            127 if a & 0x80 != 0 => Err(SocketFault::Protocol("a length of more than 63 bits")),
            127 => Ok((u64::from_be_bytes([a, b, c, d, e, f, g, h]), [i, j, k, l])),
            short => Ok((u64::from(short), [a, b, c, d])),
        }
    }
}

#[cfg(test)]
mod tests;
