//! When seats are given again where data may have been lost.
//!
//! The law: in a new generation of the data nobody gives a seat before each node that is known has put back what it holds, or
//! could not be heard of for a whole lease. Known is who is written down there, and who this node knew of before: a seat that
//! was given in the last moment of a master stands in the memory of a node alone until then. A node that is still at the old
//! master when another has its place is waited for by the others, so that the two never give the same seat.

use std::{collections::BTreeSet, time::Duration};

use gateway_domain::{Tick, link::NodeId};

use super::settings::Settings;

/// Until when nobody gives a seat, in one session.
#[derive(Debug)]
pub(crate) struct Settling {
    /// No sooner, whoever is back: nodes of which nothing is known need time to come.
    earliest: Tick,
    /// Whoever is not back by then holds nothing any more.
    latest: Tick,
    all_are_back: bool,
    is_over: bool,
}

impl Settling {
    /// Begins in a generation that is so old.
    pub(crate) fn begin(now: Tick, age: Duration, settings: &Settings) -> Self {
        Self {
            earliest: now + settings.settling().saturating_sub(age),
            latest: now + settings.written_lease().saturating_sub(age),
            all_are_back: false,
            is_over: false,
        }
    }

    /// Takes in who is written down, and who of them has put back what it holds. `known` are those of before. An earlier life
    /// of a node holds nothing: its process is gone.
    pub(crate) fn hear(&mut self, here: &[NodeId], known: &BTreeSet<NodeId>, back: &[NodeId], own: &NodeId) {
        let back: BTreeSet<&str> = back.iter().chain([own]).map(NodeId::name).collect();
        self.all_are_back = here.iter().chain(known).all(|node| back.contains(node.name()));
    }

    /// Whether seats are given. What has settled stays so.
    pub(crate) fn is_over(&mut self, now: Tick) -> bool {
        self.is_over |= now >= self.earliest && (self.all_are_back || now >= self.latest);
        self.is_over
    }
}

#[cfg(test)]
mod tests {
    use gateway_domain::name::NodeName;

    use super::*;

    fn node(name: &str, life: u128) -> NodeId {
        NodeId::new(&NodeName::parse(name).unwrap(), uuid::Uuid::from_u128(life))
    }

    fn settings() -> Settings {
        Settings { lease: Duration::from_secs(10), ..Settings::of_urls(["redis://a"]).unwrap() }
    }

    const fn after(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn everybody_who_is_known_is_waited_for_and_nobody_longer_than_a_lease() {
        let (a, b, c) = (node("a", 1), node("b", 2), node("c", 3));
        let begun = Tick::ZERO + Duration::from_secs(100);
        let mut settling = Settling::begin(begun, Duration::ZERO, &settings());
        assert!(!settling.is_over(begun + after(7_999)), "nobody was heard of");
        // One is written down, the other is known from before.
        settling.hear(&[a.clone(), b.clone()], &BTreeSet::from([c.clone()]), std::slice::from_ref(&b), &a);
        assert!(!settling.is_over(begun + after(7_999)), "c is not back");
        assert!(Settling { is_over: false, ..settling }.is_over(begun + after(8_000)), "its lease is over");

        let mut settling = Settling::begin(begun, Duration::ZERO, &settings());
        settling.hear(&[a.clone(), b.clone()], &BTreeSet::from([c.clone()]), &[b.clone(), c], &a);
        assert!(!settling.is_over(begun + after(2_499)), "others may be there of whom nothing is known");
        assert!(settling.is_over(begun + after(2_500)));
        settling.hear(&[a.clone(), b, node("d", 4)], &BTreeSet::new(), &[], &a);
        assert!(settling.is_over(begun + after(2_500)), "who comes afterwards holds nothing of before");
    }

    #[test]
    fn an_old_generation_has_settled_and_an_earlier_life_holds_nothing() {
        let begun = Tick::ZERO + Duration::from_secs(100);
        assert!(Settling::begin(begun, Duration::from_secs(8), &settings()).is_over(begun));
        let mut young = Settling::begin(begun, Duration::from_secs(3), &settings());
        let (own, other) = (node("a", 2), node("b", 2));
        young.hear(&[node("a", 1), node("b", 1), other.clone(), own.clone()], &BTreeSet::new(), &[other], &own);
        assert!(young.is_over(begun));
    }
}
