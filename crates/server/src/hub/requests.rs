//! Requests: one asks, one is asked, and the asker learns how it ended: by a reply, or by one of three errors.

use std::{sync::Arc, time::Duration};

use gateway_domain::{
    Code, ConnectionId, Now, Refusal, RequestId,
    pending::{Beyond, Request, Unasked},
    relay::Cancel,
    route::{Correlation, Scalar},
    target::Target,
};
use serde_json::Value;
use uuid::Uuid;

use super::{Ended, Hub, Letter, books::Books, outbox::Class};
use crate::{clock, cluster::Letter as Told, refusal::ErrorPayload};

/// What a request is.
#[derive(Debug)]
pub struct Asking<'a> {
    /// Who asks.
    pub asker: ConnectionId,
    /// The asker's own id of it.
    pub asker_id: Option<&'a str>,
    /// Who may answer: one of those whom these mean is asked.
    pub targets: &'a [Target],
    /// How long each reply may take.
    pub timeout: Duration,
    /// What request and answers carry themselves.
    pub correlation: Option<Correlation>,
}

/// Which request a reply means.
#[derive(Clone, Copy, Debug)]
pub enum Meant<'a> {
    /// By its `replyTo`.
    ReplyTo(&'a str),
    /// By what it carries itself.
    Correlation(&'a Correlation),
}

/// A reply as it is passed on, once its request is known.
#[derive(Clone, Debug)]
pub struct Addressed {
    /// The request.
    pub request_id: RequestId,
    /// The asker's own id of it.
    pub asker_id: Option<Box<str>>,
}

impl Hub {
    /// Asks the one of those who are meant that has the least to answer. `text` makes what it reads.
    pub fn ask(
        self: &Arc<Self>,
        asking: Asking<'_>,
        text: impl FnOnce(RequestId) -> String,
        now: Now,
    ) -> Result<(), Refusal> {
        let id = RequestId::new(Uuid::new_v4());
        let text = text(id);
        self.ask_as(id, asking, text, now)
    }

    /// The same, under that name.
    pub(super) fn ask_as(
        self: &Arc<Self>,
        id: RequestId,
        asking: Asking<'_>,
        text: String,
        now: Now,
    ) -> Result<(), Refusal> {
        let mut letter = Letter::new(text);
        let mut books = self.books.lock();
        let offline = || Refusal::new(Code::TargetOffline, format!("nobody is here as {}", named(asking.targets)));
        let mut candidates = self.candidates(&books, asking.targets, Some(asking.asker));
        // Of those with as little to do, another one first each time.
        let turn = id.uuid().as_u128();
        candidates.sort_by_cached_key(|(at, _)| (books.pending.open_at(*at), at.uuid().as_u128() ^ turn));
        for (receiver, here) in candidates {
            let request = Request {
                id,
                asker: asking.asker,
                asker_id: asking.asker_id.map(Into::into),
                receiver,
                correlation: asking.correlation.clone(),
                timeout: asking.timeout,
                beyond: None,
            };
            self.opens(&mut books, request, now)?;
            if self.say(&here, &mut letter, Class::Control) {
                return Ok(());
            }
            books.pending.abandon(id);
        }
        self.metrics.messages.request_ended(Code::TargetOffline.name());
        Err(offline())
    }

    /// Notes that a request waits.
    pub(super) fn opens(&self, books: &mut Books, request: Request, now: Now) -> Result<(), Refusal> {
        let earliest = books.pending.next_deadline();
        books
            .pending
            .open(request, now.tick)
            .map_err(|many| Refusal::new(Code::LimitExceeded, many.to_string()).retry_after(Duration::from_secs(1)))?;
        if books.pending.next_deadline() != earliest {
            self.deadlines.notify_one();
        }
        Ok(())
    }

    /// Passes a reply on to whoever asked. `text` makes what the asker reads.
    pub fn reply(
        &self,
        receiver: ConnectionId,
        meant: Meant<'_>,
        more: bool,
        text: impl FnOnce(Addressed) -> String,
        now: Now,
    ) -> Result<(), Unasked> {
        let mut books = self.books.lock();
        let request_id = match meant {
            Meant::ReplyTo(name) => books.pending.by_reply_to(receiver, name)?,
            Meant::Correlation(correlation) => books.pending.by_correlation(receiver, correlation)?,
        };
        let asked_at = books.pending.asked_at(request_id).unwrap_or(now.tick);
        let answered = books.pending.answer(request_id, more, now.tick).ok_or(Unasked::NotAsked)?;
        let text = text(Addressed { request_id, asker_id: answered.asker_id });
        if answered.beyond.is_some() {
            self.tell_beyond(answered.beyond.as_ref(), &Told::Replied { request: request_id, more, text });
        } else {
            self.answer_asker(&mut books, answered.asker, text, more, now.tick.since(asked_at));
        }
        Ok(())
    }

    /// Tells somebody here a reply.
    pub(super) fn answer_asker(
        &self,
        books: &mut Books,
        asker: ConnectionId,
        text: String,
        more: bool,
        waited: Duration,
    ) {
        if !more {
            self.metrics.messages.replied(waited);
        }
        match books.registry.get(asker) {
            Some(asker) => {
                self.say(asker, &mut Letter::reply(text), Class::Control);
            }
            None => books.answer_call(asker, text.into(), more),
        }
    }

    /// Tells whoever was asked that the asker needs no answer any more; how many requests that were. They stay open:
    /// the end is the reply.
    pub fn cancel(
        &self,
        asker: ConnectionId,
        reply_to: Option<&str>,
        carried: impl FnMut(&str) -> Option<Scalar>,
    ) -> usize {
        let books = self.books.lock();
        let cancelled = books.pending.cancelled(asker, reply_to, carried);
        for one in &cancelled {
            if !self.tell_beyond(one.beyond.as_ref(), &Told::Cancel { request: one.id }) {
                self.tell_cancel(&books, one.receiver, one.id, one.correlation.as_ref());
            }
        }
        cancelled.len()
    }

    /// Ends requests when their time is up, for as long as the house stands.
    pub async fn keep_time(self: Arc<Self>) {
        loop {
            let next = self.books.lock().pending.next_deadline();
            let due = async {
                match next {
                    Some(deadline) => tokio::time::sleep_until(clock::instant(deadline)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => self.expire(clock::now()),
                () = self.deadlines.notified() => {}
            }
        }
    }

    fn expire(&self, now: Now) {
        let mut books = self.books.lock();
        for request in books.pending.expire(now.tick) {
            match &request.beyond {
                // Its asker's node has told the end long ago.
                Some(Beyond::Asker(_)) => continue,
                there => self.tell_beyond(there.as_ref(), &Told::Over { request: request.id }),
            };
            let why = format!("no reply came within {} s: the outcome is unknown", request.timeout.as_secs_f64());
            self.tell_end(&mut books, &request, &Refusal::new(Code::ReplyTimeout, why));
        }
    }

    /// How many requests wait for a reply.
    pub fn open_requests(&self) -> usize {
        self.books.lock().pending.len()
    }

    /// Tells an asker that its request is over.
    pub(super) fn tell_end(&self, books: &mut Books, request: &Request, refusal: &Refusal) {
        self.metrics.messages.request_ended(refusal.code.name());
        match books.registry.get(request.asker) {
            Some(asker) => {
                let text = ended(request.asker_id.as_deref(), refusal, request.correlation.as_ref());
                self.say(asker, &mut Letter::new(text), Class::Control);
            }
            None => books.end_call(request.asker, Ended::Refused(refusal.clone())),
        }
    }

    /// Tells an asker, wherever it is, that whoever it asked has left.
    pub(super) fn tell_lost(&self, books: &mut Books, request: &Request) {
        if let Some(Beyond::Asker(_)) = &request.beyond {
            self.tell_beyond(request.beyond.as_ref(), &Told::Lost { request: request.id });
            return;
        }
        let why = "whoever was asked has left after the request was delivered: its outcome is unknown";
        self.tell_end(books, request, &Refusal::new(Code::TargetLost, why));
    }

    /// Tells a receiver, wherever it is, that the asker has left.
    pub(super) fn tell_orphaned(&self, books: &Books, request: &Request) {
        let letter = Told::Orphaned { request: request.id };
        if !matches!(&request.beyond, Some(Beyond::Receiver(_))) || !self.tell_beyond(request.beyond.as_ref(), &letter)
        {
            self.tell_cancel(books, request.receiver, request.id, request.correlation.as_ref());
        }
    }

    /// Tells a receiver that nobody waits for its answer any more.
    pub(super) fn tell_cancel(
        &self,
        books: &Books,
        receiver: ConnectionId,
        id: RequestId,
        correlation: Option<&Correlation>,
    ) {
        if let Some(receiver) = books.registry.get(receiver) {
            let payload = correlation.map(Correlation::as_payload);
            let text = Cancel { request_id: id, payload: payload.as_deref() }.to_text();
            self.say(receiver, &mut Letter::new(text), Class::Control);
        }
    }
}

/// The error that ends a request. An asker with a correlation of its own finds it in there.
pub fn ended(id: Option<&str>, refusal: &Refusal, correlation: Option<&Correlation>) -> String {
    let mut payload = serde_json::to_value(ErrorPayload::of(refusal)).unwrap_or_default();
    let carried = correlation.and_then(|own| serde_json::from_str(&own.as_payload()).ok());
    if let (Value::Object(payload), Some(Value::Object(carried))) = (&mut payload, carried) {
        for (name, value) in carried {
            payload.entry(name).or_insert(value);
        }
    }
    super::notice("error", id, &payload)
}

pub(super) fn named(targets: &[Target]) -> String {
    targets.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}
