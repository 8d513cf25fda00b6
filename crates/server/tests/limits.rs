//! The limits under random loads: never more than promised, never less, and the wait that is told is the wait.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use gateway_domain::{
    plan::{Messages, Rate},
    rate::Judgement,
};
use gateway_server::{
    clock,
    limits::{Account, HandshakeLimits, HandshakeRate},
};
use proptest::prelude::*;

const MILLI: Duration = Duration::from_millis(1);

/// Runs with a clock that only the test moves.
fn paused<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(test)
}

fn rate(count: u32, period: Duration) -> Rate {
    Rate::new(NonZeroU32::new(count).unwrap(), period)
}

fn limits(rate: Rate, burst: u32) -> HandshakeLimits {
    HandshakeLimits::new(Some(HandshakeRate { rate, burst: NonZeroU32::new(burst).unwrap() }), None, None)
}

/// The most that a rate and a burst admit in so much time.
fn most(rate: Rate, burst: u32, time: Duration) -> u128 {
    u128::from(burst) + time.as_nanos() / rate.interval().as_nanos()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_window_of_any_load_admits_more_than_the_burst_and_the_rate(
        count in 1u32..50, seconds in 1u64..60, burst in 1u32..40,
        gaps in prop::collection::vec(0u64..3_000, 1..120),
    ) {
        let rate = rate(count, Duration::from_secs(seconds));
        let address: IpAddr = "203.0.113.9".parse().unwrap();
        let admitted = paused(async {
            let limits = limits(rate, burst);
            let mut admitted = Vec::new();
            for gap in gaps {
                tokio::time::advance(Duration::from_millis(gap)).await;
                if limits.knock_from(address).is_ok() {
                    admitted.push(clock::now().tick);
                }
            }
            admitted
        });
        for (at, from) in admitted.iter().enumerate() {
            for (so_many, to) in admitted[at..].iter().enumerate() {
                let time = to.since(*from);
                prop_assert!(so_many as u128 <= most(rate, burst, time), "{} in {time:?}", so_many + 1);
            }
        }
    }

    #[test]
    fn who_keeps_to_the_rate_is_never_refused(count in 1u32..200, seconds in 1u64..100, burst in 1u32..10) {
        let rate = rate(count, Duration::from_secs(seconds));
        paused(async {
            let limits = limits(rate, burst);
            for _ in 0..100 {
                assert!(limits.knock_from("203.0.113.9".parse().unwrap()).is_ok());
                tokio::time::advance(rate.interval() + MILLI).await;
            }
        });
    }

    #[test]
    fn the_wait_that_is_told_is_the_wait_that_is_needed(count in 1u32..50, seconds in 1u64..60, burst in 1u32..40) {
        let rate = rate(count, Duration::from_secs(seconds));
        let address: IpAddr = "203.0.113.9".parse().unwrap();
        paused(async {
            let limits = limits(rate, burst);
            (0..burst).for_each(|_| limits.knock_from(address).unwrap());
            let wait = limits.knock_from(address).unwrap_err().retry_after.unwrap();
            tokio::time::advance(wait.saturating_sub(2 * MILLI)).await;
            if wait > 2 * MILLI {
                assert!(limits.knock_from(address).is_err(), "a little less is not enough");
            }
            tokio::time::advance(3 * MILLI).await;
            assert!(limits.knock_from(address).is_ok(), "and waiting costs nothing more");
        });
    }

    #[test]
    fn of_two_quotas_the_tighter_counts_in_every_window(
        slow in 1u32..40, fast in 1u32..10, gaps in prop::collection::vec(0u64..2_000, 1..150),
    ) {
        let quotas = Messages {
            rate: Some(rate(slow, Duration::from_secs(60))),
            burst: Some(rate(fast, Duration::from_secs(1))),
        };
        let admitted = paused(async {
            let account = Account::default();
            let mut admitted = Vec::new();
            for gap in gaps {
                tokio::time::advance(Duration::from_millis(gap)).await;
                let now = clock::now();
                let in_penalty = account.standing(now).1.is_some();
                if account.judge(&quotas, now) == Judgement::Admitted {
                    assert!(!in_penalty, "nothing passes during a penalty");
                    admitted.push(now.tick);
                }
            }
            admitted
        });
        for (at, from) in admitted.iter().enumerate() {
            for (so_many, to) in admitted[at..].iter().enumerate() {
                let time = to.since(*from);
                for quota in [quotas.rate, quotas.burst].into_iter().flatten() {
                    prop_assert!(so_many as u128 <= most(quota, quota.count.get(), time), "{} in {time:?}", so_many + 1);
                }
            }
        }
    }
}
