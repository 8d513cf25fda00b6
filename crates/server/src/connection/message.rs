//! What becomes of a message: held against the deadline, read in the words of its endpoint, counted, answered. What it asks
//! for is said by its [`Intent`].
//!
//! Where a line answers every message once, whatever bears an id has its answer in one place of each path: the last.

use bytes::Bytes;
use gateway_domain::{
    Code, Now, Refusal,
    envelope::{Message, MessageFault, Notice},
    rate::{Excess, Judgement},
};
use gateway_transport::{Outbound, SocketFault, Utf8Bytes};
use serde_json::value::RawValue;

use super::{Connection, line::Line};
use crate::{
    audit::Event,
    endpoint::Handler,
    intent::{Intent, Wish, shortened},
};

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

impl<L: Line> Connection<L> {
    pub(super) fn on_text(&mut self, text: &Utf8Bytes, now: Now) -> Result<(), End> {
        self.arrives(text.len(), now)?;
        if matches!(self.occupant.endpoint.handler, Handler::Echo) {
            return self.echo(Outbound::Text(text.clone().into()), text.len(), now);
        }
        match self.occupant.endpoint.vocabulary.read(text) {
            Ok(message) => self.on_message(&message, now),
            Err(fault) => {
                let id = self.occupant.endpoint.vocabulary.id_in(text);
                if self.counts(id.as_deref(), now) {
                    self.not_understood(id.as_deref(), &fault, now);
                }
            }
        }
        Ok(())
    }

    pub(super) fn on_binary(&mut self, bytes: Bytes, now: Now) -> Result<(), End> {
        self.arrives(bytes.len(), now)?;
        match self.occupant.endpoint.handler {
            Handler::Echo => {
                let length = bytes.len();
                self.echo(Outbound::Binary(bytes), length, now)
            }
            Handler::Routes | Handler::Own(_) => {
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
        if self.counts(None, now) {
            self.occupant.traffic.sent(bytes);
            self.line.queue(message)?;
        }
        Ok(())
    }

    fn on_message(&mut self, message: &Message<'_>, now: Now) {
        self.trace = message.trace().map(|trace| Box::new(trace.id));
        if let Some(trace) = &self.trace {
            let (connection, kind) = (self.occupant.id, shortened(&message.kind));
            tracing::debug!(connectionId = %connection, traceId = %trace, kind, "a message of a trace");
        }
        match Intent::in_words_of_the_gateway(&message.kind) {
            Some(intent) => self.does(message, intent, now),
            None => self.on_routed(message, now),
        }
    }

    /// Does what a message asks for.
    pub(super) fn does(&mut self, message: &Message<'_>, intent: Intent<'_>, now: Now) {
        let id = message.id.as_deref();
        if intent.is_counted && !self.counts(id, now) {
            return;
        }
        match intent.wish {
            Wish::Nothing => self.done(id),
            Wish::Pong => self.pong(id, message.payload),
            Wish::Refresh => self.on_refresh(message, now),
            Wish::Subscribe => self.on_subscribe(message, now),
            Wish::Unsubscribe => self.on_unsubscribe(message, now),
            Wish::Reply => self.on_reply(message, now),
            Wish::Answer(answer) => self.on_answer(message, &answer, now),
            Wish::Cancel => self.on_cancel(message, now),
            Wish::Send(found) => self.send(message, found, now),
            Wish::Forbidden(refusal) => self.refuse(id, &refusal, now),
            Wish::Unclear(fault) => self.not_understood(id, &fault, now),
        }
    }

    /// What was not said comes back as that, and not as null.
    fn pong(&self, id: Option<&str>, payload: Option<&RawValue>) {
        self.say_text(Notice { kind: "pong", id, payload }.to_text().unwrap_or_default());
    }

    /// Counts a message; whether it may pass. If not, the client is told, as often as it should be.
    pub(super) fn counts(&self, id: Option<&str>, now: Now) -> bool {
        let judgement = self.occupant.stands(|standing| standing.account.judge(&standing.plan.messages, now));
        match judgement {
            Judgement::Admitted => true,
            Judgement::Refused(excess) => {
                self.too_much(id, excess, "too many messages", now);
                false
            }
        }
    }

    fn too_much(&self, id: Option<&str>, excess: Excess, what: &'static str, now: Now) {
        let refusal = Refusal::new(Code::RateLimited, what).retry_after(excess.retry_after);
        if let Some(nth) = excess.violation {
            self.house.metrics.doors.violated(nth);
            let wait = refusal.retry_after_seconds().unwrap_or_default();
            let told = refusal.clone().because(format!("{what}: violation {nth}, to wait {wait} s"));
            self.house.audit.event_of(Event::LimitViolated, &told, &self.subject(), now);
        }
        if excess.tell || L::ANSWERS_ONCE && id.is_some() {
            self.say_error(id, &refusal);
        }
    }

    /// Nothing is left to be said of a message. Where each wants an answer, this is it.
    pub(super) fn done(&self, id: Option<&str>) {
        if L::ANSWERS_ONCE && id.is_some() {
            self.say_text(Notice { kind: "ack", id, payload: None::<()> }.to_text().unwrap_or_default());
        }
    }

    pub(super) fn not_understood(&self, id: Option<&str>, fault: &MessageFault, now: Now) {
        self.say_error(id, &Refusal::new(Code::InvalidMessage, fault.to_string()));
        if let Some(excess) = self.occupant.stands(|standing| standing.account.invalid(now)) {
            self.too_much(None, excess, "too many messages that are not understood", now);
        }
    }

    /// Refuses a message that was understood, and writes it down.
    pub(super) fn refuse(&self, id: Option<&str>, refusal: &Refusal, now: Now) {
        self.house.audit.refused_as(Event::MessageRefused, refusal, &self.subject(), now);
        self.say_error(id, refusal);
    }
}
