//! What waits for one connection, and the ways on which it is told: its outbox, its bell, and the way to its client for
//! others than its own task.

#[cfg(feature = "net")]
use std::sync::OnceLock;
use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

use gateway_domain::Tick;
#[cfg(feature = "net")]
use gateway_transport::Outlet;
use gateway_transport::Text;

use super::{
    super::{
        bell::Bell,
        outbox::{Class, Outbox, OutboxBounds, Put},
        outgoing::Scratch,
    },
    Occupant,
};

/// What telling somebody something takes, in one place of memory: of thousands who are told, none is in any cache.
#[derive(Debug, Default)]
pub(super) struct Mail {
    outbox: Outbox,
    /// The way to its client for others than its own task.
    #[cfg(feature = "net")]
    outlet: OnceLock<Outlet>,
    pub(super) bell: Bell,
    /// Whether it waits already to be written to by another task than its own.
    is_marked: AtomicBool,
    /// Since when the oldest of what waits has been on its way, as [`moment`] says it; 0 where nobody asked.
    waits_since: AtomicU32,
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
    /// Puts a text into its outbox. Where it is the first there, somebody has to see to it.
    pub(in crate::hub) fn put(&self, text: Text, class: Class, bounds: &OutboxBounds) -> Put {
        self.mail.outbox.put(text, class, bounds)
    }

    /// Notes since when what is put into its outbox next has been on its way, unless something older waits there.
    pub(in crate::hub) fn stamp(&self, posted: Tick) {
        // Nobody else puts while the books are held; who takes meanwhile makes this a little shorter than it was.
        if self.mail.waits_since.load(Ordering::Relaxed) == 0 {
            self.mail.waits_since.store(moment(posted), Ordering::Relaxed);
        }
    }

    /// All that waited has been written: since when the oldest had been on its way, where that is known.
    #[cfg(feature = "net")]
    pub(crate) fn waited_since(&self) -> Option<Since> {
        if self.mail.waits_since.load(Ordering::Relaxed) == 0 {
            return None;
        }
        Some(Since(self.mail.waits_since.swap(0, Ordering::Relaxed))).filter(|since| since.0 != 0)
    }

    /// Notes that it waits to be written to; whether it did not yet, so that nobody waits twice.
    pub(in crate::hub) fn mark(&self) -> bool {
        !self.mail.is_marked.swap(true, Ordering::AcqRel)
    }

    /// It waits no more. What is put into its outbox from here on marks it anew, so the outbox is looked into after this.
    pub(in crate::hub) fn unmark(&self) {
        self.mail.is_marked.swap(false, Ordering::AcqRel);
    }

    /// Wakes its own task, which tells what is to be told.
    pub(in crate::hub) fn ring(&self) {
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
    pub(in crate::hub) fn is_open(&self) -> bool {
        #[cfg(feature = "net")]
        return self.mail.outlet.get().is_some();
        #[cfg(not(feature = "net"))]
        false
    }

    /// Looks at what a write to it needs, so that it is at hand when that comes; the sum means nothing.
    pub(in crate::hub) fn glance(&self) -> usize {
        let own = usize::from(self.mail.is_marked.load(Ordering::Relaxed));
        let counted = self.traffic.messages_out.load(Ordering::Relaxed) as usize;
        #[cfg(feature = "net")]
        let outlet = self.mail.outlet.get().map_or(0, Outlet::glance);
        #[cfg(not(feature = "net"))]
        let outlet = 0;
        own.wrapping_add(counted).wrapping_add(outlet)
    }

    /// Writes what waits in its outbox, and tells since when the oldest of it had been on its way. What cannot be written
    /// now is left to its own task.
    pub(in crate::hub) fn write_out(&self, scratch: &mut Scratch) -> Option<Since> {
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
