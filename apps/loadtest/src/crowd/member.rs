//! One client: a socket, how far it has come, and what is not whole yet in either direction.

use std::{
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::Range,
    time::Instant,
};

use anyhow::{Context, Result};
use mio::net::TcpStream;
use socket2::{Domain, Socket, Type};

use super::{Entrance, Step};
use crate::{protocol::Protocol, wire};

/// So many clients share a loopback address, so that limits by address may stay on.
const TO_AN_ADDRESS: u64 = 100;

/// How far a member has come.
#[derive(Clone, Copy, Debug)]
pub(super) enum Phase {
    /// It asked to come in.
    Asking,
    /// It was upgraded, and waits for the greeting.
    Entering,
    /// It is in.
    Open,
}

/// A client.
pub(super) struct Member {
    pub(super) stream: TcpStream,
    pub(super) phase: Phase,
    pub(super) protocol: Protocol,
    /// Which one it is of all that ever came: ids are used again.
    pub(super) born: u64,
    pub(super) began: Instant,
    pub(super) unread: Vec<u8>,
    pub(super) unsent: Vec<u8>,
    /// Said when it is asked for its token.
    pub(super) credentials: Vec<u8>,
    pub(super) stalled: bool,
}

impl Member {
    /// Says bytes behind those that still wait.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.unsent.is_empty() {
            let written = self.write(bytes)?;
            self.unsent.extend_from_slice(bytes.get(written..).unwrap_or_default());
        } else {
            let mut waiting = std::mem::take(&mut self.unsent);
            waiting.extend_from_slice(bytes);
            let written = self.write(&waiting)?;
            waiting.drain(..written.min(waiting.len()));
            self.unsent = waiting;
        }
        Ok(())
    }

    /// Whether a message only asked if it is there: then it has answered.
    pub(super) fn pulse(&mut self, message: &[u8]) -> bool {
        let Some(answer) = self.protocol.pulse(message) else { return false };
        let _ = self.send(&answer);
        true
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(more) => written += more,
                // Not connected yet is no fault: it rings when it is.
                Err(fault) if matches!(fault.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected) => break,
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(written)
    }

    /// The answer to an HTTP request, if all of it is there.
    pub(super) fn answer(&self, bytes: &[u8]) -> Option<(Step, usize)> {
        let head_end = wire::head_end(bytes)?;
        let head = bytes.get(..head_end)?;
        let length: usize = wire::header(head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let end = head_end + length;
        let body: Range<usize> = head_end..end;
        (bytes.len() >= end).then(|| (Step::Answer(wire::status(head).unwrap_or_default(), body), end))
    }
}

/// Sets out from a loopback address of its own, where it goes to one.
pub(super) fn dial(entrance: &Entrance, nth: u64) -> Result<TcpStream> {
    let what = "a client cannot set out";
    let socket = Socket::new(Domain::for_address(entrance.address), Type::STREAM, None).context(what)?;
    socket.set_nonblocking(true).context(what)?;
    socket.set_tcp_nodelay(true).context(what)?;
    if let Some(size) = entrance.receive_buffer {
        socket.set_recv_buffer_size(size).context(what)?;
    }
    if let SocketAddr::V4(to) = entrance.address
        && to.ip().is_loopback()
    {
        socket.bind(&SocketAddr::from((own_address(nth), 0)).into()).context("a client has no address of its own")?;
    }
    match socket.connect(&entrance.address.into()) {
        Err(fault) if fault.kind() != io::ErrorKind::WouldBlock && fault.raw_os_error() != Some(IN_PROGRESS) => {
            Err(fault).context(format!("{} cannot be reached", entrance.address))
        }
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}

/// `EINPROGRESS` of Linux.
const IN_PROGRESS: i32 = 115;

/// From 127.1.0.1 on.
fn own_address(nth: u64) -> IpAddr {
    let block = nth / TO_AN_ADDRESS;
    let [.., high, low] = (block / 250 % 65_536).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, high.saturating_add(1), low, (block % 250 + 1) as u8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_spread_over_loopback_addresses() {
        assert_eq!(own_address(0), own_address(99));
        assert_ne!(own_address(99), own_address(100));
        let many: std::collections::HashSet<IpAddr> = (0..100_000).map(own_address).collect();
        assert_eq!(many.len(), 1_000);
        assert!(many.iter().all(IpAddr::is_loopback));
    }
}
