//! Posts on their way to many: their order, whom they have reached, and how much room they take.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::Hash,
    hint::black_box,
    sync::Arc,
};

use gateway_domain::{ConnectionId, Tick, registry::Registry, rooms::Rooms};
use gateway_transport::Text;

use super::{
    super::{Hub, Letter, Occupant, outbox::Class, outgoing::LOOKED_AHEAD},
    Group, Report,
    pass::{Pass, Reached},
};

/// The most bytes of posts that are on their way to many.
const MOST_UNDER_WAY: usize = 64 << 20;

/// Posts on their way to many, in their order.
#[derive(Debug, Default)]
pub(in crate::hub) struct Dispatch {
    pub(super) jobs: VecDeque<Job>,
    /// How many of them go to each group.
    busy: HashMap<Group, usize>,
    /// How many of them each sender has said: what it says next is told behind them.
    senders: HashMap<ConnectionId, usize>,
    bytes: usize,
    pub(super) is_carried: bool,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) letter: Letter,
    pub(super) class: Class,
    pub(super) sender: Option<ConnectionId>,
    pub(super) posted: Tick,
    pub(super) passes: VecDeque<Pass>,
    pub(super) told: Told,
    pub(super) groups: Vec<Group>,
    pub(super) report: Report,
}

/// Who has it already, where several targets may mean one connection.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) count: usize,
    pub(super) seen: Option<HashSet<ConnectionId>>,
}

impl Dispatch {
    pub(super) fn put(&mut self, job: Job) {
        self.bytes += job.letter.len();
        for group in &job.groups {
            *self.busy.entry(group.clone()).or_default() += 1;
        }
        if let Some(sender) = job.sender {
            *self.senders.entry(sender).or_default() += 1;
        }
        self.jobs.push_back(job);
    }

    /// Whether one of them goes there.
    pub(super) fn goes_to(&self, group: &Group) -> bool {
        self.busy.contains_key(group)
    }

    /// Whether one of them was said by that one.
    pub(super) fn comes_from(&self, sender: ConnectionId) -> bool {
        self.senders.contains_key(&sender)
    }

    /// Whether so much more may be on its way.
    pub(in crate::hub) const fn has_room_for(&self, bytes: usize) -> bool {
        self.bytes + bytes <= MOST_UNDER_WAY
    }

    pub(super) fn end(&mut self, job: Job) -> (Report, usize) {
        self.bytes -= job.letter.len();
        job.groups.iter().for_each(|group| one_less(&mut self.busy, group));
        if let Some(sender) = &job.sender {
            one_less(&mut self.senders, sender);
        }
        (job.report, job.told.count)
    }
}

impl Job {
    /// Tells at most so many; whether that was all.
    pub(super) fn carry(
        &mut self,
        hub: &Hub,
        registry: &Registry<Arc<Occupant>>,
        rooms: &Rooms<Text>,
        mut most: usize,
    ) -> bool {
        while let Some(pass) = self.passes.front_mut() {
            let to_one_self = matches!(pass.group, Group::One(id) if Some(id) == self.sender);
            let Reached { members, looked_at, is_over } = pass.next(registry, rooms, most);
            most = most.saturating_sub(looked_at);
            for (nth, &(id, here, subscribed)) in members.iter().enumerate() {
                if nth.is_multiple_of(LOOKED_AHEAD) && members.len() > LOOKED_AHEAD {
                    // Each lies elsewhere in memory: these looks do not wait for each other.
                    let next = members.iter().skip(nth).take(LOOKED_AHEAD);
                    black_box(next.map(|(_, here, _)| here.glance()).sum::<usize>());
                }
                if Some(id) == self.sender && !to_one_self {
                    continue;
                }
                let is_new = self.told.note(id);
                let posted = Some(self.posted);
                let was_told = match &mut pass.placed {
                    Some(placed) if subscribed => hub.say_since(here, placed, self.class, posted),
                    _ => is_new && hub.say_since(here, &mut self.letter, self.class, posted),
                };
                self.told.count += usize::from(is_new && was_told);
            }
            if is_over {
                self.passes.pop_front();
            }
            if most == 0 {
                break;
            }
        }
        self.passes.is_empty()
    }
}

impl Told {
    /// Whether this connection is met for the first time.
    fn note(&mut self, id: ConnectionId) -> bool {
        self.seen.as_mut().is_none_or(|seen| seen.insert(id))
    }
}

fn one_less<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}
