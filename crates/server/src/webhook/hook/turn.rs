//! An event under way: the drop guard of its lane and of its fate. However its carrying ends, by an answer, by giving up or
//! by the end of the process, the lane goes on, the circuit learns of it, and the event is counted once.

use std::{sync::Arc, time::Duration};

use super::{
    super::{
        breaker::{BreakerRules, Change},
        counts::Fate,
        happening::Happening,
        lanes::Lane,
    },
    Hook, Queued,
};
use crate::{audit::Event, clock, journal::Pending};

/// How long a line of the roll is waited for.
const DISK: Duration = Duration::from_secs(5);

/// An event under way.
pub(in crate::webhook) struct Turn {
    pub(in crate::webhook) hook: Arc<Hook>,
    pub(in crate::webhook) happening: Happening,
    /// Whether it goes alone, to see whether the hook lives.
    pub(in crate::webhook) is_probe: bool,
    noted: Pending,
    lane: Lane,
    fate: Fate,
    why: String,
}

impl Turn {
    pub(super) fn new(hook: Arc<Hook>, queued: Queued, lane: Lane, is_probe: bool) -> Self {
        let Queued { happening, noted } = queued;
        Self { hook, happening, is_probe, noted, lane, fate: Fate::Shutdown, why: String::new() }
    }

    /// Waits until the roll has its line. Where the disk refuses or takes too long, the hook is told all the same.
    pub(in crate::webhook) async fn is_noted(&mut self) {
        let noted = std::mem::replace(&mut self.noted, Pending::Nothing);
        let why = match tokio::time::timeout(DISK, noted.written()).await {
            Ok(Ok(())) => return,
            Ok(Err(fault)) => fault.to_string(),
            Err(_) => format!("the disk took more than {DISK:?}"),
        };
        tracing::warn!(why, "a connection may not be written down: its end would not be told after a crash");
    }

    /// It arrived.
    pub(in crate::webhook) fn arrived(mut self) {
        self.fate = Fate::Delivered;
    }

    /// It is given up.
    pub(in crate::webhook) fn give_up(mut self, why: String) {
        self.fate = Fate::Failed;
        self.why = why;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let (hook, now) = (&self.hook, clock::now());
        let name = &hook.rules.name;
        let (change, dropped, in_all) = {
            let mut state = hook.state.lock();
            state.lanes.done(self.lane);
            let change = match self.fate {
                Fate::Delivered => state.breaker.arrived(),
                Fate::Failed => state.breaker.given_up(self.is_probe, now.tick),
                Fate::QueueFull | Fate::CircuitOpen | Fate::Shutdown => {
                    if self.is_probe {
                        state.breaker.forget_probe(now.tick);
                    }
                    Change::None
                }
            };
            let dropped = match change {
                Change::Opened | Change::StaysOpen => state.lanes.clear(),
                Change::None | Change::Closed => Vec::new(),
            };
            state.dropped += dropped.len() as u64;
            let in_all = state.dropped;
            if change == Change::Closed {
                state.dropped = 0;
            }
            hook.count(&state);
            hook.counts.is_open(state.breaker.is_open());
            (change, dropped, in_all)
        };
        hook.settle(&self.happening, self.fate);
        dropped.iter().for_each(|queued| hook.settle(&queued.happening, Fate::CircuitOpen));
        if self.fate == Fate::Failed {
            hook.audit.event(Event::WebhookFailed, &self.happening.subject(), std::mem::take(&mut self.why), now);
        }
        match change {
            Change::Opened => {
                let BreakerRules { failures, pause } = hook.rules.breaker;
                let why = format!(
                    "`{name}` did not take {failures} events in a row: it is not tried for {pause:?}, and {} that waited are dropped",
                    dropped.len()
                );
                hook.say(Event::WebhookCircuitOpen, why, now);
            }
            Change::Closed => {
                let why = format!("`{name}` takes events again; {in_all} were dropped meanwhile");
                hook.say(Event::WebhookCircuitClosed, why, now);
            }
            Change::None | Change::StaysOpen => {}
        }
        hook.bell.notify_one();
        hook.settled.notify_one();
    }
}
