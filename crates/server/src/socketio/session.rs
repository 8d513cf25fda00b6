//! One session of Engine.IO: one task, that owns whatever carries it and hands on what is said in its namespaces.
//!
//! It waits for one of these, in this order: a request, the gate's answer to a CONNECT, the end of a namespace, room in a
//! namespace that is behind, what the client or a namespace says, the transport that is tried out, a deadline. While a
//! CONNECT is judged, or a namespace is behind, nothing more is read of the client. A session that closes says what its
//! namespaces still have to say, within a patience; when its task ends, its place and its namespaces go with it.

mod ending;
mod saying;

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use gateway_domain::{Code, ConnectionId, Now, Refusal, RequestId, Tick, trace::Trace};
use gateway_transport::{
    ClientAddress, Inbound, Query, Socket, Text, Ticket, Wire,
    engineio::Opening,
    socketio::{Decoder, PacketLimits},
};
use http::HeaderMap;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{
    EngineFault, Shared, Socketio,
    admission::Admitting,
    carrier::{Carried, Carrier, Polled},
    line::{Heard, Told},
    moving::{Moved, Moving},
    sessions::Place,
};
use crate::{
    audit::Subject,
    clock,
    http::Site,
    hub::{Occupant, Transport},
};

/// What all namespaces of a session may have said that its client has not taken.
const TOLD: usize = 8;
/// Nothing is due later than this.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);
const PING: &str = "2";

/// What is asked of a session by HTTP.
pub(crate) enum Request {
    /// A GET: it is held until there is something to say.
    Poll(oneshot::Sender<Polled>),
    /// A POST: whole packets, and whether they were taken.
    Post(Vec<Inbound>, oneshot::Sender<Result<(), EngineFault>>),
    /// A body that was none: the session is to end.
    Fail(Refusal),
    /// A WebSocket that is to carry the session.
    Websocket(Box<Socket<Wire>>, Arc<Ticket>),
}

/// What waits to be asked, each in a box: a queue keeps room for 32 of what goes through it.
pub(crate) type Requests = mpsc::Receiver<Box<Request>>;

/// Who opened a session: what the gate needs to know when a token comes.
pub(crate) struct Visitor {
    pub(crate) request_id: RequestId,
    pub(crate) trace: Option<Trace>,
    pub(crate) address: ClientAddress,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) secure: bool,
    pub(crate) user_agent: Option<Box<str>>,
    pub(crate) autojoin: bool,
    pub(crate) path: Box<str>,
}

/// A namespace that the client is in.
pub(super) struct Namespace {
    pub(super) occupant: Arc<Occupant>,
    pub(super) to: mpsc::Sender<Box<Heard>>,
}

/// The state of a session.
pub(crate) struct Session {
    pub(super) site: Arc<Site>,
    pub(super) front: Arc<Socketio>,
    pub(super) visitor: Arc<Visitor>,
    place: Place,
    pub(super) shared: Arc<Shared>,
    requests: Requests,
    pub(super) carrier: Carrier,
    pub(super) moving: Option<Box<Moving>>,
    /// The session's own packets: they go before those of its namespaces.
    pub(super) own: VecDeque<Text>,
    pub(super) teller: mpsc::Sender<Box<Told>>,
    told: mpsc::Receiver<Box<Told>>,
    /// What a namespace told that has no room yet.
    stash: Option<Told>,
    pub(super) lines: JoinSet<()>,
    pub(super) namespaces: Vec<Namespace>,
    pub(super) decoder: Decoder,
    /// Packets that came and are not read yet.
    pub(super) incoming: VecDeque<Inbound>,
    /// Whose POST they came with.
    pub(super) posted: Option<oneshot::Sender<Result<(), EngineFault>>>,
    pub(super) blocked: Option<(ConnectionId, Box<Heard>)>,
    pub(super) admitting: Option<Admitting>,
    /// While it is a stranger, its place in the vestibule.
    pub(super) stranger: Option<Arc<Ticket>>,
    /// From its first admission on, whoever closes the house waits for it.
    pub(super) counted: Option<TaskTrackerToken>,
    pub(super) failed: u8,
    pub(super) ignored: u16,
    ws_heard: u64,
    next_ping: Tick,
    awaited: Option<Tick>,
    pub(super) connect_by: Option<Tick>,
    pub(super) closing: Option<ending::Closing>,
}

/// A session for that visitor; none where there are too many.
pub(crate) fn open(
    site: &Arc<Site>,
    front: &Arc<Socketio>,
    visitor: Visitor,
    stranger: Arc<Ticket>,
) -> Result<Box<Session>, Refusal> {
    let (place, shared, requests) = front.sessions().enter()?;
    let (teller, told) = mpsc::channel(TOLD);
    let now = clock::now();
    let limits = PacketLimits { bytes: front.most_bytes(true), ..PacketLimits::default() };
    Ok(Box::new(Session {
        site: Arc::clone(site),
        front: Arc::clone(front),
        visitor: Arc::new(visitor),
        place,
        shared,
        requests,
        carrier: Carrier::Polling(None),
        moving: None,
        own: VecDeque::new(),
        teller,
        told,
        stash: None,
        lines: JoinSet::new(),
        namespaces: Vec::new(),
        decoder: Decoder::new(limits),
        incoming: VecDeque::new(),
        posted: None,
        blocked: None,
        admitting: None,
        stranger: Some(stranger),
        counted: None,
        failed: 0,
        ignored: 0,
        ws_heard: 0,
        next_ping: now.tick + front.times.ping_interval,
        awaited: None,
        connect_by: Some(now.tick + front.times.connect_timeout),
        closing: None,
    }))
}

impl Session {
    /// The first word to the client.
    pub(crate) fn opening(&self, upgradable: bool) -> String {
        let times = &self.front.times;
        Opening {
            sid: &self.place.sid(),
            upgradable,
            ping_interval: times.ping_interval,
            ping_timeout: times.ping_timeout,
            max_payload: self.front.most_bytes(true),
        }
        .to_text()
    }

    /// Carried by a WebSocket from the start.
    pub(crate) fn on(mut self: Box<Self>, socket: Socket<Wire>) -> Box<Self> {
        self.own.push_back(self.opening(false).into());
        self.carrier = Carrier::Websocket(Box::new(socket));
        self
    }

    /// Serves the session until it ends.
    pub(crate) async fn run(mut self: Box<Self>) {
        if self.live().await {
            // Boxed, since the task would otherwise keep room for it all its life.
            Box::pin(self.finish()).await;
        }
    }

    /// Whether there is anybody to say goodbye to at the end.
    async fn live(&mut self) -> bool {
        let mut timer = Box::pin(tokio::time::sleep(Duration::ZERO));
        let mut armed = None;
        loop {
            let now = clock::now();
            self.do_what_is_due(now);
            self.read(now);
            self.say_what_waits(now);
            if self.is_over(now) {
                return true;
            }
            let wake = self.next_due(now);
            if armed.is_none_or(|at| wake < at) {
                timer.as_mut().reset(clock::instant(wake));
                armed = Some(wake);
            }
            let hear = self.reads();
            let may_tell = self.moving.as_ref().is_none_or(|moving| !moving.is_answered());
            // Of one that is gone it is said again whenever it is asked: the task would never rest, and keep its
            // namespaces from ending.
            let is_there = self.closing.as_ref().is_none_or(|closing| !closing.is_told);
            tokio::select! {
                biased;
                Some(request) = self.requests.recv() => self.asked(*request, clock::now()),
                judged = outcome(&mut self.admitting) => self.judged(judged, clock::now()),
                Some(_) = self.lines.join_next() => {}
                () = room(self.blocked.as_ref(), &self.namespaces) => {}
                carried = self.carrier.next(hear, may_tell, &mut self.told, &mut self.stash), if is_there => {
                    self.carried(carried, clock::now());
                }
                moved = Moving::next(&mut self.moving) => self.moved(moved, clock::now()),
                () = self.shared.probe.notified() => self.ping(),
                () = evicted(self.stranger.as_deref()) => return false,
                () = timer.as_mut() => armed = None,
            }
        }
    }

    /// Whether more of the client is to be read.
    pub(super) fn reads(&self) -> bool {
        self.closing.is_none() && self.admitting.is_none() && self.blocked.is_none() && self.incoming.is_empty()
    }

    /// A sign of life.
    pub(super) fn alive(&mut self, now: Now) {
        self.shared.heard.fetch_add(1, Ordering::Relaxed);
        self.awaited = None;
        for namespace in &self.namespaces {
            namespace.occupant.traffic.heard(now);
        }
    }

    fn do_what_is_due(&mut self, now: Now) {
        if let Carrier::Websocket(socket) = &self.carrier
            && socket.heard() != self.ws_heard
        {
            self.ws_heard = socket.heard();
            self.alive(now);
        }
        if self.moving.as_ref().is_some_and(|moving| now.tick >= moving.until) {
            self.moving = None;
        }
        if self.closing.is_some() {
            return;
        }
        if self.connect_by.is_some_and(|by| now.tick >= by) && self.admitting.is_none() {
            let refusal = Refusal::new(Code::AuthRequired, "no CONNECT came in time");
            if self.stranger.is_some() {
                self.site.house.metrics.doors.refused(refusal.code);
                self.site.house.audit.refused(&refusal, &self.visitor.subject(), now);
            }
            self.close(Some(refusal), now);
        } else if self.awaited.is_some_and(|by| now.tick >= by) {
            self.fail(Refusal::plain(Code::HeartbeatTimeout), now);
        } else if now.tick >= self.next_ping {
            self.ping();
            self.awaited.get_or_insert(now.tick + self.front.times.ping_timeout);
            self.next_ping = now.tick + self.front.times.ping_interval;
        }
    }

    fn next_due(&self, now: Now) -> Tick {
        let moving = self.moving.as_ref().map(|moving| moving.due(self.carrier.holds_a_poll()));
        let closing = self.closing.as_ref().map(|closing| closing.until);
        let living = self.closing.is_none().then_some(self.next_ping);
        let connect = self.connect_by.filter(|_| self.closing.is_none() && self.admitting.is_none());
        let awaited = self.awaited.filter(|_| self.closing.is_none());
        let due = [moving, closing, living, connect, awaited].into_iter().flatten();
        due.fold(now.tick + LONGEST_SLEEP, Tick::min)
    }

    /// Something was asked of the session by HTTP.
    fn asked(&mut self, request: Request, now: Now) {
        match request {
            Request::Poll(answer) => match &mut self.carrier {
                Carrier::Polling(held) if held.as_ref().is_none_or(oneshot::Sender::is_closed) => {
                    *held = Some(answer);
                    self.alive(now);
                }
                Carrier::Polling(_) => {
                    let _ = answer.send(Err(EngineFault::Request));
                    self.fail(broken("two polls at once"), now);
                }
                Carrier::Websocket(_) => {
                    let _ = answer.send(Err(EngineFault::Request));
                }
            },
            Request::Post(_, answer) if matches!(self.carrier, Carrier::Websocket(_)) => {
                let _ = answer.send(Err(EngineFault::Request));
            }
            Request::Post(_, answer) if self.posted.is_some() || !self.incoming.is_empty() => {
                let _ = answer.send(Err(EngineFault::Request));
                self.fail(broken("two posts at once"), now);
            }
            Request::Post(packets, answer) => {
                self.alive(now);
                if self.closing.is_some() {
                    let _ = answer.send(Ok(()));
                    return;
                }
                self.posted = Some(answer);
                self.incoming.extend(packets);
            }
            Request::Fail(refusal) => self.fail(refusal, now),
            Request::Websocket(socket, ticket) => self.try_out(socket, ticket, now),
        }
    }

    fn carried(&mut self, carried: Carried, now: Now) {
        match carried {
            Carried::Told(told) => self.stash = Some(told),
            Carried::Said(Ok(Inbound::Close(frame))) => self.gone(frame.map(|frame| frame.code), now),
            Carried::Said(Ok(message @ (Inbound::Text(_) | Inbound::Binary(_)))) => self.incoming.push_back(message),
            Carried::Said(Ok(Inbound::Ping | Inbound::Pong)) => {}
            Carried::Said(Err(fault)) => match fault.refusal() {
                Some(refusal) => self.fail(refusal, now),
                None => self.gone(None, now),
            },
            Carried::HungUp => self.gone(None, now),
        }
    }

    /// What carries the connections, as the lists show it.
    pub(super) fn transport(&self) -> Transport {
        match &self.carrier {
            Carrier::Polling(_) => Transport::SocketioPolling,
            Carrier::Websocket(_) => Transport::SocketioWebsocket,
        }
    }

    /// It was moved to that WebSocket.
    pub(super) fn carry_by(&mut self, socket: Box<Socket<Wire>>) {
        self.ws_heard = 0;
        self.carrier = Carrier::Websocket(socket);
        for namespace in &self.namespaces {
            namespace.occupant.carry_by(Transport::SocketioWebsocket);
        }
    }

    fn moved(&mut self, moved: Moved, now: Now) {
        match moved {
            Moved::Answered => self.alive(now),
            Moved::Over => self.move_over(now),
            Moved::Failed => self.moving = None,
        }
    }
}

impl Visitor {
    /// Whom an audit record is about, before a namespace is named.
    pub(super) fn subject(&self) -> Subject<'_> {
        Subject {
            address: Some(&self.address),
            endpoint: Some(&self.path),
            user_agent: self.user_agent.as_deref(),
            trace: self.trace.map(|trace| trace.id),
            ..Subject::new(self.request_id)
        }
    }
}

/// The protocol was broken, in this way.
pub(super) fn broken(how: &'static str) -> Refusal {
    Refusal::new(Code::ProtocolError, how)
}

async fn outcome(admitting: &mut Option<Admitting>) -> super::admission::Judged {
    let Some(future) = admitting else { return std::future::pending().await };
    let judged = future.await;
    *admitting = None;
    judged
}

/// There is room where a packet waits for it, or nobody is there any more.
async fn room(blocked: Option<&(ConnectionId, Box<Heard>)>, namespaces: &[Namespace]) {
    let Some((id, _)) = blocked else { return std::future::pending().await };
    if let Some(namespace) = namespaces.iter().find(|namespace| namespace.occupant.id == *id) {
        drop(namespace.to.reserve().await);
    }
}

async fn evicted(stranger: Option<&Ticket>) {
    match stranger {
        Some(ticket) => ticket.evicted().await,
        None => std::future::pending().await,
    }
}
