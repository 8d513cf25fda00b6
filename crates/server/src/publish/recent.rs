//! What was done in the last minutes, by the name that its caller gave it: enough of each to know it again, and its
//! answer. So a caller that did not hear the answer may call again, and nothing is done twice.

use std::{
    collections::{HashMap, VecDeque, hash_map::RandomState},
    hash::{BuildHasher, Hash},
    time::Duration,
};

use gateway_domain::Tick;

const REMEMBERED: Duration = Duration::from_secs(300);

/// What is known of a name.
#[derive(Debug)]
pub(crate) enum Recollection<A> {
    /// Nothing.
    New,
    /// That very thing was done, with this answer.
    Same(A),
    /// Another thing was done under it.
    Other,
}

/// What was done in the last minutes.
#[derive(Debug)]
pub(crate) struct Recent<K, A> {
    /// Two keys that nobody outside knows: no two bodies can be made to look the same.
    hashers: (RandomState, RandomState),
    known: HashMap<K, (u128, A)>,
    order: VecDeque<(Tick, K)>,
    most: usize,
}

impl<K: Hash + Eq + Clone, A: Clone> Recent<K, A> {
    /// Nothing yet. Beyond `most` the oldest are forgotten early.
    pub(crate) fn new(most: usize) -> Self {
        Self { hashers: Default::default(), known: HashMap::new(), order: VecDeque::new(), most }
    }

    /// What is known of that name, for a call with that body.
    pub(crate) fn recall(&mut self, name: &K, body: &impl Hash, now: Tick) -> Recollection<A> {
        self.forget(now);
        match self.known.get(name) {
            None => Recollection::New,
            Some((digest, answer)) if *digest == self.digest(body) => Recollection::Same(answer.clone()),
            Some(_) => Recollection::Other,
        }
    }

    /// Keeps what was not known.
    pub(crate) fn keep(&mut self, name: K, body: &impl Hash, answer: A, now: Tick) {
        if self.order.len() >= self.most
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.known.insert(name.clone(), (self.digest(body), answer));
        self.order.push_back((now, name));
    }

    /// Forgets it: it was not done after all.
    pub(crate) fn strike(&mut self, name: &K) {
        self.known.remove(name);
        self.order.retain(|(_, known)| known != name);
    }

    /// Forgets what is too long ago.
    pub(crate) fn forget(&mut self, now: Tick) {
        while let Some((at, name)) = self.order.front()
            && now.since(*at) >= REMEMBERED
        {
            self.known.remove(name);
            self.order.pop_front();
        }
        if self.order.is_empty() && self.order.capacity() > 0 {
            self.order = VecDeque::new();
            self.known = HashMap::new();
        }
    }

    fn digest(&self, body: &impl Hash) -> u128 {
        let (high, low) = (self.hashers.0.hash_one(body), self.hashers.1.hash_one(body));
        u128::from(high) << 64 | u128::from(low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Tick {
        Tick::after_origin(Duration::from_secs(seconds))
    }

    #[test]
    fn the_same_is_known_again_for_five_minutes() {
        let mut recent = Recent::new(10);
        assert!(matches!(recent.recall(&"a", &1, at(0)), Recollection::New));
        recent.keep("a", &1, "done", at(0));
        assert!(matches!(recent.recall(&"a", &1, at(299)), Recollection::Same("done")));
        assert!(matches!(recent.recall(&"a", &2, at(299)), Recollection::Other));
        assert!(matches!(recent.recall(&"a", &1, at(300)), Recollection::New));
        assert_eq!((recent.order.capacity(), recent.known.capacity()), (0, 0), "what is empty holds nothing");
    }

    #[test]
    fn it_is_bounded_and_the_oldest_are_forgotten_first() {
        let mut recent = Recent::new(3);
        for n in 0..5 {
            recent.keep(n, &n, n, at(n));
        }
        assert_eq!((recent.known.len(), recent.order.len()), (3, 3));
        assert!(matches!(recent.recall(&1, &1u64, at(5)), Recollection::New));
        assert!(matches!(recent.recall(&2, &2u64, at(5)), Recollection::Same(2)));
    }
}
