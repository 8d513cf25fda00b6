//! The life of one connection: whether it is alive, how long its token lasts, what is due when.
//!
//! The session decides and the loop that owns the socket obeys. All deadlines are in one place, so that the loop
//! needs one timer: it sleeps until [`Session::next_due`], then does what [`Session::take_due`] says.

use std::time::Duration;

use crate::{
    refusal::{Code, Refusal},
    time::{Now, Tick, Timestamp},
};

/// What happens when the token of a live connection expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExpiry {
    /// The connection stays.
    Keep,
    /// It is warned ahead of time, then closed; no message that comes after the deadline is handled.
    Close,
}

/// The rules of an endpoint for its sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRules {
    /// What an expired token means.
    pub on_expiry: OnExpiry,
    /// How long ahead of it the client is warned.
    pub expiry_warning: Duration,
    /// How often the client is pinged; none for never.
    pub heartbeat: Option<Duration>,
    /// How long after a ping something must be heard.
    pub heartbeat_timeout: Duration,
    /// How long a client may send no message; none for ever.
    pub idle_timeout: Option<Duration>,
}

/// What the loop must do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// Ping the client.
    Ping,
    /// Tell it that its token expires then.
    ExpiryWarning(Timestamp),
    /// Close.
    End(Refusal),
}

/// Silence that a suspicious gateway grants a connection whose seat somebody else wants.
pub const PROBE_PATIENCE: Duration = Duration::from_secs(2);

/// Pings of many connections fall together into slots of this length, so that one waking serves them all.
const LONGEST_SLOT: Duration = Duration::from_millis(250);

/// The slot in which a ping that is wanted then is sent: never later, and earlier by a sixty-fourth of the interval at
/// most.
fn ping_at(interval: Duration, wanted: Tick) -> Tick {
    let slot = (interval / 64).min(LONGEST_SLOT).as_millis();
    let since = wanted.since_origin();
    let early = since.as_millis().checked_rem(slot).unwrap_or_default();
    Tick::after_origin(since.saturating_sub(Duration::from_millis(u64::try_from(early).unwrap_or_default())))
}

/// The clocks of one connection.
#[derive(Clone, Debug)]
pub struct Session {
    expires_at: Timestamp,
    warned: bool,
    last_heard: Tick,
    last_message: Tick,
    next_ping: Option<Tick>,
    /// Sent a ping then, and must hear something by then.
    awaited: Option<(Tick, Tick)>,
    probe_wanted: bool,
}

impl Session {
    /// A session that begins now. `phase` spreads the first pings of many sessions; it is less than a heartbeat.
    pub fn new(rules: &SessionRules, expires_at: Timestamp, phase: Duration, now: Now) -> Self {
        let next_ping = rules.heartbeat.map(|interval| ping_at(interval, now.tick + interval.saturating_sub(phase)));
        Self {
            expires_at,
            warned: false,
            last_heard: now.tick,
            last_message: now.tick,
            next_ping,
            awaited: None,
            probe_wanted: false,
        }
    }

    /// Something came in, be it half a frame: the peer is alive.
    pub const fn heard(&mut self, now: Now) {
        self.last_heard = now.tick;
        self.awaited = None;
    }

    /// A message came in. It is handled only where this says so.
    pub fn on_message(&mut self, rules: &SessionRules, now: Now) -> Result<(), Refusal> {
        self.last_message = now.tick;
        match rules.on_expiry {
            OnExpiry::Close if now.wall >= self.expires_at => Err(Refusal::expired(self.expires_at)),
            OnExpiry::Close | OnExpiry::Keep => Ok(()),
        }
    }

    /// A new token was taken: its deadline holds from now on.
    pub const fn refresh(&mut self, expires_at: Timestamp) {
        self.expires_at = expires_at;
        self.warned = false;
    }

    /// Somebody wants this seat: prove that the peer is alive, or go.
    pub const fn probe(&mut self) {
        self.probe_wanted = true;
    }

    /// When the token expires.
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// When the peer was last heard.
    pub const fn last_heard(&self) -> Tick {
        self.last_heard
    }

    /// What is due now, one thing at a time; what ends the session comes first.
    pub fn take_due(&mut self, rules: &SessionRules, now: Now) -> Option<Due> {
        if rules.on_expiry == OnExpiry::Close && now.wall >= self.expires_at {
            return Some(Due::End(Refusal::expired(self.expires_at)));
        }
        if self.awaited.is_some_and(|(_, until)| now.tick >= until) {
            return Some(Due::End(Refusal::plain(Code::HeartbeatTimeout)));
        }
        if rules.idle_timeout.is_some_and(|limit| now.tick.since(self.last_message) >= limit) {
            return Some(Due::End(Refusal::plain(Code::IdleTimeout)));
        }
        if self.warning_at(rules).is_some_and(|at| now.wall >= at) {
            self.warned = true;
            return Some(Due::ExpiryWarning(self.expires_at));
        }
        let regular = self.next_ping.is_some_and(|at| now.tick >= at);
        if regular || self.probe_wanted {
            let patience = if self.probe_wanted { PROBE_PATIENCE } else { rules.heartbeat_timeout };
            self.probe_wanted = false;
            if regular {
                self.next_ping = rules.heartbeat.map(|interval| ping_at(interval, now.tick + interval));
            }
            // An older ping that still waits for its answer keeps its deadline.
            let until = now.tick + patience;
            self.awaited = Some(self.awaited.map_or((now.tick, until), |(sent, older)| (sent, older.min(until))));
            return Some(Due::Ping);
        }
        None
    }

    /// When something will be due, if nothing is heard until then.
    pub fn next_due(&self, rules: &SessionRules, now: Now) -> Option<Tick> {
        if self.probe_wanted {
            return Some(now.tick);
        }
        let on_wall = |at: Timestamp| now.tick + at.since(now.wall);
        let expiry = (rules.on_expiry == OnExpiry::Close).then(|| on_wall(self.expires_at));
        let idle = rules.idle_timeout.map(|limit| self.last_message + limit);
        let answer = self.awaited.map(|(_, until)| until);
        let warning = self.warning_at(rules).map(on_wall);
        [expiry, warning, answer, idle, self.next_ping].into_iter().flatten().min()
    }

    /// When to warn, where that is still to be done.
    fn warning_at(&self, rules: &SessionRules) -> Option<Timestamp> {
        if self.warned || rules.on_expiry == OnExpiry::Keep || rules.expiry_warning.is_zero() {
            return None;
        }
        let ahead = i64::try_from(rules.expiry_warning.as_millis()).unwrap_or(i64::MAX);
        Some(Timestamp::from_millis(self.expires_at.millis().saturating_sub(ahead)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: u64) -> Now {
        Now {
            tick: Tick::after_origin(Duration::from_millis(millis)),
            wall: Timestamp::from_millis(1_800_000_000_000 + millis as i64),
        }
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn rules() -> SessionRules {
        SessionRules {
            on_expiry: OnExpiry::Close,
            expiry_warning: secs(60),
            heartbeat: Some(secs(25)),
            heartbeat_timeout: secs(10),
            idle_timeout: None,
        }
    }

    fn code(due: Option<Due>) -> Code {
        match due {
            Some(Due::End(refusal)) => refusal.code,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_message_at_the_deadline_is_never_handled_on_a_closing_endpoint() {
        let mut session = Session::new(&rules(), at(100_000).wall, Duration::ZERO, at(0));
        assert_eq!(session.on_message(&rules(), at(99_999)), Ok(()));
        let refusal = session.on_message(&rules(), at(100_000)).unwrap_err();
        assert_eq!(refusal.code, Code::TokenExpired);
        assert_eq!(code(session.take_due(&rules(), at(100_000))), Code::TokenExpired);
    }

    #[test]
    fn a_keeping_endpoint_neither_warns_nor_closes() {
        let rules = SessionRules { on_expiry: OnExpiry::Keep, heartbeat: None, ..rules() };
        let mut session = Session::new(&rules, at(100_000).wall, Duration::ZERO, at(0));
        assert_eq!(session.on_message(&rules, at(200_000)), Ok(()));
        assert_eq!(session.take_due(&rules, at(200_000)), None);
        assert_eq!(session.next_due(&rules, at(0)), None);
    }

    #[test]
    fn the_warning_comes_once_and_again_after_a_refresh() {
        let rules = SessionRules { heartbeat: None, ..rules() };
        let mut session = Session::new(&rules, at(100_000).wall, Duration::ZERO, at(0));
        assert_eq!(session.next_due(&rules, at(0)), Some(at(40_000).tick));
        assert_eq!(session.take_due(&rules, at(39_999)), None);
        assert_eq!(session.take_due(&rules, at(40_000)), Some(Due::ExpiryWarning(at(100_000).wall)));
        assert_eq!(session.take_due(&rules, at(40_000)), None);
        assert_eq!(session.next_due(&rules, at(40_000)), Some(at(100_000).tick));
        session.refresh(at(500_000).wall);
        assert_eq!(session.expires_at(), at(500_000).wall);
        assert_eq!(session.take_due(&rules, at(100_000)), None);
        assert_eq!(session.take_due(&rules, at(440_000)), Some(Due::ExpiryWarning(at(500_000).wall)));
    }

    #[test]
    fn a_silent_peer_is_pinged_and_then_given_up() {
        let mut session = Session::new(&rules(), at(900_000).wall, secs(5), at(0));
        assert_eq!(session.next_due(&rules(), at(0)), Some(at(20_000).tick), "the phase brings the first ping forward");
        assert_eq!(session.take_due(&rules(), at(20_000)), Some(Due::Ping));
        assert_eq!(session.next_due(&rules(), at(20_000)), Some(at(30_000).tick));
        session.heard(at(29_000));
        assert_eq!(session.last_heard(), at(29_000).tick);
        assert_eq!(session.take_due(&rules(), at(30_000)), None);
        assert_eq!(session.take_due(&rules(), at(45_000)), Some(Due::Ping));
        assert_eq!(session.take_due(&rules(), at(54_999)), None);
        assert_eq!(code(session.take_due(&rules(), at(55_000))), Code::HeartbeatTimeout);
    }

    #[test]
    fn pings_of_many_fall_together_and_none_comes_late() {
        for came in [1_000, 1_017, 1_249] {
            let mut session = Session::new(&rules(), at(900_000).wall, Duration::ZERO, at(came));
            assert_eq!(session.next_due(&rules(), at(came)), Some(at(26_000).tick));
            assert_eq!(session.take_due(&rules(), at(26_003)), Some(Due::Ping));
            session.heard(at(26_004));
            assert_eq!(session.next_due(&rules(), at(26_004)), Some(at(51_000).tick), "the slot does not wander");
        }
        let quick = SessionRules { heartbeat: Some(Duration::from_millis(50)), ..rules() };
        let session = Session::new(&quick, at(900_000).wall, Duration::ZERO, at(1_017));
        assert_eq!(session.next_due(&quick, at(1_017)), Some(at(1_067).tick), "a short interval has no slots");
    }

    #[test]
    fn a_probe_pings_at_once_and_waits_two_seconds() {
        let rules = SessionRules { heartbeat: None, ..rules() };
        let mut session = Session::new(&rules, at(900_000).wall, Duration::ZERO, at(0));
        session.probe();
        assert_eq!(session.next_due(&rules, at(5)), Some(at(5).tick));
        assert_eq!(session.take_due(&rules, at(5)), Some(Due::Ping));
        assert_eq!(session.next_due(&rules, at(5)), Some(at(2_005).tick));
        session.heard(at(1_000));
        assert_eq!(session.take_due(&rules, at(2_005)), None);
        session.probe();
        session.take_due(&rules, at(3_000));
        assert_eq!(code(session.take_due(&rules, at(5_000))), Code::HeartbeatTimeout);
    }

    #[test]
    fn a_later_ping_does_not_lengthen_an_older_ones_patience() {
        let mut session = Session::new(&rules(), at(900_000).wall, Duration::ZERO, at(0));
        session.probe();
        assert_eq!(session.take_due(&rules(), at(24_000)), Some(Due::Ping));
        assert_eq!(session.take_due(&rules(), at(25_000)), Some(Due::Ping));
        assert_eq!(code(session.take_due(&rules(), at(26_000))), Code::HeartbeatTimeout);
    }

    #[test]
    fn pongs_do_not_count_as_messages() {
        let rules = SessionRules { idle_timeout: Some(secs(30)), heartbeat: None, ..rules() };
        let mut session = Session::new(&rules, at(900_000).wall, Duration::ZERO, at(0));
        session.on_message(&rules, at(10_000)).unwrap();
        session.heard(at(39_000));
        assert_eq!(session.next_due(&rules, at(39_000)), Some(at(40_000).tick));
        assert_eq!(code(session.take_due(&rules, at(40_000))), Code::IdleTimeout);
    }

    proptest! {
        /// Whatever happens, sleeping until the next deadline finds something due there, and never spins.
        #[test]
        fn every_deadline_is_real(
            keep: bool, beat in prop::option::of(1u64..50), idle in prop::option::of(1u64..200), life in 1u64..300,
            events in prop::collection::vec((0u64..40, 0u8..4), 0..60),
        ) {
            let rules = SessionRules {
                on_expiry: if keep { OnExpiry::Keep } else { OnExpiry::Close },
                expiry_warning: secs(60),
                heartbeat: beat.map(secs),
                heartbeat_timeout: secs(10),
                idle_timeout: idle.map(secs),
            };
            let mut clock = 0;
            let mut session = Session::new(&rules, at(life * 1000).wall, Duration::ZERO, at(0));
            for (wait, event) in events {
                clock += wait * 1000;
                match event {
                    0 => session.heard(at(clock)),
                    1 => { let _ = session.on_message(&rules, at(clock)); }
                    2 => session.probe(),
                    _ => session.refresh(at(clock + life * 1000).wall),
                }
                let mut done = 0;
                while let Some(due) = session.take_due(&rules, at(clock)) {
                    if matches!(due, Due::End(_)) { return Ok(()); }
                    done += 1;
                    prop_assert!(done <= 3, "spins");
                }
                if let Some(next) = session.next_due(&rules, at(clock)) {
                    prop_assert!(next > at(clock).tick);
                    let mut later = session.clone();
                    let then = u64::try_from(next.since_origin().as_millis()).unwrap();
                    prop_assert!(later.take_due(&rules, at(then)).is_some());
                }
            }
        }
    }
}
