//! One speaks, many hear: one message at a time, several at a time, and at a fixed rate to very many.

use anyhow::Result;

use super::{
    Bench,
    field::{self, Field},
    room::Room,
};
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
        // So many clients may not fit for all peers.
        let peers = bench.peers.first((machine::most_clients() / hearers.max(&1)).saturating_sub(2));
        let bench = &Bench { peers: &peers, ..*bench };
        let mut field = Field::open(bench, |subject| Room::open(subject, *hearers, 0))?;
        let messages = (sizes.deliveries / *hearers as u64).max(4);
        for window in WINDOWS {
            let case = format!("{hearers} receivers, {window} under way");
            // What is allocated once, is allocated here.
            for room in field.all() {
                room.tell(window, window, SIZE)?;
            }
            let name = format!("fanout {hearers}, w{window}");
            let rounds = field.in_turn(bench, &name, |room| room.tell(messages, window, SIZE))?;
            rows.push(rounds.row("fanout", case, "delivery"));
        }
    }
    // The times count here: nothing else is connected.
    let hearers = sizes.paced_receivers;
    let rounds = field::each_alone(
        bench,
        &format!("fanout {hearers}, {RATE} a second"),
        |subject| Room::open(subject, hearers, 0),
        |room| room.tell_at(RATE, sizes.paced, SIZE),
    )?;
    rows.push(rounds.row("fanout", format!("{hearers} receivers, {RATE} a second"), "delivery"));
    Ok(rows)
}
