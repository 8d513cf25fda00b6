//! One hook: its rules, what waits for it, and what becomes of each event. Every event that it is told has exactly one
//! [`Fate`]: a [`Turn`] is the drop guard of one that is under way, and everything else has its fate at once.

mod turn;

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use gateway_auth::Seal;
use gateway_domain::{Now, RequestId, Tick, trace::Trace};
use parking_lot::Mutex;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    breaker::{Breaker, BreakerRules, Pass},
    carrier::{Address, Carry},
    counts::{CountsOfHook, Fate},
    happening::{Facts, Happening, Kind, Reason},
    lanes::{Lanes, QueueBounds},
    roll::Roll,
};
use crate::{
    audit::{Audit, Event, Subject},
    journal::Pending,
};
pub(super) use turn::Turn;

/// What a hook is, and what holds for it.
#[derive(Clone, Debug)]
pub struct HookRules {
    /// What routes and events call it.
    pub name: Arc<str>,
    /// Where it is.
    pub address: Address,
    /// What its requests are sealed with: the secret, and while it is exchanged the one before, too.
    pub seals: Vec<Seal>,
    /// What it is told.
    pub events: Vec<Kind>,
    /// Of whose connections; none: of all.
    pub endpoints: Vec<Box<str>>,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How many requests are under way at once.
    pub at_once: usize,
    /// What may wait.
    pub queue: QueueBounds,
    /// When it is not tried for a while.
    pub breaker: BreakerRules,
}

/// A hook at work.
pub(super) struct Hook {
    pub(super) rules: HookRules,
    pub(super) carry: Carry,
    pub(super) counts: CountsOfHook,
    /// Rings when there may be something to do.
    pub(super) bell: Notify,
    roll: Option<Arc<Roll>>,
    audit: Arc<Audit>,
    state: Mutex<State>,
    /// Rings when something has ended.
    settled: Notify,
}

#[derive(Debug)]
struct State {
    lanes: Lanes<Queued>,
    breaker: Breaker,
    /// Connections that a process before this one left, or a node that is lost. They are bounded by that: they wait beside
    /// the queue.
    left: VecDeque<Arc<Facts>>,
    /// Whether the next is one of them: they take turns with what is new.
    is_turn_of_left: bool,
    /// Whether it was told that the queue is full, and nothing much was taken of it since.
    is_overfull: bool,
    /// How many were dropped since the circuit opened.
    dropped: u64,
    is_closed: bool,
    /// Whether another has its place: it carries what it has, and takes nothing in.
    is_retired: bool,
}

#[derive(Debug)]
struct Queued {
    happening: Happening,
    /// The line of the roll, which must be written before anybody is told.
    noted: Pending,
}

impl Hook {
    pub(super) fn new(
        rules: HookRules,
        carry: Carry,
        roll: Option<Arc<Roll>>,
        audit: Arc<Audit>,
        counts: CountsOfHook,
    ) -> Self {
        let state = State {
            lanes: Lanes::new(rules.queue),
            breaker: Breaker::new(rules.breaker),
            left: VecDeque::new(),
            is_turn_of_left: false,
            is_overfull: false,
            dropped: 0,
            is_closed: false,
            is_retired: false,
        };
        let (bell, settled) = (Notify::new(), Notify::new());
        Self { rules, carry, counts, bell, roll, audit, state: Mutex::new(state), settled }
    }

    /// Whether it is told that of a connection at that endpoint.
    pub(super) fn wants(&self, kind: Kind, endpoint: &str) -> bool {
        let HookRules { events, endpoints, .. } = &self.rules;
        events.contains(&kind) && (endpoints.is_empty() || endpoints.iter().any(|own| **own == *endpoint))
    }

    /// A process before this one left that connection behind.
    pub(super) fn inherit(&self, facts: Arc<Facts>) {
        if self.wants(Kind::Disconnect, &facts.endpoint) {
            self.state.lock().left.push_back(facts);
            self.bell.notify_one();
        } else {
            self.strike(&facts);
        }
    }

    /// Another node left it behind. It is on the roll until it is told.
    pub(super) fn adopts(&self, facts: &Arc<Facts>) {
        if !self.wants(Kind::Disconnect, &facts.endpoint) || self.state.lock().is_retired {
            return;
        }
        if let Some(roll) = &self.roll {
            let _ = roll.here(&self.rules.name, facts);
        }
        self.inherit(Arc::clone(facts));
    }

    /// A connection began. It is on the roll before anybody is told, and also where only its end is wanted.
    pub(super) fn connected(&self, facts: &Arc<Facts>, now: Now) {
        let is_kept = self.wants(Kind::Disconnect, &facts.endpoint);
        let roll = self.roll.as_ref().filter(|_| is_kept);
        let noted = roll.map_or(Pending::Nothing, |roll| roll.here(&self.rules.name, facts));
        if self.wants(Kind::Connect, &facts.endpoint) {
            let told = Happening::new(Kind::Connect, &self.rules.name, Some(Arc::clone(facts)), None, None, now);
            self.take_in(Queued { happening: told, noted }, now);
        }
    }

    /// A connection ended.
    pub(super) fn disconnected(&self, facts: &Arc<Facts>, reason: Reason, now: Now) {
        if self.wants(Kind::Disconnect, &facts.endpoint) {
            let facts = Some(Arc::clone(facts));
            let told = Happening::new(Kind::Disconnect, &self.rules.name, facts, Some(reason), None, now);
            self.take_in(Queued { happening: told, noted: Pending::Nothing }, now);
        }
    }

    /// Something is said to it; whether it has it in its queue now.
    pub(super) fn hears(&self, message: &str, facts: Option<Arc<Facts>>, trace: Option<Trace>, now: Now) -> bool {
        let told = Happening::new(Kind::Message, &self.rules.name, facts, None, Some(message), now).of(trace);
        self.take_in(Queued { happening: told, noted: Pending::Nothing }, now)
    }

    fn take_in(&self, queued: Queued, now: Now) -> bool {
        let kind = queued.happening.kind;
        let bytes = queued.happening.body.len();
        let mut state = self.state.lock();
        let fate = if state.is_closed || state.is_retired {
            Fate::Shutdown
        } else if state.breaker.is_shut(now.tick) {
            state.dropped += 1;
            Fate::CircuitOpen
        } else if !state.lanes.has_room(bytes, kind != Kind::Message) {
            Fate::QueueFull
        } else {
            let lane = queued.happening.facts.as_ref().map(|facts| facts.connection_id);
            state.lanes.push(lane, queued, bytes);
            self.count(&state);
            drop(state);
            self.bell.notify_one();
            return true;
        };
        // A flood is told once, and again when it has been over.
        let tell = fate == Fate::QueueFull && !std::mem::replace(&mut state.is_overfull, true);
        let (events, bytes) = state.lanes.waiting();
        drop(state);
        if tell {
            let why = format!(
                "`{}` takes less than it is told: {events} events of {bytes} bytes wait, and what its queue has no room for is dropped",
                self.rules.name
            );
            self.audit.event(Event::WebhookFailed, &queued.happening.subject(), why, now);
        }
        self.settle(&queued.happening, fate);
        false
    }

    /// The next that may go now, where there is one.
    pub(super) fn next(self: &Arc<Self>, now: Now) -> Option<Turn> {
        let mut state = self.state.lock();
        let has_some = state.lanes.is_ready() || !state.left.is_empty();
        if !has_some || state.is_closed || state.lanes.under_way() >= self.rules.at_once {
            return None;
        }
        let is_probe = match state.breaker.pass(now.tick) {
            Pass::Free => false,
            Pass::Probe => true,
            Pass::No => return None,
        };
        let left = if state.is_turn_of_left || !state.lanes.is_ready() { state.left.pop_front() } else { None };
        state.is_turn_of_left = left.is_none();
        let (lane, queued) = match left {
            Some(facts) => {
                let lane = Some(facts.connection_id);
                state.lanes.occupy(lane);
                let name = &self.rules.name;
                let happening = Happening::new(Kind::Disconnect, name, Some(facts), Some(Reason::NODE_LOST), None, now);
                (lane, Queued { happening, noted: Pending::Nothing })
            }
            None => state.lanes.take()?,
        };
        let (waiting, _) = state.lanes.waiting();
        state.is_overfull &= waiting > state.lanes.bounds().events / 2;
        self.count(&state);
        Some(Turn::new(Arc::clone(self), queued, lane, is_probe))
    }

    /// When there will be something to do though nobody rings.
    pub(super) fn wakes_at(&self) -> Option<Tick> {
        let state = self.state.lock();
        let has_some = state.lanes.is_ready() || !state.left.is_empty();
        state.breaker.opens_until().filter(|_| has_some)
    }

    /// Whether it is not tried for a while.
    pub(super) fn is_open(&self) -> bool {
        self.state.lock().breaker.is_open()
    }

    /// Waits until nothing waits and nothing is under way, what another process left apart where that stays on a roll.
    pub(super) async fn is_empty(&self) {
        loop {
            {
                let state = self.state.lock();
                let is_kept = self.roll.is_some() || state.left.is_empty();
                if is_kept && state.lanes.waiting().0 == 0 && state.lanes.under_way() == 0 {
                    return;
                }
            }
            self.settled.notified().await;
        }
    }

    /// Another has its place. It carries what it has been told, and then it is over.
    pub(super) fn retire(&self) {
        self.state.lock().is_retired = true;
        self.bell.notify_one();
    }

    /// Whether another has its place, and nothing is left to be carried.
    pub(super) fn is_over(&self) -> bool {
        let state = self.state.lock();
        state.is_retired
            && (state.is_closed
                || state.lanes.waiting().0 == 0 && state.lanes.under_way() == 0 && state.left.is_empty())
    }

    /// Takes nothing in any more, and lets go what waits. What was to be told of an end is told after the next start,
    /// where there is a roll.
    pub(super) fn close(&self, now: Now) {
        let (rest, left, under_way) = {
            let mut state = self.state.lock();
            state.is_closed = true;
            let rest = state.lanes.clear();
            // Where there is a roll, these stand on it.
            let left = if self.roll.is_none() { std::mem::take(&mut state.left).len() } else { 0 };
            self.count(&state);
            (rest, left, state.lanes.under_way())
        };
        rest.iter().for_each(|queued| self.settle(&queued.happening, Fate::Shutdown));
        (0..left).for_each(|_| self.counts.fate(Kind::Disconnect, Fate::Shutdown));
        if !rest.is_empty() || left > 0 || under_way > 0 {
            let why = format!(
                "`{}` was not told of {} events, and may not have heard of {under_way}: the gateway ended",
                self.rules.name,
                rest.len() + left
            );
            self.say(Event::WebhookFailed, why, now);
        }
    }

    fn settle(&self, happening: &Happening, fate: Fate) {
        self.counts.fate(happening.kind, fate);
        if happening.kind == Kind::Disconnect && fate != Fate::Shutdown {
            happening.facts.iter().for_each(|facts| self.strike(facts));
        }
    }

    fn strike(&self, facts: &Facts) {
        if let Some(roll) = &self.roll {
            roll.gone(&self.rules.name, facts.connection_id);
        }
    }

    fn count(&self, state: &State) {
        let (events, bytes) = state.lanes.waiting();
        self.counts.wait(events + state.left.len(), bytes);
    }

    /// An event of the audit that is about the hook itself.
    fn say(&self, event: Event, why: String, now: Now) {
        self.audit.event(event, &Subject::new(RequestId::new(Uuid::new_v4())), why, now);
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook").field("rules", &self.rules).finish_non_exhaustive()
    }
}
