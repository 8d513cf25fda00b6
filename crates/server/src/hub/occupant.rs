//! One live connection, as the rest of the house knows it: facts to be listed, and a bell to be rung.

#[cfg(feature = "net")]
use std::sync::OnceLock;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use gateway_domain::{
    AgentId, ConnectionId, Now, Principal, Refusal, RequestId, Role, Tick, Timestamp, UserId, plan::Plan,
};
#[cfg(feature = "net")]
use gateway_transport::Outlet;
use gateway_transport::{Text, address::ClientAddress};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    bell::Bell,
    outbox::{Class, Outbox, OutboxBounds, Put},
    outgoing::Scratch,
};
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
    /// Whether it hears what is said to its user without having asked for it.
    pub hears_user: bool,
    carried_by: AtomicU8,
    mail: Mail,
    /// Whether it waits already to be written to by another task than its own.
    is_marked: AtomicBool,
    user: UserId,
    standing: Mutex<Standing>,
    orders: Mutex<Orders>,
}

/// What telling it something takes, in one place of memory: of thousands who are told, none is in any cache.
#[derive(Debug, Default)]
struct Mail {
    outbox: Outbox,
    /// The way to its client for others than its own task.
    #[cfg(feature = "net")]
    outlet: OnceLock<Outlet>,
    bell: Bell,
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
    /// Go, and say this.
    pub end: Option<Refusal>,
    /// Find out whether the peer lives.
    pub probe: bool,
}

/// Counts of what went by.
#[derive(Debug, Default)]
pub struct Traffic {
    messages_in: AtomicU64,
    messages_out: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    last_heard_millis: AtomicU64,
    round_trip_micros: AtomicU32,
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
            hears_user: arrival.autojoin,
            carried_by: AtomicU8::new(Transport::Websocket as u8),
            mail: Mail::default(),
            is_marked: AtomicBool::new(false),
            user: standing.principal.user.clone(),
            standing: Mutex::new(standing),
            orders: Mutex::default(),
        };
        occupant.traffic.heard(now);
        occupant
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

    /// Whose it is. A refresh never changes that.
    pub const fn user(&self) -> &UserId {
        &self.user
    }

    /// The agent that it is. A refresh never changes that.
    pub fn agent(&self) -> Option<AgentId> {
        self.stands(|standing| standing.principal.agent.clone()).filter(|_| self.endpoint.agents)
    }

    /// Puts a text into its outbox. Where it is the first there, somebody has to see to it.
    pub(super) fn put(&self, text: Text, class: Class, bounds: &OutboxBounds) -> Put {
        self.mail.outbox.put(text, class, bounds)
    }

    /// Notes that it waits to be written to; whether it did not yet, so that nobody waits twice.
    pub(super) fn mark(&self) -> bool {
        !self.is_marked.swap(true, Ordering::AcqRel)
    }

    /// It waits no more. What is put into its outbox from here on marks it anew, so the outbox is looked into after this.
    pub(super) fn unmark(&self) {
        self.is_marked.swap(false, Ordering::AcqRel);
    }

    /// Wakes its own task, which tells what is to be told.
    pub(super) fn ring(&self) {
        self.mail.bell.ring();
    }

    /// From now on others may write to its client.
    #[cfg(feature = "net")]
    pub(crate) fn open(&self, outlet: Outlet) {
        // There is one, and it is given once.
        let _ = self.mail.outlet.set(outlet);
    }

    /// From now on nobody but its own task writes to its client.
    #[cfg(feature = "net")]
    pub(crate) fn shut(&self) {
        if let Some(outlet) = self.mail.outlet.get() {
            outlet.shut();
        }
    }

    /// Whether others may write to its client at all.
    pub(super) fn is_open(&self) -> bool {
        #[cfg(feature = "net")]
        return self.mail.outlet.get().is_some();
        #[cfg(not(feature = "net"))]
        false
    }

    /// Writes what waits in its outbox; what cannot be written now is left to its own task.
    pub(super) fn write_out(&self, scratch: &mut Scratch) {
        #[cfg(feature = "net")]
        if self.mail.outlet.get().is_some_and(|outlet| outlet.send(scratch, || self.take())) {
            return;
        }
        #[cfg(not(feature = "net"))]
        let _ = scratch;
        self.mail.bell.ring();
    }

    /// Puts a text of its own task's into its outbox: nobody has to be woken.
    #[cfg(feature = "net")]
    pub(crate) fn note(&self, text: Text, bounds: &OutboxBounds) -> Put {
        self.mail.outbox.put(text, Class::Control, bounds)
    }

    /// Takes the next that it is to be told.
    pub fn take(&self) -> Option<Text> {
        let text = self.mail.outbox.take()?;
        self.traffic.sent(text.len());
        Some(text)
    }

    /// How many messages and bytes wait to be told.
    pub fn waiting(&self) -> (usize, usize) {
        self.mail.outbox.waiting()
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
        self.orders.lock().end.get_or_insert(refusal);
        self.mail.bell.ring();
    }

    /// Makes it find out whether its peer lives.
    pub fn probe(&self) {
        self.orders.lock().probe = true;
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
        }
    }
}

impl Traffic {
    /// A message came in.
    pub fn received(&self, bytes: usize) {
        self.messages_in.fetch_add(1, Ordering::Relaxed);
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A message went out.
    pub fn sent(&self, bytes: usize) {
        self.messages_out.fetch_add(1, Ordering::Relaxed);
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The peer was heard.
    pub fn heard(&self, now: Now) {
        let millis = u64::try_from(now.tick.since_origin().as_millis()).unwrap_or(u64::MAX);
        self.last_heard_millis.store(millis, Ordering::Relaxed);
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

    /// When the peer was last heard, on the wall clock.
    pub fn last_heard(&self, now: Now) -> Timestamp {
        let then = Tick::after_origin(Duration::from_millis(self.last_heard_millis.load(Ordering::Relaxed)));
        let ago = i64::try_from(now.tick.since(then).as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(now.wall.millis().saturating_sub(ago))
    }

    /// Messages in and out, bytes in and out.
    pub fn counts(&self) -> [u64; 4] {
        [&self.messages_in, &self.messages_out, &self.bytes_in, &self.bytes_out]
            .map(|count| count.load(Ordering::Relaxed))
    }
}
