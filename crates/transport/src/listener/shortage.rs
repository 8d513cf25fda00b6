//! A time in which the system has no socket to give. As a rule others are just going, as when all are cut off and come
//! back at once: then a short wait finds a socket, and nobody is closed for it. Only where too few come free by
//! themselves do idle strangers make room, so many that a newcomer gets in however long they would stay.

use std::time::Duration;

/// How long to leave the system alone before it is asked again.
pub(super) const PAUSE: Duration = Duration::from_millis(10);
/// Without a fault for so long, the shortage is over.
pub(super) const CALM: Duration = Duration::from_secs(1);
/// So many pauses are a spell: half a second of a process that runs, and longer where it is kept from running.
const PAUSES: u32 = 50;
/// So many sockets come free in a spell, by themselves or at the cost of strangers.
const ENOUGH: usize = 32;

/// What has come of it so far in this spell.
#[derive(Debug, Default)]
pub(super) struct Shortage {
    pauses: u32,
    found: usize,
}

impl Shortage {
    /// A socket was to be had.
    pub(super) fn find(&mut self) {
        self.found = self.found.saturating_add(1);
    }

    /// None was; how many idle strangers make room now, before the next pause.
    pub(super) fn bear(&mut self) -> usize {
        self.pauses += 1;
        if self.pauses <= PAUSES {
            return 0;
        }
        let Self { found, .. } = std::mem::take(self);
        ENOUGH.saturating_sub(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spell(shortage: &mut Shortage) -> Vec<usize> {
        (0..=PAUSES).map(|_| shortage.bear()).filter(|strangers| *strangers > 0).collect()
    }

    #[test]
    fn nobody_goes_before_the_spell_is_over_and_then_as_many_as_are_missing() {
        let mut shortage = Shortage::default();
        assert_eq!(spell(&mut shortage), [ENOUGH]);
        (0..10).for_each(|_| shortage.find());
        assert_eq!(spell(&mut shortage), [ENOUGH - 10]);
        assert_eq!(spell(&mut shortage), [ENOUGH], "what was found counts once");
    }

    #[test]
    fn where_enough_come_free_by_themselves_nobody_goes() {
        let mut shortage = Shortage::default();
        for _ in 0..20 {
            (0..ENOUGH).for_each(|_| shortage.find());
            assert_eq!(spell(&mut shortage), [0; 0]);
        }
    }
}
