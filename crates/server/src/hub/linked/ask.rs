//! Requests between nodes.
//!
//! Who asks has the request in the books of its node, with its deadline; the receiver's node has it too, for the replies
//! that come there. Each node tells the other what ends it. Of several who could be asked, the one with the least
//! to answer is asked, wherever it is.

use std::{sync::Arc, time::Duration};

use gateway_domain::{
    Code, ConnectionId, Now, Refusal, RequestId,
    link::{Answer, Hearer, NodeId},
    pending::{Beyond, Request},
    route::Correlation,
    target::Target,
    trace::Trace,
};
use tracing::field::display;

use super::{
    cut_off,
    gather::{GATHERING, Offered, Said},
    head::channel,
};
use crate::{
    clock,
    cluster::{Ask, Letter, Link, Offer, WhenAway},
    hub::{Asking, Class, Hub, Letter as Text, books::Books, requests::named},
};

/// The receiver's node forgets a request so long after its asker's node did.
const GRACE: Duration = Duration::from_secs(5);
/// No node offers more than that.
const MOST_OFFERS: usize = 8;

/// Whoever asks, for as long as it takes to find somebody.
#[derive(Clone, Debug)]
pub struct Asker {
    /// Who asks.
    pub asker: ConnectionId,
    /// The asker's own id of it.
    pub asker_id: Option<Box<str>>,
    /// Who may answer.
    pub targets: Vec<Target>,
    /// How long each reply may take.
    pub timeout: Duration,
    /// What request and answers carry themselves.
    pub correlation: Option<Correlation>,
    /// The trace that it belongs to.
    pub trace: Option<Trace>,
}

impl Asker {
    fn asking(&self) -> Asking<'_> {
        let Self { asker, asker_id, targets, timeout, correlation, .. } = self;
        let (asker_id, correlation) = (asker_id.as_deref(), correlation.clone());
        Asking { asker: *asker, asker_id, targets, timeout: *timeout, correlation }
    }
}

impl Hub {
    /// Asks the one of those who are meant that has the least to answer, wherever it is. `text` is what it reads.
    pub async fn ask_abroad(
        self: &Arc<Self>,
        asking: Asker,
        id: RequestId,
        text: String,
        now: Now,
    ) -> Result<(), Refusal> {
        let Some(link) = self.link.clone().filter(|_| !self.is_asked_here(&asking.targets)) else {
            return self.ask_as(id, asking.asking(), text, now);
        };
        let offers = self.seek(&link, &asking, id).await;
        let Some(mut offers) = offers else {
            link.fell_back();
            return match link.when_away() {
                WhenAway::FailOpenLocal => self.ask_as(id, asking.asking(), text, clock::now()),
                WhenAway::FailClosed => Err(cut_off()),
            };
        };
        // Of those with as little to do, another one first each time.
        let turn = id.uuid().as_u128();
        offers.sort_by_cached_key(|(_, at, open)| (*open, at.uuid().as_u128() ^ turn));
        for (node, receiver, _) in offers {
            let is_asked = if node == *link.node() {
                self.ask_here(&asking, id, receiver, text.clone(), clock::now())?
            } else {
                self.ask_there(&link, &asking, id, (&node, receiver), text.clone()).await?
            };
            if is_asked {
                return Ok(());
            }
        }
        Err(self.nobody(&asking.targets))
    }

    fn nobody(&self, targets: &[Target]) -> Refusal {
        self.metrics.messages.request_ended(Code::TargetOffline.name());
        Refusal::new(Code::TargetOffline, format!("nobody is here as {}", named(targets)))
    }

    /// Whether one is meant who is here, and so nobody else can be.
    fn is_asked_here(&self, targets: &[Target]) -> bool {
        let books = self.books.lock();
        match targets {
            [Target::Agent(agent)] => books.registry.agent(agent).is_some(),
            [Target::Connection(id)] => books.registry.get(*id).is_some(),
            _ => false,
        }
    }

    /// Who could be asked; none: the others cannot be reached.
    async fn seek(self: &Arc<Self>, link: &Arc<Link>, asking: &Asker, seek: RequestId) -> Option<Vec<Offered>> {
        let mut channels: Vec<_> = asking.targets.iter().filter_map(channel).collect();
        channels.dedup();
        let letter = Letter::Seek {
            seek,
            targets: asking.targets.iter().map(ToString::to_string).collect(),
            asker: asking.asker,
        };
        let awaiting = self.awaits(seek, 256);
        let told: Vec<_> =
            channels.into_iter().map(|channel| link.tell_all(Hearer::Channel(channel), &letter)).collect();
        let mut count = 0;
        for told in told {
            match told.answer().await {
                Answer::Told { nodes } => count += nodes as usize,
                _ => return None,
            }
        }
        let mut offers: Vec<Offered> = Vec::new();
        for (node, said) in awaiting.all(count, GATHERING).await {
            let Said::Offers(own) = said else { continue };
            for Offer { connection, open } in own {
                if offers.iter().all(|(_, known, _)| *known != connection) {
                    offers.push((node.clone(), connection, open));
                }
            }
        }
        Some(offers)
    }

    /// Whom this node has among those who are meant, and how much they have to answer.
    pub(super) fn offers(&self, targets: &[String], asker: ConnectionId) -> Vec<Offer> {
        let targets: Vec<Target> = targets.iter().filter_map(|target| target.parse().ok()).collect();
        let books = self.books.lock();
        let candidates = self.candidates(&books, &targets, Some(asker));
        let offer = |(connection, _)| Offer { connection, open: books.pending.open_at(connection) };
        let mut offers: Vec<_> = candidates.into_iter().map(offer).collect();
        offers.sort_by_key(|offer| offer.open);
        offers.truncate(MOST_OFFERS);
        offers
    }

    fn ask_here(
        self: &Arc<Self>,
        asking: &Asker,
        id: RequestId,
        receiver: ConnectionId,
        text: String,
        now: Now,
    ) -> Result<bool, Refusal> {
        let targets = [Target::Connection(receiver)];
        let asking = Asking { targets: &targets, ..asking.asking() };
        match self.ask_as(id, asking, text, now) {
            Err(refusal) if refusal.code == Code::TargetOffline => Ok(false),
            asked => asked.map(|()| true),
        }
    }

    async fn ask_there(
        self: &Arc<Self>,
        link: &Arc<Link>,
        asking: &Asker,
        id: RequestId,
        (node, receiver): (&NodeId, ConnectionId),
        text: String,
    ) -> Result<bool, Refusal> {
        let Asker { asker, asker_id, timeout, correlation, trace, .. } = asking;
        let request = Request {
            id,
            asker: *asker,
            asker_id: asker_id.clone(),
            receiver,
            correlation: correlation.clone(),
            timeout: *timeout,
            beyond: Some(Beyond::Receiver(node.clone())),
        };
        let letter = Letter::Ask(Box::new(Ask {
            request: id,
            receiver,
            asker: *asker,
            asker_id: asker_id.clone(),
            correlation: correlation.clone(),
            timeout_millis: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
            traceparent: *trace,
            text,
        }));
        let trace = trace.map(|trace| display(trace.id));
        tracing::debug!(%node, requestId = %id, traceId = trace, "asks at another node");
        let told = {
            let mut books = self.books.lock();
            if books.registry.get(*asker).is_none() && !books.calls.contains_key(asker) {
                // It has gone while somebody was sought: nobody is asked.
                return Ok(true);
            }
            self.opens(&mut books, request, clock::now())?;
            link.tell_all(Hearer::Node(node.clone()), &letter)
        };
        match told.answer().await {
            Answer::Told { nodes: 0 } => Ok(self.books.lock().pending.abandon(id).is_none()),
            // Where nobody knows whether it was told, its own time ends it.
            _ => Ok(true),
        }
    }

    /// Another node's asker asks one of ours.
    pub(super) fn asked_from(self: &Arc<Self>, from: &NodeId, ask: Ask, now: Now) -> Option<Letter> {
        let timeout = ask.timeout() + GRACE;
        let Ask { request: id, receiver, asker, asker_id, correlation, traceparent, text, .. } = ask;
        let trace = traceparent.map(|trace| display(trace.id));
        tracing::debug!(node = %from, connectionId = %receiver, requestId = %id, traceId = trace, "asked at another node");
        let beyond = Some(Beyond::Asker(from.clone()));
        let request = Request { id, asker, asker_id, receiver, correlation, timeout, beyond };
        let mut books = self.books.lock();
        let here = books.registry.get(receiver).cloned();
        let opened = here.filter(|_| self.opens(&mut books, request, now).is_ok());
        let is_told = opened.is_some_and(|here| self.say(&here, &mut Text::new(text), Class::Control));
        if is_told {
            return None;
        }
        books.pending.abandon(id);
        Some(Letter::Unasked { request: id })
    }

    /// It could not be delivered there.
    pub(super) fn unasked_there(&self, id: RequestId, from: &NodeId) {
        let mut books = self.books.lock();
        if let Some(request) = books.ours_at(id, from)
            && books.pending.abandon(id).is_some()
        {
            let refusal = Refusal::new(Code::TargetOffline, "whoever was to be asked has just left");
            self.tell_end(&mut books, &request, &refusal);
        }
    }

    /// A reply from another node, to somebody of ours.
    pub(super) fn replied_there(&self, id: RequestId, from: &NodeId, more: bool, text: String, now: Now) {
        let mut books = self.books.lock();
        if books.ours_at(id, from).is_none() {
            return;
        }
        let asked_at = books.pending.asked_at(id).unwrap_or(now.tick);
        if let Some(answered) = books.pending.answer(id, more, now.tick) {
            self.answer_asker(&mut books, answered.asker, text, more, now.tick.since(asked_at));
        }
    }

    /// Whoever was asked there has left.
    pub(super) fn lost_there(&self, id: RequestId, from: &NodeId) {
        let mut books = self.books.lock();
        if let Some(request) = books.ours_at(id, from)
            && books.pending.abandon(id).is_some()
        {
            self.tell_lost(&mut books, &request);
        }
    }

    /// The asker there needs no answer any more; where it has left, the request is over.
    pub(super) fn cancelled_there(&self, id: RequestId, from: &NodeId, is_over: bool) {
        let mut books = self.books.lock();
        let Some(request) = books.theirs_at(id, from) else { return };
        if is_over {
            books.pending.abandon(id);
        }
        self.tell_cancel(&books, request.receiver, request.id, request.correlation.as_ref());
    }

    /// The request is over there.
    pub(super) fn over_there(&self, id: RequestId, from: &NodeId) {
        let mut books = self.books.lock();
        if books.theirs_at(id, from).is_some() {
            books.pending.abandon(id);
        }
    }

    /// A node is gone, and with it its end of all requests.
    pub(crate) fn requests_lost(&self, node: &NodeId) {
        let mut books = self.books.lock();
        let left = books.pending.lose(node);
        for request in &left.lost {
            self.tell_lost(&mut books, request);
        }
        for request in &left.orphaned {
            self.tell_cancel(&books, request.receiver, request.id, request.correlation.as_ref());
        }
    }

    /// Tells the other end of a request, where that is at another node; whether it is.
    pub(in crate::hub) fn tell_beyond(&self, beyond: Option<&Beyond>, letter: &Letter) -> bool {
        let (Some(link), Some(Beyond::Asker(node) | Beyond::Receiver(node))) = (&self.link, beyond) else {
            return false;
        };
        link.tell(Hearer::Node(node.clone()), letter);
        true
    }
}

impl Books {
    /// A request of somebody here, which that node has to answer.
    fn ours_at(&self, id: RequestId, node: &NodeId) -> Option<Request> {
        let request = self.pending.get(id)?;
        matches!(&request.beyond, Some(Beyond::Receiver(at)) if at == node).then(|| request.clone())
    }

    /// A request of somebody there, for somebody here.
    fn theirs_at(&self, id: RequestId, node: &NodeId) -> Option<Request> {
        let request = self.pending.get(id)?;
        matches!(&request.beyond, Some(Beyond::Asker(at)) if at == node).then(|| request.clone())
    }
}
