//! Which faults strike a fleet, and when: all of it follows from a seed, and nothing else, so that a run can be had again.

use std::time::Duration;

use crate::chance::Chance;

/// A fault. All of them are lifted when their time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A node is killed, and started again.
    Kill(usize),
    /// A node stands still.
    Freeze(usize),
    /// Nothing gets through between a node and Redis, and nobody is told.
    Hold(usize),
    /// A node's connections with Redis end, and none begins.
    Refuse(usize),
    /// Redis stands still.
    Pause,
    /// Redis is killed, and started again without its data.
    Restart,
    /// Connections of followers end at once, of so many of them.
    Scatter(usize),
}

impl Fault {
    /// Whether Redis answers every node meanwhile.
    pub const fn leaves_redis(self) -> bool {
        matches!(self, Self::Kill(_) | Self::Scatter(_))
    }
}

/// Faults that strike together, and the calm behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What happens.
    pub faults: Vec<Fault>,
    /// For how long.
    pub lasts: Duration,
    /// For how long it is calm afterwards, from when all nodes are well again.
    pub calm: Duration,
}

/// The steps of a run of about that length, for so many nodes and followers.
pub fn schedule(seed: u64, length: Duration, nodes: usize, followers: usize) -> Vec<Step> {
    let mut chance = Chance::of(seed);
    let (mut steps, mut planned) = (Vec::new(), Duration::ZERO);
    while planned < length {
        let first = fault(&mut chance, nodes, followers);
        let second = chance.one_in(3).then(|| fault(&mut chance, nodes, followers));
        // One thing at a time for each node, and for Redis.
        let second = second.filter(|second| !meet(first, *second));
        let faults: Vec<Fault> = [first].into_iter().chain(second).collect();
        let lasts = Duration::from_millis(300 + chance.below(5_700) as u64);
        let calm = Duration::from_millis(500 + chance.below(1_500) as u64);
        planned += lasts + calm;
        steps.push(Step { faults, lasts, calm });
    }
    steps
}

fn fault(chance: &mut Chance, nodes: usize, followers: usize) -> Fault {
    let node = chance.below(nodes);
    match chance.below(9) {
        0 | 1 => Fault::Kill(node),
        2 => Fault::Freeze(node),
        3 | 4 => Fault::Hold(node),
        5 => Fault::Refuse(node),
        6 => Fault::Pause,
        7 => Fault::Restart,
        _ => Fault::Scatter(1 + chance.below(followers)),
    }
}

const fn meet(one: Fault, other: Fault) -> bool {
    use Fault::{Freeze, Hold, Kill, Pause, Refuse, Restart, Scatter};
    match (one, other) {
        (Kill(a) | Freeze(a) | Hold(a) | Refuse(a), Kill(b) | Freeze(b) | Hold(b) | Refuse(b)) => a == b,
        (Pause | Restart, Pause | Restart) | (Scatter(_), Scatter(_)) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(600);

    #[test]
    fn the_same_seed_gives_the_same_schedule_and_another_seed_another() {
        for seed in 0..50 {
            let steps = schedule(seed, LENGTH, 3, 6);
            assert_eq!(steps, schedule(seed, LENGTH, 3, 6));
            assert_ne!(steps, schedule(seed + 1, LENGTH, 3, 6));
        }
        // A longer run begins as a shorter one.
        let short = schedule(7, LENGTH / 10, 3, 6);
        assert_eq!(short, schedule(7, LENGTH, 3, 6)[..short.len()]);
    }

    #[test]
    fn a_long_schedule_has_every_fault() {
        let all: Vec<Fault> = schedule(1, LENGTH, 3, 6).into_iter().flat_map(|step| step.faults).collect();
        for nth in 0..3 {
            for fault in [Fault::Kill(nth), Fault::Freeze(nth), Fault::Hold(nth), Fault::Refuse(nth)] {
                assert!(all.contains(&fault), "{fault:?}");
            }
        }
        assert!(all.contains(&Fault::Pause) && all.contains(&Fault::Restart));
        assert!(all.iter().any(|fault| matches!(fault, Fault::Scatter(_))));
    }
}
