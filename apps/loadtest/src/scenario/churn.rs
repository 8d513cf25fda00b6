//! Coming and going: each client comes in, says one thing, hears the answer, says goodbye, and the next comes.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Bench, Round, field::Field};
use crate::{
    crowd::{Crowd, Entrance, Heard, Voices},
    sample::{Latency, Row, Sample},
    subject::Subject,
    tally::{Finder, Tally, payload},
    wire,
};

const PATIENCE: Duration = Duration::from_secs(120);
/// So many users come again and again.
const USERS: usize = 64;
const SIZE: usize = 64;

struct Street {
    subject: Subject,
    crowd: Crowd,
    doors: Vec<Entrance>,
}

/// The visits of a round.
struct Visits<'a> {
    doors: &'a [Entrance],
    finder: Finder,
    latency: Latency,
    /// When each of those who are here set out, by their ids.
    began: Vec<Option<Instant>>,
    wanted: u64,
    begun: u64,
    done: u64,
    failed: u64,
    unheard: u64,
    fault: Option<anyhow::Error>,
}

pub(super) fn run(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let sizes = bench.sizes;
    let mut field = Field::alone(Street::open(bench.gateway()?)?);
    field.floor = bench.floor()?.map(Street::open).transpose()?;
    for street in field.all() {
        street.round(sizes.in_flight as u64, sizes.in_flight)?;
    }
    let rounds = field.in_turn(bench, "churn", |street| street.round(sizes.visits, sizes.in_flight))?;
    let case = format!("{} at a time", sizes.in_flight);
    Ok(vec![rounds.row("churn", case, "visit")])
}

impl Street {
    fn open(subject: Subject) -> Result<Self> {
        let door = |n: usize| subject.door("/ws/dashboard", &format!("user-{n}"), "dashboard", "/echo");
        let doors = (0..USERS).map(door).collect::<Result<_>>()?;
        Ok(Self { subject, crowd: Crowd::new()?, doors })
    }

    fn round(&mut self, wanted: u64, in_flight: usize) -> Result<Sample> {
        let round = Round::begin(&self.subject);
        let mut visits = Visits {
            doors: &self.doors,
            finder: Finder::default(),
            latency: Latency::default(),
            began: Vec::new(),
            wanted,
            begun: 0,
            done: 0,
            failed: 0,
            unheard: 0,
            fault: None,
        };
        for _ in 0..in_flight {
            visits.send_next(&mut self.crowd.voices);
        }
        let hear = |visits: &mut Visits<'_>, voices: &mut Voices, id: usize, heard: Heard<'_>, at: Instant| {
            visits.hear(voices, id, heard, at);
        };
        self.crowd.until(&mut visits, PATIENCE, hear, |visits| {
            visits.done + visits.failed >= visits.wanted || visits.fault.is_some()
        })?;
        let Visits { latency, done, failed, unheard, fault, .. } = visits;
        if let Some(fault) = fault {
            return Err(fault);
        }
        let mut tally = Tally::of_lost(unheard);
        round.end(&mut self.subject, done, latency, &mut tally, failed + wanted.saturating_sub(done + failed))
    }
}

impl Visits<'_> {
    fn send_next(&mut self, voices: &mut Voices) {
        let door = self.doors.get(self.begun as usize % self.doors.len().max(1));
        let Some(door) = door.filter(|_| self.begun < self.wanted) else { return };
        match voices.enter(door) {
            Ok(id) => {
                self.begun += 1;
                if self.began.len() <= id {
                    self.began.resize(id + 1, None);
                }
                if let Some(slot) = self.began.get_mut(id) {
                    *slot = voices.began(id);
                }
            }
            Err(fault) => self.fault = Some(fault),
        }
    }

    fn hear(&mut self, voices: &mut Voices, id: usize, heard: Heard<'_>, at: Instant) {
        match heard {
            Heard::Ready => {
                if let Some(protocol) = voices.protocol(id) {
                    voices.say(id, &protocol.message("ping", Some("visit"), &payload(1, "", SIZE)));
                }
            }
            Heard::Message(text) => {
                // The time of a visit is that up to its answer; the goodbye is not waited for.
                if let (Some(1), Some(slot)) = (self.finder.number(text), self.began.get_mut(id))
                    && let Some(began) = slot.take()
                {
                    self.latency.note(at - began);
                    voices.say(id, &wire::client_frame(wire::CLOSE, &1000_u16.to_be_bytes()));
                }
            }
            Heard::Over(code) => {
                let heard_all = self.began.get_mut(id).is_some_and(|slot| slot.take().is_none());
                self.unheard += u64::from(!heard_all);
                if code == Some(1000) {
                    self.done += 1;
                } else {
                    self.failed += 1;
                }
                self.send_next(voices);
            }
            Heard::Refused(_) => {
                self.failed += 1;
                self.send_next(voices);
            }
            Heard::Answer(..) => {}
        }
    }
}
