//! What becomes of a message: held against the deadline, read, counted, answered.

use bytes::Bytes;
use gateway_domain::{
    Code, Now, Refusal,
    envelope::{Message, MessageFault, Notice},
    rate::{Excess, Judgement},
};
use gateway_transport::{Outbound, SocketFault, Utf8Bytes};
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Connection;
use crate::{audit::Event, endpoint::Handler};

/// Why a message ended the connection.
pub(super) enum End {
    Refused(Refusal),
    Socket(SocketFault),
}

impl From<SocketFault> for End {
    fn from(fault: SocketFault) -> Self {
        Self::Socket(fault)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<S> {
    pub(super) fn on_text(&mut self, text: &Utf8Bytes, now: Now) -> Result<(), End> {
        self.arrives(text.len(), now)?;
        if self.occupant.endpoint.handler == Handler::Echo {
            return self.echo(Outbound::Text(text.clone()), text.len(), now);
        }
        match Message::parse(text) {
            Ok(message) => self.on_message(&message, now),
            Err(fault) => {
                if self.counts(None, now)? {
                    self.not_understood(None, &fault, now)?;
                }
                Ok(())
            }
        }
    }

    pub(super) fn on_binary(&mut self, bytes: Bytes, now: Now) -> Result<(), End> {
        self.arrives(bytes.len(), now)?;
        match self.occupant.endpoint.handler {
            Handler::Echo => {
                let length = bytes.len();
                self.echo(Outbound::Binary(bytes), length, now)
            }
            Handler::Routes => {
                Err(End::Refused(Refusal::new(Code::UnsupportedData, "this endpoint speaks JSON in text messages")))
            }
        }
    }

    /// Every message is held against the token's deadline before anything else is done with it.
    fn arrives(&mut self, bytes: usize, now: Now) -> Result<(), End> {
        self.occupant.traffic.received(bytes);
        self.session.on_message(&self.occupant.endpoint.session, now).map_err(End::Refused)
    }

    fn echo(&mut self, message: Outbound, bytes: usize, now: Now) -> Result<(), End> {
        if self.counts(None, now)? {
            self.occupant.traffic.sent(bytes);
            self.socket.queue(message)?;
        }
        Ok(())
    }

    fn on_message(&mut self, message: &Message<'_>, now: Now) -> Result<(), End> {
        let id = message.id.as_deref();
        match &*message.kind {
            // Exempt: the answer to a heartbeat must not be what puts somebody over the limit.
            "pong" => Ok(()),
            "auth.refresh" => Ok(self.on_refresh(message, now)?),
            kind => {
                if !self.counts(id, now)? {
                    return Ok(());
                }
                match kind {
                    "ping" => Ok(self.pong(id, message.payload)?),
                    "reply" => Ok(self.say_error(id, &Refusal::plain(Code::NotAsked))?),
                    _ => {
                        let fault = MessageFault::Form(format!("no route takes `{}`", shortened(kind)));
                        self.not_understood(id, &fault, now)
                    }
                }
            }
        }
    }

    /// What was not said comes back as that, and not as null.
    fn pong(&mut self, id: Option<&str>, payload: Option<&RawValue>) -> Result<(), SocketFault> {
        self.say_text(Notice { kind: "pong", id, payload }.to_text().unwrap_or_default())
    }

    /// Counts a message; whether it may pass. If not, the client is told, as often as it should be.
    fn counts(&mut self, id: Option<&str>, now: Now) -> Result<bool, End> {
        let judgement = self.occupant.stands(|standing| standing.account.judge(&standing.plan.messages, now));
        match judgement {
            Judgement::Admitted => Ok(true),
            Judgement::Refused(excess) => {
                self.too_much(id, excess, "too many messages", now)?;
                Ok(false)
            }
        }
    }

    fn too_much(&mut self, id: Option<&str>, excess: Excess, what: &'static str, now: Now) -> Result<(), End> {
        let refusal = Refusal::new(Code::RateLimited, what).retry_after(excess.retry_after);
        if let Some(nth) = excess.violation {
            let wait = refusal.retry_after_seconds().unwrap_or_default();
            let told = refusal.clone().because(format!("{what}: violation {nth}, to wait {wait} s"));
            self.house.audit.event_of(Event::LimitViolated, &told, &self.occupant.subject(), now);
        }
        if excess.tell {
            self.say_error(id, &refusal)?;
        }
        Ok(())
    }

    fn not_understood(&mut self, id: Option<&str>, fault: &MessageFault, now: Now) -> Result<(), End> {
        self.say_error(id, &Refusal::new(Code::InvalidMessage, fault.to_string()))?;
        if let Some(excess) = self.occupant.stands(|standing| standing.account.invalid(now)) {
            self.too_much(None, excess, "too many messages that are not understood", now)?;
        }
        Ok(())
    }
}

fn shortened(kind: &str) -> &str {
    kind.get(..kind.floor_char_boundary(64)).unwrap_or_default()
}
