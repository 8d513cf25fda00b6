//! The floor: what the kernel asks for the same work. One thread, one epoll, no checks, no rooms, no limits; what it says
//! to many is framed once. Nothing that does more can cost less, so a gateway is measured by its distance from here.
//!
//! Its doors: `/echo` gives back; `/pair/N` hands over to the other one of that N; `/fan` listens, and what `/tell` says
//! goes to all who listen, as many messages in one write as came in one read.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::SocketAddr,
    thread,
};

use anyhow::{Context, Result};
use mio::{
    Events, Interest, Poll, Token, Waker,
    net::{TcpListener, TcpStream},
};

use crate::wire::{self, ACCEPT, CLOSE, PING, PONG, TEXT};

const LISTENER: Token = Token(usize::MAX);
const END: Token = Token(usize::MAX - 1);
const BACKLOG: i32 = 4096;
/// Who does not read so much is let go: the floor has no outbox worth the name.
const MOST_UNSENT: usize = 64 << 20;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Door {
    /// The request has not come yet.
    Unknown,
    Echo,
    Pair(usize),
    Fan,
    Tell,
}

struct Visitor {
    stream: TcpStream,
    door: Door,
    unread: Vec<u8>,
    unsent: Vec<u8>,
}

/// The floor, running.
struct Floor {
    poll: Poll,
    visitors: Vec<Option<Visitor>>,
    free: Vec<usize>,
    listeners: Vec<usize>,
    pairs: HashMap<usize, Vec<usize>>,
    scratch: Vec<u8>,
}

/// Serves until the standard input ends, which it does with whoever started it.
pub fn serve(address: SocketAddr) -> Result<()> {
    let mut listener = listen(address)?;
    let mut floor = Floor {
        poll: Poll::new()?,
        visitors: Vec::new(),
        free: Vec::new(),
        listeners: Vec::new(),
        pairs: HashMap::new(),
        scratch: vec![0; 64 << 10],
    };
    floor.poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let end = Waker::new(floor.poll.registry(), END)?;
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _ = end.wake();
    });
    let mut out = io::stdout().lock();
    writeln!(out, "{}", listener.local_addr()?)?;
    out.flush()?;
    let mut events = Events::with_capacity(1024);
    loop {
        match floor.poll.poll(&mut events, None) {
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        }
        for event in &events {
            match event.token() {
                END => return Ok(()),
                LISTENER => floor.accept(&listener)?,
                Token(id) => {
                    if event.is_writable() {
                        floor.send(id, &[]);
                    }
                    if event.is_readable() {
                        floor.read(id);
                    }
                }
            }
        }
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into()).with_context(|| format!("the floor cannot listen on {address}"))?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

impl Floor {
    fn accept(&mut self, listener: &TcpListener) -> Result<()> {
        loop {
            let mut stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // One that went before it was met is nothing to stop for.
                Err(fault) if fault.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(fault) => return Err(fault).context("the floor cannot accept"),
            };
            stream.set_nodelay(true)?;
            let id = self.free.pop().unwrap_or(self.visitors.len());
            self.poll.registry().register(&mut stream, Token(id), Interest::READABLE | Interest::WRITABLE)?;
            let visitor = Visitor { stream, door: Door::Unknown, unread: Vec::new(), unsent: Vec::new() };
            match self.visitors.get_mut(id) {
                Some(slot) => *slot = Some(visitor),
                None => self.visitors.push(Some(visitor)),
            }
        }
    }

    fn visitor(&mut self, id: usize) -> Option<&mut Visitor> {
        self.visitors.get_mut(id).and_then(Option::as_mut)
    }

    fn read(&mut self, id: usize) {
        let mut scratch = std::mem::take(&mut self.scratch);
        let room = scratch.len();
        while let Some(visitor) = self.visitor(id) {
            let read = match visitor.stream.read(&mut scratch) {
                Ok(0) => {
                    self.leave(id);
                    break;
                }
                Ok(read) => read,
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.leave(id);
                    break;
                }
            };
            let unread = std::mem::take(&mut visitor.unread);
            let came = scratch.get(..read).unwrap_or_default();
            if unread.is_empty() {
                self.take(id, came);
            } else {
                self.take(id, &[&unread, came].concat());
            }
            // A short read has emptied the socket.
            if read < room {
                break;
            }
        }
        self.scratch = scratch;
    }

    /// Does what the bytes ask for, and keeps what is not whole.
    fn take(&mut self, id: usize, mut bytes: &[u8]) {
        let Some(door) = self.visitor(id).map(|visitor| visitor.door) else { return };
        if door == Door::Unknown {
            let Some(end) = wire::head_end(bytes) else { return self.keep(id, bytes) };
            let (head, rest) = bytes.split_at(end);
            self.open(id, head);
            bytes = rest;
        }
        let mut answer = Vec::new();
        while let Ok(Some(frame)) = wire::frame_at(bytes) {
            let payload = wire::unmasked(bytes.get(frame.start..frame.end).unwrap_or_default(), frame.mask);
            bytes = bytes.get(frame.end..).unwrap_or_default();
            match frame.opcode {
                CLOSE => {
                    wire::put_server_frame(CLOSE, &payload, &mut answer);
                    self.send(id, &answer);
                    return self.leave(id);
                }
                PING => wire::put_server_frame(PONG, &payload, &mut answer),
                PONG => {}
                _ => wire::put_server_frame(TEXT, &payload, &mut answer),
            }
        }
        self.keep(id, bytes);
        if !answer.is_empty() {
            self.say(id, &answer);
        }
    }

    fn keep(&mut self, id: usize, bytes: &[u8]) {
        if let Some(visitor) = self.visitor(id) {
            visitor.unread = bytes.to_vec();
        }
    }

    fn open(&mut self, id: usize, head: &[u8]) {
        let path = wire::path(head).unwrap_or_default();
        let door = match path.strip_prefix("/pair/").map(str::parse) {
            Some(Ok(pair)) => Door::Pair(pair),
            _ if path == "/fan" => Door::Fan,
            _ if path == "/tell" => Door::Tell,
            _ => Door::Echo,
        };
        match door {
            Door::Fan => self.listeners.push(id),
            Door::Pair(pair) => self.pairs.entry(pair).or_default().push(id),
            _ => {}
        }
        if let Some(visitor) = self.visitor(id) {
            visitor.door = door;
        }
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {ACCEPT}\r\n\r\n"
        );
        self.send(id, answer.as_bytes());
    }

    /// Hands the frames to those who are to have them.
    fn say(&mut self, id: usize, frames: &[u8]) {
        match self.visitor(id).map(|visitor| visitor.door) {
            Some(Door::Pair(pair)) => {
                let other = self.pairs.get(&pair).and_then(|both| both.iter().copied().find(|other| *other != id));
                if let Some(other) = other {
                    self.send(other, frames);
                }
            }
            Some(Door::Tell) => {
                let mut listeners = std::mem::take(&mut self.listeners);
                for listener in &listeners {
                    self.send(*listener, frames);
                }
                listeners.retain(|listener| self.visitors.get(*listener).is_some_and(Option::is_some));
                self.listeners = listeners;
            }
            _ => self.send(id, frames),
        }
    }

    fn send(&mut self, id: usize, bytes: &[u8]) {
        let Some(visitor) = self.visitor(id) else { return };
        let sent = visitor.send(bytes);
        if sent.is_err() || visitor.unsent.len() > MOST_UNSENT {
            self.leave(id);
        }
    }

    fn leave(&mut self, id: usize) {
        let Some(mut visitor) = self.visitors.get_mut(id).and_then(Option::take) else { return };
        let _ = self.poll.registry().deregister(&mut visitor.stream);
        self.free.push(id);
        match visitor.door {
            Door::Fan => self.listeners.retain(|listener| *listener != id),
            Door::Pair(pair) => {
                if let Some(both) = self.pairs.get_mut(&pair) {
                    both.retain(|other| *other != id);
                }
            }
            _ => {}
        }
    }
}

impl Visitor {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.unsent.is_empty() {
            self.unsent.extend_from_slice(bytes);
            let waiting = std::mem::take(&mut self.unsent);
            return self.write(&waiting);
        }
        self.write(bytes)
    }

    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {
                    self.unsent = bytes.to_vec();
                    return Ok(());
                }
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }
}
