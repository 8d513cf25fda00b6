//! Words that go from one to one other: each speaker says its next when the last has arrived. An echo is heard by its own
//! speaker; a command goes to an agent and its answer back; a message to a user ends at that user, whether a
//! client said it or a backend.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Bench, Round, arrivals::Arrivals, field::Field};
use crate::{
    crowd::{Crowd, Entrance, Heard, Voices},
    peers::Peer,
    protocol::Protocol,
    sample::{Latency, Row, Sample},
    subject::Subject,
    tally::{Finder, Tally, payload},
};

/// What is said, in bytes.
const SIZE: usize = 128;
/// A round takes no longer.
const PATIENCE: Duration = Duration::from_secs(120);
const IN_FLIGHT: usize = 64;

/// How words go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Back to the speaker.
    Echo,
    /// To an agent, and its answer back.
    Command,
    /// To a user, in band.
    InBand,
    /// To a user, by a request.
    ByHttp,
}

/// Those who speak, and those who hear them.
pub(super) struct Pairs {
    pub(super) subject: Subject,
    /// Where they speak, where that is not where they are heard.
    pub(super) told_at: Option<Subject>,
    crowd: Crowd,
    talk: Talk,
}

/// Who speaks to whom, and how far they are.
struct Talk {
    way: Way,
    protocol: Protocol,
    host: String,
    speakers: Vec<usize>,
    /// The pair of each member.
    pair_of: Vec<usize>,
    numbers: Vec<u64>,
    said: Vec<Instant>,
    /// What still has to come before a speaker may say its next.
    open: Vec<u8>,
    finders: [Finder; 2],
    tally: Tally,
    latency: Latency,
    begun: u64,
    done: u64,
    wanted: u64,
    failed: u64,
}

pub(super) fn echo(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let case = format!("{} clients", bench.sizes.pairs);
    Ok(vec![rows(bench, Way::Echo, "echo", case, "echo", bench.sizes.echoes)?])
}

pub(super) fn command(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let case = format!("{} dashboards and agents", bench.sizes.pairs);
    Ok(vec![rows(bench, Way::Command, "command", case, "round trip", bench.sizes.echoes / 2)?])
}

pub(super) fn targeted(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let count = bench.sizes.pairs;
    let in_band =
        rows(bench, Way::InBand, "targeted", format!("{count} users, in band"), "delivery", bench.sizes.echoes)?;
    let by_http =
        rows(bench, Way::ByHttp, "targeted", format!("{count} users, by HTTP"), "delivery", bench.sizes.echoes / 2)?;
    Ok(vec![in_band, by_http])
}

fn rows(bench: &Bench<'_>, way: Way, scenario: &str, case: String, unit: &str, units: u64) -> Result<Row> {
    let count = bench.sizes.pairs;
    let load = |subject: Subject| Pairs::open(subject, None, way, count);
    let mut field = match way {
        Way::Echo | Way::InBand => Field::open(bench, load)?,
        // Nothing on the floor speaks HTTP, and the peers have no agents.
        Way::Command | Way::ByHttp => Field::alone(load(bench.gateway()?)?),
    };
    if way == Way::ByHttp {
        let peers = bench.peers.only(Peer::has_api);
        field.peers = super::field::peers(&Bench { peers: &peers, ..*bench }, load)?;
    }
    if way == Way::Command {
        field.floor = bench.floor()?.map(load).transpose()?;
    }
    for pairs in field.all() {
        pairs.round(count as u64)?;
    }
    let name = format!("{scenario}, {case}");
    Ok(field.in_turn(bench, &name, |pairs| pairs.round(units))?.row(scenario, case, unit))
}

impl Pairs {
    /// So many, some of them perhaps at another server.
    pub(super) fn open(subject: Subject, told_at: Option<Subject>, way: Way, count: usize) -> Result<Self> {
        let mut crowd = Crowd::new()?;
        let there = told_at.as_ref().unwrap_or(&subject);
        let each = |door: &dyn Fn(usize) -> Result<Entrance>| (0..count).map(door).collect::<Result<Vec<Entrance>>>();
        let dashboard =
            |n: usize| there.door("/ws/dashboard", &format!("speaker-{n}"), "dashboard", &format!("/pair/{n}"));
        let hearer =
            |path: &str, role: &str, n: usize| subject.door(path, &format!("hearer-{n}"), role, &format!("/pair/{n}"));
        let speakers = match way {
            Way::Echo => each(&|n| subject.echo_door(&format!("speaker-{n}")))?,
            Way::Command | Way::InBand => each(&dashboard)?,
            Way::ByHttp => Vec::new(),
        };
        let hearers = match way {
            Way::Echo => Vec::new(),
            Way::Command => each(&|n| hearer("/ws/agent", "agent", n))?,
            Way::InBand | Way::ByHttp => each(&|n| hearer("/ws/dashboard", "dashboard", n))?,
        };
        let protocol = speakers.first().map_or(Protocol::Http, |door| door.protocol);
        let mut speakers = Arrivals::all_through(&mut crowd, &speakers, IN_FLIGHT)?;
        let hearers = Arrivals::all_through(&mut crowd, &hearers, IN_FLIGHT)?;
        let mut host = String::new();
        if way == Way::ByHttp {
            host = format!("host: localhost\r\nauthorization: Bearer {}", there.service_token()?);
            for _ in 0..count {
                speakers.push(crowd.voices.enter(&there.http_door())?);
            }
        }
        let hearers = if way == Way::Echo { speakers.clone() } else { hearers };
        let talk = Talk::new(way, protocol, host, speakers, &hearers);
        Ok(Self { subject, told_at, crowd, talk })
    }

    /// So many words.
    pub(super) fn round(&mut self, units: u64) -> Result<Sample> {
        let round = Round::begin(&self.subject);
        let talk = &mut self.talk;
        (talk.begun, talk.done, talk.wanted, talk.failed) = (0, 0, units, 0);
        talk.latency = Latency::default();
        for pair in 0..talk.speakers.len() {
            talk.say_next(&mut self.crowd.voices, pair);
        }
        let hear = |talk: &mut Talk, voices: &mut Voices, id: usize, heard: Heard<'_>, at: Instant| {
            talk.hear(voices, id, heard, at);
        };
        let all = self.crowd.until(talk, PATIENCE, hear, |talk| talk.done + talk.failed >= talk.begun)?;
        if !all {
            // Whatever has not come by now will not come.
            talk.tally.lost += talk.begun - talk.done - talk.failed;
        }
        let latency = std::mem::take(&mut talk.latency);
        round.end(&mut self.subject, talk.done, latency, &mut talk.tally, talk.failed)
    }
}

impl Talk {
    fn new(way: Way, protocol: Protocol, host: String, speakers: Vec<usize>, hearers: &[usize]) -> Self {
        let count = speakers.len();
        let highest = speakers.iter().chain(hearers).copied().max().unwrap_or(0);
        let mut pair_of = vec![0; highest + 1];
        for (pair, id) in speakers.iter().enumerate().chain(hearers.iter().enumerate()) {
            if let Some(slot) = pair_of.get_mut(*id) {
                *slot = pair;
            }
        }
        Self {
            way,
            protocol,
            host,
            speakers,
            pair_of,
            numbers: vec![0; count],
            said: vec![Instant::now(); count],
            open: vec![0; count],
            finders: Default::default(),
            tally: Tally::default(),
            latency: Latency::default(),
            begun: 0,
            done: 0,
            wanted: 0,
            failed: 0,
        }
    }

    /// The next of a pair's words, while there are any in this round.
    fn say_next(&mut self, voices: &mut Voices, pair: usize) {
        let (Some(speaker), Some(number), Some(said), Some(open)) = (
            self.speakers.get(pair).copied(),
            self.numbers.get_mut(pair),
            self.said.get_mut(pair),
            self.open.get_mut(pair),
        ) else {
            return;
        };
        if self.begun >= self.wanted {
            return;
        }
        self.begun += 1;
        *number += 1;
        *open = if self.way == Way::ByHttp { 2 } else { 1 };
        let to = format!(r#","to":"hearer-{pair}""#);
        let words = match self.way {
            Way::Echo => self.protocol.echo(*number, &payload(*number, "", SIZE)),
            Way::Command => self.protocol.message("command", Some(&number.to_string()), &payload(*number, &to, SIZE)),
            Way::InBand => self.protocol.message("notify", None, &payload(*number, &to, SIZE)),
            Way::ByHttp => {
                let payload = payload(*number, "", SIZE);
                let body = format!(r#"{{"to":["user:hearer-{pair}"],"type":"notify","payload":{payload}}}"#);
                let head = format!(
                    "POST /api/v1/events HTTP/1.1\r\n{}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                    self.host,
                    body.len()
                );
                (head + &body).into_bytes()
            }
        };
        *said = Instant::now();
        if !voices.say(speaker, &words) {
            self.failed += 1;
        }
    }

    fn hear(&mut self, voices: &mut Voices, id: usize, heard: Heard<'_>, at: Instant) {
        let Some(pair) = self.pair_of.get(id).copied() else { return };
        match heard {
            Heard::Message(text) => {
                let is_speaker = self.speakers.get(pair) == Some(&id);
                let [of_hearers, of_speakers] = &mut self.finders;
                let finder = if is_speaker { of_speakers } else { of_hearers };
                // Acknowledgements and notices carry no number.
                let Some(number) = finder.number(text) else { return };
                self.tally.hear(id, number);
                if self.way == Way::Command && !is_speaker {
                    match self.protocol.reply(text, &payload(number, "", SIZE)) {
                        Some(answer) => drop(voices.say(id, &answer)),
                        None => self.failed += 1,
                    }
                    return;
                }
                self.arrived(voices, pair, at);
            }
            Heard::Answer(200, _) => self.arrived(voices, pair, at),
            Heard::Answer(..) | Heard::Refused(_) | Heard::Over(_) => self.failed += 1,
            Heard::Ready => {}
        }
    }

    fn arrived(&mut self, voices: &mut Voices, pair: usize, at: Instant) {
        let Some(open) = self.open.get_mut(pair) else { return };
        *open = open.saturating_sub(1);
        if *open > 0 {
            return;
        }
        self.done += 1;
        if let Some(said) = self.said.get(pair) {
            self.latency.note(at.saturating_duration_since(*said));
        }
        self.say_next(voices, pair);
    }
}
