//! What the client says, packet by packet: to the session itself, to the gate, to one of its namespaces.

use gateway_domain::{Code, Now, Refusal};
use gateway_transport::{
    Inbound,
    engineio::Packet,
    socketio::{self, Body},
};
use tokio::sync::mpsc::error::TrySendError;

use super::{
    line::Heard,
    session::{Session, broken},
};

/// Packets for a namespace that has ended: they were on their way. More are not.
const MOST_IGNORED: u16 = 256;

impl Session {
    /// Reads what came, until something has to be waited for.
    pub(super) fn read(&mut self, now: Now) {
        self.hand_on_what_was_blocked();
        while self.closing.is_none() && self.admitting.is_none() && self.blocked.is_none() {
            let Some(message) = self.incoming.pop_front() else { break };
            if let Err(refusal) = self.take_in(&message, now) {
                self.fail(refusal, now);
            }
        }
        // A client moves only when its post was taken; and until it has moved its namespaces may have no room for what
        // was posted, for nothing is said to it.
        let waits_to_move = self.moving.as_ref().is_some_and(|moving| moving.is_answered());
        if (self.incoming.is_empty() && self.blocked.is_none() && self.admitting.is_none() || waits_to_move)
            && let Some(posted) = self.posted.take()
        {
            let _ = posted.send(Ok(()));
        }
    }

    fn take_in(&mut self, message: &Inbound, now: Now) -> Result<(), Refusal> {
        match message {
            Inbound::Text(text) => match Packet::parse(text).map_err(|fault| fault.refusal())? {
                Packet::Message(packet) => self.on_packet(packet, now),
                Packet::Binary(bytes) => self.on_binary(bytes.into_owned().into()),
                Packet::Pong { probe: false } | Packet::Noop => {
                    self.alive(now);
                    Ok(())
                }
                Packet::Close => {
                    self.gone(None, now);
                    Ok(())
                }
                Packet::Open(_) | Packet::Ping { .. } | Packet::Pong { probe: true } | Packet::Upgrade => {
                    Err(broken("a packet of Engine.IO that only a server sends, or that does not belong here"))
                }
            },
            Inbound::Binary(bytes) => self.on_binary(bytes.clone()),
            Inbound::Ping | Inbound::Pong | Inbound::Close(_) => Ok(()),
        }
    }

    fn on_packet(&mut self, packet: &str, now: Now) -> Result<(), Refusal> {
        match self.decoder.text(packet).map_err(socketio::Fault::refusal)? {
            Some(whole) => self.on_whole(&whole, behind_namespace(packet), now),
            None => Ok(()),
        }
    }

    fn on_binary(&mut self, bytes: bytes::Bytes) -> Result<(), Refusal> {
        match self.decoder.binary(bytes).map_err(socketio::Fault::refusal)? {
            Some(_) => Err(unsupported()),
            None => Ok(()),
        }
    }

    fn on_whole(&mut self, packet: &socketio::Packet<'_>, rest: &str, now: Now) -> Result<(), Refusal> {
        let path = packet.namespace.path();
        match &packet.body {
            Body::Connect(credentials) => self.on_connect(path, credentials, now),
            Body::ConnectError(_) => Err(broken("only a server refuses a CONNECT")),
            Body::Event(event) if !event.attachments.is_empty() => Err(unsupported()),
            Body::Ack(ack) if !ack.attachments.is_empty() => Err(unsupported()),
            Body::Event(_) => self.hand_on(path, Some(rest)),
            // Nothing that is said here asks for an answer; one that comes all the same is a sign of life.
            Body::Ack(_) => self.hand_on(path, None),
            Body::Disconnect => {
                self.leave(path, now);
                Ok(())
            }
        }
    }

    /// To the namespace, if the client is in it, or was.
    fn hand_on(&mut self, path: &str, event: Option<&str>) -> Result<(), Refusal> {
        let Some(namespace) = self.namespaces.iter().find(|own| *own.occupant.endpoint.path == *path) else {
            self.ignored += 1;
            return match self.ignored <= MOST_IGNORED && self.was_in(path) {
                true => Ok(()),
                false => Err(broken("a packet for a namespace that the client is not in")),
            };
        };
        if let Some(event) = event {
            let heard = Box::new(Heard::Event(event.to_owned().into()));
            if let Err(TrySendError::Full(heard)) = namespace.to.try_send(heard) {
                self.blocked = Some((namespace.occupant.id, heard));
            }
        }
        Ok(())
    }

    fn hand_on_what_was_blocked(&mut self) {
        let Some((id, heard)) = self.blocked.take() else { return };
        let Some(namespace) = self.namespaces.iter().find(|own| own.occupant.id == id) else { return };
        if let Err(TrySendError::Full(heard)) = namespace.to.try_send(heard) {
            self.blocked = Some((id, heard));
        }
    }

    /// The client leaves a namespace, and may come back into it.
    fn leave(&mut self, path: &str, now: Now) {
        let Some(at) = self.namespaces.iter().position(|own| *own.occupant.endpoint.path == *path) else { return };
        let namespace = self.namespaces.swap_remove(at);
        let _ = namespace.to.try_send(Heard::Left(None).into());
        if self.namespaces.is_empty() {
            self.connect_by = Some(now.tick + self.front.times.connect_timeout);
        }
    }

    /// Whether the client could have been in it: an end of ours and a packet of its own may have crossed.
    fn was_in(&self, path: &str) -> bool {
        self.stranger.is_none() && self.site.house.namespaces.at(path).is_some()
    }
}

/// Bytes have no place in the gateway's messages, as on its own WebSockets.
fn unsupported() -> Refusal {
    Refusal::new(Code::UnsupportedData, "events with binary parts are not taken here: send JSON")
}

/// An event without its head: `ACK["type",payload]`.
fn behind_namespace(packet: &str) -> &str {
    let rest = packet.get(1..).unwrap_or_default();
    match rest.starts_with('/') {
        true => rest.split_once(',').map_or("", |(_, rest)| rest),
        false => rest,
    }
}
