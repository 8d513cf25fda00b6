//! What is said to the client: over a WebSocket as it comes, to a poll as much as fits.

use gateway_domain::Now;
use gateway_transport::{
    Outbound, SocketFault, Text,
    engineio::{Packet, PayloadWriter},
};

use super::{
    super::{carrier::Carrier, line::Told, moving::NOOPS_APART},
    PING, Session, TOLD,
};

impl Session {
    /// Asks the client whether it is there, unless it has not even taken the last such question.
    pub(super) fn ping(&mut self) {
        let ping = Text::from(PING);
        if !self.own.contains(&ping) {
            self.own.push_back(ping);
        }
    }

    /// Says what waits to be said, as far as the client takes it.
    pub(super) fn say_what_waits(&mut self, now: Now) {
        match &mut self.carrier {
            Carrier::Websocket(socket) => {
                while let Some(packet) = self.own.pop_front() {
                    if let Err(SocketFault::Full) = socket.queue(Outbound::Text(packet)) {
                        return self.gone(None, now);
                    }
                }
                if let Some(Told::Over { connection, closes }) = self.stash {
                    self.stash = None;
                    self.over(connection, closes, now);
                }
            }
            Carrier::Polling(_) => self.answer_poll(now),
        }
        // A line that ended without its last word did not get it through, or not yet.
        let is_stuck = self.told.len() == TOLD || self.told.is_empty() && self.stash.is_none();
        if self.closing.is_none() && is_stuck && self.lines.len() < self.namespaces.len() {
            self.close(None, now);
        }
    }

    fn answer_poll(&mut self, now: Now) {
        if let Some(moving) = &mut self.moving
            && moving.is_answered()
        {
            // The client waits for its poll to end before it moves; what there is to say comes by the other way.
            if now.tick >= moving.noop_at && self.carrier.answer(Packet::Noop.to_text()) {
                moving.noop_at = now.tick + NOOPS_APART;
            }
            return;
        }
        if !self.carrier.holds_a_poll() {
            return;
        }
        let mut body = PayloadWriter::new(self.front.payload_limits(true));
        while let Some(packet) = self.own.pop_front() {
            body.push_text(packet.as_str());
        }
        while let Some(told) = self.stash.take().or_else(|| self.told.try_recv().ok().map(|told| *told)) {
            match told {
                Told::Packet(packet) if body.has_room_for(packet.len()) => body.push_text(packet.as_str()),
                Told::Packet(_) => {
                    self.stash = Some(told);
                    break;
                }
                Told::Over { connection, closes } => self.over(connection, closes, now),
            }
        }
        // In a body of its own: the library drops what it has not looked at when it reads this.
        let all_said = self.stash.is_none() && self.lines.is_empty() && body.is_empty();
        if let Some(closing) = self.closing.as_mut().filter(|_| all_said) {
            body.push(&Packet::Close);
            closing.is_told = true;
        }
        if !body.is_empty() && !self.carrier.answer(body.into_text()) {
            self.gone(None, now);
        }
    }
}
