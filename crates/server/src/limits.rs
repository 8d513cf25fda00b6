//! Who may knock how often, who may call how often, and who may say how much. governor counts; the maps around it are bounded.

pub mod accounts;
pub mod bounded;
pub mod callers;
pub mod handshakes;

use std::{num::NonZeroU32, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::Clock,
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};

use gateway_domain::plan::Rate;

pub use accounts::{Account, Accounts};
pub use callers::CallLimits;
pub use handshakes::{AutoBan, HandshakeLimits, HandshakeRate};

/// governor's clock is the house's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct HouseClock;

impl Clock for HouseClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        crate::clock::tick().since_origin()
    }
}

/// governor's limiter on our clock.
type Limiter<K, S> = RateLimiter<K, S, HouseClock, NoOpMiddleware<Duration>>;

/// One count.
pub(crate) type Bucket = Limiter<NotKeyed, InMemoryState>;

/// A bucket that fills at that rate and holds so many.
pub(crate) fn quota(rate: Rate, burst: NonZeroU32) -> Quota {
    // An interval of at least a nanosecond is one that governor takes.
    Quota::with_period(rate.interval()).unwrap_or_else(|| Quota::per_second(rate.count)).allow_burst(burst)
}
