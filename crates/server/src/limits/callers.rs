//! How often a backend may call the API: a count for each user, across all of its tokens, and one for each API key. Those
//! of users are in a map with an end; keys are as many as the configuration has.

use std::{collections::HashMap, sync::Arc};

use gateway_domain::{Code, Refusal, UserId, plan::Rate};
use governor::{RateLimiter, clock::Clock};

use super::{
    Bucket, HouseClock,
    handshakes::{Counter, HandshakeRate},
    quota,
};

/// What a caller reads who calls too often.
const TOO_OFTEN: &str = "too many calls of this caller";

/// The limits on calls. A clone counts with it.
#[derive(Clone, Debug)]
pub struct CallLimits {
    by_user: Option<Arc<Counter<UserId>>>,
    by_key: Arc<HashMap<Box<str>, Option<Own>>>,
}

/// The count of one key.
#[derive(Debug)]
struct Own {
    rate: Rate,
    bucket: Bucket,
}

impl HandshakeRate {
    /// How often a user may call, as it ships.
    pub const OF_CALLER: Self = Self::per_second(2_000, 4_000);
}

impl Default for CallLimits {
    /// The limit that ships, for each user.
    fn default() -> Self {
        Self::new(Some(HandshakeRate::OF_CALLER), [])
    }
}

impl CallLimits {
    /// So often for each user and each of these keys, by their ids; none is off. Who shows a key of another id is counted
    /// as its user is.
    pub fn new(
        by_user: Option<HandshakeRate>,
        by_key: impl IntoIterator<Item = (Box<str>, Option<HandshakeRate>)>,
    ) -> Self {
        let by_key = by_key.into_iter().map(|(id, rate)| (id, rate.map(Own::new))).collect();
        Self { by_user: by_user.map(Counter::new).map(Arc::new), by_key: Arc::new(by_key) }
    }

    /// Counts a call of a user, who showed a token, or the API key of that id.
    pub fn call_of(&self, user: &UserId, key: Option<&str>) -> Result<(), Refusal> {
        match key.and_then(|id| self.by_key.get(id)) {
            Some(own) => own.as_ref().map_or(Ok(()), Own::count),
            None => self.by_user.as_ref().map_or(Ok(()), |counter| counter.count(user, TOO_OFTEN)),
        }
    }

    /// Forgets those who were quiet long enough.
    pub fn sweep(&self) {
        self.by_user.iter().for_each(|counter| counter.sweep());
    }

    /// How many users are counted, for whoever watches the memory.
    pub fn counted(&self) -> usize {
        self.by_user.as_ref().map_or(0, |counter| counter.len())
    }
}

impl Own {
    fn new(told: HandshakeRate) -> Self {
        let bucket = RateLimiter::direct_with_clock(quota(told.rate, told.burst), HouseClock);
        Self { rate: told.rate, bucket }
    }

    fn count(&self) -> Result<(), Refusal> {
        self.bucket.check().map_err(|until| {
            let wait = until.wait_time_from(HouseClock.now());
            Refusal::new(Code::RateLimited, TOO_OFTEN).retry_after(wait).limit(self.rate)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    fn rate(text: &str, burst: u32) -> HandshakeRate {
        HandshakeRate { rate: text.parse().unwrap(), burst: NonZeroU32::new(burst).unwrap() }
    }

    #[tokio::test(start_paused = true)]
    async fn each_user_and_each_key_has_its_own_count() {
        let keys = [("slow".into(), Some(rate("1/m", 1))), ("free".into(), None)];
        let limits = CallLimits::new(Some(rate("10/s", 3)), keys);
        let admitted = |user: &str, key| {
            let user = user.parse().unwrap();
            (0..100).filter(|_| limits.call_of(&user, key).is_ok()).count()
        };
        assert_eq!((admitted("ann", None), admitted("bob", None)), (3, 3));
        assert_eq!(admitted("ann", Some("slow")), 1, "by its key");
        assert_eq!(admitted("ann", Some("free")), 100);
        assert_eq!(admitted("cid", Some("of another configuration")), 3, "as its user");
        let refusal = limits.call_of(&"ann".parse().unwrap(), None).unwrap_err();
        assert_eq!((refusal.retry_after_seconds(), refusal.limit.map(|met| met.limit)), (Some(1), Some(10)));
        assert_eq!(limits.counted(), 3);
        tokio::time::advance(std::time::Duration::from_secs(60)).await;
        limits.sweep();
        assert_eq!(limits.counted(), 0);
        assert!(CallLimits::new(None, []).call_of(&"ann".parse().unwrap(), None).is_ok());
    }
}
