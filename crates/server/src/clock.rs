//! The one place where the house reads a clock: both at once, steady and wall.
//!
//! Under a paused runtime clock the wall stands still with it, so that one clock moves timers, tokens and the
//! domain alike: the wall is the system's, shifted by as much as the runtime's clock is ahead of the real one.
#![allow(clippy::disallowed_methods, reason = "this is the place")]

use std::{
    cell::Cell,
    sync::LazyLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use gateway_domain::{Now, Tick, Timestamp};

/// Well before the first reading: a runtime whose clock was paused earlier still has its moments behind the origin.
static ORIGIN: LazyLock<Instant> = LazyLock::new(|| {
    let first = Instant::now();
    first.checked_sub(Duration::from_secs(3600)).unwrap_or(first)
});

/// So long a reading of the wall clock goes on by the steady one before the wall is looked at again: a clock that was set is
/// seen that late, and each message reads one clock instead of three.
const TRUSTED: Duration = Duration::from_millis(20);

thread_local! {
    /// The last reading of the wall, and the steady moment of it.
    static READING: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) };
}

/// Reads both clocks.
pub fn now() -> Now {
    let steady = tokio::time::Instant::now().into_std();
    let known = READING.get().and_then(|(at, wall)| {
        let since = steady.checked_duration_since(at).filter(|since| *since < TRUSTED)?;
        Some(wall + since)
    });
    let wall = known.unwrap_or_else(|| {
        let wall = wall_at(steady);
        READING.set(Some((steady, wall)));
        wall
    });
    Now {
        tick: Tick::after_origin(steady.saturating_duration_since(*ORIGIN)),
        wall: Timestamp::from_millis(i64::try_from(wall.as_millis()).unwrap_or(i64::MAX)),
    }
}

/// The time since 1970 at a moment of the runtime's clock.
fn wall_at(steady: Instant) -> Duration {
    let real = Instant::now();
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let wall = since_1970 + steady.saturating_duration_since(real);
    wall.saturating_sub(real.saturating_duration_since(steady))
}

/// Reads the steady clock alone, for whoever only measures how long something takes.
pub fn tick() -> Tick {
    Tick::after_origin(tokio::time::Instant::now().into_std().saturating_duration_since(*ORIGIN))
}

/// The moment of a tick, for the runtime's timers.
pub fn instant(tick: Tick) -> tokio::time::Instant {
    tokio::time::Instant::from_std(*ORIGIN + tick.since_origin())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_paused_runtime_stops_the_wall_and_moves_it() {
        let before = now();
        std::thread::sleep(Duration::from_millis(30));
        let still = now();
        assert!(still.wall.since(before.wall) <= Duration::from_millis(1), "{before:?} {still:?}");
        tokio::time::advance(Duration::from_secs(3600)).await;
        let after = now();
        let moved = after.wall.since(before.wall).as_millis();
        assert!((3_599_999..=3_600_001).contains(&moved), "{moved}");
        assert_eq!(after.tick.since(before.tick), Duration::from_secs(3600));
    }

    #[tokio::test]
    async fn a_tick_is_an_instant_of_the_runtime() {
        let reading = now();
        let instant = instant(reading.tick);
        assert!(instant.elapsed() < Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_was_paused_before_the_first_reading_is_not_behind_the_origin() {
        let before = now();
        assert!(before.tick.since_origin() > Duration::from_secs(3000), "{before:?}");
        tokio::time::advance(Duration::from_millis(7)).await;
        assert_eq!(now().tick.since(before.tick), Duration::from_millis(7));
    }
}
