//! The counts of strangers: a map with an end. Beyond it newcomers share coarser counts, so that a flood of keys
//! makes the limit tighter and never switches it off.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
};

use governor::{
    nanos::Nanos,
    state::{StateStore, keyed::ShrinkableKeyedStateStore},
};
use parking_lot::Mutex;

const SHARDS: usize = 16;
const COARSE: usize = 1024;

/// Counts by key, as many as there is room for.
#[derive(Debug)]
pub struct BoundedCounts<K> {
    shards: Vec<Mutex<HashMap<K, Nanos>>>,
    coarse: Vec<Mutex<Option<Nanos>>>,
    room_per_shard: usize,
    hasher: RandomState,
}

impl<K: Hash + Eq + Clone> BoundedCounts<K> {
    /// Room for about that many keys.
    pub fn with_room_for(keys: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            coarse: (0..COARSE).map(|_| Mutex::default()).collect(),
            room_per_shard: keys.div_ceil(SHARDS).max(1),
            hasher: RandomState::new(),
        }
    }
}

impl<K: Hash + Eq + Clone> ShrinkableKeyedStateStore<K> for BoundedCounts<K> {
    fn retain_recent(&self, drop_below: Nanos) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            shard.retain(|_, full_at| *full_at > drop_below);
            shard.shrink_to_fit();
        }
    }

    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Hash + Eq + Clone> StateStore for BoundedCounts<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let hash = self.hasher.hash_one(key) as usize;
        let Some(shard) = self.shards.get(hash % SHARDS) else { return measure(None).map(|(passed, _)| passed) };
        let mut shard = shard.lock();
        if let Some(count) = shard.get_mut(key) {
            let (passed, next) = measure(Some(*count))?;
            *count = next;
            return Ok(passed);
        }
        if shard.len() < self.room_per_shard {
            let (passed, next) = measure(None)?;
            shard.insert(key.clone(), next);
            return Ok(passed);
        }
        drop(shard);
        let Some(coarse) = self.coarse.get(hash / SHARDS % COARSE) else {
            return measure(None).map(|(passed, _)| passed);
        };
        let mut coarse = coarse.lock();
        let (passed, next) = measure(*coarse)?;
        *coarse = Some(next);
        Ok(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{HouseClock, Limiter};
    use governor::{Quota, RateLimiter};
    use std::{num::NonZeroU32, time::Duration};

    fn once_a_minute(keys: usize) -> Limiter<u32, BoundedCounts<u32>> {
        RateLimiter::new(Quota::per_minute(NonZeroU32::MIN), BoundedCounts::with_room_for(keys), HouseClock)
    }

    #[test]
    fn each_key_has_its_own_count() {
        let limiter = once_a_minute(1_000);
        for key in 0..10 {
            assert!(limiter.check_key(&key).is_ok() && limiter.check_key(&key).is_err());
        }
    }

    #[test]
    fn a_flood_of_keys_takes_no_more_room_and_is_limited_together() {
        let limiter = once_a_minute(160);
        let admitted = (0..100_000).filter(|key| limiter.check_key(key).is_ok()).count();
        assert!(admitted <= 160 + COARSE, "{admitted}");
        let counts = limiter.into_state_store();
        assert!(counts.len() <= 160 && !counts.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_forgotten_when_its_bucket_is_full_again() {
        let counts = BoundedCounts::with_room_for(16);
        let full_at = Nanos::from(Duration::from_secs(60));
        counts.measure_and_replace(&1, |_| Ok::<_, ()>(((), full_at))).unwrap();
        counts.retain_recent(Nanos::from(Duration::from_secs(59)));
        assert_eq!(counts.len(), 1);
        counts.retain_recent(Nanos::from(Duration::from_secs(60)));
        assert_eq!(counts.len(), 0);
    }
}
