//! What the board has of one node: what waits to be told to it, and whether it can be reached.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use gateway_domain::link::{Arrival, Channel};
use tokio::sync::Notify;

use super::health;
use crate::memory::Memory;

/// One node's.
#[derive(Debug)]
pub(super) struct Desk {
    /// What it holds and follows, by what it ordered.
    pub(super) memory: Memory,
    /// It is cut off.
    pub(super) away: bool,
    /// Its lease ended while it was cut off.
    pub(super) lost: bool,
    /// How much of each key was spent by all when it heard of it last.
    pub(super) spent: HashMap<String, u64>,
    waiting: VecDeque<Arrival>,
    most: usize,
    behind: bool,
    bell: Arc<Notify>,
}

impl Desk {
    /// An empty one, where so much may wait.
    pub(super) fn new(most: usize) -> Self {
        Self {
            memory: Memory::default(),
            away: false,
            lost: false,
            spent: HashMap::new(),
            waiting: VecDeque::new(),
            most,
            behind: false,
            bell: Arc::default(),
        }
    }

    /// Rings when something waits.
    pub(super) fn bell(&self) -> Arc<Notify> {
        Arc::clone(&self.bell)
    }

    /// On how many of the channels it hears.
    pub(super) fn hears(&self, channels: &[Channel]) -> u32 {
        if self.away {
            return 0;
        }
        let mut counted = std::collections::HashSet::new();
        let heard = channels.iter().filter(|channel| counted.insert(*channel));
        let heard = heard.filter(|channel| **channel == Channel::Every || self.memory.follows().contains(*channel));
        u32::try_from(heard.count()).unwrap_or(u32::MAX)
    }

    /// Puts something down for it. What others say is lost where too much waits; then it is told that it was away.
    pub(super) fn tell(&mut self, arrival: Arrival) {
        let may_be_lost = matches!(arrival, Arrival::Post { .. } | Arrival::Letter { .. });
        if may_be_lost && (self.behind || self.waiting.len() >= self.most) {
            self.behind = true;
        } else {
            self.waiting.push_back(arrival);
        }
        self.bell.notify_one();
    }

    /// What it is to be told next.
    pub(super) fn next(&mut self) -> Option<Arrival> {
        if self.waiting.is_empty() && self.behind && !self.away {
            self.behind = false;
            self.waiting.extend([health(true), Arrival::Back, health(false)]);
        }
        self.waiting.pop_front()
    }
}
