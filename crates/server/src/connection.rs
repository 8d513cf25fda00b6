//! One connection, one task, one loop.
//!
//! The loop waits for one of five things, in this order: the bell (an order of the house, or something to be told), the
//! outcome of a refresh, the end of what the last message set going, something from the peer, a deadline. While it
//! waits for the peer it tells it what is in its outbox; while a message is still on its way to many, only posts may
//! follow it, which are told behind it, and anything else is held back, so that what one sender says to one receiver
//! stays in order. The peer comes before the deadline, so that a pong that is
//! already here is not taken for silence; no deadline is lost by that, since every message is held against the
//! token's deadline by itself. The [`Session`] decides, the loop does. Whatever way it ends, the [`Seat`] cleans up.

mod line;
mod message;
mod refresh;
mod rooms;
mod routing;

use std::{future::Future, ops::ControlFlow, pin::Pin, sync::Arc, time::Duration};

use futures_util::FutureExt;
use gateway_domain::{
    Code, Now, Refusal, Tick,
    session::{Due, Session},
    trace::TraceId,
};
use gateway_transport::{Inbound, Outbound, SocketFault};
use serde::Serialize;
use tokio::time::Sleep;
use tracing::{Span, field::display};

use crate::{
    audit::Subject,
    clock, greeting,
    house::House,
    hub::{Ending, Letter, Occupant, Orders, Put, Seat, notice},
    refusal::ErrorPayload,
};
pub use line::{Farewell, Line};
use refresh::{Judged, RefreshQuota};
use routing::Underway;

/// How long a peer may take to answer a close.
pub const CLOSE_PATIENCE: Duration = Duration::from_secs(3);
/// So much of what is here already is read of a peer before it is let go.
const HEARD_OUT: usize = 64;
const PING: &str = r#"{"type":"ping"}"#;
/// A timer is never set further ahead than this.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

type Refreshing = Pin<Box<dyn Future<Output = Result<Judged, Refusal>> + Send>>;

/// The state of the loop.
struct Connection<L> {
    house: Arc<House>,
    line: L,
    occupant: Arc<Occupant>,
    session: Session,
    heard: u64,
    /// When a ping was sent that no pong answered yet.
    pinged: Option<Tick>,
    refreshing: Option<(Option<Box<str>>, Refreshing)>,
    refresh_quota: RefreshQuota,
    /// What messages set going; but for a post behind posts, the next is not handled before it is done.
    underway: Option<Box<Underway>>,
    /// That next message. While it is held back, nothing more is read.
    held: Option<Box<Inbound>>,
    /// The trace of the message that is being handled, where it names one. Few do: it is in a box.
    trace: Option<Box<TraceId>>,
    /// Who speaks, as receivers are told: made with the first message that is passed on.
    from: Option<Arc<str>>,
}

/// Serves a connection until it ends: sits down, speaks, closes properly.
pub async fn serve<L: Line>(house: Arc<House>, line: L, mut seat: Seat, occupant: Arc<Occupant>) {
    let now = clock::now();
    let expires_at = occupant.stands(|standing| standing.principal.expires_at);
    let session = Session::new(&occupant.endpoint.session, expires_at, phase(&occupant), now);
    let refresh_quota = RefreshQuota::default();
    let mut connection = Connection {
        house,
        line,
        occupant,
        session,
        heard: 0,
        pinged: None,
        refreshing: None,
        refresh_quota,
        underway: None,
        held: None,
        trace: None,
        from: None,
    };
    let ending = match connection.enter(&mut seat, now) {
        Ok(()) => {
            tracing::debug!("begins");
            let ending = connection.converse().await;
            tracing::debug!("ends");
            connection.occupant.shut();
            connection.say_the_rest(&ending);
            ending
        }
        Err(refusal) => {
            connection.occupant.shut();
            Ending::Ours(refusal)
        }
    };
    let farewell = match &ending {
        Ending::Ours(refusal) => Some(Farewell::Refused(refusal.clone(), connection.occupant.request_id)),
        Ending::Peer(_) => Some(Farewell::Answer),
        Ending::Lost(_) | Ending::Aborted => None,
    };
    // The seat is free before the peer has answered: a slow goodbye keeps nobody out.
    seat.end(ending);
    drop(seat);
    if let Some(farewell) = farewell {
        // Boxed, since the task would otherwise keep room for it all its life.
        Box::pin(connection.line.end(farewell, CLOSE_PATIENCE)).await;
    }
}

/// A span that names a connection, where the log is fine enough for that: it costs memory for as long as it lives.
pub(crate) fn span(occupant: &Occupant) -> Option<Span> {
    let (connection, request) = (display(occupant.id), display(occupant.request_id));
    let trace = occupant.trace().map(|trace| display(trace.id));
    let span = tracing::debug_span!("connection", connectionId = connection, requestId = request, traceId = trace);
    (!span.is_disabled()).then_some(span)
}

/// Spreads the first pings of connections that came together. The end of an id is random, so that will do.
fn phase(occupant: &Occupant) -> Duration {
    let interval = occupant.endpoint.session.heartbeat.unwrap_or_default();
    let part = u32::from(occupant.id.uuid().as_bytes()[15]);
    interval / 2 * part / 256
}

impl<L: Line> Connection<L> {
    /// Registers first, then asks once more what may have changed since the gate: a ban that came in between has
    /// either seen this connection or is seen by it.
    fn enter(&mut self, seat: &mut Seat, now: Now) -> Result<(), Refusal> {
        // The greeting is the first in the outbox, before anybody can find the connection.
        if self.occupant.endpoint.hears() {
            self.say_text(greeting::text(&self.occupant, now));
        }
        if let Some(outlet) = self.line.outlet() {
            self.occupant.open(outlet);
        }
        seat.occupy(Arc::clone(&self.occupant))?;
        if self.house.is_past() {
            self.come_under_policy(&Arc::clone(&self.house), now)?;
        }
        let principal = self.occupant.stands(|standing| Arc::clone(&standing.principal));
        self.house.gate.still_welcome(&principal, &self.occupant.address, now)
    }

    /// Is judged by the policy that stands now, which came while it was under way under another.
    fn come_under_policy(&mut self, was: &House, now: Now) -> Result<(), Refusal> {
        let is = self.house.now();
        self.occupant.restand(is.judge(was, &self.occupant, now)?);
        is.hub.judge_again(&self.occupant);
        self.take_policy();
        Ok(())
    }

    /// Keeps to the policy that stands now, by which it was judged.
    fn take_policy(&mut self) {
        self.house = self.house.now();
        self.from = None;
        let expires_at = self.occupant.stands(|standing| standing.principal.expires_at);
        if expires_at != self.session.expires_at() {
            self.session.refresh(expires_at);
        }
    }

    async fn converse(&mut self) -> Ending {
        let mut timer = Box::pin(tokio::time::sleep(Duration::ZERO));
        let mut armed = None;
        let mut now = clock::now();
        loop {
            // Read once a turn: what is heard is dealt with at that time, too.
            if let ControlFlow::Break(ending) = self.do_what_is_due(timer.as_mut(), &mut armed, now) {
                return ending;
            }
            let (house, occupant) = (&self.house, &self.occupant);
            let hear = self.held.is_none();
            let step = tokio::select! {
                biased;
                orders = occupant.ordered() => { now = clock::now(); self.obey(orders) }
                outcome = next_outcome(&mut self.refreshing) => { now = clock::now(); self.refreshed(outcome, now) }
                done = routing::done(&mut self.underway) => { now = clock::now(); self.went(done, now) }
                inbound = self.line.next_while_sending(hear, || next_text(house, occupant)) => {
                    now = clock::now();
                    self.take_in(inbound, now)
                }
                () = timer.as_mut() => { now = clock::now(); armed = None; ControlFlow::Continue(()) }
            };
            if let ControlFlow::Break(ending) = step {
                return ending;
            }
        }
    }

    /// Does what the session says is due, and arms the timer for the next time.
    fn do_what_is_due(&mut self, timer: Pin<&mut Sleep>, armed: &mut Option<Tick>, now: Now) -> ControlFlow<Ending> {
        self.listen(now);
        while let Some(due) = self.session.take_due(&self.occupant.endpoint.session, now) {
            let endpoint = &self.occupant.endpoint;
            match due {
                Due::End(refusal) => return ControlFlow::Break(Ending::Ours(refusal)),
                Due::Ping => {
                    if endpoint.heartbeat_message && endpoint.hears() {
                        self.say_text(PING.to_owned());
                    }
                    if let Err(fault) = self.line.queue(Outbound::Ping(Default::default())) {
                        return ControlFlow::Break(ending_of(fault));
                    }
                    self.pinged = Some(now.tick);
                }
                Due::ExpiryWarning(expires_at) => {
                    // A raw endpoint is told nothing.
                    if endpoint.hears() {
                        self.say("auth.expiring", None, &serde_json::json!({ "expiresAt": expires_at }));
                    }
                }
            }
        }
        let longest = now.tick + LONGEST_SLEEP;
        let wake = self.session.next_due(&self.occupant.endpoint.session, now).map_or(longest, |due| due.min(longest));
        // A timer that rings early costs one turn of the loop; setting it at every message would cost more.
        if armed.is_none_or(|at| wake < at) {
            timer.reset(clock::instant(wake));
            *armed = Some(wake);
        }
        ControlFlow::Continue(())
    }

    /// Notes that the peer lives, where anything came in since the last look.
    fn listen(&mut self, now: Now) {
        let heard = self.line.heard();
        // Who is not read, since a message of its own is held back, has shown that it is there.
        if heard != self.heard || self.held.is_some() {
            self.heard = heard;
            self.session.heard(now);
            self.occupant.traffic.heard(now);
        }
    }

    fn obey(&mut self, orders: Orders) -> ControlFlow<Ending> {
        if let Some(refusal) = orders.end
            && (!orders.when_free || self.is_done()?)
        {
            return ControlFlow::Break(Ending::Ours(*refusal));
        }
        if orders.probe {
            self.session.probe();
        }
        if orders.policy {
            self.take_policy();
        }
        ControlFlow::Continue(())
    }

    /// Whether nothing is open that the peer began, once everything of it that is here already was read.
    fn is_done(&mut self) -> ControlFlow<Ending, bool> {
        let occupant = Arc::clone(&self.occupant);
        for _ in 0..HEARD_OUT {
            let hear = self.held.is_none();
            let next = self.line.next_while_sending(hear, || next_text(&self.house, &occupant));
            let Some(inbound) = next.now_or_never() else { break };
            self.take_in(inbound, clock::now())?;
        }
        let is_idle = self.underway.is_none() && self.held.is_none() && self.refreshing.is_none();
        ControlFlow::Continue(is_idle && !self.house.hub.has_open_requests(occupant.id))
    }

    fn take_in(&mut self, inbound: Result<Inbound, SocketFault>, now: Now) -> ControlFlow<Ending> {
        self.listen(now);
        let outcome = match inbound {
            Ok(message) if self.must_wait(&message) => {
                self.held = Some(Box::new(message));
                return ControlFlow::Continue(());
            }
            Ok(Inbound::Text(text)) => self.on_text(&text, now),
            Ok(Inbound::Binary(bytes)) => self.on_binary(bytes, now),
            Ok(Inbound::Pong) => {
                if let Some(sent) = self.pinged.take() {
                    self.occupant.answered_in(now.tick.since(sent));
                }
                Ok(())
            }
            Ok(Inbound::Ping) => Ok(()),
            Ok(Inbound::Close(frame)) => return ControlFlow::Break(Ending::Peer(frame.map(|frame| frame.code))),
            Err(fault) => return ControlFlow::Break(ending_of(fault)),
        };
        match outcome {
            Ok(()) => ControlFlow::Continue(()),
            Err(message::End::Refused(refusal)) => ControlFlow::Break(Ending::Ours(refusal)),
            Err(message::End::Socket(fault)) => ControlFlow::Break(ending_of(fault)),
        }
    }

    /// Whom an audit record of what is being handled is about.
    fn subject(&self) -> Subject<'_> {
        let subject = self.occupant.subject();
        Subject { trace: self.trace.as_deref().copied().or(subject.trace), ..subject }
    }

    fn say(&self, kind: &str, id: Option<&str>, payload: &impl Serialize) {
        self.say_text(notice(kind, id, payload));
    }

    fn say_error(&self, id: Option<&str>, refusal: &Refusal) {
        self.house.metrics.messages.error(refusal.code);
        self.say("error", id, &ErrorPayload::of(refusal));
    }

    /// Says something to this client itself, behind all that it is to be told before.
    fn say_text(&self, text: String) {
        let Some(text) = Letter::new(text).in_words_of(&self.occupant.endpoint.vocabulary) else { return };
        if self.occupant.note(text, &self.house.hub.outbox()) == Put::Overflow {
            self.occupant.end(Refusal::plain(Code::SlowConsumer).retry_after(Duration::from_secs(1)));
        }
    }

    /// What it was to be told before the gateway ends it, but for who is too slow to hear it.
    fn say_the_rest(&mut self, ending: &Ending) {
        if !matches!(ending, Ending::Ours(refusal) if refusal.code != Code::SlowConsumer) {
            return;
        }
        while let Some(text) = self.occupant.take() {
            if self.line.queue(Outbound::Text(text)).is_err() {
                return;
            }
        }
    }
}

/// The next that the client is to be told. Where that was all, it is noted how long the oldest of it took.
fn next_text(house: &House, occupant: &Occupant) -> Option<Outbound> {
    let text = occupant.take();
    if text.is_none()
        && let Some(since) = occupant.waited_since()
    {
        house.metrics.messages.delivery().observe(since.until(clock::tick()));
    }
    text.map(Outbound::Text)
}

/// The outcome of the refresh under way; never, where there is none.
async fn next_outcome(
    refreshing: &mut Option<(Option<Box<str>>, Refreshing)>,
) -> (Option<Box<str>>, Result<Judged, Refusal>) {
    let Some((_, future)) = refreshing else { return std::future::pending().await };
    let outcome = future.await;
    let id = refreshing.take().and_then(|(id, _)| id);
    (id, outcome)
}

/// A fault of the peer closes with its code; a peer that is gone is lost.
fn ending_of(fault: SocketFault) -> Ending {
    match fault.refusal() {
        Some(refusal) => Ending::Ours(refusal),
        None => Ending::Lost(fault.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_transport::{Socket, Wire};

    /// How much a task that runs this function holds.
    fn future_size<A, B, C, D, F: Future>(_: fn(A, B, C, D) -> F) -> usize {
        size_of::<F>()
    }

    /// Every connection costs this much for as long as it lives, so growth is to be a decision: what is rare (a
    /// refresh, an early close) belongs into a box.
    #[test]
    fn an_idle_connection_stays_small() {
        let served = future_size(serve::<Socket<Wire>>);
        let (known, session) = (size_of::<Occupant>(), size_of::<Session>());
        assert!(served <= 1_760, "the task of a connection takes {served} bytes");
        // The oldest text of the outbox is in it, so that whoever hears one at a time has no queue behind that.
        assert!(known <= 400, "what the house knows of a connection takes {known} bytes");
        assert!(session <= 104, "the clocks of a connection take {session} bytes");
    }
}
