//! Caps and budgets, against a naive list of rooms that does all by looking at each.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

#[derive(Clone, Debug)]
struct Naive {
    name: u8,
    members: BTreeSet<u8>,
    /// Offset, size, when.
    ring: Vec<(u64, usize, u64)>,
    top: u64,
    rank: (u64, u64),
    stirred: u64,
}

impl Naive {
    fn bytes(&self) -> usize {
        self.ring.iter().map(|(_, size, _)| size).sum()
    }

    fn keeps(&self) -> bool {
        keeps(self.name)
    }
}

/// Every fourth room has no history.
fn keeps(name: u8) -> bool {
    name % 4 != 3
}

fn law(name: u8) -> RoomLaw {
    if keeps(name) { LAW } else { BARE }
}

#[derive(Default)]
struct Model {
    rooms: Vec<Naive>,
    posts: u64,
    births: u64,
}

impl Model {
    fn get(&mut self, name: u8) -> Option<&mut Naive> {
        self.rooms.iter_mut().find(|room| room.name == name)
    }

    fn open(&mut self, name: u8) -> bool {
        if self.get(name).is_some() {
            return true;
        }
        while self.rooms.len() >= BOUNDS.rooms {
            let empty = self.rooms.iter().filter(|room| room.members.is_empty());
            let Some(rank) = empty.map(|room| room.rank).min() else { return false };
            self.rooms.retain(|room| room.rank != rank);
        }
        self.births += 1;
        let rank = (0, self.births);
        self.rooms.push(Naive { name, members: BTreeSet::new(), ring: vec![], top: 0, rank, stirred: 0 });
        true
    }

    fn sweep(&mut self, now: u64) {
        for room in &mut self.rooms {
            room.ring.retain(|(.., posted)| now < posted + AGE);
        }
        self.rooms.retain(|room| {
            !room.members.is_empty() || room.keeps() && (!room.ring.is_empty() || now < room.stirred + AGE)
        });
    }

    fn post(&mut self, name: u8, size: usize, now: u64) -> Option<u64> {
        if self.get(name).is_none() && (!keeps(name) || !self.open(name)) {
            return None;
        }
        self.posts += 1;
        let posts = self.posts;
        let room = self.get(name).unwrap();
        room.rank.0 = posts;
        room.stirred = now;
        if !room.keeps() {
            return None;
        }
        room.top += 1;
        let offset = room.top;
        room.ring.push((offset, size, now));
        while room.bytes() > HISTORY.bytes || room.ring.len() > HISTORY.messages {
            room.ring.remove(0);
        }
        while self.rooms.iter().map(Naive::bytes).sum::<usize>() > BOUNDS.history_bytes {
            let stalest = self.rooms.iter_mut().filter(|room| room.bytes() > 0).min_by_key(|room| room.rank).unwrap();
            assert_ne!(stalest.name, name, "the one that is posted to is the last to give up");
            stalest.ring.clear();
            let rank = stalest.rank;
            self.rooms.retain(|room| room.rank != rank || !room.members.is_empty());
        }
        Some(offset)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn caps_and_budgets_hold_and_only_the_stalest_make_way(
        steps in prop::collection::vec((0u8..7, 0u8..3, 0u8..8, 1usize..120, 0u64..20), 0..150),
    ) {
        let mut rooms = rooms();
        let mut model = Model::default();
        let mut now = 0;
        for (name, connection, deed, size, wait) in steps {
            now += wait;
            while rooms.sweep(at(now)) {}
            model.sweep(now);
            match deed {
                0..4 => {
                    let posted = rooms.post(&room(name), &law(name), at(now), |offset| (offset, size));
                    prop_assert_eq!(posted.kept.map(|(offset, _)| offset), model.post(name, size, now));
                }
                4..6 => {
                    let (who, user) = (connection.into(), user("ann"));
                    let joined = rooms.join(&room(name), subscribing(who, &user, None), &law(name), at(now));
                    let opened = model.open(name);
                    prop_assert_eq!(joined.is_ok(), opened);
                    if opened { model.get(name).unwrap().members.insert(connection); }
                }
                _ => {
                    let left = rooms.leave(&room(name), id(connection.into()));
                    let was = model.get(name).is_some_and(|room| room.members.remove(&connection));
                    prop_assert_eq!(left.is_some(), was);
                    if was { model.get(name).unwrap().stirred = now; }
                    model.sweep(now);
                }
            }
            let naive = RoomCounts {
                rooms: model.rooms.len(),
                memberships: model.rooms.iter().map(|room| room.members.len()).sum(),
                history_bytes: model.rooms.iter().map(Naive::bytes).sum(),
            };
            prop_assert_eq!(rooms.counts(), naive);
            prop_assert!(naive.rooms <= BOUNDS.rooms && naive.history_bytes <= BOUNDS.history_bytes);
            for name in 0..7 {
                let expected = model.get(name).cloned();
                let top = expected.as_ref().filter(|room| room.keeps()).map(|room| room.top);
                prop_assert_eq!(rooms.position(&room(name)).map(|position| position.offset), top);
                let ring: Vec<u64> = expected.iter().flat_map(|room| &room.ring).map(|(offset, ..)| *offset).collect();
                prop_assert_eq!(rooms.latest(&room(name), usize::MAX), ring);
                prop_assert_eq!(rooms.size(&room(name)), expected.map_or(0, |room| room.members.len()));
            }
        }
    }
}
