//! Ids of requests, and how the books are hashed by ids.

use std::{
    collections::BTreeSet,
    hash::{BuildHasherDefault, Hasher},
    iter,
};

use crate::name::RequestId;

/// For books whose keys are ids that gateways draw: they are random already, and no client chooses one that is written
/// down, so they need no hash that strangers cannot foresee.
pub(super) type ById = BuildHasherDefault<IdHasher>;

/// The bits of a UUID, spread.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct IdHasher(u64);

/// Odd, and without a pattern: the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
            let product = u128::from(self.0 ^ u64::from_le_bytes(word)) * u128::from(SPREAD);
            // Both halves together: each bit has had its part in the highest and in the lowest.
            self.0 = (product as u64) ^ ((product >> 64) as u64);
        }
    }

    fn write_usize(&mut self, _length: usize) {
        // All are of one length.
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Ids in their order, at least one. As a rule there is no other, and it takes no memory besides.
#[derive(Debug)]
pub(super) enum Ids {
    One(RequestId),
    Several(BTreeSet<RequestId>),
}

impl Ids {
    pub(super) fn put(&mut self, id: RequestId) {
        match self {
            Self::One(first) => *self = Self::Several([*first, id].into()),
            Self::Several(ids) => drop(ids.insert(id)),
        }
    }

    /// Takes one of them out; whether it was the last.
    pub(super) fn take(&mut self, id: RequestId) -> bool {
        match self {
            Self::One(only) => *only == id,
            Self::Several(ids) => {
                ids.remove(&id);
                ids.is_empty()
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Several(ids) => ids.len(),
        }
    }

    pub(super) fn has(&self, id: RequestId) -> bool {
        match self {
            Self::One(only) => *only == id,
            Self::Several(ids) => ids.contains(&id),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &RequestId> {
        let (one, several) = match self {
            Self::One(only) => (Some(only), None),
            Self::Several(ids) => (None, Some(ids)),
        };
        iter::chain(one, several.into_iter().flatten())
    }

    /// The one, where there is no other.
    pub(super) fn only(&self) -> Option<RequestId> {
        match self {
            Self::One(only) => Some(*only),
            Self::Several(ids) => ids.first().copied().filter(|_| ids.len() == 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::ConnectionId;
    use std::{collections::HashSet, hash::BuildHasher};
    use uuid::Uuid;

    fn rid(n: u128) -> RequestId {
        RequestId::new(Uuid::from_u128(n))
    }

    #[test]
    fn one_becomes_several_and_the_last_is_told() {
        let mut ids = Ids::One(rid(2));
        assert!((ids.len(), ids.only(), ids.has(rid(2)), ids.has(rid(1))) == (1, Some(rid(2)), true, false));
        assert!(!ids.take(rid(1)), "which is not there");
        ids.put(rid(1));
        assert_eq!(ids.iter().copied().collect::<Vec<_>>(), [rid(1), rid(2)]);
        assert_eq!((ids.len(), ids.only()), (2, None));
        assert!(!ids.take(rid(2)) && ids.has(rid(1)) && ids.only() == Some(rid(1)));
        assert!(ids.take(rid(1)));
    }

    #[test]
    fn ids_are_spread_at_both_ends_whatever_part_of_them_differs() {
        for shift in [0, 1, 32, 63, 64, 96, 112] {
            let hash = |n: u128| ById::default().hash_one(ConnectionId::new(Uuid::from_u128(n << shift)));
            for bits in [|hash: u64| hash >> 57, |hash: u64| hash & 0x7f] {
                let met: HashSet<u64> = (0..1_000).map(|n| bits(hash(n))).collect();
                assert!(met.len() > 96, "{} of 128 places are met where bits from {shift} on differ", met.len());
            }
        }
    }
}
