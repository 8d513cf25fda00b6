//! What is said at one gateway and heard at another: what a delivery costs the one where it is heard, beside what it costs
//! a gateway that stands alone.
//!
//! Two gateways meet at a Redis that is started for them, a third stands alone; all three have the same configuration but
//! for `[cluster]`. Whoever speaks is at the first; those who hear are at the second, or both at the third.
//!
//! The law of a fair comparison: the two that are held against each other each have the server's processor for themselves
//! while their round is taken, and the first gateway, Redis and the clients share the other. Both are told at one pace, the
//! link's: whoever pauses for longer finds less of what it needs in the caches. The one that stands alone reads
//! what is said from its speaker, the other from the link: each reads it once, so `timesAlone` is the ratio as it is. What
//! reading it from a speaker costs is measured, too, by saying as much at the same pace to a room that nobody is in:
//! `timesAloneUnspoken` is the ratio without that, as if the one that stands alone had been told by nobody.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{
    Bench, bar,
    pairs::{Pairs, Way},
    room::{Room, Words},
};
use crate::{
    machine,
    redis::Redis,
    sample::{Row, Sample, median},
    subject::Subject,
};

/// What is said, in bytes.
const SIZE: usize = 256;
/// Members, before those of `fanout`.
const FEW: [usize; 2] = [10, 100];
/// How many messages are under way at once.
const WINDOWS: [u64; 2] = [1, 4];
/// The one thread of Redis has that much to give before who waits for it waits for long.
const BUSY: f64 = 0.7;

/// What rooms do with what is said.
#[derive(Clone, Copy)]
enum Keeping {
    /// It is heard, and gone.
    Passing,
    /// It is remembered, in one order for all gateways.
    Remembered,
}

/// Gateways that meet at a Redis: where it is said, and where it is heard.
struct Joined {
    said: Subject,
    heard: Subject,
    redis: Redis,
}

pub(super) fn run(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let sizes = bench.sizes;
    let largest = sizes.receivers.iter().copied().min().unwrap_or(0);
    for keeping in [Keeping::Passing, Keeping::Remembered] {
        for hearers in FEW.into_iter().filter(|few| *few < largest).chain([largest]) {
            rows.extend(of_room(bench, hearers, keeping)?);
        }
    }
    for (keeping, way) in
        [(Keeping::Passing, Way::InBand), (Keeping::Remembered, Way::InBand), (Keeping::Remembered, Way::ByHttp)]
    {
        rows.push(of_pairs(bench, keeping, way)?);
    }
    Ok(rows)
}

/// A room at the second gateway beside one at the gateway that stands alone.
fn of_room(bench: &Bench<'_>, hearers: usize, keeping: Keeping) -> Result<Vec<Row>> {
    let sizes = bench.sizes;
    machine::check_open_files(hearers * 2)?;
    let Joined { said, heard, redis } = Joined::open(bench, keeping, Redis::start()?)?;
    let alone = bench.source.open(&super::HS256, &keeping.rules("alone"), bench.cores, bench.tongue)?;
    let mut there = Room::told_at(heard, Some(said), keeping.words(), hearers, 0)?;
    let mut alone = Room::told_at(alone, None, keeping.words(), hearers, 0)?;
    let messages = (sizes.deliveries / hearers as u64).clamp(4, sizes.publishes.max(4));
    let mut rows = Vec::new();
    for window in WINDOWS {
        let case = format!("a room of {hearers}, {}, {window} under way", keeping.name());
        // What is allocated once, is allocated here.
        for room in [&mut there, &mut alone] {
            let first = room.tell(messages / 4 + window, window, SIZE)?;
            let complaints = [room.told_at.as_ref(), Some(&room.subject)].map(|own| own.map(Subject::complaints));
            ensure!(
                first.lost == 0,
                "{case}: of {} deliveries {} were lost before anything was measured; the gateways say:\n{}",
                first.units,
                first.lost,
                complaints.into_iter().flatten().collect::<String>()
            );
        }
        let mut rounds = Rounds::default();
        let bar = bar(&format!("cluster, {case}"), sizes.rounds as u64);
        for _ in 0..sizes.rounds {
            let before = (cpu_of(there.told_at.as_ref()), redis.cpu());
            let sample = there.tell(messages, window, SIZE)?;
            rounds.posted.extend(spent(before.0, cpu_of(there.told_at.as_ref()), messages));
            rounds.redis.extend(spent(before.1, redis.cpu(), messages));
            let time = sample.elapsed;
            rounds.there.push(sample);
            let sample = alone.tell_within(time, messages, window, SIZE)?;
            let spoken = alone.tell_nobody(&sample, keeping.unheard(), window, SIZE)?;
            rounds.spoken.extend(spoken.map(micros));
            rounds.alone.push(sample);
            bar.inc(1);
        }
        bar.finish_and_clear();
        rows.push(rounds.row(case, hearers));
    }
    Ok(rows)
}

/// Rounds of both, taken in turn, and what a message cost the others, in microseconds.
#[derive(Default)]
struct Rounds {
    there: Vec<Sample>,
    alone: Vec<Sample>,
    posted: Vec<f64>,
    redis: Vec<f64>,
    spoken: Vec<f64>,
}

impl Rounds {
    fn row(&self, case: String, hearers: usize) -> Row {
        let costs = |samples: &[Sample]| samples.iter().filter_map(Sample::cpu_micros).collect::<Vec<f64>>();
        let (there, alone) = (costs(&self.there), costs(&self.alone));
        let times = |others: &mut dyn Iterator<Item = f64>| {
            let pairs = there.iter().zip(others).filter(|(_, other)| *other > 0.0).map(|(own, other)| own / other);
            median(&pairs.collect::<Vec<f64>>())
        };
        let unspoken = alone.iter().zip(&self.spoken).map(|(cost, spoken)| cost - spoken / hearers as f64);
        Row::new("cluster", case, "delivery", &self.there, &[])
            .beside("alone", &self.alone, &[])
            .with("timesAlone", times(&mut alone.iter().copied()))
            .with("timesAloneUnspoken", times(&mut unspoken.into_iter()))
            .with("spokenMicros", median(&self.spoken))
            .with("postedMicros", median(&self.posted))
            .with("redisMicros", median(&self.redis))
    }
}

/// As many events as go through: each is to one user, and its speaker says the next when it has arrived; by HTTP, when it
/// is answered, too. Everything runs where the system puts it.
fn of_pairs(bench: &Bench<'_>, keeping: Keeping, way: Way) -> Result<Row> {
    let sizes = bench.sizes;
    let open = || Joined::open(&Bench { cores: None, ..*bench }, keeping, Redis::start()?);
    let Joined { said, heard, redis } = bench.cores.map_or_else(open, |cores| cores.on_both(open))?;
    let count = sizes.pairs * 4;
    let mut pairs = Pairs::open(heard, Some(said), way, count)?;
    pairs.round(count as u64)?;
    let (mut samples, mut costs, mut busy, mut posted) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let how = if way == Way::ByHttp { ", by HTTP" } else { "" };
    let case = format!("{count} users, {}{how}, as many as go through", keeping.name());
    let bar = bar(&format!("cluster, {case}"), sizes.rounds as u64);
    for _ in 0..sizes.rounds {
        let before = (cpu_of(pairs.told_at.as_ref()), redis.cpu());
        let sample = pairs.round(sizes.echoes)?;
        posted.extend(spent(before.0, cpu_of(pairs.told_at.as_ref()), sample.units));
        let cost = spent(before.1, redis.cpu(), sample.units);
        busy.extend(cost.map(|cost| cost * sample.units as f64 / 1e4 / sample.elapsed.as_secs_f64()));
        costs.extend(cost);
        samples.push(sample);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let most = median(&costs).filter(|cost| *cost > 0.0).map(|cost| BUSY * 1e6 / cost);
    Ok(Row::new("cluster", case, "event", &samples, &[])
        .with("postedMicros", median(&posted))
        .with("redisMicros", median(&costs))
        .with("redisPercent", median(&busy))
        .with("perSecondAtSeventyPercent", most))
}

impl Joined {
    fn open(bench: &Bench<'_>, keeping: Keeping, redis: Redis) -> Result<Self> {
        let open = |name: &str, cores| {
            let more = format!("{}[cluster]\nredis = \"{}\"\nlease = \"3s\"\n", keeping.rules(name), redis.url());
            bench.source.open(&super::HS256, &more, cores, bench.tongue)
        };
        // Beside the clients, where processors are given out.
        let said = open("said", None)?;
        let heard = open("heard", bench.cores)?;
        for gateway in [&said, &heard] {
            gateway.joined().context("two gateways and a Redis could not be joined")?;
        }
        Ok(Self { said, heard, redis })
    }
}

impl Keeping {
    fn name(self) -> &'static str {
        match self {
            Self::Passing => "not remembered",
            Self::Remembered => "remembered",
        }
    }

    fn words(self) -> Words {
        match self {
            Self::Passing => Words { room: "passing", kind: "pass" },
            Self::Remembered => Words { room: "load", kind: "tell" },
        }
    }

    /// What is said to a room of the same kind that nobody is in.
    fn unheard(self) -> &'static str {
        match self {
            Self::Passing => "pass-nobody",
            Self::Remembered => "tell-nobody",
        }
    }

    /// What is added to the configuration of each of the three.
    fn rules(self, name: &str) -> String {
        let users = match self {
            Self::Passing => {
                "[[rooms.rules]]\nmatch = \"user:{id}\"\njoin = [{ user = \"{id}\" }]\nhistory = \"off\"\n"
            }
            Self::Remembered => "",
        };
        format!(
            "\n[server]\nnode = \"{name}\"\n{users}\
             [[rooms.rules]]\nmatch = \"passing\"\njoin = [{{ role = \"dashboard\" }}]\nhistory = \"off\"\n\
             [[rooms.rules]]\nmatch = \"nobody:{{id}}\"\njoin = [{{ role = \"dashboard\" }}]\nhistory = \"off\"\n\
             [[routes]]\nfrom = \"dashboard\"\ntypes = [\"pass\"]\nto = \"room:passing\"\n\
             [[routes]]\nfrom = \"dashboard\"\ntypes = [\"pass-nobody\"]\nto = \"room:nobody:here\"\n\
             [[routes]]\nfrom = \"dashboard\"\ntypes = [\"tell-nobody\"]\nto = \"room:nobody\"\n"
        )
    }
}

/// What it has used when it is at rest.
fn cpu_of(subject: Option<&Subject>) -> Option<Duration> {
    subject?.rest();
    subject?.cpu()
}

/// Microseconds for each of so many.
fn spent(before: Option<Duration>, after: Option<Duration>, count: u64) -> Option<f64> {
    let spent = after?.saturating_sub(before?);
    (count > 0).then(|| micros(spent) / count as f64)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
