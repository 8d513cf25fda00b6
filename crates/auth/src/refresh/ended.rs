//! Families that were ended before their time, so that a token of theirs is told as revoked and not as a stranger's.
//! Bounded: the eldest is forgotten first, and its tokens are strangers' then, which open as little.

use std::collections::{HashSet, VecDeque};

use super::Hash;

const MOST: usize = 10_000;

#[derive(Default)]
pub(super) struct Ended {
    known: HashSet<Hash>,
    in_order: VecDeque<Hash>,
}

impl Ended {
    pub(super) fn put(&mut self, family: Hash) {
        if !self.known.insert(family) {
            return;
        }
        self.in_order.push_back(family);
        if self.in_order.len() > MOST
            && let Some(eldest) = self.in_order.pop_front()
        {
            self.known.remove(&eldest);
        }
    }

    pub(super) fn has(&self, family: &Hash) -> bool {
        self.known.contains(family)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api_key::sha256;

    #[test]
    fn the_eldest_is_forgotten_first_and_nothing_grows() {
        let mut ended = Ended::default();
        let family = |n: usize| Hash(sha256(&n.to_be_bytes()));
        for n in 0..MOST + 2 {
            ended.put(family(n));
            ended.put(family(n));
        }
        assert_eq!((ended.known.len(), ended.in_order.len()), (MOST, MOST));
        assert!(!ended.has(&family(1)) && ended.has(&family(2)) && ended.has(&family(MOST + 1)));
    }
}
