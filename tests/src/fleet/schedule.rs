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
    /// The master is killed; its replica takes its place, and it becomes a replica of that.
    Failover,
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

/// What the nodes meet at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A Redis that stands alone.
    Alone,
    /// One behind a Sentinel. It is killed, not paused: a master that only stands still for a moment goes on beside its
    /// successor until somebody tells it, and what is said to both is lost without a word.
    BehindASentinel,
}

/// How long it takes about until two servers have exchanged their places and are in step again.
const EXCHANGE: Duration = Duration::from_secs(18);

/// The steps of a run of about that length, for so many nodes and followers.
pub fn schedule(seed: u64, length: Duration, place: Place, nodes: usize, followers: usize) -> Vec<Step> {
    let fault = |chance: &mut Chance, nodes, followers| {
        let fault = fault(chance, nodes, followers);
        match (place, fault) {
            (Place::BehindASentinel, Fault::Pause | Fault::Restart) => Fault::Failover,
            _ => fault,
        }
    };
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
        if faults.contains(&Fault::Failover) {
            planned += EXCHANGE;
        }
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
    use Fault::{Failover, Freeze, Hold, Kill, Pause, Refuse, Restart, Scatter};
    match (one, other) {
        (Kill(a) | Freeze(a) | Hold(a) | Refuse(a), Kill(b) | Freeze(b) | Hold(b) | Refuse(b)) => a == b,
        (Pause | Restart | Failover, Pause | Restart | Failover) | (Scatter(_), Scatter(_)) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(600);

    #[test]
    fn the_same_seed_gives_the_same_schedule_and_another_seed_another() {
        for place in [Place::Alone, Place::BehindASentinel] {
            for seed in 0..50 {
                let steps = schedule(seed, LENGTH, place, 3, 6);
                assert_eq!(steps, schedule(seed, LENGTH, place, 3, 6));
                assert_ne!(steps, schedule(seed + 1, LENGTH, place, 3, 6));
            }
            // A longer run begins as a shorter one.
            let short = schedule(7, LENGTH / 10, place, 3, 6);
            assert_eq!(short, schedule(7, LENGTH, place, 3, 6)[..short.len()]);
        }
    }

    #[test]
    fn a_long_schedule_has_every_fault() {
        let all = |place| -> Vec<Fault> {
            schedule(1, LENGTH * 4, place, 3, 6).into_iter().flat_map(|step| step.faults).collect()
        };
        let (alone, behind) = (all(Place::Alone), all(Place::BehindASentinel));
        for all in [&alone, &behind] {
            for nth in 0..3 {
                for fault in [Fault::Kill(nth), Fault::Freeze(nth), Fault::Hold(nth), Fault::Refuse(nth)] {
                    assert!(all.contains(&fault), "{fault:?}");
                }
            }
            assert!(all.iter().any(|fault| matches!(fault, Fault::Scatter(_))));
        }
        assert!(alone.contains(&Fault::Pause) && alone.contains(&Fault::Restart) && !alone.contains(&Fault::Failover));
        assert!(!behind.contains(&Fault::Pause) && !behind.contains(&Fault::Restart));
        assert!(behind.contains(&Fault::Failover));
    }
}
