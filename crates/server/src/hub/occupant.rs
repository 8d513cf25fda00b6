//! One live connection, as the rest of the house knows it: facts to be listed, and a bell to be rung.

mod mail;
mod traffic;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU32, Ordering},
    },
    time::Duration,
};

use gateway_domain::{
    AgentId, ConnectionId, Now, Principal, Refusal, RequestId, Role, Timestamp, UserId, plan::Plan, trace::Trace,
};
use gateway_transport::address::ClientAddress;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;

use self::mail::Mail;
pub(crate) use self::mail::Since;
pub use self::traffic::Traffic;
use super::page::Page;
use crate::{audit::Subject, endpoint::Endpoint, limits::Account};

/// What carries a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Transport {
    /// A WebSocket of the gateway's own protocol.
    Websocket,
    /// Socket.IO by long polling.
    SocketioPolling,
    /// Socket.IO over a WebSocket.
    SocketioWebsocket,
}

/// One live connection.
#[derive(Debug)]
pub struct Occupant {
    /// Its id.
    pub id: ConnectionId,
    /// The handshake that made it.
    pub request_id: RequestId,
    /// Through which door it came.
    pub endpoint: Arc<Endpoint>,
    /// Where from.
    pub address: ClientAddress,
    /// What the client calls itself.
    pub user_agent: Option<Box<str>>,
    /// Since when.
    pub connected_at: Timestamp,
    /// What it has said and heard.
    pub traffic: Traffic,
    /// The page that opened it, where one did.
    pub page: Option<Box<Page>>,
    /// Whether it hears what is said to its user without having asked for it.
    pub hears_user: bool,
    carried_by: AtomicU8,
    round_trip_micros: AtomicU32,
    mail: Mail,
    /// The trace that its handshake belongs to. Most have none.
    trace: Option<Box<Trace>>,
    user: UserId,
    standing: Mutex<Standing>,
    orders: Mutex<Orders>,
}

/// What a token gave to a connection; a refresh replaces all of it.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Who it is.
    pub principal: Arc<Principal>,
    /// The role that it was admitted as; none where the endpoint asks for none and the token has none.
    pub role: Option<Role>,
    /// The limits.
    pub plan: Arc<Plan>,
    /// Where its messages are counted.
    pub account: Arc<Account>,
    /// When the token was verified.
    pub authenticated_at: Timestamp,
}

/// What others want of a connection.
#[derive(Debug, Default)]
pub struct Orders {
    /// Go, and say this. In a box: it comes once, and its room would be kept for all of a life.
    pub end: Option<Box<Refusal>>,
    /// Not before what was begun is done: it is asked again.
    pub when_free: bool,
    /// Find out whether the peer lives.
    pub probe: bool,
    /// Keep to the policy that stands now: it was judged by it already.
    pub policy: bool,
}

/// What the making of an [`Occupant`] takes.
#[derive(Debug)]
pub struct Arrival {
    /// The handshake.
    pub request_id: RequestId,
    /// The door.
    pub endpoint: Arc<Endpoint>,
    /// Where from.
    pub address: ClientAddress,
    /// What the client calls itself.
    pub user_agent: Option<Box<str>>,
    /// Whether it is put into the rooms that one is put into by itself.
    pub autojoin: bool,
}

impl Occupant {
    /// A connection that begins now.
    pub fn new(id: ConnectionId, arrival: Arrival, standing: Standing, now: Now) -> Self {
        let occupant = Self {
            id,
            request_id: arrival.request_id,
            endpoint: arrival.endpoint,
            address: arrival.address,
            user_agent: arrival.user_agent,
            connected_at: now.wall,
            traffic: Traffic::default(),
            page: None,
            hears_user: arrival.autojoin,
            carried_by: AtomicU8::new(Transport::Websocket as u8),
            round_trip_micros: AtomicU32::new(0),
            mail: Mail::default(),
            trace: None,
            user: standing.principal.user.clone(),
            standing: Mutex::new(standing),
            orders: Mutex::default(),
        };
        occupant.traffic.heard(now);
        occupant
    }

    /// Its handshake belongs to that trace.
    pub fn traced(mut self, trace: Option<Trace>) -> Self {
        self.trace = trace.map(Box::new);
        self
    }

    /// The trace that its handshake belongs to.
    pub fn trace(&self) -> Option<Trace> {
        self.trace.as_deref().copied()
    }

    /// That connection, opened by a page.
    #[must_use]
    pub fn of_page(mut self, page: Option<Box<Page>>) -> Self {
        self.page = page;
        self
    }

    /// What carries it now.
    pub fn transport(&self) -> Transport {
        let now = self.carried_by.load(Ordering::Relaxed);
        let all = [Transport::Websocket, Transport::SocketioPolling, Transport::SocketioWebsocket];
        all.into_iter().find(|transport| *transport as u8 == now).unwrap_or(Transport::Websocket)
    }

    /// Something else carries it from now on.
    #[cfg(feature = "net")]
    pub(crate) fn carry_by(&self, transport: Transport) {
        self.carried_by.store(transport as u8, Ordering::Relaxed);
    }

    /// A ping was answered after so long.
    #[cfg(feature = "net")]
    pub(crate) fn answered_in(&self, time: Duration) {
        let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX).max(1);
        self.round_trip_micros.store(micros, Ordering::Relaxed);
    }

    /// How long the latest ping and its answer took; none, where none was answered yet.
    pub fn round_trip(&self) -> Option<Duration> {
        match self.round_trip_micros.load(Ordering::Relaxed) {
            0 => None,
            micros => Some(Duration::from_micros(micros.into())),
        }
    }

    /// Whose it is. A refresh never changes that.
    pub const fn user(&self) -> &UserId {
        &self.user
    }

    /// The agent that it is. A refresh never changes that.
    pub fn agent(&self) -> Option<AgentId> {
        self.stands(|standing| standing.principal.agent.clone()).filter(|_| self.endpoint.agents)
    }

    /// What its token gave it.
    pub fn standing(&self) -> Standing {
        self.standing.lock().clone()
    }

    /// Looks at what its token gave it.
    pub fn stands<T>(&self, look: impl FnOnce(&Standing) -> T) -> T {
        look(&self.standing.lock())
    }

    /// Replaces what its token gave it.
    pub fn restand(&self, standing: Standing) {
        *self.standing.lock() = standing;
    }

    /// Tells it to go. The first reason holds.
    pub fn end(&self, refusal: Refusal) {
        let mut orders = self.orders.lock();
        orders.end.get_or_insert_with(|| Box::new(refusal));
        orders.when_free = false;
        drop(orders);
        self.mail.bell.ring();
    }

    /// Asks it to go as soon as nothing that it began is open.
    pub(super) fn leave(&self, refusal: impl FnOnce() -> Refusal) {
        let mut orders = self.orders.lock();
        if orders.end.is_none() {
            orders.end = Some(Box::new(refusal()));
            orders.when_free = true;
        }
        drop(orders);
        self.mail.bell.ring();
    }

    /// Makes it find out whether its peer lives.
    pub fn probe(&self) {
        self.orders.lock().probe = true;
        self.mail.bell.ring();
    }

    /// Makes it keep to the policy that stands now.
    pub(crate) fn take_policy(&self) {
        self.orders.lock().policy = true;
        self.mail.bell.ring();
    }

    /// Waits for the bell, and takes what is wanted.
    pub async fn ordered(&self) -> Orders {
        self.mail.bell.rung().await;
        std::mem::take(&mut *self.orders.lock())
    }

    /// Whom an audit record is about.
    pub fn subject(&self) -> Subject<'_> {
        Subject {
            request_id: self.request_id,
            user: Some(&self.user),
            address: Some(&self.address),
            endpoint: Some(&self.endpoint.path),
            elsewhere: false,
            user_agent: self.user_agent.as_deref(),
            connection: Some(self.id),
            trace: self.trace.as_ref().map(|trace| trace.id),
        }
    }
}
