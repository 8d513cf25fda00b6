//! Growing: what a message costs as there is more of everything. First more and more others are here, who have nothing to
//! do with a room of ten, then each of them is in a room of its own: the cost must stay where it was, and memory grow
//! in step. Then the room itself grows, and what is said in it. The floor is the yardstick of each step: it does the
//! same for its own room, with nobody else there.

use anyhow::Result;

use super::{Bench, field::Field, room::Room};
use crate::{crowd::Entrance, sample::Row};

/// The small room.
const HEARERS: usize = 10;
/// The room in which messages grow.
const MIDDLE: usize = 100;
/// What is said, in bytes.
const SIZE: usize = 256;
/// Members, before those of `fanout`.
const FEW: [usize; 2] = [10, 100];
/// Bytes of a message.
const BYTES: [usize; 4] = [64, 1 << 10, 16 << 10, 64 << 10];

pub(super) fn run(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let mut rows = of_others(bench)?;
    for hearers in FEW.iter().chain(&bench.sizes.receivers).filter(|hearers| **hearers <= most(bench)) {
        let case = format!("a room of {hearers}");
        rows.push(of_room(bench, &case, *hearers, SIZE, bench.sizes.deliveries)?);
    }
    let middle = MIDDLE.min(most(bench));
    for bytes in BYTES {
        // What is large is said less often.
        let deliveries = bench.sizes.deliveries / (bytes as u64 / 4096 + 1);
        let case = format!("a room of {middle}, {bytes} bytes");
        rows.push(of_room(bench, &case, middle, bytes, deliveries)?);
    }
    Ok(rows)
}

/// The largest room.
fn most(bench: &Bench<'_>) -> usize {
    bench.sizes.receivers.iter().copied().max().unwrap_or(HEARERS)
}

/// A room of ten, while others are here.
fn of_others(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let sizes = bench.sizes;
    let mut field = Field::alone(Room::open(bench.gateway()?, HEARERS, 0)?);
    field.floor = bench.floor()?.map(|floor| Room::open(floor, HEARERS, 0)).transpose()?;
    for room in field.all() {
        room.tell(sizes.publishes / 4 + 1, 1, SIZE)?;
    }
    let mut rows = Vec::new();
    let (mut others, mut before) = (Vec::new(), None);
    let in_rooms = sizes.growth.last().map(|last| (*last, true));
    for (step, is_in_rooms) in sizes.growth.iter().map(|step| (*step, false)).chain(in_rooms) {
        let room = &mut field.gateway;
        let subject = &room.subject;
        let doors: Result<Vec<Entrance>> = (others.len()..step)
            .map(|n| subject.door("/ws/dashboard", &format!("other-{n}"), "dashboard", "/echo"))
            .collect();
        others.extend(room.let_in(&doors?, sizes.in_flight)?);
        if is_in_rooms {
            room.give_rooms(&others)?;
        }
        room.subject.rest();
        let resident = room.subject.resident_kib().map(|kib| kib as f64);
        let case = format!("a room of {HEARERS}, {step} others{}", if is_in_rooms { " in as many rooms" } else { "" });
        let rounds = field.in_turn(bench, &format!("growth, {case}"), |room| {
            // A publish is the unit here, however many hear it.
            Ok(room.tell(sizes.publishes, 1, SIZE)?.in_units(sizes.publishes))
        })?;
        let row = rounds.row("growth", case, "publish").with("residentMib", resident.map(|kib| kib / 1024.0));
        // What each who came since the step before takes; or, of those who were here, the room of each.
        let more = |(count, kib): (usize, f64)| {
            let count = if is_in_rooms { step } else { step.checked_sub(count).filter(|more| *more > 0)? };
            Some((resident? - kib) / count as f64)
        };
        rows.push(row.with(if is_in_rooms { "kibPerRoom" } else { "kibPerOther" }, before.and_then(more)));
        before = resident.map(|kib| (step, kib));
    }
    Ok(rows)
}

/// A room of so many, and so much said in it.
fn of_room(bench: &Bench<'_>, case: &str, hearers: usize, size: usize, deliveries: u64) -> Result<Row> {
    let mut field = Field::alone(Room::open(bench.gateway()?, hearers, 0)?);
    field.floor = bench.floor()?.map(|floor| Room::open(floor, hearers, 0)).transpose()?;
    let messages = (deliveries / hearers as u64).max(4);
    for room in field.all() {
        room.tell(messages / 4 + 1, 1, size)?;
    }
    let rounds = field.in_turn(bench, &format!("growth, {case}"), |room| room.tell(messages, 1, size))?;
    Ok(rounds.row("growth", case, "delivery"))
}
