//! Where a message goes that is no word of the gateway's own: to a service of the embedder's, back to whoever asked, or
//! by the first route that takes it.

use std::{collections::VecDeque, future::Future, ops::ControlFlow, pin::Pin, sync::Arc};

use gateway_domain::{
    Code, Now, Refusal, RequestId,
    envelope::{Message, MessageFault, is_reserved_type},
    history::Position,
    pending::Unasked,
    relay::{Origin, Relay, Reply},
    route::{Answer, Correlation, Match},
    target::Target,
};
use gateway_transport::Inbound;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{Connection, line::Line};
use crate::{
    endpoint::Handler,
    handler::{Handled, Visit},
    hub::{Addressed, Asker, Asking, Class, Ending, Meant, Outcome, Post, Posted, Reach, Scope, ended, sender},
    intent::Intent,
};

/// What messages set going, and what their answers are to name.
pub(super) enum Underway {
    /// Posts on their way to many, in their order.
    Posts(VecDeque<OnItsWay>),
    /// Something that other nodes are asked first: a request, or the way into rooms. What was refused, and what is to be
    /// acknowledged.
    Errand(Pin<Box<dyn Future<Output = Errand> + Send>>),
    /// A service at work.
    Service(Option<Box<str>>, Pin<Box<dyn Future<Output = Handled> + Send>>),
}

/// A post that is not in every outbox yet.
pub(super) struct OnItsWay {
    id: Option<Box<str>>,
    told: oneshot::Receiver<Outcome>,
    /// Whether its sender wants to know to how many.
    is_wanted: bool,
    bytes: usize,
}

/// What came of an errand.
pub(super) enum Errand {
    /// A request is on its way to so many as one; whoever wanted to know learns it.
    Asked(Option<Box<str>>),
    /// It has ended before it began.
    NotAsked(Option<Box<str>>, Box<Refusal>, Option<Correlation>),
    /// Rooms, and which of them were refused.
    Rooms(Vec<(Option<Box<str>>, Refusal)>),
}

/// So many posts of one sender may be on their way before its next message is held back,
const MOST_POSTS: usize = 16;
/// and so many bytes of them.
const MOST_POSTED: usize = 64 << 10;

impl Underway {
    fn takes_one_more(&self, is_busy: bool) -> bool {
        let Self::Posts(posts) = self else { return false };
        !is_busy && posts.len() < MOST_POSTS && posts.iter().map(|post| post.bytes).sum::<usize>() < MOST_POSTED
    }
}

/// From where on a client that subscribes by a route wants to hear.
#[derive(Default, Deserialize)]
struct Resumption {
    since: Option<Position>,
}

/// What came of it.
pub(super) enum Done {
    Posted(Option<Box<str>>, Option<Outcome>),
    Errand(Errand),
    Served(Option<Box<str>>, Handled),
}

/// The next end of what is under way; never, where nothing is.
pub(super) async fn done(underway: &mut Option<Box<Underway>>) -> Done {
    match underway.as_deref_mut() {
        Some(Underway::Posts(posts)) => {
            let Some(first) = posts.front_mut() else { return std::future::pending().await };
            let outcome = (&mut first.told).await.ok().filter(|told| first.is_wanted || told.is_err());
            let id = posts.pop_front().and_then(|post| post.id);
            if posts.is_empty() {
                *underway = None;
            }
            Done::Posted(id, outcome)
        }
        Some(Underway::Errand(future)) => {
            let errand = future.await;
            *underway = None;
            Done::Errand(errand)
        }
        Some(Underway::Service(id, future)) => {
            let handled = future.await;
            let id = id.take();
            *underway = None;
            Done::Served(id, handled)
        }
        None => std::future::pending().await,
    }
}

impl<L: Line> Connection<L> {
    /// Something that a message set going is done.
    pub(super) fn went(&mut self, done: Done, now: Now) -> ControlFlow<Ending> {
        match done {
            Done::Posted(id, Some(Ok(reach))) => self.acknowledge(id.as_deref(), reach.count),
            Done::Posted(id, Some(Err(refusal))) => self.say_error(id.as_deref(), &refusal),
            Done::Errand(errand) => self.ran(errand, now),
            Done::Posted(id, None) => self.done(id.as_deref()),
            Done::Served(id, handled) => self.served(id.as_deref(), handled, now),
        }
        match self.held.take() {
            // It may be held back once more.
            Some(held) => self.take_in(Ok(*held), now),
            None => ControlFlow::Continue(()),
        }
    }

    /// Whether this message has to wait for what is under way. A post behind posts has not: they are told in the order
    /// in which they were said.
    pub(super) fn must_wait(&self, message: &Inbound) -> bool {
        let Some(underway) = &self.underway else { return false };
        // Whoever has nothing under way may always say one thing; two only while those who carry it keep up.
        let is_busy = || self.house.hub.link().is_some_and(|link| link.is_busy());
        match message {
            Inbound::Text(text) => !underway.takes_one_more(is_busy()) || !self.is_post(text),
            Inbound::Binary(_) => true,
            Inbound::Ping | Inbound::Pong | Inbound::Close(_) => false,
        }
    }

    fn is_post(&self, text: &str) -> bool {
        let (endpoint, routes) = (&self.occupant.endpoint, &self.house.routes);
        if !matches!(endpoint.handler, Handler::Routes) {
            return false;
        }
        let Ok(message) = endpoint.vocabulary.read(text) else { return false };
        if is_reserved_type(&message.kind) || routes.answer(&message.kind, &message).is_some() {
            return false;
        }
        let standing = self.occupant.standing();
        let found = routes.find(&sender(&self.occupant, &standing), &message);
        found.is_some_and(|Match { route, targets, .. }| {
            route.reply_timeout().is_none() && !targets.iter().any(|target| matches!(target, Target::Subscribe(_)))
        })
    }

    /// Other nodes have been asked.
    fn ran(&self, errand: Errand, now: Now) {
        match errand {
            Errand::Asked(id) => self.acknowledge(id.as_deref(), 1),
            Errand::NotAsked(id, refusal, correlation) => {
                self.house.metrics.messages.error(refusal.code);
                self.say_text(ended(id.as_deref(), &refusal, correlation.as_ref()));
            }
            Errand::Rooms(refused) => {
                for (id, refusal) in refused {
                    self.refuse(id.as_deref(), &refusal, now);
                }
            }
        }
    }

    /// Begins to ask other nodes; what this client says next waits for it.
    pub(super) fn runs(&mut self, errand: impl Future<Output = Errand> + Send + 'static) {
        self.underway = Some(Box::new(Underway::Errand(Box::pin(errand))));
    }

    /// Notes that a post is on its way, behind those that are.
    fn goes(&mut self, message: &Message<'_>, told: oneshot::Receiver<Outcome>, bytes: usize) {
        let post = OnItsWay { id: message.id.as_deref().map(Into::into), told, is_wanted: message.ack, bytes };
        match self.underway.as_deref_mut() {
            Some(Underway::Posts(posts)) => posts.push_back(post),
            _ => self.underway = Some(Box::new(Underway::Posts([post].into()))),
        }
    }

    pub(super) fn on_routed(&mut self, message: &Message<'_>, now: Now) {
        let id = message.id.as_deref();
        let mut is_counted = false;
        if let Handler::Own(service) = &self.occupant.endpoint.handler {
            if !self.counts(id, now) {
                return;
            }
            is_counted = true;
            let service = Arc::clone(service);
            let hub = Arc::clone(&self.house.hub);
            let standing = self.occupant.standing();
            let visit = Visit { sender: sender(&self.occupant, &standing), hub: &hub, now };
            match service.handle(message, &visit) {
                Handled::NotMine => {}
                handled => return self.served(id, handled, now),
            }
        }
        let house = Arc::clone(&self.house);
        let occupant = &self.occupant;
        let by_routes = |standing: &_| Intent::by_routes(message, &sender(occupant, standing), &house.routes);
        let intent = occupant.stands(by_routes);
        // What a service was shown has been counted.
        self.does(message, Intent { is_counted: intent.is_counted && !is_counted, ..intent }, now);
    }

    /// Passes on what answers a request by its correlation.
    pub(super) fn on_answer(&mut self, message: &Message<'_>, answer: &Answer, now: Now) {
        match &answer.correlation {
            Some(correlation) => self.answers(message, Meant::Correlation(correlation), answer.more, now),
            None => self.not_asked(message, Unasked::NotAsked, now),
        }
    }

    /// Sends a message on, by the route that takes it.
    pub(super) fn send(&mut self, message: &Message<'_>, found: Match<'_>, now: Now) {
        let Match { route, targets, correlation } = found;
        if let [Target::Subscribe(_), ..] = targets.as_slice() {
            // Where the payload says so as a `subscribe` would, what was missed is recovered.
            let Resumption { since } = message.payload_as().unwrap_or_default();
            let mut id = message.id.as_deref();
            let mut rooms = Vec::with_capacity(targets.len());
            for target in targets {
                if let Target::Subscribe(room) = target {
                    rooms.push((id, room));
                    // One answer is the first room's, the others are told of themselves.
                    id = id.filter(|_| !L::ANSWERS_ONCE);
                }
            }
            return self.subscribe(&rooms, since.as_ref(), now);
        }
        let kind = route.renamed().unwrap_or(&message.kind);
        let from = self.from();
        let text = |request_id| Relay { message, kind, from: &from, request_id }.to_text();
        let id = message.id.as_deref();
        let asker = self.occupant.id;
        if let Some(timeout) = route.reply_timeout() {
            if self.house.hub.link().is_some() {
                let asker_id = id.map(Into::into);
                let trace = message.trace();
                let asking = Asker { asker, asker_id, targets, timeout, correlation, trace };
                return self.ask_abroad(message, asking, text, now);
            }
            let asking = Asking { asker, asker_id: id, targets: &targets, timeout, correlation: correlation.clone() };
            match self.house.hub.ask(asking, |request_id| text(Some(request_id)), now) {
                // Where there is one answer, it is the reply.
                Ok(()) if message.ack && !L::ANSWERS_ONCE => self.acknowledge(id, 1),
                Ok(()) => {}
                Err(refusal) => {
                    self.house.metrics.messages.error(refusal.code);
                    self.say_text(ended(id, &refusal, correlation.as_ref()));
                }
            }
            return;
        }
        let class = if route.is_priority() { Class::Control } else { Class::Event };
        let text = text(None);
        let bytes = text.len();
        let trace = message.trace();
        let post = Post { sender: Some(asker), counted: message.ack, trace, ..Post::new(text, &targets, class) };
        match self.house.hub.post(post, now) {
            Ok(Posted::Done(count)) if self.underway.is_some() => {
                // The answers come in the order of what was said.
                let (done, told) = oneshot::channel();
                let _ = done.send(Ok(Reach { count, scope: Scope::Node }));
                self.goes(message, told, bytes);
            }
            Ok(Posted::Done(count)) if message.ack => self.acknowledge(id, count),
            Ok(Posted::Done(_)) => {}
            Ok(Posted::Underway(told)) => self.goes(message, told, bytes),
            Err(refusal) => self.say_error(id, &refusal),
        }
    }

    /// Asks whoever is meant, at whatever node.
    fn ask_abroad(
        &mut self,
        message: &Message<'_>,
        asking: Asker,
        text: impl FnOnce(Option<RequestId>) -> String,
        now: Now,
    ) {
        let request = RequestId::new(Uuid::new_v4());
        let text = text(Some(request));
        // Where there is one answer, it is the reply.
        let is_wanted = message.ack && !L::ANSWERS_ONCE;
        let hub = Arc::clone(&self.house.hub);
        self.runs(async move {
            let (id, correlation) = (asking.asker_id.clone(), asking.correlation.clone());
            match hub.ask_abroad(asking, request, text, now).await {
                Ok(()) => Errand::Asked(id.filter(|_| is_wanted)),
                Err(refusal) => Errand::NotAsked(id, Box::new(refusal), correlation),
            }
        });
    }

    pub(super) fn on_reply(&mut self, message: &Message<'_>, now: Now) {
        let more = match message.more() {
            Ok(more) => more,
            Err(fault) => return self.understood_only_in_part(message, &fault, now),
        };
        if let Some(reply_to) = message.reply_to() {
            return self.answers(message, Meant::ReplyTo(&reply_to), more, now);
        }
        let house = Arc::clone(&self.house);
        if let Some(correlation) = house.routes.correlations(message).next() {
            return self.answers(message, Meant::Correlation(&correlation), more, now);
        }
        let why = "a reply needs `replyTo`: the requestId or the id of what it answers, a string";
        self.understood_only_in_part(message, &MessageFault::Form(why.into()), now);
    }

    /// Passes an answer on to whoever asked. What was asked for is not counted; what was not is refused.
    fn answers(&mut self, message: &Message<'_>, meant: Meant<'_>, more: bool, now: Now) {
        let from = self.from();
        let text = |to: Addressed| {
            let Addressed { request_id, asker_id } = to;
            Reply { message, kind: &message.kind, reply_to: asker_id.as_deref(), request_id, more, from: &from }
                .to_text()
        };
        match self.house.hub.reply(self.occupant.id, meant, more, text, now) {
            Ok(()) => self.done(message.id.as_deref()),
            Err(unasked) => self.not_asked(message, unasked, now),
        }
    }

    fn not_asked(&self, message: &Message<'_>, unasked: Unasked, now: Now) {
        let id = message.id.as_deref();
        if self.counts(id, now) {
            let code = match unasked {
                Unasked::NotAsked => Code::NotAsked,
                Unasked::Ambiguous => Code::AmbiguousReply,
            };
            self.refuse(id, &Refusal::new(code, unasked.to_string()), now);
        }
    }

    pub(super) fn on_cancel(&mut self, message: &Message<'_>, now: Now) {
        let reply_to = message.reply_to();
        let house = Arc::clone(&self.house);
        let carried = |path: &str| {
            let found = house.routes.correlations(message).find(|correlation| *correlation.path == *path);
            found.map(|correlation| correlation.value)
        };
        let id = message.id.as_deref();
        if house.hub.cancel(self.occupant.id, reply_to.as_deref(), carried) > 0 {
            self.done(id);
        } else if self.counts(id, now) {
            let why = "no request of that name is open: it was answered, has ended, or was never made";
            self.refuse(id, &Refusal::new(Code::NotAsked, why), now);
        }
    }

    fn understood_only_in_part(&self, message: &Message<'_>, fault: &MessageFault, now: Now) {
        let id = message.id.as_deref();
        if self.counts(id, now) {
            self.not_understood(id, fault, now);
        }
    }

    fn served(&mut self, id: Option<&str>, handled: Handled, now: Now) {
        match handled {
            Handled::NotMine => {}
            Handled::Done => self.done(id),
            Handled::Answer(payload) => self.say_text(answer(id, payload)),
            Handled::Refused(refusal) => self.refuse(id, &refusal, now),
            Handled::Later(future) => {
                self.underway = Some(Box::new(Underway::Service(id.map(Into::into), future)));
            }
        }
    }

    fn acknowledge(&self, id: Option<&str>, delivered: usize) {
        if id.is_some() {
            self.say("ack", id, &json!({ "delivered": delivered }));
        }
    }

    /// Who speaks, as receivers are told.
    fn from(&mut self) -> Arc<str> {
        let occupant = &self.occupant;
        let from = self.from.get_or_insert_with(|| {
            let standing = occupant.standing();
            Origin {
                connection_id: occupant.id,
                user_id: occupant.user(),
                agent_id: standing.principal.agent.as_ref().filter(|_| occupant.endpoint.agents),
                role: standing.role.as_ref(),
            }
            .to_json()
            .into()
        });
        Arc::clone(from)
    }
}

/// The answer of a service.
fn answer(id: Option<&str>, payload: Value) -> String {
    let mut reply = json!({ "type": "reply", "payload": payload });
    if let (Some(reply), Some(id)) = (reply.as_object_mut(), id) {
        reply.insert("replyTo".into(), id.into());
    }
    reply.to_string()
}
