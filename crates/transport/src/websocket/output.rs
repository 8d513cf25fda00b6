//! What waits to be written: small frames copied behind each other, so that one write takes them all; large payloads
//! shared as they are. Empty, it holds no memory.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::AsyncWrite;

use crate::close::CloseFrame;

/// From this size on a payload is shared rather than copied.
pub(super) const SHARED_FROM: usize = 2 << 10;
const MOST_SLICES: usize = 16;

/// Kinds of frames that a server sends, each the last of its message.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text = 0x81,
    Binary = 0x82,
    Close = 0x88,
    Ping = 0x89,
    Pong = 0x8a,
}

/// Frames in their order: `front`, then `tail`.
#[derive(Default)]
pub(super) struct Output {
    front: VecDeque<Bytes>,
    tail: BytesMut,
    bytes: usize,
    unflushed: bool,
    is_blocked: bool,
}

impl Output {
    pub(super) const fn len(&self) -> usize {
        self.bytes
    }

    /// Whether the last write found that the peer does not read.
    pub(super) const fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    pub(super) fn push(&mut self, kind: Kind, payload: &Bytes) {
        let head = head_size(payload.len());
        self.bytes += head + payload.len();
        let is_shared = payload.len() >= SHARED_FROM;
        self.tail.reserve(if is_shared { head } else { head + payload.len() });
        put_head(&mut self.tail, kind, payload.len());
        if is_shared {
            self.front.push_back(self.tail.split().freeze());
            self.front.push_back(payload.clone());
        } else {
            self.tail.put_slice(payload);
        }
    }

    pub(super) fn push_close(&mut self, frame: Option<&CloseFrame>) {
        let payload = frame.map_or_else(Bytes::new, |frame| {
            let mut payload = BytesMut::with_capacity(2 + frame.reason.len());
            payload.put_u16(frame.code);
            payload.put_slice(frame.reason.as_bytes());
            // Whoever filled the frame by hand may have overfilled it.
            payload.truncate(125);
            payload.freeze()
        });
        self.push(Kind::Close, &payload);
    }

    /// Keeps what the peer did not take of a first part and a large payload behind it.
    pub(super) fn keep_rest(&mut self, first: &[u8], large: Option<Bytes>, taken: usize) {
        if let Some(rest) = first.get(taken..).filter(|rest| !rest.is_empty()) {
            self.tail.extend_from_slice(rest);
            self.bytes += rest.len();
        }
        if let Some(mut large) = large {
            large.advance(taken.saturating_sub(first.len()).min(large.len()));
            self.bytes += large.len();
            let head = self.tail.split().freeze();
            self.front.extend([head, large].into_iter().filter(|part| !part.is_empty()));
        }
        self.is_blocked = true;
    }

    /// Writes until nothing waits.
    pub(super) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let written = self.poll_write_all(stream, cx);
        self.is_blocked = written.is_pending();
        written
    }

    fn poll_write_all<S: AsyncWrite + Unpin>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.bytes > 0 {
            let written = if self.front.is_empty() {
                ready!(Pin::new(&mut *stream).poll_write(cx, &self.tail))?
            } else {
                let mut slices = [IoSlice::new(&[]); MOST_SLICES];
                let waiting = self.front.iter().map(|bytes| &bytes[..]).chain([&self.tail[..]]);
                for (slice, bytes) in slices.iter_mut().zip(waiting) {
                    *slice = IoSlice::new(bytes);
                }
                ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &slices))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
            self.advance(written);
        }
        if self.unflushed {
            ready!(Pin::new(stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes -= written.min(self.bytes);
        while let Some(first) = self.front.front_mut() {
            let taken = written.min(first.len());
            first.advance(taken);
            written -= taken;
            if !first.is_empty() {
                return;
            }
            self.front.pop_front();
        }
        self.tail.advance(written.min(self.tail.len()));
        if self.bytes == 0 {
            self.tail = BytesMut::new();
            self.front = VecDeque::new();
        }
    }
}

pub(super) fn put_head(space: &mut impl BufMut, kind: Kind, length: usize) {
    space.put_u8(kind as u8);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < 126 => space.put_u8(short),
        (_, Ok(medium)) => {
            space.put_u8(126);
            space.put_u16(medium);
        }
        _ => {
            space.put_u8(127);
            space.put_u64(length as u64);
        }
    }
}

const fn head_size(length: usize) -> usize {
    match length {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    }
}
