//! How a house empties: one after the other over a window, those who only look on first, the agents whom they ask last,
//! and whoever has an open request when it is answered. One task paces all of it.
//!
//! Each is told how many seconds to stay away; consecutive ones are told different waits, so that what comes back
//! elsewhere comes as evenly as it went.

use std::{collections::VecDeque, sync::Arc, sync::atomic::Ordering, time::Duration};

use gateway_domain::{Code, ConnectionId, Refusal};
use uuid::Uuid;

use super::{Hub, Occupant};
use crate::clock;

/// Fewer than this many do not take the whole window: each has a hundredth of it at most.
const FULL_HOUSE: u32 = 100;
/// How often those are looked at whose turn has come and who are not gone.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Nobody is told a longer wait, in seconds.
const LONGEST_WAIT: u64 = 5;

/// Those who leave, in their order, and when each is to go.
#[derive(Debug)]
struct Departures {
    /// Whose turn has not come.
    here: VecDeque<Arc<Occupant>>,
    /// Whose turn has come: until they are gone.
    due: Vec<Arc<Occupant>>,
    gap: Duration,
    next: Duration,
    waits: Waits,
}

/// Waits, each as often as the others, in a new order every time.
#[derive(Debug, Default)]
struct Waits(Vec<u64>);

impl Hub {
    /// Lets nobody in any more; whether it did until now.
    pub fn close_doors(&self) -> bool {
        !self.draining.swap(true, Ordering::AcqRel)
    }

    /// Whether the house is leaving.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Lets nobody in any more, and tells everybody at once to go.
    pub fn drain(&self) -> usize {
        self.close_doors();
        let waits = parking_lot::Mutex::new(Waits::default());
        let everybody = self.page(None, usize::MAX, |_| true);
        everybody.iter().for_each(|(_, here)| here.end(waits.lock().refusal()));
        everybody.len()
    }

    /// Lets nobody in any more, and tells one after the other to go until the window is over. Who has an open request, or
    /// has sent what is not yet read, goes later; at the end of the window everybody is told.
    pub async fn leave(&self, window: Duration) {
        self.close_doors();
        let everybody = self.page(None, usize::MAX, |_| true).into_iter().map(|(_, here)| here);
        let mut departures = Departures::over(window, everybody);
        let began = clock::now();
        let mut ticks = tokio::time::interval(LOOK_EVERY.min(departures.gap.max(Duration::from_millis(5))));
        while !departures.is_over() {
            ticks.tick().await;
            let so_far = clock::now().tick.since(began.tick);
            if so_far >= window {
                break;
            }
            departures.go_on(self, so_far);
        }
        // Those who came in while it was closing are among them.
        self.drain();
    }

    /// Whether requests are open that this connection asked or is to answer.
    pub(crate) fn has_open_requests(&self, id: ConnectionId) -> bool {
        self.books.lock().pending.concerns(id)
    }

    /// What somebody is told who comes or goes now.
    pub(super) fn leaving() -> Refusal {
        Waits::default().refusal()
    }
}

impl Departures {
    fn over(window: Duration, everybody: impl Iterator<Item = Arc<Occupant>>) -> Self {
        // Ids are random: in their order nobody who came together goes together.
        let (agents, others): (Vec<_>, Vec<_>) = everybody.partition(|here| here.endpoint.agents);
        let here: VecDeque<_> = others.into_iter().chain(agents).collect();
        let count = u32::try_from(here.len()).unwrap_or(u32::MAX).max(FULL_HOUSE);
        Self { here, due: Vec::new(), gap: window / count, next: Duration::ZERO, waits: Waits::default() }
    }

    fn is_over(&self) -> bool {
        self.here.is_empty() && self.due.is_empty()
    }

    fn go_on(&mut self, hub: &Hub, so_far: Duration) {
        self.due.retain(|here| hub.occupant(here.id).is_some());
        while self.next <= so_far
            && let Some(here) = self.here.pop_front()
        {
            self.next += self.gap;
            self.due.push(here);
        }
        let waits = &mut self.waits;
        self.due.iter().filter(|here| !hub.has_open_requests(here.id)).for_each(|here| ask(here, waits));
    }
}

fn ask(here: &Occupant, waits: &mut Waits) {
    here.leave(|| waits.refusal());
}

impl Waits {
    fn refusal(&mut self) -> Refusal {
        Refusal::plain(Code::Draining).retry_after(Duration::from_secs(self.next()))
    }

    fn next(&mut self) -> u64 {
        if self.0.is_empty() {
            self.0.extend(1..=LONGEST_WAIT);
        }
        let chance = usize::from(Uuid::new_v4().as_bytes()[0]);
        self.0.swap_remove(chance % self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_is_told_as_often_as_the_others_and_not_in_one_order() {
        let mut waits = Waits::default();
        let told: Vec<_> = (0..500).map(|_| waits.next()).collect();
        for rounds in told.chunks(5) {
            let mut sorted = rounds.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, [1, 2, 3, 4, 5]);
        }
        assert!(told.chunks(5).any(|round| round != &told[..5]));
    }

    #[test]
    fn a_small_house_does_not_take_the_whole_window() {
        let departures = Departures::over(Duration::from_secs(30), std::iter::empty());
        assert_eq!(departures.gap, Duration::from_millis(300));
        assert!(departures.is_over());
    }
}
