//! How much of everything: three sets that fit together, each value bounded, some of them to be chosen one by one.

use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::machine;

/// Which set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Set {
    /// What figures are taken from: some minutes.
    Full,
    /// To see where one stands: about a minute.
    Short,
    /// To see that everything works: seconds. Its figures mean nothing.
    Tiny,
}

/// What of it may be chosen.
#[derive(Args, Clone, Debug)]
pub struct Choices {
    /// The sizes of everything that is not chosen by another option
    #[arg(long, value_enum, default_value = "full")]
    pub size: Set,
    /// Rounds of the gateway, and as many of the floor between them
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: Option<u32>,
    /// Clients of `idle`, `storm` and `leave`, and the others of `growth`
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections: Option<u32>,
    /// Clients in the rooms of `fanout`, such as 1000,5000
    #[arg(long, value_delimiter = ',', num_args = 1..=8, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub receivers: Vec<u32>,
    /// Clients that come in at the same time, in `handshake`, `churn` and before others
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub in_flight: Option<u32>,
    /// How long `idle` looks, in seconds
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: Option<u64>,
}

/// How much of everything.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sizes {
    /// Rounds of each case.
    pub rounds: usize,
    /// Handshakes of a round.
    pub handshakes: usize,
    /// How many clients come in at a time.
    pub in_flight: usize,
    /// Clients that are idle.
    pub connections: usize,
    /// How long they are looked at.
    #[serde(skip)]
    pub idle: Duration,
    /// Clients that leave and return at once.
    pub crowd: usize,
    /// Clients in rooms.
    pub receivers: Vec<usize>,
    /// Deliveries of a round.
    pub deliveries: u64,
    /// Clients that hear something at a fixed rate.
    pub paced_receivers: usize,
    /// How long they do, in a round.
    #[serde(skip)]
    pub paced: Duration,
    /// Pairs that speak to each other.
    pub pairs: usize,
    /// What they say in a round.
    pub echoes: u64,
    /// Visits of a round.
    pub visits: u64,
    /// Clients beside those that do not read.
    pub slow_receivers: usize,
    /// Those.
    pub stalled: usize,
    /// How many others are beside a small room, step by step.
    pub growth: Vec<usize>,
    /// What is said in it in a round.
    pub publishes: u64,
}

impl Choices {
    /// All sizes, where so many servers are loaded in turn; refused where this machine cannot hold them.
    pub fn sizes(&self, servers: usize) -> Result<Sizes> {
        let mut sizes = match self.size {
            Set::Full => Sizes::full(),
            Set::Short => Sizes::short(),
            Set::Tiny => Sizes::tiny(),
        };
        let size = |choice: Option<u32>, other: usize| choice.map_or(other, |choice| choice as usize);
        sizes.rounds = size(self.rounds, sizes.rounds);
        sizes.in_flight = size(self.in_flight, sizes.in_flight);
        (sizes.connections, sizes.crowd) =
            (size(self.connections, sizes.connections), size(self.connections, sizes.crowd));
        if let Some(most) = self.connections {
            let most = most as usize;
            sizes.growth.retain(|others| *others < most);
            sizes.growth.push(most);
        }
        if let Some(most) = self.receivers.iter().max() {
            sizes.receivers = self.receivers.iter().map(|count| *count as usize).collect();
            sizes.paced_receivers = *most as usize;
        }
        sizes.idle = self.seconds.map_or(sizes.idle, Duration::from_secs);
        machine::check_open_files(sizes.most_clients(servers))?;
        Ok(sizes)
    }
}

impl Sizes {
    fn full() -> Self {
        Self {
            rounds: 5,
            handshakes: 2_000,
            in_flight: 64,
            connections: 10_000,
            idle: Duration::from_secs(30),
            crowd: 15_000,
            receivers: vec![1_000, 5_000],
            deliveries: 200_000,
            paced_receivers: 10_000,
            paced: Duration::from_secs(4),
            pairs: 64,
            echoes: 50_000,
            visits: 4_000,
            slow_receivers: 100,
            stalled: 5,
            growth: vec![100, 1_000, 5_000, 10_000, 15_000],
            publishes: 4_000,
        }
    }

    fn short() -> Self {
        Self {
            rounds: 3,
            handshakes: 1_000,
            connections: 2_000,
            idle: Duration::from_secs(5),
            crowd: 2_000,
            receivers: vec![1_000],
            deliveries: 100_000,
            paced_receivers: 2_000,
            paced: Duration::from_secs(1),
            echoes: 20_000,
            visits: 1_000,
            slow_receivers: 50,
            stalled: 2,
            growth: vec![100, 2_000],
            publishes: 2_000,
            ..Self::full()
        }
    }

    fn tiny() -> Self {
        Self {
            rounds: 2,
            handshakes: 40,
            in_flight: 8,
            connections: 50,
            idle: Duration::from_secs(1),
            crowd: 60,
            receivers: vec![20],
            deliveries: 400,
            paced_receivers: 20,
            paced: Duration::from_millis(500),
            pairs: 4,
            echoes: 200,
            visits: 40,
            slow_receivers: 4,
            stalled: 1,
            growth: vec![10, 40],
            publishes: 40,
        }
    }

    /// The most clients that are here at once, those of all servers.
    fn most_clients(&self, servers: usize) -> usize {
        let rooms = (self.receivers.iter().copied().max().unwrap_or(0) * servers).max(self.paced_receivers);
        let others = self.growth.iter().copied().max().unwrap_or(0) + 64;
        rooms.max(others).max(self.connections + 64).max(self.crowd + self.crowd / 100 + 64).max(self.handshakes * 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_chosen_takes_the_place_of_the_set() {
        let mut choices = Choices {
            size: Set::Tiny,
            rounds: Some(7),
            connections: Some(30),
            receivers: vec![5, 9],
            in_flight: None,
            seconds: Some(2),
        };
        let sizes = choices.sizes(2).unwrap();
        assert_eq!((sizes.rounds, sizes.connections, sizes.crowd, sizes.in_flight), (7, 30, 30, 8));
        assert_eq!(sizes.growth, [10, 30]);
        assert_eq!((sizes.receivers, sizes.paced_receivers, sizes.idle.as_secs()), (vec![5, 9], 9, 2));
        choices.connections = Some(1_000_000_000);
        assert!(choices.sizes(2).is_err(), "that many sockets no process may open");
    }
}
