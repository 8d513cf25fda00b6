//! Many clients in one thread: one epoll, one buffer to read into, frames made before they are said. The client must
//! not be what is measured, so nothing here allocates for a message that comes whole.
//!
//! A scenario says what a member hears by a function over its own state; members answer pings and closes by
//! themselves. A member that stalls is not read until it is told to go on.

mod member;

use std::{
    io::{self, Read},
    net::SocketAddr,
    ops::Range,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use mio::{Events, Interest, Poll, Registry, Token};

use crate::{
    protocol::{Opening, Protocol},
    wire::{self, CLOSE, PING, PONG},
};
use member::{Member, Phase, dial};

const SCRATCH: usize = 256 << 10;
const MOST_EVENTS: usize = 1024;

/// What a member hears.
#[derive(Clone, Copy, Debug)]
pub enum Heard<'a> {
    /// It is in: after the greeting, where there is one.
    Ready,
    /// A message.
    Message(&'a [u8]),
    /// The answer to an HTTP request: its status and its body.
    Answer(u16, &'a [u8]),
    /// It was not let in, with this status: 101 where it was told behind the upgrade.
    Refused(u16),
    /// It is over, with this close code, where there was one. The member is gone.
    Over(Option<u16>),
}

/// How somebody comes in.
#[derive(Clone, Debug)]
pub struct Entrance {
    /// Where.
    pub address: SocketAddr,
    /// What it says first.
    pub request: String,
    /// How the conversation begins.
    pub protocol: Protocol,
    /// What it says when it is asked for its token, framed.
    pub credentials: Vec<u8>,
    /// How much the kernel may take for it; absent: as much as the kernel likes.
    pub receive_buffer: Option<usize>,
}

/// The clients.
pub struct Crowd {
    poll: Poll,
    events: Events,
    scratch: Vec<u8>,
    /// Those who are here, to be spoken for.
    pub voices: Voices,
}

/// The members, as a scenario may make them speak and go.
pub struct Voices {
    registry: Registry,
    members: Vec<Option<Member>>,
    free: Vec<usize>,
    births: u64,
    here: usize,
}

impl Crowd {
    /// Nobody yet.
    pub fn new() -> Result<Self> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let voices = Voices { registry, members: Vec::new(), free: Vec::new(), births: 0, here: 0 };
        Ok(Self { poll, events: Events::with_capacity(MOST_EVENTS), scratch: vec![0; SCRATCH], voices })
    }

    /// Waits for something to happen, at most so long, and tells what.
    pub fn turn<S>(
        &mut self,
        state: &mut S,
        patience: Duration,
        hear: &mut impl FnMut(&mut S, &mut Voices, usize, Heard<'_>, Instant),
    ) -> Result<()> {
        match self.poll.poll(&mut self.events, Some(patience)) {
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => return Ok(()),
            other => other.context("the clients cannot wait")?,
        }
        for event in &self.events {
            let Token(id) = event.token();
            let mut tell = |voices: &mut Voices, heard: Heard<'_>, at: Instant| hear(state, voices, id, heard, at);
            if event.is_writable() {
                self.voices.write_rest(id, &mut tell);
            }
            if event.is_readable() {
                self.voices.read(id, &mut self.scratch, event.is_read_closed(), &mut tell);
            }
        }
        Ok(())
    }

    /// Turns until it is done; whether it was, within the limit.
    pub fn until<S>(
        &mut self,
        state: &mut S,
        limit: Duration,
        mut hear: impl FnMut(&mut S, &mut Voices, usize, Heard<'_>, Instant),
        done: impl Fn(&S) -> bool,
    ) -> Result<bool> {
        let end = Instant::now() + limit;
        let mut turns = 0_u32;
        while !done(state) {
            self.turn(state, Duration::from_millis(100), &mut hear)?;
            turns += 1;
            // The clock is not asked at every turn.
            if (turns.is_multiple_of(16) || self.events.is_empty()) && Instant::now() > end {
                return Ok(done(state));
            }
        }
        Ok(true)
    }

    /// Lets a stalled member hear again.
    pub fn wake<S>(
        &mut self,
        state: &mut S,
        id: usize,
        hear: &mut impl FnMut(&mut S, &mut Voices, usize, Heard<'_>, Instant),
    ) {
        if let Some(member) = self.voices.member(id) {
            member.stalled = false;
        }
        let mut tell = |voices: &mut Voices, heard: Heard<'_>, at: Instant| hear(state, voices, id, heard, at);
        self.voices.read(id, &mut self.scratch, true, &mut tell);
    }
}

impl Voices {
    /// Sends somebody to the door; its id. It is heard of when it is ready, or refused.
    pub fn enter(&mut self, entrance: &Entrance) -> Result<usize> {
        let nth = self.births;
        self.births += 1;
        let began = Instant::now();
        let mut stream = dial(entrance, nth)?;
        let id = self.free.pop().unwrap_or(self.members.len());
        self.registry
            .register(&mut stream, Token(id), Interest::READABLE | Interest::WRITABLE)
            .context("a client cannot be watched")?;
        let member = Member {
            stream,
            phase: Phase::Asking,
            protocol: entrance.protocol,
            born: nth,
            began,
            unread: Vec::new(),
            unsent: entrance.request.as_bytes().to_vec(),
            credentials: entrance.credentials.clone(),
            stalled: false,
        };
        match self.members.get_mut(id) {
            Some(slot) => *slot = Some(member),
            None => self.members.push(Some(member)),
        }
        self.here += 1;
        Ok(id)
    }

    /// Says bytes that are framed already; whether somebody is there to say them.
    pub fn say(&mut self, id: usize, bytes: &[u8]) -> bool {
        let Some(member) = self.member(id) else { return false };
        // Whoever cannot be written to is found gone when it is read.
        let _ = member.send(bytes);
        true
    }

    /// When that member set out.
    pub fn began(&self, id: usize) -> Option<Instant> {
        self.members.get(id)?.as_ref().map(|member| member.began)
    }

    /// What that member speaks.
    pub fn protocol(&self, id: usize) -> Option<Protocol> {
        self.members.get(id)?.as_ref().map(|member| member.protocol)
    }

    /// Stops reading a member.
    pub fn stall(&mut self, id: usize) {
        if let Some(member) = self.member(id) {
            member.stalled = true;
        }
    }

    /// Takes a member away without a word.
    pub fn drop_out(&mut self, id: usize) {
        if let Some(mut member) = self.members.get_mut(id).and_then(Option::take) {
            let _ = self.registry.deregister(&mut member.stream);
            self.free.push(id);
            self.here -= 1;
        }
    }

    /// How many there are.
    pub fn here(&self) -> usize {
        self.here
    }

    fn member(&mut self, id: usize) -> Option<&mut Member> {
        self.members.get_mut(id).and_then(Option::as_mut)
    }

    fn is_still(&self, id: usize, born: u64) -> bool {
        self.members.get(id).and_then(Option::as_ref).is_some_and(|member| member.born == born)
    }

    fn write_rest(&mut self, id: usize, tell: &mut impl FnMut(&mut Self, Heard<'_>, Instant)) {
        let Some(member) = self.member(id) else { return };
        if !member.unsent.is_empty() && member.send(&[]).is_err() {
            self.drop_out(id);
            tell(self, Heard::Over(None), Instant::now());
        }
    }

    /// Reads what has come; `to_the_end`, where nothing will ring again: it was not listened to, or it is over.
    fn read(
        &mut self,
        id: usize,
        scratch: &mut [u8],
        to_the_end: bool,
        tell: &mut impl FnMut(&mut Self, Heard<'_>, Instant),
    ) {
        loop {
            let Some(member) = self.member(id) else { return };
            if member.stalled {
                return;
            }
            let born = member.born;
            let read = match member.stream.read(scratch) {
                Ok(read) if read > 0 => read,
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => return,
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => continue,
                Ok(_) | Err(_) => {
                    self.drop_out(id);
                    return tell(self, Heard::Over(None), Instant::now());
                }
            };
            let at = Instant::now();
            let came = scratch.get(..read).unwrap_or_default();
            let mut unread = std::mem::take(&mut member.unread);
            if unread.is_empty() {
                let used = self.take(id, born, came, at, tell);
                if let (Some(member), true) = (self.member(id), used < came.len()) {
                    member.unread.extend_from_slice(came.get(used..).unwrap_or_default());
                }
            } else {
                unread.extend_from_slice(came);
                let used = self.take(id, born, &unread, at, tell);
                unread.drain(..used.min(unread.len()));
                if let Some(member) = self.member(id) {
                    member.unread = unread;
                }
            }
            // A short read has emptied the socket, and what comes later rings again.
            if (read < scratch.len() && !to_the_end) || !self.is_still(id, born) {
                return;
            }
        }
    }

    /// Tells all that is whole; how many bytes that was.
    fn take(
        &mut self,
        id: usize,
        born: u64,
        bytes: &[u8],
        at: Instant,
        tell: &mut impl FnMut(&mut Self, Heard<'_>, Instant),
    ) -> usize {
        let mut used = 0;
        while self.is_still(id, born) {
            let rest = bytes.get(used..).unwrap_or_default();
            let Some((step, taken)) = self.step(id, rest) else { break };
            used += taken;
            let body = |range: Range<usize>| rest.get(range).unwrap_or_default();
            match step {
                Step::Quiet => {}
                Step::Ready => tell(self, Heard::Ready, at),
                Step::Message(range) => tell(self, Heard::Message(body(range)), at),
                Step::Answer(status, range) => tell(self, Heard::Answer(status, body(range)), at),
                Step::Refused(status) => {
                    self.drop_out(id);
                    tell(self, Heard::Refused(status), at);
                }
                Step::Over(code) => {
                    self.drop_out(id);
                    tell(self, Heard::Over(code), at);
                }
            }
        }
        used
    }

    /// The next whole thing, and its length.
    fn step(&mut self, id: usize, bytes: &[u8]) -> Option<(Step, usize)> {
        let member = self.member(id)?;
        match member.phase {
            Phase::Asking if member.protocol == Protocol::Http => {
                member.phase = Phase::Open;
                member.answer(bytes)
            }
            Phase::Asking => {
                let end = wire::head_end(bytes)?;
                let head = bytes.get(..end)?;
                let status = wire::status(head).unwrap_or_default();
                if status != wire::SWITCHING || wire::header(head, "sec-websocket-accept") != Some(wire::ACCEPT) {
                    return Some((Step::Refused(status), end));
                }
                let greets = member.protocol.greets();
                member.phase = if greets { Phase::Entering } else { Phase::Open };
                Some((if greets { Step::Quiet } else { Step::Ready }, end))
            }
            Phase::Open if member.protocol == Protocol::Http => member.answer(bytes),
            Phase::Entering | Phase::Open => {
                let Ok(frame) = wire::frame_at(bytes) else { return Some((Step::Over(None), bytes.len())) };
                let frame = frame?;
                let payload = bytes.get(frame.start..frame.end).unwrap_or_default();
                let step = match frame.opcode {
                    CLOSE => {
                        let _ = member.send(&wire::client_frame(CLOSE, payload));
                        let code = payload.get(..2).and_then(|code| <[u8; 2]>::try_from(code).ok());
                        Step::Over(code.map(u16::from_be_bytes))
                    }
                    PING => {
                        let _ = member.send(&wire::client_frame(PONG, payload));
                        Step::Quiet
                    }
                    PONG => Step::Quiet,
                    _ if member.pulse(payload) => Step::Quiet,
                    _ if matches!(member.phase, Phase::Open) => Step::Message(frame.start..frame.end),
                    _ => match member.protocol.opening(payload) {
                        Opening::Wait => Step::Quiet,
                        Opening::Show => {
                            let credentials = std::mem::take(&mut member.credentials);
                            let _ = member.send(&credentials);
                            Step::Quiet
                        }
                        Opening::Refused => Step::Refused(wire::SWITCHING),
                        Opening::Ready => {
                            member.phase = Phase::Open;
                            Step::Ready
                        }
                    },
                };
                Some((step, frame.end))
            }
        }
    }
}

/// What came whole.
enum Step {
    Quiet,
    Ready,
    Message(Range<usize>),
    Answer(u16, Range<usize>),
    Refused(u16),
    Over(Option<u16>),
}
