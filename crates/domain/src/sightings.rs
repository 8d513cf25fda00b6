//! Which agents were here, when each was last seen, and how steadily it stays.
//!
//! An agent that comes and goes again and again (a process that restarts, a network that breaks) looks healthy at any
//! one moment; what tells on it is how often it came lately. What is remembered has bounds: those who are here are as
//! many as there are seats, of those who went the latest are kept.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::Bound,
    time::Duration,
};

use crate::{
    name::{AgentId, UserId},
    time::{Now, Tick, Timestamp},
};

/// How far back arrivals count.
pub const WINDOW: Duration = Duration::from_secs(600);

/// Who came this often within the window is flapping.
pub const FLAPPING: usize = 4;

/// No more arrivals of one agent are remembered: more says nothing new.
const MOST_ARRIVALS: usize = 32;

/// What is known of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting<G> {
    /// Whose it was, the last time.
    pub user: UserId,
    /// Its end, the last time it went; none while it never went.
    pub left: Option<Departure<G>>,
    here: bool,
    arrivals: VecDeque<Tick>,
}

/// How an agent went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Departure<G> {
    /// When it was last heard.
    pub last_seen: Timestamp,
    /// Why it went.
    pub why: G,
    tick: Tick,
}

/// All that is known.
#[derive(Clone, Debug)]
pub struct Sightings<G> {
    most_gone: usize,
    known: BTreeMap<AgentId, Sighting<G>>,
    /// Those who are not here, by when they went.
    gone: BTreeSet<(Tick, AgentId)>,
}

impl<G> Sighting<G> {
    /// Whether it is here now.
    pub const fn is_here(&self) -> bool {
        self.here
    }

    /// How often it came within the window.
    pub fn arrivals(&self, now: Now) -> usize {
        self.arrivals.iter().filter(|arrival| now.tick.since(**arrival) < WINDOW).count()
    }

    /// Whether it comes and goes more often than one that is well.
    pub fn is_flapping(&self, now: Now) -> bool {
        self.arrivals(now) >= FLAPPING
    }
}

impl<G> Sightings<G> {
    /// Nobody was here yet. Of those who go, so many are remembered.
    pub const fn new(most_gone: usize) -> Self {
        Self { most_gone, known: BTreeMap::new(), gone: BTreeSet::new() }
    }

    /// An agent came.
    pub fn came(&mut self, agent: &AgentId, user: &UserId, now: Now) {
        let entry = self.known.entry(agent.clone()).or_insert_with(|| Sighting {
            user: user.clone(),
            left: None,
            here: false,
            arrivals: VecDeque::new(),
        });
        if let (false, Some(left)) = (entry.here, &entry.left) {
            self.gone.remove(&(left.tick, agent.clone()));
        }
        entry.here = true;
        if entry.user != *user {
            entry.user = user.clone();
        }
        entry.arrivals.retain(|arrival| now.tick.since(*arrival) < WINDOW);
        if entry.arrivals.len() == MOST_ARRIVALS {
            entry.arrivals.pop_front();
        }
        entry.arrivals.push_back(now.tick);
    }

    /// An agent went; when it was last heard, and why it went.
    pub fn went(&mut self, agent: &AgentId, last_seen: Timestamp, why: G, now: Now) {
        let Some(entry) = self.known.get_mut(agent).filter(|entry| entry.here) else { return };
        entry.here = false;
        entry.left = Some(Departure { last_seen, why, tick: now.tick });
        self.gone.insert((now.tick, agent.clone()));
        if self.gone.len() > self.most_gone
            && let Some((_, longest_gone)) = self.gone.pop_first()
        {
            self.known.remove(&longest_gone);
        }
    }

    /// Those who are known, by id, from behind that one on.
    pub fn after<'a>(&'a self, last: Option<&AgentId>) -> impl Iterator<Item = (&'a AgentId, &'a Sighting<G>)> {
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        self.known.range::<AgentId, _>((from, Bound::Unbounded))
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether nobody is known.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        let tick = Tick::after_origin(Duration::from_secs(seconds));
        Now { tick, wall: Timestamp::from_seconds(1_800_000_000 + seconds as i64) }
    }

    fn agent(name: &str) -> AgentId {
        AgentId::parse(name).unwrap()
    }

    fn user() -> UserId {
        UserId::parse("ann").unwrap()
    }

    fn names(known: &Sightings<()>) -> Vec<&str> {
        known.after(None).map(|(agent, _)| agent.as_str()).collect()
    }

    #[test]
    fn who_comes_often_is_flapping_until_it_stays() {
        let mut known = Sightings::new(10);
        let a = agent("a");
        for n in 0..4 {
            assert!(!known.after(None).any(|(_, sighting)| sighting.is_flapping(at(n * 10))));
            known.came(&a, &user(), at(n * 10));
            known.went(&a, at(n * 10 + 5).wall, (), at(n * 10 + 5));
        }
        let (_, sighting) = known.after(None).next().unwrap();
        assert_eq!((sighting.arrivals(at(35)), sighting.is_flapping(at(35)), sighting.is_here()), (4, true, false));
        assert_eq!(sighting.left.unwrap().last_seen, at(35).wall);
        assert!(!sighting.is_flapping(at(600)), "the first of them is out of the window");
        assert_eq!(sighting.arrivals(at(10_000)), 0);
    }

    #[test]
    fn of_those_who_went_the_latest_are_remembered_and_those_who_are_here_always() {
        let mut known = Sightings::new(2);
        for (n, name) in (0..).zip(["a", "b", "c", "d"]) {
            known.came(&agent(name), &user(), at(n));
        }
        for (n, name) in (10..).zip(["c", "b", "a"]) {
            known.went(&agent(name), at(n).wall, (), at(n));
        }
        assert_eq!(names(&known), ["a", "b", "d"], "c has been gone for longest");
        known.came(&agent("b"), &user(), at(20));
        known.went(&agent("d"), at(21).wall, (), at(21));
        known.went(&agent("b"), at(22).wall, (), at(22));
        assert_eq!(names(&known), ["b", "d"], "b went last of all");
        known.went(&agent("b"), at(23).wall, (), at(23));
        known.went(&agent("nobody"), at(24).wall, (), at(24));
        assert_eq!((known.len(), known.gone.len()), (2, 2), "who is not here does not go");
        assert_eq!(known.after(Some(&agent("b"))).count(), 1);
    }

    #[test]
    fn the_arrivals_of_one_agent_are_bounded() {
        let mut known = Sightings::new(2);
        for _ in 0..1_000 {
            known.came(&agent("a"), &user(), at(1));
            known.went(&agent("a"), at(1).wall, (), at(1));
        }
        let (_, sighting) = known.after(None).next().unwrap();
        assert_eq!((sighting.arrivals.len(), known.gone.len()), (MOST_ARRIVALS, 1));
    }
}
