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
    AgentId, ConnectionId, Now, Principal, Refusal, RequestId, Role, Tick, Timestamp, UserId, plan::Plan, trace::Trace,
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
    page::Page,
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
    /// The page that opened it, where one did.
    pub page: Option<Box<Page>>,
    /// Whether it hears what is said to its user without having asked for it.
    pub hears_user: bool,
    carried_by: AtomicU8,
    round_trip_micros: AtomicU32,
    mail: Mail,
    /// Whether it waits already to be written to by another task than its own.
    is_marked: AtomicBool,
    /// Since when the oldest of what waits for it has been on its way, as [`moment`] says it; 0 where nobody asked.
    waits_since: AtomicU32,
    /// The trace that its handshake belongs to. Most have none.
    trace: Option<Box<Trace>>,
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
    /// Go, and say this. In a box: it comes once, and its room would be kept for all of a life.
    pub end: Option<Box<Refusal>>,
    /// Not before what was begun is done: it is asked again.
    pub when_free: bool,
    /// Find out whether the peer lives.
    pub probe: bool,
    /// Keep to the policy that stands now: it was judged by it already.
    pub policy: bool,
}

/// Counts of what went by.
#[derive(Debug, Default)]
pub struct Traffic {
    messages_in: AtomicU64,
    messages_out: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    last_heard_millis: AtomicU64,
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

/// A moment of the lately past, in little room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Since(u32);

/// Hundredths of milliseconds of the steady clock; in twelve hours they begin again. Never 0.
fn moment(tick: Tick) -> u32 {
    let hundredths = tick.since_origin().as_micros() / 10;
    // What is cut off is the number of half days.
    ((hundredths & u128::from(u32::MAX)) as u32).max(1)
}

impl Since {
    /// How long ago that is.
    pub(crate) fn until(self, now: Tick) -> Duration {
        Duration::from_micros(u64::from(moment(now).wrapping_sub(self.0)) * 10)
    }
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
            is_marked: AtomicBool::new(false),
            waits_since: AtomicU32::new(0),
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

    /// Puts a text into its outbox. Where it is the first there, somebody has to see to it.
    pub(super) fn put(&self, text: Text, class: Class, bounds: &OutboxBounds) -> Put {
        self.mail.outbox.put(text, class, bounds)
    }

    /// Notes since when what is put into its outbox next has been on its way, unless something older waits there.
    pub(super) fn stamp(&self, posted: Tick) {
        // Nobody else puts while the books are held; who takes meanwhile makes this a little shorter than it was.
        if self.waits_since.load(Ordering::Relaxed) == 0 {
            self.waits_since.store(moment(posted), Ordering::Relaxed);
        }
    }

    /// All that waited has been written: since when the oldest had been on its way, where that is known.
    #[cfg(feature = "net")]
    pub(crate) fn waited_since(&self) -> Option<Since> {
        if self.waits_since.load(Ordering::Relaxed) == 0 {
            return None;
        }
        Some(Since(self.waits_since.swap(0, Ordering::Relaxed))).filter(|since| since.0 != 0)
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

    /// Looks at what a write to it needs, so that it is at hand when that comes; the sum means nothing.
    pub(super) fn glance(&self) -> usize {
        let own = usize::from(self.is_marked.load(Ordering::Relaxed));
        let counted = self.traffic.messages_out.load(Ordering::Relaxed) as usize;
        #[cfg(feature = "net")]
        let outlet = self.mail.outlet.get().map_or(0, Outlet::glance);
        #[cfg(not(feature = "net"))]
        let outlet = 0;
        own.wrapping_add(counted).wrapping_add(outlet)
    }

    /// Writes what waits in its outbox, and tells since when the oldest of it had been on its way. What cannot be written
    /// now is left to its own task.
    pub(super) fn write_out(&self, scratch: &mut Scratch) -> Option<Since> {
        #[cfg(feature = "net")]
        if self.mail.outlet.get().is_some_and(|outlet| outlet.send(scratch, || self.take())) {
            return self.waited_since();
        }
        #[cfg(not(feature = "net"))]
        let _ = scratch;
        self.mail.bell.ring();
        None
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_apart_across_its_turn() {
        let turn = Duration::from_micros((1 << 32) * 10);
        let half = Duration::from_millis(500);
        for began in [Duration::ZERO, Duration::from_secs(3600), turn - half, turn, turn * 3 + half] {
            for took in [Duration::ZERO, Duration::from_millis(3), Duration::from_secs(60)] {
                let tick = Tick::after_origin(began);
                let told = Since(moment(tick)).until(tick + took);
                assert!(told.abs_diff(took) <= Duration::from_micros(10), "{began:?} {took:?} {told:?}");
            }
        }
    }
}
