//! The servers that do the same work: the gateway, the floor where it can, and the peers that were asked for. Each takes
//! its round when its turn has come, so that whatever else the machine does weighs on all alike.

use anyhow::{Context, Result};

use super::{Bench, bar};
use crate::{
    peers::Peer,
    sample::{Row, Sample},
    subject::Subject,
};

/// The servers, each with the clients that load it.
pub(super) struct Field<S> {
    pub(super) gateway: S,
    pub(super) floor: Option<S>,
    pub(super) peers: Vec<(Peer, S)>,
}

/// What came of their rounds.
pub(super) struct Rounds {
    pub(super) gateway: Vec<Sample>,
    pub(super) floor: Vec<Sample>,
    pub(super) peers: Vec<(Peer, Vec<Sample>)>,
}

impl<S> Field<S> {
    /// The gateway and all others.
    pub(super) fn open(bench: &Bench<'_>, mut load: impl FnMut(Subject) -> Result<S>) -> Result<Self> {
        Ok(Self {
            gateway: load(bench.gateway()?)?,
            floor: bench.floor()?.map(&mut load).transpose()?,
            peers: peers(bench, load)?,
        })
    }

    /// The gateway alone.
    pub(super) fn alone(gateway: S) -> Self {
        Self { gateway, floor: None, peers: Vec::new() }
    }

    /// Everybody.
    pub(super) fn all(&mut self) -> impl Iterator<Item = &mut S> {
        [Some(&mut self.gateway), self.floor.as_mut()]
            .into_iter()
            .flatten()
            .chain(self.peers.iter_mut().map(|(_, peer)| peer))
    }

    /// The rounds of a case, each server's in turn.
    pub(super) fn in_turn(
        &mut self,
        bench: &Bench<'_>,
        name: &str,
        mut round: impl FnMut(&mut S) -> Result<Sample>,
    ) -> Result<Rounds> {
        let others = u64::from(self.floor.is_some()) + self.peers.len() as u64;
        let bar = bar(name, bench.sizes.rounds as u64 * (1 + others));
        let names = self.peers.iter().map(|(peer, _)| (*peer, Vec::new()));
        let mut rounds = Rounds { gateway: Vec::new(), floor: Vec::new(), peers: names.collect() };
        for _ in 0..bench.sizes.rounds {
            bar.set_message("gateway");
            rounds.gateway.push(round(&mut self.gateway)?);
            bar.inc(1);
            if let Some(floor) = &mut self.floor {
                bar.set_message("floor");
                rounds.floor.push(round(floor)?);
                bar.inc(1);
            }
            for ((peer, server), (_, samples)) in self.peers.iter_mut().zip(&mut rounds.peers) {
                bar.set_message(peer.name());
                samples.push(round(server).with_context(|| format!("the peer `{}` failed", peer.name()))?);
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        Ok(rounds)
    }
}

/// Rounds of the gateway and of the floor, where not all clients of both fit at once: each round has a server and clients
/// of its own.
pub(super) fn each_alone<S>(
    bench: &Bench<'_>,
    name: &str,
    mut load: impl FnMut(Subject) -> Result<S>,
    mut round: impl FnMut(&mut S) -> Result<Sample>,
) -> Result<Rounds> {
    let bar = bar(name, bench.sizes.rounds as u64 * (1 + u64::from(bench.with_floor)));
    let mut rounds = Rounds { gateway: Vec::new(), floor: Vec::new(), peers: Vec::new() };
    for _ in 0..bench.sizes.rounds {
        bar.set_message("gateway");
        rounds.gateway.push(round(&mut load(bench.gateway()?)?)?);
        bar.inc(1);
        if let Some(floor) = bench.floor()? {
            bar.set_message("floor");
            rounds.floor.push(round(&mut load(floor)?)?);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    Ok(rounds)
}

/// The peers that were asked for.
pub(super) fn peers<S>(bench: &Bench<'_>, mut load: impl FnMut(Subject) -> Result<S>) -> Result<Vec<(Peer, S)>> {
    let open = |peer: &Peer| {
        let server = load(Subject::peer(bench.peers, *peer, bench.cores)?);
        Ok((*peer, server.with_context(|| format!("the peer `{}` failed", peer.name()))?))
    };
    bench.peers.chosen.iter().map(open).collect()
}

impl Rounds {
    /// As a line of the result.
    pub(super) fn row(&self, scenario: &str, case: impl Into<String>, unit: &str) -> Row {
        let row = Row::new(scenario, case, unit, &self.gateway, &self.floor);
        self.peers.iter().fold(row, |row, (peer, samples)| row.beside(peer.name(), samples, &self.floor))
    }
}
