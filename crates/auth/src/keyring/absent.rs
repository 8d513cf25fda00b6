//! Key ids that a set was asked for and did not have, for a while. Bounded: the eldest makes room.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use gateway_domain::Tick;

const MOST: usize = 1024;

/// All ids stay equally long, so the order of their coming is the order of their going.
#[derive(Debug, Default)]
pub(super) struct Absent {
    ids: HashSet<Arc<str>>,
    queue: VecDeque<(Tick, Arc<str>)>,
}

impl Absent {
    pub(super) fn put(&mut self, id: Arc<str>, until: Tick) {
        if !self.ids.insert(id.clone()) {
            return;
        }
        self.queue.push_back((until, id));
        if self.queue.len() > MOST {
            self.drop_first();
        }
    }

    pub(super) fn has(&mut self, id: &str, now: Tick) -> bool {
        while self.queue.front().is_some_and(|(until, _)| *until <= now) {
            self.drop_first();
        }
        self.ids.contains(id)
    }

    fn drop_first(&mut self) {
        if let Some((_, id)) = self.queue.pop_front() {
            self.ids.remove(&id);
        }
    }
}

/// How often something may be done for the sake of strangers: a few times at once, then once in an interval.
#[derive(Debug)]
pub(super) struct Allowance {
    left: u32,
    counted: Tick,
}

impl Allowance {
    const BURST: u32 = 3;

    pub(super) const fn full() -> Self {
        Self { left: Self::BURST, counted: Tick::ZERO }
    }

    pub(super) fn is_left(&mut self, every: Duration, now: Tick) -> bool {
        let every = every.max(Duration::from_millis(1));
        let earned = now.since(self.counted).as_nanos() / every.as_nanos();
        if earned > 0 {
            let earned = u32::try_from(earned).unwrap_or(u32::MAX);
            self.left = self.left.saturating_add(earned).min(Self::BURST);
            self.counted = now;
        }
        self.left > 0
    }

    pub(super) fn take(&mut self) {
        self.left = self.left.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Tick {
        Tick::after_origin(Duration::from_secs(seconds))
    }

    #[test]
    fn an_absent_id_is_remembered_for_its_time() {
        let mut absent = Absent::default();
        absent.put("a".into(), at(60));
        absent.put("a".into(), at(90));
        absent.put("b".into(), at(61));
        assert!(absent.has("a", at(59)) && absent.has("b", at(60)));
        assert!(!absent.has("a", at(60)) && !absent.has("b", at(61)) && !absent.has("c", at(0)));
    }

    #[test]
    fn a_flood_of_ids_pushes_out_the_eldest_and_nothing_grows() {
        let mut absent = Absent::default();
        for n in 0..MOST + 10 {
            absent.put(n.to_string().into(), at(60));
        }
        assert_eq!((absent.ids.len(), absent.queue.len()), (MOST, MOST));
        assert!(!absent.has("9", at(0)) && absent.has("10", at(0)));
    }

    #[test]
    fn an_allowance_is_a_few_at_once_and_then_one_an_interval() {
        let every = Duration::from_secs(10);
        let mut allowance = Allowance::full();
        for _ in 0..3 {
            assert!(allowance.is_left(every, at(5)));
            allowance.take();
        }
        assert!(!allowance.is_left(every, at(9)));
        assert!(allowance.is_left(every, at(10)));
        allowance.take();
        assert!(!allowance.is_left(every, at(19)));
        assert!(allowance.is_left(Duration::ZERO, at(20)));
    }
}
