//! Whether a hook is tried at all. After so many events in a row that had to be given up the circuit is open: nothing is
//! sent for a while; then one event is tried, and what becomes of it decides for the others.

use std::time::Duration;

use gateway_domain::Tick;

/// When a circuit opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerRules {
    /// So many events given up, one after the other.
    pub failures: u32,
    /// How long nothing is sent then.
    pub pause: Duration,
}

/// The circuit of a hook.
#[derive(Debug)]
pub(super) struct Breaker {
    rules: BreakerRules,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { until: Tick },
    Probing,
}

/// Whether one may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// It may.
    Free,
    /// It may, alone, to see whether the circuit can be closed.
    Probe,
    /// Not now.
    No,
}

/// What an outcome changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    None,
    /// The circuit is open from now on.
    Opened,
    /// It stays open: the probe failed.
    StaysOpen,
    /// The circuit is closed again.
    Closed,
}

impl Breaker {
    /// A closed one.
    pub(super) const fn new(rules: BreakerRules) -> Self {
        Self { rules, state: State::Closed { failures: 0 } }
    }

    /// Whether one may go now. Whoever gets [`Pass::Probe`] says what became of it.
    pub(super) fn pass(&mut self, now: Tick) -> Pass {
        match self.state {
            State::Closed { .. } => Pass::Free,
            State::Open { until } if now >= until => {
                self.state = State::Probing;
                Pass::Probe
            }
            State::Open { .. } | State::Probing => Pass::No,
        }
    }

    /// Whether nothing is even taken in: the pause is not over.
    pub(super) fn is_shut(&self, now: Tick) -> bool {
        matches!(self.state, State::Open { until } if now < until)
    }

    /// Whether it is anything but closed.
    pub(super) const fn is_open(&self) -> bool {
        !matches!(self.state, State::Closed { .. })
    }

    /// When the next may be tried, where that is a matter of time.
    pub(super) const fn opens_until(&self) -> Option<Tick> {
        match self.state {
            State::Open { until } => Some(until),
            State::Closed { .. } | State::Probing => None,
        }
    }

    /// One arrived, be it one that had gone before the circuit opened: the hook lives.
    pub(super) fn arrived(&mut self) -> Change {
        let was_open = self.is_open();
        self.state = State::Closed { failures: 0 };
        if was_open { Change::Closed } else { Change::None }
    }

    /// One was given up.
    pub(super) fn given_up(&mut self, is_probe: bool, now: Tick) -> Change {
        let open = State::Open { until: now + self.rules.pause };
        match self.state {
            State::Closed { failures } if failures + 1 < self.rules.failures => {
                self.state = State::Closed { failures: failures + 1 };
                Change::None
            }
            State::Closed { .. } => {
                self.state = open;
                Change::Opened
            }
            State::Probing if is_probe => {
                self.state = open;
                Change::StaysOpen
            }
            // It had gone before.
            State::Probing | State::Open { .. } => Change::None,
        }
    }

    /// The probe ended without an answer: another may be sent.
    pub(super) fn forget_probe(&mut self, now: Tick) {
        if self.state == State::Probing {
            self.state = State::Open { until: now };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: BreakerRules = BreakerRules { failures: 3, pause: Duration::from_secs(10) };

    fn at(seconds: u64) -> Tick {
        Tick::after_origin(Duration::from_secs(seconds))
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_try() {
        let mut breaker = Breaker::new(RULES);
        assert_eq!(breaker.given_up(false, at(0)), Change::None);
        assert_eq!(breaker.arrived(), Change::None);
        assert_eq!([1, 2, 3].map(|n| breaker.given_up(false, at(n))), [Change::None, Change::None, Change::Opened]);
        assert_eq!((breaker.pass(at(12)), breaker.is_shut(at(12)), breaker.is_open()), (Pass::No, true, true));
        assert_eq!(breaker.given_up(false, at(12)), Change::None, "one that had gone before");
        assert_eq!((breaker.is_shut(at(13)), breaker.opens_until()), (false, Some(at(13))));
        assert_eq!([13, 14].map(|n| breaker.pass(at(n))), [Pass::Probe, Pass::No]);
        assert_eq!(breaker.given_up(false, at(14)), Change::None, "not the probe");
        assert_eq!(breaker.given_up(true, at(15)), Change::StaysOpen);
        assert_eq!([24, 25].map(|n| breaker.pass(at(n))), [Pass::No, Pass::Probe]);
        assert_eq!(breaker.arrived(), Change::Closed);
        assert_eq!((breaker.pass(at(25)), breaker.is_open()), (Pass::Free, false));
    }

    #[test]
    fn a_probe_that_was_lost_makes_room_for_another() {
        let mut breaker = Breaker::new(BreakerRules { failures: 1, ..RULES });
        assert_eq!(breaker.given_up(false, at(0)), Change::Opened);
        assert_eq!(breaker.pass(at(10)), Pass::Probe);
        breaker.forget_probe(at(11));
        assert_eq!(breaker.pass(at(11)), Pass::Probe);
    }

    #[test]
    fn one_that_arrives_late_closes_it() {
        let mut breaker = Breaker::new(BreakerRules { failures: 1, ..RULES });
        breaker.given_up(false, at(0));
        assert_eq!((breaker.arrived(), breaker.pass(at(1))), (Change::Closed, Pass::Free));
    }
}
