//! A look at every connection, for whoever counts: where they are, what they have said and heard, what waits for them.
//!
//! The books are copied a page at a time, and looked at without their lock: nobody waits for a count.

use std::collections::BTreeMap;

use gateway_domain::Now;
use tokio::task::yield_now;

use super::{Hub, Occupant};
use crate::metrics::{Place, Totals, add};

/// So many are copied in one hold of the lock.
const PAGE: usize = 512;

/// What the connections come to.
#[derive(Debug, Default)]
pub struct Survey {
    pub(crate) places: BTreeMap<Place, usize>,
    /// Those that have ended included.
    pub(crate) totals: Totals,
    pub(crate) waiting: usize,
    pub(crate) waiting_bytes: usize,
    pub(crate) fullest: usize,
    pub(crate) penalised: usize,
}

impl Hub {
    /// Looks at every connection.
    pub async fn survey(&self, now: Now) -> Survey {
        // Those that have ended first: who ends after this is counted in the next survey, and nobody twice.
        let mut survey = Survey { totals: self.metrics.messages.of_ended(), ..Survey::default() };
        let mut after = None;
        loop {
            let page = self.page(after, PAGE, |_| true);
            page.iter().for_each(|(_, here)| survey.see(here, now));
            match page.last() {
                Some((last, _)) if page.len() == PAGE => after = Some(*last),
                _ => return survey,
            }
            yield_now().await;
        }
    }
}

impl Survey {
    fn see(&mut self, here: &Occupant, now: Now) {
        *self.places.entry(Place::of(here)).or_default() += 1;
        add(&mut self.totals, here);
        let (messages, bytes) = here.waiting();
        self.waiting += messages;
        self.waiting_bytes += bytes;
        self.fullest = self.fullest.max(messages);
        self.penalised += usize::from(here.stands(|standing| standing.account.standing(now).1.is_some()));
    }
}
