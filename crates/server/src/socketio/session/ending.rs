//! How a session ends: by its client, by the last of its namespaces, by a fault. What its namespaces still have to say
//! is said, within a patience.

use gateway_domain::{Code, ConnectionId, Now, Refusal, Tick};
use gateway_transport::{CloseFrame, engineio::Packet};

use super::{
    super::{EngineFault, carrier::Carrier, line::Heard},
    Session,
};
use crate::connection::CLOSE_PATIENCE;

/// A session on its way out.
pub(in crate::socketio) struct Closing {
    pub(super) until: Tick,
    refusal: Option<Refusal>,
    /// Whether a poll was told that it is over.
    pub(super) is_told: bool,
}

impl Session {
    /// A namespace said its last word.
    pub(super) fn over(&mut self, connection: ConnectionId, closes: bool, now: Now) {
        let before = self.namespaces.len();
        self.namespaces.retain(|namespace| namespace.occupant.id != connection);
        let is_alone = self.namespaces.is_empty() && self.admitting.is_none();
        if self.namespaces.len() < before && (closes || is_alone) {
            self.close(None, now);
        }
    }

    /// The client broke the protocol, or is silent: every namespace is told so, then the session closes.
    pub(in crate::socketio) fn fail(&mut self, refusal: Refusal, now: Now) {
        if self.closing.is_some() {
            return;
        }
        if self.namespaces.is_empty() {
            self.site.house.metrics.doors.refused(refusal.code);
            self.site.house.audit.refused(&refusal, &self.visitor.subject(), now);
        }
        for namespace in &self.namespaces {
            namespace.occupant.end(refusal.clone());
        }
        self.begin_to_close(Some(refusal), now);
    }

    /// The session closes: its namespaces are lost.
    pub(in crate::socketio) fn close(&mut self, refusal: Option<Refusal>, now: Now) {
        self.namespaces.clear();
        self.begin_to_close(refusal, now);
    }

    /// The client is gone, or has closed.
    pub(in crate::socketio) fn gone(&mut self, code: Option<u16>, now: Now) {
        for namespace in self.namespaces.drain(..) {
            let _ = namespace.to.try_send(Heard::Left(code).into());
        }
        self.told.close();
        while self.told.try_recv().is_ok() {}
        self.stash = None;
        self.begin_to_close(None, now);
        self.moving = None;
        if let Some(closing) = &mut self.closing {
            closing.is_told = true;
        }
    }

    fn begin_to_close(&mut self, refusal: Option<Refusal>, now: Now) {
        self.admitting = None;
        // A client whose probe was answered polls no more: it reads the end by the new way, or not at all.
        self.moving = self.moving.take().filter(|moving| moving.is_answered());
        self.blocked = None;
        self.incoming.clear();
        if let Some(posted) = self.posted.take() {
            let broken = refusal.as_ref().is_some_and(|refusal| refusal.code == Code::ProtocolError);
            let _ = posted.send(if broken { Err(EngineFault::Request) } else { Ok(()) });
        }
        self.closing.get_or_insert(Closing { until: now.tick + CLOSE_PATIENCE, refusal, is_told: false });
    }

    pub(super) fn is_over(&self, now: Now) -> bool {
        let Some(closing) = &self.closing else { return false };
        let all_said = self.lines.is_empty() && self.stash.is_none() && self.told.is_empty();
        now.tick >= closing.until || all_said && (closing.is_told || matches!(self.carrier, Carrier::Websocket(_)))
    }

    pub(super) async fn finish(self: Box<Self>) {
        let Self { site, place, visitor, carrier, lines, closing, counted, requests, .. } = *self;
        // Whoever asks from here on asks in vain; whoever is still in a namespace is not any more.
        drop((place, requests, lines));
        let refusal = closing.and_then(|closing| closing.refusal);
        match carrier {
            Carrier::Polling(Some(held)) => drop(held.send(Ok(Packet::Close.to_text()))),
            Carrier::Polling(None) => {}
            Carrier::Websocket(socket) => {
                let frame = refusal
                    .map_or_else(CloseFrame::normal, |refusal| CloseFrame::of(&refusal, Some(visitor.request_id)));
                socket.close(frame, CLOSE_PATIENCE).await;
            }
        }
        drop((site, counted));
    }
}
