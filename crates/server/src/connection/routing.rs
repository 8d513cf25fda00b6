//! Where a message goes that is no word of the gateway's own: to a service of the embedder's, back to whoever asked, or
//! by the first route that takes it.

use std::{future::Future, ops::ControlFlow, pin::Pin, sync::Arc};

use gateway_domain::{
    Code, Now, Refusal,
    envelope::{Message, MessageFault},
    history::Position,
    pending::Unasked,
    relay::{Origin, Relay, Reply},
    route::Match,
    target::Target,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{Connection, line::Line, message::shortened};
use crate::{
    clock,
    endpoint::Handler,
    handler::{Handled, Visit},
    hub::{Addressed, Asking, Class, Ending, Meant, Post, Posted, ended, sender},
};

/// What a message set going, and the id of the message.
pub(super) struct Underway {
    id: Option<Box<str>>,
    what: Going,
}

enum Going {
    /// A post on its way to many; whether the sender wants to know to how many.
    Post(oneshot::Receiver<usize>, bool),
    /// A service at work.
    Service(Pin<Box<dyn Future<Output = Handled> + Send>>),
}

/// From where on a client that subscribes by a route wants to hear.
#[derive(Default, Deserialize)]
struct Resumption {
    since: Option<Position>,
}

/// What came of it.
pub(super) enum Done {
    Posted(Option<Box<str>>, Option<usize>),
    Served(Option<Box<str>>, Handled),
}

/// The end of what is under way; never, where nothing is.
pub(super) async fn done(underway: &mut Option<Box<Underway>>) -> Done {
    let Some(going) = underway else { return std::future::pending().await };
    let id = going.id.clone();
    let done = match &mut going.what {
        Going::Post(told, wanted) => {
            let count = told.await.ok();
            Done::Posted(id, count.filter(|_| *wanted))
        }
        Going::Service(future) => Done::Served(id, future.await),
    };
    *underway = None;
    done
}

impl<L: Line> Connection<L> {
    /// What the last message set going is done.
    pub(super) fn went(&mut self, done: Done) -> ControlFlow<Ending> {
        match done {
            Done::Posted(id, Some(count)) => self.acknowledge(id.as_deref(), count),
            Done::Posted(id, None) => self.done(id.as_deref()),
            Done::Served(id, handled) => self.served(id.as_deref(), handled, clock::now()),
        }
        // A service may have set going something else.
        if self.underway.is_none()
            && let Some(held) = self.held.take()
        {
            return self.take_in(Ok(*held));
        }
        ControlFlow::Continue(())
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
        if let Some(answer) = house.routes.answer(&message.kind, message) {
            return match &answer.correlation {
                Some(correlation) => self.answers(message, Meant::Correlation(correlation), answer.more, now),
                None => self.not_asked(message, Unasked::NotAsked, now),
            };
        }
        let standing = self.occupant.standing();
        let speaker = sender(&self.occupant, &standing);
        let Some(found) = house.routes.find(&speaker, message) else {
            if is_counted || self.counts(id, now) {
                let kind = shortened(&message.kind);
                let why = if house.routes.takes(&speaker, &message.kind) {
                    format!("no route takes `{kind}` like this: something is missing that says where it goes")
                } else {
                    format!("no route takes `{kind}` from here")
                };
                self.not_understood(id, &MessageFault::Form(why), now);
            }
            return;
        };
        if !found.route.is_priority() && !is_counted && !self.counts(id, now) {
            return;
        }
        if let Some(wanted) = found.route.permission()
            && !standing.principal.permissions.contains(wanted)
        {
            let refusal = Refusal::new(Code::Forbidden, format!("this needs the permission `{wanted}`"))
                .because(format!("`{}` needs the permission `{wanted}`", shortened(&message.kind)));
            return self.refuse(id, &refusal, now);
        }
        self.send(message, found, now);
    }

    /// Sends a message on, by the route that takes it.
    fn send(&mut self, message: &Message<'_>, found: Match<'_>, now: Now) {
        let Match { route, targets, correlation } = found;
        if let [Target::Subscribe(_), ..] = targets.as_slice() {
            // Where the payload says so as a `subscribe` would, what was missed is recovered.
            let Resumption { since } = message.payload_as().unwrap_or_default();
            let mut id = message.id.as_deref();
            for target in &targets {
                if let Target::Subscribe(room) = target {
                    self.subscribe(id, room, since.as_ref(), now);
                    // One answer is the first room's, the others are told of themselves.
                    id = id.filter(|_| !L::ANSWERS_ONCE);
                }
            }
            return;
        }
        let kind = route.renamed().unwrap_or(&message.kind);
        let from = self.from();
        let text = |request_id| Relay { message, kind, from: &from, request_id }.to_text();
        let id = message.id.as_deref();
        let asker = self.occupant.id;
        if let Some(timeout) = route.reply_timeout() {
            let asking = Asking { asker, asker_id: id, targets: &targets, timeout, correlation: correlation.clone() };
            match self.house.hub.ask(asking, |request_id| text(Some(request_id)), now) {
                // Where there is one answer, it is the reply.
                Ok(()) if message.ack && !L::ANSWERS_ONCE => self.acknowledge(id, 1),
                Ok(()) => {}
                Err(refusal) => {
                    self.house.metrics.message_error(refusal.code);
                    self.say_text(ended(id, &refusal, correlation.as_ref()));
                }
            }
            return;
        }
        let class = if route.is_priority() { Class::Control } else { Class::Event };
        let post = Post { text: text(None), targets: &targets, class, sender: Some(asker) };
        match self.house.hub.post(post, now) {
            Ok(Posted::Done(count)) if message.ack => self.acknowledge(id, count),
            Ok(Posted::Done(_)) => {}
            Ok(Posted::Underway(told)) => {
                let what = Going::Post(told, message.ack);
                self.underway = Some(Box::new(Underway { id: id.map(Into::into), what }));
            }
            Err(refusal) => self.say_error(id, &refusal),
        }
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
                let what = Going::Service(future);
                self.underway = Some(Box::new(Underway { id: id.map(Into::into), what }));
            }
        }
    }

    fn acknowledge(&self, id: Option<&str>, delivered: usize) {
        if id.is_some() {
            self.say("ack", id, &json!({ "delivered": delivered }));
        }
    }

    /// Who speaks, as receivers are told.
    fn from(&mut self) -> Box<str> {
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
        from.clone()
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
