//! Carries what waits for a hook: so many at once, each tried three times within half a minute.
//!
//! The second attempt begins some seconds after the first, the third in the second half of that time, both with a
//! random part, so that a receiver that restarts misses nothing and is not run over when it comes back.

use std::{sync::Arc, time::Duration};

use gateway_domain::{Now, Tick};
use tokio::task::JoinSet;

use super::{
    carrier::Parcel,
    happening::Happening,
    hook::{Hook, Turn},
};
use crate::clock;

/// All attempts end within this time.
pub const WINDOW: Duration = Duration::from_secs(30);
/// With a longer time-out three attempts would not fit.
pub const LONGEST_TIMEOUT: Duration = Duration::from_secs(8);
/// When an attempt begins after the first one began: at the earliest, and the most that chance adds.
const STARTS: [(Duration, Duration); 3] = [
    (Duration::ZERO, Duration::ZERO),
    (Duration::from_secs(3), Duration::from_secs(2)),
    (Duration::from_secs(12), Duration::from_secs(6)),
];
/// How long a receiver has peace after an attempt.
const PEACE: Duration = Duration::from_millis(500);

/// Why an attempt was in vain.
#[derive(Debug, PartialEq, Eq)]
enum Miss {
    Status(u16),
    TimedOut(Duration),
    NoAnswer(String),
}

impl Hook {
    /// Carries for as long as it is polled.
    pub(super) async fn run(self: Arc<Self>) {
        let mut under_way = JoinSet::new();
        loop {
            while let Some(turn) = self.next(clock::now()) {
                under_way.spawn(deliver(turn));
            }
            if under_way.is_empty() && self.is_over() {
                return;
            }
            let wake = self.wakes_at();
            tokio::select! {
                () = self.bell.notified() => {}
                Some(_) = under_way.join_next() => {}
                () = until(wake) => {}
            }
        }
    }

    async fn attempt(&self, happening: &Happening, deadline: Tick) -> Result<(), Miss> {
        let now = clock::now();
        let patience = self.rules.timeout.min(deadline.since(now.tick));
        let parcel = Parcel::new(&self.rules.address, &self.rules.seals, happening, now.wall);
        let outcome = match tokio::time::timeout(patience, (self.carry)(parcel)).await {
            Ok(Ok(200..=299)) => Ok(()),
            Ok(Ok(status)) => Err(Miss::Status(status)),
            Ok(Err(fault)) => Err(Miss::NoAnswer(fault.to_string())),
            Err(_) => Err(Miss::TimedOut(patience)),
        };
        self.counts.attempt(outcome.as_ref().map_or_else(Miss::name, |()| "ok"));
        outcome
    }
}

async fn deliver(mut turn: Turn) {
    turn.is_noted().await;
    let hook = Arc::clone(&turn.hook);
    let began = clock::now();
    let most = if turn.is_probe { 1 } else { STARTS.len() };
    let mut tried = 0;
    let mut last = None;
    for (nth, start) in STARTS.iter().enumerate().take(most) {
        if nth > 0 {
            tokio::time::sleep_until(clock::instant(begins(*start, chance(&turn.happening, nth), began, clock::now())))
                .await;
            // Others have found meanwhile that it is of no use.
            if hook.is_open() {
                break;
            }
        }
        tried += 1;
        match hook.attempt(&turn.happening, began.tick + WINDOW).await {
            Ok(()) => return turn.arrived(),
            Err(miss) => {
                let is_final = miss.is_final();
                last = Some(miss);
                if is_final {
                    break;
                }
            }
        }
    }
    let why = format!(
        "`{}` did not take a {} (event {}) in {tried} attempts: {}",
        hook.rules.name,
        turn.happening.kind.name(),
        turn.happening.id,
        last.map(|miss| miss.told()).unwrap_or_default()
    );
    turn.give_up(why);
}

/// When an attempt begins.
fn begins((earliest, spread): (Duration, Duration), chance: u8, began: Now, now: Now) -> Tick {
    (began.tick + earliest + spread * u32::from(chance) / 256).max(now.tick + PEACE)
}

/// The id is random, so a part of it will do.
fn chance(happening: &Happening, nth: usize) -> u8 {
    happening.id.uuid().as_bytes().get(nth).copied().unwrap_or_default()
}

async fn until(tick: Option<Tick>) {
    match tick {
        Some(tick) => tokio::time::sleep_until(clock::instant(tick)).await,
        None => std::future::pending().await,
    }
}

impl Miss {
    /// Whether another attempt would be in vain, too: the receiver has understood, and says no.
    const fn is_final(&self) -> bool {
        match self {
            Self::Status(408 | 425 | 429) => false,
            Self::Status(status) => *status < 500,
            Self::TimedOut(_) | Self::NoAnswer(_) => false,
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::TimedOut(_) => "timeout",
            Self::NoAnswer(_) => "no_answer",
        }
    }

    fn told(&self) -> String {
        match self {
            Self::Status(status @ 300..=399) => format!("the answer was {status}, and nothing is followed elsewhere"),
            Self::Status(status) => format!("the answer was {status}"),
            Self::TimedOut(patience) => format!("there was no answer within {patience:?}"),
            Self::NoAnswer(why) => format!("there was no answer: {why}"),
        }
    }
}
