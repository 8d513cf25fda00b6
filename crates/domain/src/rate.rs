//! What follows when somebody says too much: the ladder of penalties.
//!
//! The counting of messages is a bucket's, outside; this is the record beside it. A violation is one passage from
//! within the limit to over it. The first is a warning, the second costs a minute, the third five, each further one
//! thirty. An hour without one, and all is forgotten. The record outlives the connection.

use std::time::Duration;

use crate::time::Tick;

const MINUTE: Duration = Duration::from_secs(60);
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3_600);
const INVALID_PER_MINUTE: u32 = 10;
const ERROR_EVERY: Duration = Duration::from_secs(1);

/// The record of one user, or of one connection where the limits are counted there.
#[derive(Clone, Debug, Default)]
pub struct RateLimitTracker {
    violations: u32,
    last_violation: Option<Tick>,
    /// Over the limit, and not admitted since.
    over: bool,
    penalty_ends: Option<Tick>,
    last_error: Option<Tick>,
    invalid_since: Option<Tick>,
    invalid: u32,
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It passes.
    Admitted,
    /// It does not.
    Refused(Excess),
}

/// A message too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    /// When it makes sense to try again.
    pub retry_after: Duration,
    /// Whether to tell the client: during a penalty, at most once a second.
    pub tell: bool,
    /// Whether this message was the violation, and the how manieth.
    pub violation: Option<u32>,
}

impl RateLimitTracker {
    /// Judges a message. The bucket is asked only outside a penalty; it answers how long until it admits again.
    pub fn judge(&mut self, now: Tick, bucket: impl FnOnce() -> Result<(), Duration>) -> Judgement {
        self.pass_time(now);
        if let Some(left) = self.penalty_left(now) {
            return Judgement::Refused(Excess { retry_after: left, tell: self.may_tell(now), violation: None });
        }
        match bucket() {
            Ok(()) => {
                self.over = false;
                Judgement::Admitted
            }
            Err(wait) => {
                let violation = (!self.over).then(|| self.violate(now));
                self.over = true;
                let retry_after = self.penalty_left(now).unwrap_or(wait);
                self.last_error = Some(now);
                Judgement::Refused(Excess { retry_after, tell: true, violation })
            }
        }
    }

    /// Takes note of a message that was not understood; the tenth in a minute is a violation.
    pub fn invalid(&mut self, now: Tick) -> Option<Excess> {
        self.pass_time(now);
        if self.invalid_since.is_none_or(|since| now.since(since) >= MINUTE) {
            (self.invalid_since, self.invalid) = (Some(now), 0);
        }
        self.invalid += 1;
        if self.invalid < INVALID_PER_MINUTE {
            return None;
        }
        (self.invalid_since, self.invalid) = (None, 0);
        let violation = self.violate(now);
        let retry_after = self.penalty_left(now).unwrap_or_default();
        Some(Excess { retry_after, tell: true, violation: Some(violation) })
    }

    /// How long the penalty still lasts.
    pub fn penalty_left(&self, now: Tick) -> Option<Duration> {
        self.penalty_ends.map(|ends| ends.since(now)).filter(|left| !left.is_zero())
    }

    /// How many violations are remembered.
    pub const fn violations(&self) -> u32 {
        self.violations
    }

    /// Whether the record says nothing any more, so that it can be dropped.
    pub fn is_clean(&self, now: Tick) -> bool {
        let forgotten = self.last_violation.is_none_or(|last| now.since(last) >= FORGOTTEN_AFTER);
        let quiet = self.invalid_since.is_none_or(|since| now.since(since) >= MINUTE);
        forgotten && quiet && self.penalty_left(now).is_none()
    }

    fn pass_time(&mut self, now: Tick) {
        if self.penalty_ends.is_some_and(|ends| ends <= now) {
            self.penalty_ends = None;
            self.over = false;
        }
        if self.last_violation.is_some_and(|last| now.since(last) >= FORGOTTEN_AFTER) {
            self.violations = 0;
            self.last_violation = None;
        }
    }

    fn violate(&mut self, now: Tick) -> u32 {
        self.violations = self.violations.saturating_add(1);
        self.last_violation = Some(now);
        let minutes = match self.violations {
            0 | 1 => return self.violations,
            2 => 1,
            3 => 5,
            _ => 30,
        };
        let ends = now + MINUTE * minutes;
        self.penalty_ends = Some(self.penalty_ends.map_or(ends, |running| running.max(ends)));
        self.violations
    }

    fn may_tell(&mut self, now: Tick) -> bool {
        let may = self.last_error.is_none_or(|last| now.since(last) >= ERROR_EVERY);
        if may {
            self.last_error = Some(now);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FULL: Result<(), Duration> = Err(Duration::from_millis(50));

    fn at(seconds: u64) -> Tick {
        Tick::after_origin(Duration::from_secs(seconds))
    }

    fn refused(judgement: Judgement) -> Excess {
        match judgement {
            Judgement::Refused(excess) => excess,
            Judgement::Admitted => panic!("admitted"),
        }
    }

    /// One passage over the limit at that moment.
    fn violate(tracker: &mut RateLimitTracker, seconds: u64) -> Excess {
        assert_eq!(tracker.judge(at(seconds), || Ok(())), Judgement::Admitted);
        refused(tracker.judge(at(seconds), || FULL))
    }

    #[test]
    fn the_ladder_warns_and_then_costs_one_five_and_thirty_minutes() {
        let mut tracker = RateLimitTracker::default();
        let warning = violate(&mut tracker, 0);
        assert_eq!((warning.violation, warning.retry_after), (Some(1), Duration::from_millis(50)));
        let mut clock = 0;
        for (nth, minutes) in [(2, 1), (3, 5), (4, 30), (5, 30)] {
            let excess = violate(&mut tracker, clock);
            assert_eq!((excess.violation, excess.retry_after), (Some(nth), MINUTE * minutes));
            clock += 60 * u64::from(minutes);
        }
        assert_eq!(tracker.violations(), 5);
    }

    #[test]
    fn over_the_limit_is_one_violation_until_the_bucket_admits_again() {
        let mut tracker = RateLimitTracker::default();
        assert_eq!(refused(tracker.judge(at(0), || FULL)).violation, Some(1));
        for _ in 0..1000 {
            assert_eq!(refused(tracker.judge(at(1), || FULL)).violation, None);
        }
        assert_eq!(violate(&mut tracker, 2).violation, Some(2));
    }

    #[test]
    fn during_a_penalty_nothing_passes_and_little_is_said() {
        let mut tracker = RateLimitTracker::default();
        violate(&mut tracker, 0);
        violate(&mut tracker, 0);
        let asked = || -> Result<(), Duration> { panic!("the bucket is not asked during a penalty") };
        let told = (1..=30).filter(|tenth| {
            let now = at(0) + Duration::from_millis(tenth * 100);
            refused(tracker.judge(now, asked)).tell
        });
        assert_eq!(told.count(), 3, "one a second");
        let late = refused(tracker.judge(at(59), asked));
        assert_eq!((late.violation, late.retry_after), (None, Duration::from_secs(1)));
        assert_eq!(tracker.judge(at(60), || Ok(())), Judgement::Admitted);
    }

    #[test]
    fn the_end_of_a_penalty_makes_the_next_excess_count() {
        let mut tracker = RateLimitTracker::default();
        violate(&mut tracker, 0);
        violate(&mut tracker, 0);
        assert_eq!(refused(tracker.judge(at(60), || FULL)).violation, Some(3));
    }

    #[test]
    fn an_hour_without_a_violation_and_all_is_forgotten() {
        let mut tracker = RateLimitTracker::default();
        violate(&mut tracker, 0);
        assert!(!tracker.is_clean(at(3_599)) && tracker.is_clean(at(3_600)));
        assert_eq!(violate(&mut tracker, 3_599).violation, Some(2));
        assert_eq!(violate(&mut tracker, 3_599 + 3_600).violation, Some(1));
    }

    #[test]
    fn ten_invalid_messages_in_a_minute_are_one_violation() {
        let mut tracker = RateLimitTracker::default();
        for n in 0..9 {
            assert_eq!(tracker.invalid(at(n)), None);
        }
        assert!(!tracker.is_clean(at(59)));
        assert_eq!(tracker.invalid(at(59)).unwrap().violation, Some(1));
        for n in 0..9 {
            assert_eq!(tracker.invalid(at(100 + n)), None);
        }
        assert_eq!(tracker.invalid(at(160)), None, "another minute");
        for n in 161..169 {
            assert_eq!(tracker.invalid(at(n)), None);
        }
        let second = tracker.invalid(at(169)).unwrap();
        assert_eq!((second.violation, second.retry_after), (Some(2), MINUTE));
    }

    proptest! {
        #[test]
        fn a_penalty_is_never_shortened_and_never_leaks_a_message(
            steps in prop::collection::vec((0u64..90, any::<bool>(), any::<bool>()), 1..100),
        ) {
            let mut tracker = RateLimitTracker::default();
            let mut now = Tick::ZERO;
            for (seconds, within, invalid) in steps {
                now = now + Duration::from_secs(seconds);
                let before = tracker.penalty_left(now);
                if invalid { tracker.invalid(now); }
                let judgement = tracker.judge(now, || if within { Ok(()) } else { FULL });
                if before.is_some() {
                    prop_assert_ne!(judgement, Judgement::Admitted);
                    prop_assert!(tracker.penalty_left(now) >= before);
                }
            }
        }
    }
}
