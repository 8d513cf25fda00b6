//! One socket, driven by one task in both directions. Every wait may be dropped and taken up again: what has come and
//! what waits to go live in the socket, never in the future. The `farewell` is how it ends.

mod farewell;

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::{
    Inbound, Outbound, SocketFault, SocketLimits,
    decoder::{Decoder, Whole},
    outlet::{Outlet, Source, Way},
    output::Kind,
};
use crate::{close::CloseFrame, wire::Wire};

/// One read takes this much, through the stack.
const READ_SIZE: usize = 8 << 10;

/// A server's end of a WebSocket.
pub struct Socket<S> {
    source: Source<S>,
    limits: SocketLimits,
    decoder: Decoder,
    /// What was read and not yet decoded.
    unread: Bytes,
    outlet: Outlet,
    /// The answer to the latest ping, while the peer does not read.
    pong: Option<Bytes>,
    /// Runs while a message is under way.
    message_end: Option<Pin<Box<Sleep>>>,
    heard: u64,
    state: State,
}

enum State {
    Open,
    /// The peer closed, with this.
    ClosedByPeer(Option<CloseFrame>),
    /// The peer broke the protocol: nothing more of it is parsed.
    Broken,
    /// Nobody is there.
    Gone,
}

impl<S> std::fmt::Debug for Socket<S> {
    // Neither what was said nor what is about to be.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket")
            .field("heard", &self.heard)
            .field("queued", &self.queued_bytes())
            .finish_non_exhaustive()
    }
}

impl Socket<Wire> {
    /// The same as [`Self::server`]; over plain TCP others may write to it, too, by its [`Self::outlet`].
    pub fn shared(wire: Wire, leftover: Bytes, limits: SocketLimits) -> Self {
        match wire {
            Wire::Tcp(stream) => {
                let (read, write) = stream.into_split();
                Self::on(Source::Half(read), Outlet::new(Some(write)), leftover, limits)
            }
            other => Self::server(other, leftover, limits),
        }
    }
}

impl<S> Socket<S> {
    /// How many bytes wait to be written.
    pub fn queued_bytes(&self) -> usize {
        self.outlet.lock().output.len()
    }

    /// The way out for others than this socket's task, where there is one.
    pub fn outlet(&self) -> Option<Outlet> {
        Some(self.outlet.clone()).filter(Outlet::is_shared)
    }
}

impl<S> Drop for Socket<S> {
    fn drop(&mut self) {
        self.outlet.drop_stream();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// A socket on a stream that was upgraded; `leftover` came behind the request and is parsed first.
    pub fn server(stream: S, leftover: Bytes, limits: SocketLimits) -> Self {
        Self::on(Source::Whole(stream), Outlet::new(None), leftover, limits)
    }

    fn on(source: Source<S>, outlet: Outlet, leftover: Bytes, limits: SocketLimits) -> Self {
        Self {
            source,
            limits,
            decoder: Decoder::new(limits.max_message),
            heard: leftover.len() as u64,
            unread: leftover,
            outlet,
            pong: None,
            message_end: None,
            state: State::Open,
        }
    }

    /// The next that the peer says. Writes what is queued whenever it would wait; reads nothing while too much waits
    /// to be written. May be dropped and called again without loss.
    pub async fn next(&mut self) -> Result<Inbound, SocketFault> {
        self.next_while_sending(true, || None).await
    }

    /// The same, while `more` is said: it is asked for the next message whenever there is room for one, so that what
    /// waits with the caller and what waits here are one queue, written together. What `more` gave is never lost.
    /// Where the peer is not to be heard now, nothing is read, and this ends only with a fault.
    pub async fn next_while_sending(
        &mut self,
        hear: bool,
        mut more: impl FnMut() -> Option<Outbound>,
    ) -> Result<Inbound, SocketFault> {
        poll_fn(|cx| self.poll_next(cx, hear, &mut more)).await
    }

    /// Puts a message into the queue: [`Self::next`] and [`Self::flush`] write it, together with its neighbours.
    pub fn queue(&mut self, message: Outbound) -> Result<(), SocketFault> {
        let (kind, payload) = framed(message);
        let output = &mut self.outlet.lock().output;
        // A single message may be larger than the bound: it was allowed to be made.
        if output.len() > 0 && output.len().saturating_add(payload.len()) > self.limits.max_queued {
            return Err(SocketFault::Full);
        }
        output.push(kind, &payload);
        Ok(())
    }

    /// Writes all that is queued. May be dropped and called again without loss.
    pub async fn flush(&mut self) -> Result<(), SocketFault> {
        poll_fn(|cx| self.poll_flush(cx)).await.map_err(|error| self.gone(error))
    }

    /// From the next frame on, messages may be so large: whoever has shown who it is may say more.
    pub fn take_messages_of(&mut self, most: usize) {
        self.limits.max_message = most;
        self.decoder.allow(most);
    }

    /// Whether so little waits to be written that the peer is still read.
    pub fn has_room(&self) -> bool {
        self.queued_bytes() <= self.limits.read_below
    }

    /// How many bytes the peer has sent: any of them is a sign of life.
    pub fn heard(&self) -> u64 {
        self.heard
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        hear: bool,
        more: &mut impl FnMut() -> Option<Outbound>,
    ) -> Poll<Result<Inbound, SocketFault>> {
        match &self.state {
            State::Open => {}
            State::ClosedByPeer(frame) => return Poll::Ready(Ok(Inbound::Close(frame.clone()))),
            State::Broken => return Poll::Ready(Err(SocketFault::Protocol("the protocol was broken before"))),
            State::Gone => return Poll::Ready(Err(SocketFault::Gone(io::ErrorKind::NotConnected.into()))),
        }
        let whole = match ready!(self.poll_whole(cx, hear, more)) {
            Ok(whole) => whole,
            Err(fault) => {
                self.state = match fault {
                    SocketFault::Gone(_) => State::Gone,
                    _ => State::Broken,
                };
                self.release();
                return Poll::Ready(Err(fault));
            }
        };
        Poll::Ready(Ok(match whole {
            Whole::Message(message) => message,
            Whole::Ping(payload) => {
                // Every ping is answered, but to a peer that does not read only the latest.
                let output = &mut self.outlet.lock().output;
                if output.is_blocked() {
                    self.pong = Some(payload);
                } else {
                    output.push(Kind::Pong, &payload);
                }
                Inbound::Ping
            }
            Whole::Pong => Inbound::Pong,
            Whole::Close(frame) => {
                self.state = State::ClosedByPeer(frame.clone());
                self.release();
                Inbound::Close(frame)
            }
        }))
    }

    /// The next whole thing. What was read is decoded before anything is written, so that the answers to a burst go
    /// out in one write.
    fn poll_whole(
        &mut self,
        cx: &mut Context<'_>,
        hear: bool,
        more: &mut impl FnMut() -> Option<Outbound>,
    ) -> Poll<Result<Whole, SocketFault>> {
        loop {
            // Who has not taken what was said before is not heard: the whole backlog counts, not what fits in here.
            if hear && !self.unread.is_empty() && self.fill(more) {
                let mut rest = &self.unread[..];
                let decoded = self.decoder.decode(&mut rest);
                let taken = self.unread.len() - rest.len();
                self.unread.advance(taken);
                if self.unread.is_empty() {
                    self.unread = Bytes::new();
                }
                if let Some(whole) = self.settled(decoded)? {
                    return Poll::Ready(Ok(whole));
                }
            }
            let has_room = self.poll_send(cx, more).map_err(SocketFault::Gone)?;
            if !hear || !has_room {
                return Poll::Pending;
            }
            if !self.unread.is_empty() {
                continue;
            }
            let decoded = match self.poll_read(cx, Self::decode_read) {
                Poll::Ready(Ok(None)) => {
                    return Poll::Ready(Err(SocketFault::Gone(io::ErrorKind::UnexpectedEof.into())));
                }
                Poll::Ready(Ok(Some(decoded))) => decoded,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(SocketFault::Gone(error))),
                Poll::Pending => {
                    ready!(self.poll_message_end(cx));
                    return Poll::Ready(Err(SocketFault::Protocol("a message took too long to come")));
                }
            };
            if let Some(whole) = self.settled(decoded)? {
                return Poll::Ready(Ok(whole));
            }
        }
    }

    /// Decodes from a piece that was just read, and keeps the rest; nothing for the end of the stream.
    fn decode_read(&mut self, bytes: &[u8]) -> Option<Result<Option<Whole>, SocketFault>> {
        if bytes.is_empty() {
            return None;
        }
        self.heard += bytes.len() as u64;
        let mut rest = bytes;
        let decoded = self.decoder.decode(&mut rest);
        if !rest.is_empty() {
            self.unread = Bytes::copy_from_slice(rest);
        }
        Some(decoded)
    }

    fn settled(&mut self, decoded: Result<Option<Whole>, SocketFault>) -> Result<Option<Whole>, SocketFault> {
        if matches!(decoded, Ok(Some(Whole::Message(_)))) {
            self.message_end = None;
        }
        decoded
    }

    /// Ready when the message under way has taken too long.
    fn poll_message_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.decoder.is_between_messages() {
            self.message_end = None;
            return Poll::Pending;
        }
        let age = self.limits.message_age;
        self.message_end.get_or_insert_with(|| Box::pin(sleep(age))).as_mut().poll(cx)
    }

    /// One read, through a buffer on the stack, so that an idle socket holds none.
    fn poll_read<T>(&mut self, cx: &mut Context<'_>, take: fn(&mut Self, &[u8]) -> T) -> Poll<io::Result<T>> {
        let mut space = [MaybeUninit::uninit(); READ_SIZE];
        let mut buffer = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.source).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(take(self, buffer.filled())))
    }

    /// Writes as much as the peer takes; whether there is room for more. While it is not read, what it takes is its sign of
    /// life.
    fn poll_send(&mut self, cx: &mut Context<'_>, more: &mut impl FnMut() -> Option<Outbound>) -> io::Result<bool> {
        let most = self.limits.read_below;
        let mut way = self.outlet.lock();
        loop {
            let filled = fill(&mut way, most, more);
            let before = way.output.len();
            let unheard = before > most;
            let sent = poll_flush(&mut way, &mut self.source, &mut self.pong, cx)?;
            if unheard {
                self.heard += before.saturating_sub(way.output.len()) as u64;
            }
            if sent.is_pending() {
                fill(&mut way, most, more);
                return Ok(way.output.len() <= most);
            }
            // Where there was no room before, there may be more to say, and nobody would ask for it again.
            if !filled && !unheard {
                return Ok(true);
            }
        }
    }

    /// Takes over what is to be said; whether there is room for more.
    fn fill(&mut self, more: &mut impl FnMut() -> Option<Outbound>) -> bool {
        let mut way = self.outlet.lock();
        fill(&mut way, self.limits.read_below, more);
        way.output.len() <= self.limits.read_below
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        poll_flush(&mut self.outlet.lock(), &mut self.source, &mut self.pong, cx)
    }

    /// Lets go of what only a living conversation needs.
    fn release(&mut self) {
        self.decoder = Decoder::new(self.limits.max_message);
        self.unread = Bytes::new();
        self.message_end = None;
    }

    fn gone(&mut self, error: io::Error) -> SocketFault {
        self.state = State::Gone;
        SocketFault::Gone(error)
    }
}

/// Takes over what is to be said, as far as there is room; whether there was anything.
fn fill(way: &mut Way, most: usize, more: &mut impl FnMut() -> Option<Outbound>) -> bool {
    let mut filled = false;
    while way.output.len() <= most
        && let Some(message) = more()
    {
        let (kind, payload) = framed(message);
        way.output.push(kind, &payload);
        filled = true;
    }
    filled
}

fn poll_flush<S: AsyncWrite + Unpin>(
    way: &mut Way,
    source: &mut Source<S>,
    pong: &mut Option<Bytes>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    loop {
        ready!(way.poll_write(source, cx))?;
        match pong.take() {
            Some(payload) => way.output.push(Kind::Pong, &payload),
            None => return Poll::Ready(Ok(())),
        }
    }
}

fn framed(message: Outbound) -> (Kind, Bytes) {
    match message {
        Outbound::Text(text) => (Kind::Text, Bytes::from(text)),
        Outbound::Binary(bytes) => (Kind::Binary, bytes),
        Outbound::Ping(mut bytes) => {
            bytes.truncate(125);
            (Kind::Ping, bytes)
        }
    }
}
