//! How many answers may be awaited before whoever has said something waits with the next: as many as come in good time.
//!
//! The law: one more with each that comes soon, one less with each that comes late. So on a machine or a link that is slow nothing
//! waits longer than a text may, and on others nobody waits.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

/// So many at first,
const FIRST: usize = 64;
/// and never fewer,
const FEWEST: usize = 16;
/// or more: far fewer than the link takes.
const MOST: usize = 512;
/// An answer comes soon,
const SOON: Duration = Duration::from_millis(100);
/// or late: a text has several times as long.
const LATE: Duration = Duration::from_millis(300);

#[derive(Debug)]
pub(super) struct Pace(AtomicUsize);

impl Default for Pace {
    fn default() -> Self {
        Self(AtomicUsize::new(FIRST))
    }
}

impl Pace {
    /// Whether that is as many as may be awaited.
    #[cfg(feature = "net")]
    pub(super) fn is_reached(&self, awaited: usize) -> bool {
        awaited >= self.0.load(Ordering::Relaxed)
    }

    /// An answer came after so long. The pump alone says so.
    pub(super) fn answered_after(&self, waited: Duration) {
        let most = self.0.load(Ordering::Relaxed);
        if waited <= SOON {
            self.0.store((most + 1).min(MOST), Ordering::Relaxed);
        } else if waited >= LATE {
            self.0.store((most - 1).max(FEWEST), Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, feature = "net"))]
mod tests {
    use super::*;

    #[test]
    fn more_are_awaited_while_they_come_soon_and_fewer_when_they_come_late() {
        let pace = Pace::default();
        let most = |pace: &Pace| (1..=MOST).find(|awaited| pace.is_reached(*awaited)).unwrap();
        assert_eq!(most(&pace), FIRST);
        pace.answered_after(SOON);
        pace.answered_after(LATE - Duration::from_millis(1));
        assert_eq!(most(&pace), FIRST + 1);
        for (waited, bound) in [(Duration::ZERO, MOST), (LATE, FEWEST), (Duration::MAX, FEWEST), (SOON, MOST)] {
            (0..MOST).for_each(|_| pace.answered_after(waited));
            assert_eq!(most(&pace), bound, "{waited:?}");
        }
    }
}
