//! Where hooks are made, at the start and whenever the configuration has others: what all of them have in common.

use std::{fmt, path::PathBuf, sync::Arc};

use parking_lot::Mutex;

use super::{
    carrier::Carry,
    counts::Counts,
    happening::Kind,
    hook::{Hook, HookRules},
    roll::{Left, Roll},
};
use crate::{audit::Audit, journal::JournalFault};

/// What hooks are made with.
pub(super) struct Workshop {
    carry: Carry,
    audit: Arc<Audit>,
    counts: Counts,
    /// Where the roll is, once a hook wants one; nowhere, where nothing survives the process.
    place: Option<PathBuf>,
    roll: Mutex<Option<Arc<Roll>>>,
}

impl Workshop {
    pub(super) const fn new(carry: Carry, audit: Arc<Audit>, counts: Counts, place: Option<PathBuf>) -> Self {
        Self { carry, audit, counts, place, roll: Mutex::new(None) }
    }

    /// Opens the roll, where these are the first that want one: those whom a process before this one left.
    pub(super) fn open_roll<'a>(
        &self,
        rules: impl IntoIterator<Item = &'a HookRules>,
    ) -> Result<Vec<Left>, JournalFault> {
        let is_wanted = rules.into_iter().any(|rules| rules.events.contains(&Kind::Disconnect));
        let mut roll = self.roll.lock();
        match &self.place {
            Some(place) if is_wanted && roll.is_none() => {
                let (opened, left) = Roll::open(place.clone())?;
                *roll = Some(Arc::new(opened));
                Ok(left)
            }
            Some(_) | None => Ok(Vec::new()),
        }
    }

    pub(super) fn roll(&self) -> Option<Arc<Roll>> {
        self.roll.lock().clone()
    }

    pub(super) fn hook(&self, rules: HookRules) -> Arc<Hook> {
        let counts = self.counts.of(&rules.name);
        Arc::new(Hook::new(rules, Arc::clone(&self.carry), self.roll(), Arc::clone(&self.audit), counts))
    }
}

impl fmt::Debug for Workshop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workshop").field("place", &self.place).finish_non_exhaustive()
    }
}
