//! Orders that the link must be given, be it late: what this node holds and follows, which the link remembers from then on.
//!
//! They find no room where the link is busy; then they wait here in their order, and nothing overtakes them. Each is about
//! something that this node held once, so there are never more of them than that.

use std::{collections::VecDeque, fmt};

use gateway_domain::link::Act;
use parking_lot::Mutex;

use super::tickets::Next;

/// An order, and what follows upon its answer.
pub(super) type Kept = (Act, Option<Next>);

#[derive(Default)]
pub(super) struct Keeping(Mutex<VecDeque<Kept>>);

impl Keeping {
    pub(super) fn put(&self, kept: Kept) {
        self.0.lock().push_back(kept);
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// Gives those that wait, the oldest first, until one is handed back.
    pub(super) fn flush(&self, mut give: impl FnMut(Kept) -> Option<Kept>) {
        let mut waiting = self.0.lock();
        while let Some(kept) = waiting.pop_front() {
            if let Some(kept) = give(kept) {
                return waiting.push_front(kept);
            }
        }
    }
}

impl fmt::Debug for Keeping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeping").field("waiting", &self.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_domain::link::Channel;

    #[test]
    fn nothing_overtakes_what_waits() {
        let keeping = Keeping::default();
        let act = |n: u8| Act::Unfollow(Channel::Endpoint(n.to_string().into()));
        (0..4).for_each(|n| keeping.put((act(n), None)));
        let mut given = Vec::new();
        for most in [2, 4] {
            keeping.flush(|kept| {
                if given.len() == most {
                    return Some(kept);
                }
                given.push(format!("{:?}", kept.0));
                None
            });
        }
        assert_eq!(given, (0..4).map(|n| format!("{:?}", act(n))).collect::<Vec<_>>());
        assert_eq!(keeping.len(), 0);
    }
}
