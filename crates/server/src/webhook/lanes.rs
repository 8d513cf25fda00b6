//! What waits for a hook, in lanes: within a lane everything goes in order, one at a time; lanes do not wait for each
//! other and take turns. Bounded in number and in bytes, over all lanes.

use std::collections::{HashMap, VecDeque};

use gateway_domain::ConnectionId;

/// Whose events these are: a connection's, or those of backends, which have none.
pub(super) type Lane = Option<ConnectionId>;

/// How much may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueBounds {
    /// So many events.
    pub events: usize,
    /// So many bytes of their bodies.
    pub bytes: usize,
}

/// The lanes.
#[derive(Debug)]
pub(super) struct Lanes<T> {
    bounds: QueueBounds,
    lanes: HashMap<Lane, Waiting<T>>,
    /// Those with something waiting and nothing under way, in the order of their turns.
    ready: VecDeque<Lane>,
    waiting: usize,
    bytes: usize,
    under_way: usize,
}

#[derive(Debug)]
struct Waiting<T> {
    queue: VecDeque<(T, usize)>,
    is_under_way: bool,
}

impl<T> Lanes<T> {
    /// None yet.
    pub(super) fn new(bounds: QueueBounds) -> Self {
        Self { bounds, lanes: HashMap::new(), ready: VecDeque::new(), waiting: 0, bytes: 0, under_way: 0 }
    }

    /// Whether one of that size fits, into all of the room or only into the part that leaves a quarter free.
    pub(super) const fn has_room(&self, bytes: usize, all: bool) -> bool {
        let QueueBounds { events: most, bytes: most_bytes } = self.bounds;
        let kept = if all { (0, 0) } else { (most.div_ceil(4), most_bytes.div_ceil(4)) };
        // An empty queue takes one of any size.
        self.waiting == 0 || (self.waiting + kept.0 < most && self.bytes + bytes + kept.1 <= most_bytes)
    }

    /// Puts one behind the others of its lane.
    pub(super) fn push(&mut self, lane: Lane, item: T, bytes: usize) {
        let waiting = self.lanes.entry(lane).or_insert_with(|| Waiting { queue: VecDeque::new(), is_under_way: false });
        if waiting.queue.is_empty() && !waiting.is_under_way {
            self.ready.push_back(lane);
        }
        waiting.queue.push_back((item, bytes));
        self.waiting += 1;
        self.bytes += bytes;
    }

    /// Takes the first of the lane whose turn it is. Its lane stands still until [`Self::done`].
    pub(super) fn take(&mut self) -> Option<(Lane, T)> {
        let lane = self.ready.pop_front()?;
        let waiting = self.lanes.get_mut(&lane)?;
        let (item, bytes) = waiting.queue.pop_front()?;
        waiting.is_under_way = true;
        self.waiting -= 1;
        self.bytes -= bytes;
        self.under_way += 1;
        Some((lane, item))
    }

    /// Keeps a lane for something that never waited in it.
    pub(super) fn occupy(&mut self, lane: Lane) {
        let waiting = self.lanes.entry(lane).or_insert_with(|| Waiting { queue: VecDeque::new(), is_under_way: false });
        waiting.is_under_way = true;
        self.ready.retain(|ready| *ready != lane);
        self.under_way += 1;
    }

    /// What was taken of that lane has ended: the next of it has its turn behind those of the other lanes.
    pub(super) fn done(&mut self, lane: Lane) {
        let Some(waiting) = self.lanes.get_mut(&lane).filter(|waiting| waiting.is_under_way) else { return };
        waiting.is_under_way = false;
        self.under_way -= 1;
        if waiting.queue.is_empty() {
            self.lanes.remove(&lane);
        } else {
            self.ready.push_back(lane);
        }
    }

    /// Takes everything that waits; what is under way stays so.
    pub(super) fn clear(&mut self) -> Vec<T> {
        self.ready.clear();
        (self.waiting, self.bytes) = (0, 0);
        let mut items = Vec::new();
        self.lanes.retain(|_, waiting| {
            items.extend(waiting.queue.drain(..).map(|(item, _)| item));
            waiting.is_under_way
        });
        items
    }

    /// How many wait, and how many bytes they have.
    pub(super) const fn waiting(&self) -> (usize, usize) {
        (self.waiting, self.bytes)
    }

    /// Whether a lane has its turn.
    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// How many are under way.
    pub(super) const fn under_way(&self) -> usize {
        self.under_way
    }

    /// How many of them there may be.
    pub(super) const fn bounds(&self) -> QueueBounds {
        self.bounds
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const WIDE: QueueBounds = QueueBounds { events: 100, bytes: 1_000 };

    fn lane(n: u128) -> Lane {
        Some(ConnectionId::new(Uuid::from_u128(n)))
    }

    #[test]
    fn a_lane_keeps_its_order_and_lanes_take_turns() {
        let mut lanes = Lanes::new(WIDE);
        for (n, item) in [(1, "a1"), (1, "a2"), (2, "b1"), (1, "a3")] {
            lanes.push(lane(n), item, 10);
        }
        assert_eq!(lanes.take(), Some((lane(1), "a1")));
        assert_eq!(lanes.take(), Some((lane(2), "b1")));
        assert_eq!((lanes.take(), lanes.under_way(), lanes.waiting()), (None, 2, (2, 20)), "both are under way");
        lanes.done(lane(1));
        lanes.push(lane(2), "b2", 10);
        assert_eq!(lanes.take(), Some((lane(1), "a2")));
        lanes.done(lane(2));
        lanes.done(lane(1));
        assert_eq!([lanes.take(), lanes.take(), lanes.take()], [Some((lane(2), "b2")), Some((lane(1), "a3")), None]);
        lanes.done(lane(1));
        lanes.done(lane(2));
        assert_eq!((lanes.lanes.len(), lanes.waiting(), lanes.under_way()), (0, (0, 0), 0), "nothing is left behind");
    }

    #[test]
    fn a_quarter_is_kept_and_an_empty_queue_takes_one_of_any_size() {
        let mut lanes = Lanes::new(QueueBounds { events: 4, bytes: 100 });
        assert!(lanes.has_room(1_000, false));
        for n in 0..3 {
            assert!(lanes.has_room(10, false), "{n}");
            lanes.push(lane(n), (), 10);
        }
        assert_eq!(
            [lanes.has_room(10, false), lanes.has_room(10, true), lanes.has_room(71, true)],
            [false, true, false]
        );
        lanes.push(lane(9), (), 10);
        assert!(!lanes.has_room(0, true));
        assert_eq!((lanes.clear().len(), lanes.waiting(), lanes.take()), (4, (0, 0), None));
    }

    #[test]
    fn what_is_under_way_stays_so_when_the_rest_is_taken_away() {
        let mut lanes = Lanes::new(WIDE);
        lanes.push(lane(1), 1, 1);
        lanes.push(lane(1), 2, 1);
        lanes.occupy(lane(2));
        lanes.push(lane(2), 3, 1);
        assert_eq!(lanes.take(), Some((lane(1), 1)));
        let mut rest = lanes.clear();
        rest.sort_unstable();
        assert_eq!((rest, lanes.under_way()), (vec![2, 3], 2));
        lanes.push(lane(1), 4, 1);
        assert_eq!(lanes.take(), None, "its lane is not free yet");
        lanes.done(lane(1));
        assert_eq!(lanes.take(), Some((lane(1), 4)));
    }

    proptest! {
        /// Whatever is put in, taken and done in whatever order: each lane comes out as it went in, one at a time.
        #[test]
        fn each_lane_comes_out_as_it_went_in(steps in proptest::collection::vec((0..4_u128, 0..3_u8), 1..200)) {
            let mut lanes = Lanes::new(WIDE);
            let (mut given, mut told): (HashMap<Lane, u32>, HashMap<Lane, u32>) = Default::default();
            let mut under_way: Vec<Lane> = Vec::new();
            for (n, step) in steps {
                match step {
                    0 => {
                        let next = given.entry(lane(n)).or_default();
                        lanes.push(lane(n), *next, 1);
                        *next += 1;
                    }
                    1 => {
                        if let Some((lane, item)) = lanes.take() {
                            prop_assert!(!under_way.contains(&lane));
                            let next = told.entry(lane).or_default();
                            prop_assert_eq!(item, *next);
                            *next += 1;
                            under_way.push(lane);
                        }
                    }
                    _ => {
                        if let Some(lane) = under_way.pop() {
                            lanes.done(lane);
                        }
                    }
                }
                let waiting = given.values().sum::<u32>() - told.values().sum::<u32>();
                prop_assert_eq!(lanes.waiting(), (waiting as usize, waiting as usize));
                prop_assert_eq!(lanes.under_way(), under_way.len());
            }
        }
    }
}
