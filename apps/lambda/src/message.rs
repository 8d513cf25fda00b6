//! One message: judged as in a connection that a task owns, by what the table kept of it. The deadline of the token is asked
//! first, at every message.

use std::sync::Arc;

use gateway_domain::{
    Code, Now, Refusal, Room,
    envelope::{Message, MessageFault, Notice},
    rate::{Excess, Judgement},
    relay::{Origin, Relay},
    route::Match,
    session::Session,
    target::Target,
};
use gateway_server::{
    audit::Event,
    clock,
    endpoint::{Endpoint, Handler, MessagesScope},
    hub::{Letter, Occupant, Standing, ended, not_allowed_in, sender, too_many_rooms},
    intent::{Intent, Subscription, Wish},
    refresh::{Credential, refresh},
    refusal::ErrorPayload,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    answer,
    front::Front,
    invocation::Visit,
    kept::{Kept, id_of},
    table::StoreFault,
    visits::until,
};

/// A message on its way through.
struct Walk<'a> {
    front: &'a Front,
    endpoint: Arc<Endpoint>,
    kept: Kept,
    occupant: Occupant,
    now: Now,
}

/// Why a walk ends early.
enum End {
    /// The connection ends with it.
    Refused(Refusal),
    /// The table failed.
    Store(StoreFault),
}

impl From<StoreFault> for End {
    fn from(fault: StoreFault) -> Self {
        Self::Store(fault)
    }
}

type Step = Result<(), End>;

impl Front {
    /// Somebody said something.
    pub(crate) async fn hear(&self, visit: &Visit) -> Value {
        let id = id_of(&visit.stage, &visit.wire);
        let kept = match self.connections.table.connection(id).await {
            Ok(Some(kept)) => kept,
            Ok(None) => {
                // Nobody was let in under that name, or it was forgotten: there is nothing to go on with.
                self.connections.management.end(&visit.stage, &visit.wire).await;
                return answer::done();
            }
            Err(fault) => {
                let refusal = fault.refusal();
                let text = Notice { kind: "error", id: None, payload: Some(ErrorPayload::of(&refusal)) }.to_text();
                self.connections.management.say(&visit.stage, &visit.wire, &text.unwrap_or_default()).await;
                return answer::done();
            }
        };
        let outcome = match self.walk(&kept) {
            Ok(walk) => walk.take(visit).await,
            Err(refusal) => Err(End::Refused(refusal)),
        };
        let fault = match outcome {
            Ok(()) => return answer::done(),
            Err(End::Refused(refusal)) => self.connections.end_kept(&kept, &refusal).await.err(),
            Err(End::Store(fault)) => Some(fault),
        };
        if let Some(fault) = fault {
            let refusal = fault.refusal();
            let notice = Notice { kind: "error", id: None, payload: Some(ErrorPayload::of(&refusal)) };
            self.connections.say(&kept.member, &notice.to_text().unwrap_or_default()).await;
        }
        answer::done()
    }

    /// A walk for that connection, where it may still be here.
    fn walk(&self, kept: &Kept) -> Result<Walk<'_>, Refusal> {
        let now = clock::now();
        let endpoint = self.connections.doors.of(&kept.member.door);
        let endpoint = Arc::clone(endpoint.ok_or_else(|| Refusal::plain(Code::PolicyChanged))?);
        self.house.ledger.objection(&kept.principal, now)?;
        let holding = self.gate.plans.holding(&kept.principal, endpoint.plan.as_ref());
        let account = match endpoint.messages_scope {
            MessagesScope::User => self.gate.accounts.of(&kept.principal.user),
            // A name that no user has: it says which connection.
            MessagesScope::Connection => {
                let own = format!("connection:{}", kept.member.id).parse();
                own.map(|name| self.gate.accounts.of(&name)).unwrap_or_default()
            }
        };
        let standing = Standing {
            principal: Arc::new(kept.principal.clone()),
            role: kept.member.role.clone(),
            plan: holding.plan,
            account,
            authenticated_at: kept.authenticated_at,
        };
        let occupant = self.occupant(kept, &endpoint, standing, now);
        Ok(Walk { front: self, endpoint, kept: kept.clone(), occupant, now })
    }
}

impl Walk<'_> {
    async fn take(mut self, visit: &Visit) -> Step {
        let rules = &self.endpoint.session;
        let session = Session::new(rules, self.kept.principal.expires_at, Default::default(), self.now);
        session.clone().on_message(rules, self.now).map_err(End::Refused)?;
        let text = visit.request.body.as_deref().unwrap_or_default();
        if visit.request.is_base64_encoded {
            let why = "this endpoint speaks JSON in text messages";
            return Err(End::Refused(Refusal::new(Code::UnsupportedData, why)));
        }
        if text.len() > self.endpoint.max_message {
            let why = format!("a message has at most {} bytes", self.endpoint.max_message);
            return Err(End::Refused(Refusal::new(Code::MessageTooBig, why)));
        }
        if matches!(self.endpoint.handler, Handler::Echo) {
            if self.counts(None).await {
                let Kept { member, .. } = &self.kept;
                self.front.connections.say(member, text).await;
            }
            return Ok(());
        }
        let endpoint = Arc::clone(&self.endpoint);
        match endpoint.vocabulary.read(text) {
            Ok(message) => self.on_message(&message).await,
            Err(fault) => {
                let id = endpoint.vocabulary.id_in(text);
                if self.counts(id.as_deref()).await {
                    self.not_understood(id.as_deref(), &fault).await;
                }
                Ok(())
            }
        }
    }

    async fn on_message(&mut self, message: &Message<'_>) -> Step {
        let id = message.id.as_deref();
        let front = self.front;
        let standing = self.occupant.standing();
        let intent = Intent::of(message, &sender(&self.occupant, &standing), &front.house.routes);
        if intent.is_counted && !self.counts(id).await {
            return Ok(());
        }
        match intent.wish {
            Wish::Nothing => {}
            Wish::Pong => {
                let text = Notice { kind: "pong", id, payload: message.payload }.to_text();
                self.say_text(text.unwrap_or_default()).await;
            }
            Wish::Refresh => return self.refresh(message).await,
            Wish::Subscribe => match Subscription::read(message) {
                Ok(wish) => return self.subscribe(id, &wish.room, wish.since.is_some()).await,
                Err(fault) => self.not_understood(id, &fault).await,
            },
            Wish::Unsubscribe => match Subscription::read(message) {
                Ok(wish) => return self.unsubscribe(id, &wish.room).await,
                Err(fault) => self.not_understood(id, &fault).await,
            },
            // Nobody is asked anything by way of this front.
            Wish::Reply | Wish::Answer(_) | Wish::Cancel => {
                if self.counts(id).await {
                    self.refuse(id, &Refusal::new(Code::NotAsked, "no request is open here")).await;
                }
            }
            Wish::Send(found) => return self.send(message, found).await,
            Wish::Forbidden(refusal) => self.refuse(id, &refusal).await,
            Wish::Unclear(fault) => self.not_understood(id, &fault).await,
        }
        Ok(())
    }

    /// Sends a message on, by the route that takes it.
    async fn send(&mut self, message: &Message<'_>, found: Match<'_>) -> Step {
        let Match { route, targets, correlation } = found;
        let id = message.id.as_deref();
        if let [Target::Subscribe(_), ..] = targets.as_slice() {
            for target in &targets {
                if let Target::Subscribe(room) = target {
                    self.subscribe(id, room, false).await?;
                }
            }
            return Ok(());
        }
        if route.reply_timeout().is_some() {
            let refusal = Refusal::new(Code::TargetOffline, "requests are not carried behind API Gateway");
            self.say_text(ended(id, &refusal, correlation.as_ref())).await;
            return Ok(());
        }
        let from = self.occupant.stands(|standing| {
            let agent_id = standing.principal.agent.as_ref().filter(|_| self.endpoint.agents);
            let (connection_id, user_id, role) = (self.occupant.id, self.occupant.user(), standing.role.as_ref());
            Origin { connection_id, user_id, agent_id, role }.to_json()
        });
        let kind = route.renamed().unwrap_or(&message.kind);
        let text = Relay { message, kind, from: &from, request_id: None }.to_text();
        match self.front.post(&targets, text, Some(&self.kept)).await? {
            Ok(told) if message.ack && id.is_some() => {
                self.say("ack", id, &json!({ "delivered": told.delivered })).await;
            }
            Ok(_) => {}
            Err(refusal) => self.say_error(id, &refusal).await,
        }
        Ok(())
    }

    async fn subscribe(&mut self, id: Option<&str>, room: &Room, resumes: bool) -> Step {
        let rules = self.front.house.hub.rules();
        if !self.occupant.stands(|standing| rules.laws.may_join(room, &sender(&self.occupant, standing))) {
            self.refuse(id, &not_allowed_in(room)).await;
            return Ok(());
        }
        let table = &self.front.connections.table;
        if !table.note_asked(self.kept.member.id, room, rules.rooms_per_connection).await? {
            self.refuse(id, &too_many_rooms(rules.rooms_per_connection)).await;
            return Ok(());
        }
        table.enter(room, &self.kept.member).await?;
        self.kept.asked.insert(room.to_string());
        // Nothing is remembered here, so whoever wants to go on somewhere is told to fetch a fresh state.
        let payload =
            if resumes { json!({"room": room, "recovered": false, "missed": 0}) } else { json!({ "room": room }) };
        self.say("subscribed", id, &payload).await;
        Ok(())
    }

    async fn unsubscribe(&mut self, id: Option<&str>, room: &Room) -> Step {
        self.leave(room).await?;
        self.say("unsubscribed", id, &json!({ "room": room })).await;
        Ok(())
    }

    async fn leave(&mut self, room: &Room) -> Result<(), StoreFault> {
        let (table, here) = (&self.front.connections.table, self.kept.member.id);
        // The room first: whoever stops between the two can still be taken out of it.
        table.leave(room, here).await?;
        table.note_left(here, room).await?;
        self.kept.asked.remove(room.as_str());
        self.kept.rooms.remove(room.as_str());
        Ok(())
    }

    async fn refresh(&mut self, message: &Message<'_>) -> Step {
        let (id, front) = (message.id.as_deref(), self.front);
        // A refresh has a quota of its own where a task counts it; here the limit of messages holds for it, too.
        if !self.counts(id).await {
            return Ok(());
        }
        let outcome = match Credential::read(message) {
            Ok(Credential::Refresh(_)) => {
                let why = "this front takes no refresh tokens: send an access token";
                Err(Refusal::new(Code::RefreshUnsupported, why))
            }
            Ok(credential) => {
                refresh(&front.gate, None, &self.endpoint, self.occupant.standing(), credential, self.now).await
            }
            Err(refusal) => {
                self.say_error(id, &refusal).await;
                return Ok(());
            }
        };
        let refreshed = match outcome {
            Ok(refreshed) => refreshed,
            Err(refusal) => {
                front.house.audit.event_of(Event::TokenRefused, &refusal, &self.occupant.subject(), self.now);
                if matches!(refusal.code, Code::Banned | Code::TokenRevoked) {
                    return Err(End::Refused(refusal));
                }
                self.say_error(id, &refusal).await;
                return Ok(());
            }
        };
        let standing = refreshed.standing.clone();
        self.kept.member.role.clone_from(&standing.role);
        self.kept.member.until = until(&self.endpoint, &standing);
        self.kept.principal = (*standing.principal).clone();
        self.kept.authenticated_at = standing.authenticated_at;
        self.kept.warned = None;
        self.occupant.restand(standing);
        let table = &front.connections.table;
        table.restand(&self.kept).await?;
        if let Some(agent) = &self.kept.agent {
            table.seat_agent(agent, &self.kept.member, None, self.now.wall).await?;
        }
        table.plan(self.kept.member.id, front.next_look(&self.kept, &self.endpoint, self.now)).await?;
        let reason = format!("a new token, until {}", self.kept.principal.expires_at);
        front.house.audit.event(Event::TokenRefreshed, &self.occupant.subject(), reason, self.now);
        self.say("auth.refreshed", id, &refreshed.payload()).await;
        self.judge_rooms_again().await
    }

    /// Leaves the rooms that it asked for and may be in no more.
    async fn judge_rooms_again(&mut self) -> Step {
        let asked: Vec<Room> = self.kept.asked.iter().filter_map(|room| room.parse().ok()).collect();
        let laws = &self.front.house.hub.rules().laws;
        for room in asked {
            if !self.occupant.stands(|standing| laws.may_join(&room, &sender(&self.occupant, standing))) {
                self.leave(&room).await?;
                self.say("unsubscribed", None, &json!({ "room": room, "code": Code::Forbidden })).await;
            }
        }
        Ok(())
    }

    /// Counts a message; whether it may pass. If not, the client is told, as often as it should be.
    async fn counts(&self, id: Option<&str>) -> bool {
        let judgement = self.occupant.stands(|standing| standing.account.judge(&standing.plan.messages, self.now));
        match judgement {
            Judgement::Admitted => true,
            Judgement::Refused(excess) => {
                self.too_much(id, excess, "too many messages").await;
                false
            }
        }
    }

    async fn too_much(&self, id: Option<&str>, excess: Excess, what: &'static str) {
        let refusal = Refusal::new(Code::RateLimited, what).retry_after(excess.retry_after);
        if excess.violation.is_some() {
            let audit = &self.front.house.audit;
            audit.event_of(Event::LimitViolated, &refusal, &self.occupant.subject(), self.now);
        }
        if excess.tell {
            self.say_error(id, &refusal).await;
        }
    }

    async fn not_understood(&self, id: Option<&str>, fault: &MessageFault) {
        self.say_error(id, &Refusal::new(Code::InvalidMessage, fault.to_string())).await;
        if let Some(excess) = self.occupant.stands(|standing| standing.account.invalid(self.now)) {
            self.too_much(None, excess, "too many messages that are not understood").await;
        }
    }

    async fn refuse(&self, id: Option<&str>, refusal: &Refusal) {
        let audit = &self.front.house.audit;
        audit.refused_as(Event::MessageRefused, refusal, &self.occupant.subject(), self.now);
        self.say_error(id, refusal).await;
    }

    async fn say_error(&self, id: Option<&str>, refusal: &Refusal) {
        self.say("error", id, &ErrorPayload::of(refusal)).await;
    }

    async fn say(&self, kind: &str, id: Option<&str>, payload: &impl Serialize) {
        self.say_text(Notice { kind, id, payload: Some(payload) }.to_text().unwrap_or_default()).await;
    }

    async fn say_text(&self, text: String) {
        if let Some(text) = self.front.connections.in_words_of(&self.endpoint.path, &mut Letter::new(text)) {
            self.front.connections.say(&self.kept.member, &text).await;
        }
    }
}
