//! From polling to a WebSocket: the client tries the new way with a probe, waits until its last poll has ended, and then
//! says that it moves. Until it does, nothing is said over the new way, and once the probe is answered nothing over the
//! old one either, so that nothing is lost and nothing said twice.

use std::{sync::Arc, time::Duration};

use gateway_domain::{Now, Tick};
use gateway_transport::{Inbound, Outbound, Socket, Ticket, Wire, engineio::Packet};

use super::{carrier::Carrier, session::Session};

/// How long a client may take to move.
const PATIENCE: Duration = Duration::from_secs(10);
/// A client that polls on although its probe was answered is held back so long each time.
pub(super) const NOOPS_APART: Duration = Duration::from_millis(100);

/// A WebSocket that is tried out.
pub(super) struct Moving {
    socket: Box<Socket<Wire>>,
    is_answered: bool,
    pub(super) until: Tick,
    /// When a held poll is to end.
    pub(super) noop_at: Tick,
    _place: Arc<Ticket>,
}

/// What came of it.
pub(super) enum Moved {
    /// The probe came, and is answered.
    Answered,
    /// The client is over.
    Over,
    /// It came to nothing; the old way goes on.
    Failed,
}

impl Moving {
    /// Whether the probe was answered.
    pub(super) const fn is_answered(&self) -> bool {
        self.is_answered
    }

    /// When something is to be done.
    pub(super) fn due(&self, holds_a_poll: bool) -> Tick {
        if self.is_answered && holds_a_poll { self.noop_at.min(self.until) } else { self.until }
    }

    /// The next step of the client; never, where nothing is tried out.
    pub(super) async fn next(moving: &mut Option<Box<Self>>) -> Moved {
        let Some(moving) = moving else { return std::future::pending().await };
        let said = moving.socket.next().await;
        let packet = match &said {
            Ok(Inbound::Text(text)) => Packet::parse(text).ok(),
            _ => None,
        };
        match (packet, moving.is_answered) {
            (Some(Packet::Ping { probe: true }), false) => {
                let answer = Packet::Pong { probe: true }.to_text();
                if moving.socket.queue(Outbound::Text(answer.into())).is_err() {
                    return Moved::Failed;
                }
                moving.is_answered = true;
                Moved::Answered
            }
            (Some(Packet::Upgrade), true) => Moved::Over,
            _ => Moved::Failed,
        }
    }
}

impl Session {
    /// A WebSocket wants to carry the session. One that is carried by one already, or tries another out, takes none.
    pub(super) fn try_out(&mut self, socket: Box<Socket<Wire>>, place: Arc<Ticket>, now: Now) {
        if matches!(self.carrier, Carrier::Polling(_)) && self.moving.is_none() && self.closing.is_none() {
            let until = now.tick + PATIENCE;
            let moving = Moving { socket, is_answered: false, until, noop_at: now.tick, _place: place };
            self.moving = Some(Box::new(moving));
        }
    }

    /// The client is over: everything goes by the new way.
    pub(super) fn move_over(&mut self, now: Now) {
        let Some(moving) = self.moving.take() else { return };
        self.carrier.answer(Packet::Noop.to_text());
        let Moving { mut socket, .. } = *moving;
        socket.take_messages_of(self.front.most_bytes(self.stranger.is_none()));
        self.carry_by(socket);
        self.alive(now);
    }
}
