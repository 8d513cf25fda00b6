//! A room with one who tells and many who hear, each of whom must hear all, in order.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::{Round, arrivals::Arrivals};
use crate::{
    crowd::{Crowd, Entrance, Heard, Voices},
    protocol::Protocol,
    sample::{Latency, Sample},
    subject::Subject,
    tally::{Finder, Tally, payload},
};

/// So long nobody waits for a message that was said.
const PATIENCE: Duration = Duration::from_secs(30);
const IN_FLIGHT: usize = 64;
/// What a client that does not read lets the kernel take.
const SMALL_BUFFER: usize = 16 << 10;

/// Which room, and what is said so that it is heard there.
#[derive(Clone, Copy)]
pub(super) struct Words {
    pub(super) room: &'static str,
    pub(super) kind: &'static str,
}

const USUAL: Words = Words { room: "load", kind: "tell" };

/// The room, and everybody in it.
pub(super) struct Room {
    pub(super) subject: Subject,
    /// Where it is told, where that is not where it is heard.
    pub(super) told_at: Option<Subject>,
    words: Words,
    crowd: Crowd,
    protocol: Protocol,
    teller: usize,
    /// Those who do not read.
    stalled: Vec<usize>,
    hearing: Hearing,
    /// The number of the latest message.
    latest: u64,
}

/// What is heard in a room.
#[derive(Default)]
struct Hearing {
    protocol: Option<Protocol>,
    tally: Tally,
    finder: Finder,
    hearers: Vec<usize>,
    /// Who of the members counts.
    counts: Vec<bool>,
    /// When each message of the round was said, the first number before them, and what is due.
    said: Vec<Instant>,
    first: u64,
    due: u64,
    latency: Option<Latency>,
    subscribed: usize,
    gone: u64,
    /// Stalled members that the server let go for being slow.
    cut: usize,
}

impl Hearing {
    fn hear(&mut self, id: usize, heard: Heard<'_>, at: Instant) {
        match heard {
            Heard::Message(text) if self.counts.get(id) == Some(&true) => match self.finder.number(text) {
                Some(number) => {
                    self.tally.hear(id, number);
                    let said = number.checked_sub(self.first + 1).and_then(|nth| self.said.get(nth as usize));
                    if let (Some(latency), Some(said)) = (&mut self.latency, said) {
                        latency.note(at - *said);
                    }
                }
                None => self.subscribed += usize::from(self.is_subscribed(text)),
            },
            Heard::Message(text) => self.subscribed += usize::from(self.is_subscribed(text)),
            Heard::Over(_) if self.counts.get(id) == Some(&false) => self.cut += 1,
            Heard::Over(_) => self.gone += 1,
            Heard::Ready | Heard::Answer(..) | Heard::Refused(_) => {}
        }
    }

    fn is_subscribed(&self, text: &[u8]) -> bool {
        self.protocol.is_some_and(|protocol| protocol.is_subscribed(text))
    }
}

impl Room {
    /// A room of so many, and some more who will not read.
    pub(super) fn open(subject: Subject, hearers: usize, stalled: usize) -> Result<Self> {
        Self::told_at(subject, None, USUAL, hearers, stalled)
    }

    /// The same, where it may be told at another server.
    pub(super) fn told_at(
        subject: Subject,
        told_at: Option<Subject>,
        words: Words,
        hearers: usize,
        stalled: usize,
    ) -> Result<Self> {
        let mut crowd = Crowd::new()?;
        let door = |name: &str, n: usize, on_floor: &str| {
            subject.door("/ws/dashboard", &format!("{name}-{n}"), "dashboard", on_floor)
        };
        let teller = match &told_at {
            Some(there) => there.door("/ws/dashboard", "teller-0", "dashboard", "/tell")?,
            None => door("teller", 0, "/tell")?,
        };
        let protocol = teller.protocol;
        let mut doors: Vec<Entrance> = (0..hearers).map(|n| door("hearer", n, "/fan")).collect::<Result<_>>()?;
        for n in 0..stalled {
            let small = Some(SMALL_BUFFER);
            doors.push(Entrance { receive_buffer: small, ..door("stalled", n, "/fan")? });
        }
        let teller = Arrivals::all_through(&mut crowd, &[teller], 1)?;
        let mut members = Arrivals::all_through(&mut crowd, &doors, IN_FLIGHT)?;
        let teller = teller.first().copied().unwrap_or_default();
        let mut hearing = Hearing::default();
        let highest = members.iter().copied().max().unwrap_or(0).max(teller);
        hearing.counts = vec![true; highest + 1];
        hearing.protocol = Some(protocol);
        if let Some(subscribe) = protocol.subscribe(words.room) {
            for id in &members {
                crowd.voices.say(*id, &subscribe);
            }
            let all = members.len();
            let hear = |hearing: &mut Hearing, _: &mut Voices, id: usize, heard: Heard<'_>, at: Instant| {
                hearing.hear(id, heard, at);
            };
            let done = crowd.until(&mut hearing, PATIENCE, hear, |hearing| hearing.subscribed >= all)?;
            ensure!(done, "only {} of {all} clients could subscribe to the room `{}`", hearing.subscribed, words.room);
        }
        let stalled = members.split_off(hearers.min(members.len()));
        for id in &stalled {
            crowd.voices.stall(*id);
            if let Some(counts) = hearing.counts.get_mut(*id) {
                *counts = false;
            }
        }
        hearing.hearers = members;
        Ok(Self { subject, told_at, words, crowd, protocol, teller, stalled, hearing, latest: 0 })
    }

    /// Lets others in, who do not subscribe.
    pub(super) fn let_in(&mut self, doors: &[Entrance], in_flight: usize) -> Result<Vec<usize>> {
        Arrivals::all_through(&mut self.crowd, doors, in_flight)
    }

    /// Puts each of these into a room of its own.
    pub(super) fn give_rooms(&mut self, members: &[usize]) -> Result<()> {
        for (nth, id) in members.iter().enumerate() {
            if let Some(subscribe) = self.protocol.subscribe(&format!("other:{nth}")) {
                self.crowd.voices.say(*id, &subscribe);
            }
        }
        self.await_subscribed(members.len())
    }

    /// Waits until so many more have subscribed.
    fn await_subscribed(&mut self, count: usize) -> Result<()> {
        self.hearing.subscribed = 0;
        let hear = |hearing: &mut Hearing, _: &mut Voices, id: usize, heard: Heard<'_>, at: Instant| {
            hearing.hear(id, heard, at);
        };
        let done = self.crowd.until(&mut self.hearing, PATIENCE, hear, |hearing| hearing.subscribed >= count)?;
        ensure!(done, "only {} of {count} clients could subscribe to their rooms", self.hearing.subscribed);
        Ok(())
    }

    /// Tells so many messages, `window` of them at once, the next when all have heard those.
    pub(super) fn tell(&mut self, messages: u64, window: u64, size: usize) -> Result<Sample> {
        self.tell_within(Duration::ZERO, messages, window, size)
    }

    /// The same, spread evenly over that time.
    pub(super) fn tell_within(&mut self, time: Duration, messages: u64, window: u64, size: usize) -> Result<Sample> {
        let round = self.begin();
        let (began, nanos) = (Instant::now(), u64::try_from(time.as_nanos())? / messages.max(1));
        let mut told = 0;
        let mut complete = true;
        while told < messages && complete {
            let due = began + Duration::from_nanos(nanos * told);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let batch = window.min(messages - told);
            self.say(batch, size);
            told += batch;
            complete = self.hear_all()?;
        }
        self.end(round, told)
    }

    /// Tells one message after the other at fixed times, whether or not the last was heard.
    pub(super) fn tell_at(&mut self, rate: u32, time: Duration, size: usize) -> Result<Sample> {
        let round = self.begin();
        let began = Instant::now();
        let count = (f64::from(rate) * time.as_secs_f64()).max(1.0) as u64;
        for nth in 0..count {
            let due = began + Duration::from_secs(nth) / rate;
            while let Some(wait) = due.checked_duration_since(Instant::now()).filter(|wait| !wait.is_zero()) {
                self.turn(wait)?;
            }
            self.say(1, size);
        }
        self.hear_all()?;
        self.end(round, count)
    }

    /// Says as much as in that round, at its pace, to a room that nobody is in; what that cost the server, for a message.
    pub(super) fn tell_nobody(
        &mut self,
        like: &Sample,
        kind: &str,
        window: u64,
        size: usize,
    ) -> Result<Option<Duration>> {
        let messages = like.units / (self.hearing.hearers.len() as u64).max(1);
        let batches = u32::try_from(messages.div_ceil(window).max(1))?;
        let frame = self.protocol.message(kind, None, &payload(0, "", size));
        let frames = frame.repeat(usize::try_from(window)?);
        self.subject.rest();
        let (before, began) = (self.subject.cpu(), Instant::now());
        for nth in 0..batches {
            let due = began + like.elapsed * nth / batches;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            self.crowd.voices.say(self.teller, &frames);
        }
        self.subject.rest();
        // What came back meanwhile is no word of this room.
        self.turn(Duration::ZERO)?;
        let spent = self.subject.cpu().zip(before).map(|(after, before)| after.saturating_sub(before));
        Ok(spent.map(|spent| spent / batches / u32::try_from(window).unwrap_or(1)))
    }

    /// Lets those who stalled read; how many of them the server has let go.
    pub(super) fn cut(&mut self) -> Result<usize> {
        let mut hear = |hearing: &mut Hearing, _: &mut Voices, id: usize, heard: Heard<'_>, at: Instant| {
            hearing.hear(id, heard, at);
        };
        for id in &self.stalled {
            self.crowd.wake(&mut self.hearing, *id, &mut hear);
        }
        let all = self.stalled.len();
        self.crowd.until(&mut self.hearing, Duration::from_secs(10), hear, |hearing| hearing.cut >= all)?;
        Ok(self.hearing.cut)
    }

    fn begin(&mut self) -> Round {
        self.hearing.said.clear();
        self.hearing.first = self.latest;
        self.hearing.due = 0;
        self.hearing.latency = Some(Latency::default());
        Round::begin(&self.subject)
    }

    fn say(&mut self, count: u64, size: usize) {
        let mut frames = Vec::new();
        for _ in 0..count {
            self.latest += 1;
            frames.append(&mut self.protocol.message(self.words.kind, None, &payload(self.latest, "", size)));
        }
        let now = Instant::now();
        self.hearing.said.extend((0..count).map(|_| now));
        self.hearing.due += count * self.hearing.hearers.len() as u64;
        self.crowd.voices.say(self.teller, &frames);
    }

    fn turn(&mut self, patience: Duration) -> Result<()> {
        let mut hear = |hearing: &mut Hearing, _: &mut Voices, id: usize, heard: Heard<'_>, at: Instant| {
            hearing.hear(id, heard, at);
        };
        self.crowd.turn(&mut self.hearing, patience, &mut hear)
    }

    /// Whether all has been heard that was said in this round.
    fn hear_all(&mut self) -> Result<bool> {
        let hear = |hearing: &mut Hearing, _: &mut Voices, id: usize, heard: Heard<'_>, at: Instant| {
            hearing.hear(id, heard, at);
        };
        self.crowd.until(&mut self.hearing, PATIENCE, hear, |hearing| hearing.tally.heard >= hearing.due)
    }

    fn end(&mut self, round: Round, told: u64) -> Result<Sample> {
        let hearing = &mut self.hearing;
        hearing.tally.close(hearing.hearers.iter().copied(), self.latest);
        let units = told * hearing.hearers.len() as u64;
        let gone = std::mem::take(&mut hearing.gone);
        let latency = hearing.latency.take().unwrap_or_default();
        if let Some(there) = &mut self.told_at {
            there.check()?;
        }
        round.end(&mut self.subject, units, latency, &mut hearing.tally, gone)
    }
}
