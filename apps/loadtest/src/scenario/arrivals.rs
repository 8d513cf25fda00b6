//! Clients that come in, so many at a time, each timed from its first packet to being ready.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::{
    crowd::{Crowd, Entrance, Heard, Voices},
    sample::Latency,
};

/// Nobody waits longer to be let in.
const PATIENCE: Duration = Duration::from_secs(60);

/// Those who came.
pub(super) struct Arrivals {
    /// Those who are in, in the order in which they set out; the others have no id.
    pub(super) members: Vec<Option<usize>>,
    /// How long it took each.
    pub(super) latency: Latency,
    /// Those who were not let in, or went at once.
    pub(super) failed: u64,
    /// The status of the first who was refused.
    pub(super) refusal: Option<u16>,
    /// Who of those on their way is which.
    on_way: Vec<Option<usize>>,
    set_out: usize,
    settled: usize,
    fault: Option<anyhow::Error>,
}

impl Arrivals {
    /// Lets clients in by these doors, so many at a time.
    pub(super) fn through(crowd: &mut Crowd, doors: &[Entrance], in_flight: usize) -> Result<Self> {
        let mut arrivals = Self {
            members: vec![None; doors.len()],
            latency: Latency::default(),
            failed: 0,
            refusal: None,
            on_way: Vec::new(),
            set_out: 0,
            settled: 0,
            fault: None,
        };
        for _ in 0..in_flight.min(doors.len()) {
            arrivals.send_next(&mut crowd.voices, doors);
        }
        let hear = |arrivals: &mut Self, voices: &mut Voices, id: usize, heard: Heard<'_>, at: Instant| {
            arrivals.hear(voices, doors, id, heard, at);
        };
        crowd.until(&mut arrivals, PATIENCE, hear, |arrivals| {
            arrivals.settled == doors.len() || arrivals.fault.is_some()
        })?;
        if let Some(fault) = arrivals.fault.take() {
            return Err(fault);
        }
        arrivals.failed += (doors.len() - arrivals.settled) as u64;
        Ok(arrivals)
    }

    /// The same, where everybody has to get in.
    pub(super) fn all_through(crowd: &mut Crowd, doors: &[Entrance], in_flight: usize) -> Result<Vec<usize>> {
        let arrivals = Self::through(crowd, doors, in_flight)?;
        if arrivals.failed > 0 {
            let status = arrivals.refusal.map_or("no answer".to_owned(), |status| format!("HTTP status {status}"));
            bail!(
                "{} of {} clients were not let in (the first: {status}): a gateway that was not started by this \
                 program needs the doors, routes and limits that `--show-config` prints",
                arrivals.failed,
                doors.len()
            );
        }
        Ok(arrivals.members.into_iter().flatten().collect())
    }

    fn send_next(&mut self, voices: &mut Voices, doors: &[Entrance]) {
        let Some(door) = doors.get(self.set_out) else { return };
        match voices.enter(door) {
            Ok(id) => {
                if self.on_way.len() <= id {
                    self.on_way.resize(id + 1, None);
                }
                if let Some(slot) = self.on_way.get_mut(id) {
                    *slot = Some(self.set_out);
                }
                self.set_out += 1;
            }
            Err(fault) => self.fault = Some(fault),
        }
    }

    fn hear(&mut self, voices: &mut Voices, doors: &[Entrance], id: usize, heard: Heard<'_>, at: Instant) {
        let nth = self.on_way.get_mut(id).and_then(Option::take);
        match (nth, heard) {
            (Some(nth), Heard::Ready) => {
                if let Some(began) = voices.began(id) {
                    self.latency.note(at - began);
                }
                if let Some(member) = self.members.get_mut(nth) {
                    *member = Some(id);
                }
            }
            (Some(_), heard) => {
                self.failed += 1;
                if let Heard::Refused(status) = heard {
                    self.refusal.get_or_insert(status);
                }
            }
            // One that was in already went, or spoke.
            (None, Heard::Over(_)) => {
                self.failed += 1;
                return;
            }
            (None, _) => return,
        }
        self.settled += 1;
        self.send_next(voices, doors);
    }
}

/// Everybody goes, without a word.
pub(super) fn drop_all(crowd: &mut Crowd, members: &[Option<usize>]) {
    for id in members.iter().flatten() {
        crowd.voices.drop_out(*id);
    }
}
