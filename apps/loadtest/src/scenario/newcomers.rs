//! Those who come one after the other while something else goes on, as honest clients do: a thread of their own, so that
//! what they wait for is the server, and not this program's turn to them.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use crate::{
    crowd::{Crowd, Entrance, Heard, Voices},
    sample::Latency,
};

/// Nobody waits longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// One comes so long after the last is in: few beside the many, so that their own cost is no matter.
const PAUSE: Duration = Duration::from_millis(10);

/// How they fared.
#[derive(Default)]
pub(super) struct Newcomers {
    /// How long each waited to be let in.
    pub(super) latency: Latency,
    /// Those who were not let in.
    pub(super) failed: u64,
}

/// Lets newcomers in by these doors, again and again, until the work is done.
pub(super) fn beside<T>(doors: &[Entrance], work: impl FnOnce() -> Result<T>) -> Result<(T, Newcomers)> {
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let newcomers = scope.spawn(|| come(doors, &is_done));
        let done = work();
        is_done.store(true, Ordering::Release);
        let newcomers = newcomers.join().ok().context("the newcomers' thread failed")?;
        Ok((done?, newcomers?))
    })
}

fn come(doors: &[Entrance], is_done: &AtomicBool) -> Result<Newcomers> {
    let (mut crowd, mut newcomers) = (Crowd::new()?, Newcomers::default());
    for door in doors.iter().cycle() {
        let id = crowd.voices.enter(door)?;
        let began = crowd.voices.began(id);
        let mut settled: Option<Option<Instant>> = None;
        let hear = |settled: &mut Option<Option<Instant>>, _: &mut Voices, _: usize, heard: Heard<'_>, at: Instant| {
            settled.get_or_insert(matches!(heard, Heard::Ready).then_some(at));
        };
        crowd.until(&mut settled, PATIENCE, hear, Option::is_some)?;
        match (began, settled) {
            (Some(began), Some(Some(at))) => newcomers.latency.note(at - began),
            _ => newcomers.failed += 1,
        }
        crowd.voices.drop_out(id);
        if is_done.load(Ordering::Acquire) {
            break;
        }
        thread::sleep(PAUSE);
    }
    Ok(newcomers)
}
