//! A room in which some do not read: the others must miss nothing and wait for nobody, and the server must not keep for
//! ever what nobody takes.

use anyhow::Result;

use super::{Bench, bar, room::Room};
use crate::sample::Row;

/// What is said, in bytes: large enough to fill what the kernel takes.
const SIZE: usize = 5 << 10;
/// More than the kernel and an outbox hold.
const MESSAGES: u64 = 2_500;

pub(super) fn run(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let (hearers, stalled) = (bench.sizes.slow_receivers, bench.sizes.stalled);
    let bar = bar("slow", 2);
    let mut room = Room::open(bench.gateway()?, hearers, stalled)?;
    room.tell(4, 1, SIZE)?;
    bar.inc(1);
    let before = room.subject.resident_kib();
    let sample = room.tell(MESSAGES, 1, SIZE)?;
    let after = room.subject.resident_kib();
    let cut = room.cut()?;
    bar.finish_and_clear();
    let grown = before.zip(after).map(|(before, after)| after.saturating_sub(before) as f64);
    let case = format!("{hearers} read and {stalled} do not, 5 KiB");
    let row = Row::new("slow", case, "delivery", &[sample], &[])
        .with("stalled", Some(stalled as f64))
        .with("cut", Some(cut as f64))
        .with("kibGrown", grown);
    Ok(vec![row])
}
