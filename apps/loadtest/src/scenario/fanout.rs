//! One speaks, many hear: one message at a time, several at a time, and at a fixed rate to very many.

use anyhow::Result;

use super::{Bench, room::Room};
use crate::{machine, sample::Row};

/// What is said, in bytes.
const SIZE: usize = 256;
/// How many messages are under way at once.
const WINDOWS: [u64; 2] = [1, 4];
/// Messages a second, to very many.
const RATE: u32 = 10;

pub(super) fn run(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let sizes = bench.sizes;
    for hearers in &sizes.receivers {
        let (mut gateway, mut floor) = rooms(bench, *hearers)?;
        let messages = (sizes.deliveries / *hearers as u64).max(4);
        for window in WINDOWS {
            let case = format!("{hearers} receivers, {window} under way");
            // What is allocated once, is allocated here.
            for room in [Some(&mut gateway), floor.as_mut()].into_iter().flatten() {
                room.tell(window, window, SIZE)?;
            }
            let name = format!("fanout {hearers}, w{window}");
            let (of_gateway, of_floor) =
                bench.in_turn(&name, &mut gateway, &mut floor, |room| room.tell(messages, window, SIZE))?;
            rows.push(Row::new("fanout", case, "delivery", &of_gateway, &of_floor));
        }
    }
    let hearers = sizes.paced_receivers;
    let mut gateway = Room::open(bench.gateway()?, hearers, 0)?;
    // The times count here, and so many clients may fit only once.
    let mut floor = None;
    if machine::check_open_files(hearers * 2).is_ok() {
        floor = bench.floor()?.map(|floor| Room::open(floor, hearers, 0)).transpose()?;
    }
    let name = format!("fanout {hearers}, {RATE} a second");
    let (of_gateway, of_floor) =
        bench.in_turn(&name, &mut gateway, &mut floor, |room| room.tell_at(RATE, sizes.paced, SIZE))?;
    rows.push(Row::new("fanout", format!("{hearers} receivers, {RATE} a second"), "delivery", &of_gateway, &of_floor));
    Ok(rows)
}

fn rooms(bench: &Bench<'_>, hearers: usize) -> Result<(Room, Option<Room>)> {
    let gateway = Room::open(bench.gateway()?, hearers, 0)?;
    let floor = bench.floor()?.map(|floor| Room::open(floor, hearers, 0)).transpose()?;
    Ok((gateway, floor))
}
