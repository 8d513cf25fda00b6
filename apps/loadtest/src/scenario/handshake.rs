//! Coming in: from the TCP connect to the greeting, so many at a time, for each algorithm of tokens. The clients of a
//! round stay until it is measured, and go before the next.

use anyhow::Result;
use gateway_auth::Algorithm;

use super::{
    Bench, Round,
    arrivals::{Arrivals, drop_all},
    field::{Field, peers},
};
use crate::{
    crowd::{Crowd, Entrance},
    sample::{Row, Sample},
    subject::Subject,
    tally::Tally,
};

/// So many users come in again and again: tokens are dear to make.
const USERS: usize = 64;

struct Door {
    subject: Subject,
    crowd: Crowd,
    doors: Vec<Entrance>,
}

impl Door {
    fn new(subject: Subject) -> Result<Self> {
        Ok(Self { subject, crowd: Crowd::new()?, doors: Vec::new() })
    }
}

pub(super) fn run(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let gateway = bench.source.open(bench.algorithms, "", bench.cores, bench.tongue)?;
    let algorithms = gateway.algorithms();
    let mut field = Field::alone(Door::new(gateway)?);
    field.floor = bench.floor()?.map(Door::new).transpose()?;
    let sizes = bench.sizes;
    for algorithm in algorithms {
        // The peers know one algorithm.
        field.peers = match algorithm {
            Algorithm::Hs256 => peers(bench, Door::new)?,
            _ => Vec::new(),
        };
        for door in field.all() {
            door.doors = doors(&door.subject, algorithm, sizes.handshakes)?;
            // Those who come first warm everything up, and are not counted.
            let warm = Arrivals::through(
                &mut door.crowd,
                door.doors.get(..USERS.min(sizes.handshakes)).unwrap_or(&[]),
                sizes.in_flight,
            )?;
            drop_all(&mut door.crowd, &warm.members);
        }
        let name = format!("handshake {algorithm}");
        let rounds = field.in_turn(bench, &name, |door| round(door, sizes.in_flight))?;
        let case = format!("{algorithm}, {} at a time", sizes.in_flight);
        rows.push(rounds.row("handshake", case, "handshake"));
    }
    Ok(rows)
}

fn doors(subject: &Subject, algorithm: Algorithm, count: usize) -> Result<Vec<Entrance>> {
    let users: Result<Vec<Entrance>> = (0..USERS.min(count))
        .map(|n| subject.door_by(algorithm, "/ws/dashboard", &format!("user-{n}"), "dashboard"))
        .collect();
    Ok(users?.into_iter().cycle().take(count).collect())
}

fn round(door: &mut Door, in_flight: usize) -> Result<Sample> {
    let round = Round::begin(&door.subject);
    let arrivals = Arrivals::through(&mut door.crowd, &door.doors, in_flight)?;
    let sample = round.end(
        &mut door.subject,
        arrivals.latency.noted(),
        arrivals.latency,
        &mut Tally::default(),
        arrivals.failed,
    )?;
    drop_all(&mut door.crowd, &arrivals.members);
    Ok(sample)
}
