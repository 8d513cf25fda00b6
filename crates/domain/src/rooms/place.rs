//! One room: its members, its history, and whether it is still wanted.

use super::{
    members::Members,
    order::{Rank, Standing},
    outcome::{Departed, Joined, Joining, Posted, Recovery},
};
use crate::{
    history::{EpochSource, History},
    name::ConnectionId,
    rules::RoomLaw,
    time::Tick,
};

/// A room.
#[derive(Debug)]
pub(super) struct Place<T> {
    rank: Rank,
    law: RoomLaw,
    sequence: u64,
    members: Members,
    history: Option<History<T>>,
    /// When it was last posted to, or left.
    stirred: Tick,
}

impl<T: Clone> Place<T> {
    pub(super) fn new(born: u64, sequence: u64, law: RoomLaw) -> Self {
        let rank = Rank { posted: 0, born };
        Self { rank, law, sequence, members: Members::default(), history: None, stirred: Tick::ZERO }
    }

    /// Puts the room under that law, which may be another than before.
    pub(super) fn govern(&mut self, law: RoomLaw, epochs: &mut EpochSource) {
        self.law = law;
        if law.history.is_none() {
            self.history = None;
        } else if self.history.is_none() {
            self.history = Some(History::new(epochs.draw()));
        }
    }

    pub(super) fn join(&mut self, joining: &Joining<'_>, now: Tick) -> Joined<T> {
        let recovery = joining.since.map(|since| {
            let history = self.history.as_mut().zip(self.law.history.as_ref());
            let missed = history.and_then(|(history, bounds)| history.since(since, bounds, now));
            missed.map_or(Recovery::Lost, Recovery::Recovered)
        });
        let first = self.members.join(joining, self.sequence);
        let told = self.tells_presence();
        Joined {
            position: self.history.as_ref().map(History::position),
            recovery,
            presence: (told && joining.subscribed).then(|| self.members.present()),
            announced: first.filter(|_| told),
        }
    }

    pub(super) fn leave(&mut self, connection: ConnectionId, now: Tick) -> Option<Departed> {
        let told = self.tells_presence();
        let (member, last) = self.members.leave(connection)?;
        self.stirred = now;
        Some(Departed { announced: last.filter(|_| told), was_subscribed: member.subscribed })
    }

    pub(super) fn post(&mut self, nth: u64, now: Tick, make: impl FnOnce(u64) -> (T, usize)) -> Posted<T> {
        self.rank.posted = nth;
        self.sequence += 1;
        self.stirred = now;
        let kept = self.history.as_mut().zip(self.law.history.as_ref()).map(|(history, bounds)| {
            let (text, size) = make(history.top() + 1);
            let heard = (self.members.users() > 0).then(|| text.clone());
            (history.append(text, size, bounds, now), heard)
        });
        Posted { sequence: self.sequence, kept }
    }

    /// Lets go of messages that are too old.
    pub(super) fn trim(&mut self, now: Tick) {
        if let Some((history, bounds)) = self.history.as_mut().zip(self.law.history.as_ref()) {
            history.trim(bounds, now);
        }
    }

    /// Gives all messages up for others: members keep epoch and offset, and without any, nothing is left.
    pub(super) fn give_up(&mut self) {
        if self.members.is_empty() {
            self.history = None;
        } else if let Some(history) = &mut self.history {
            history.clear();
        }
    }

    /// Whether nobody is here, and nobody can come back in time any more.
    pub(super) fn is_over(&self, now: Tick) -> bool {
        self.members.is_empty()
            && self.history.as_ref().is_none_or(|history| history.is_empty() && self.ends() <= Some(now))
    }

    pub(super) fn standing(&self) -> Standing {
        let bytes = self.history.as_ref().map_or(0, History::bytes);
        let oldest = self.history.as_ref().and_then(History::oldest).zip(self.law.history);
        let oldest = oldest.map(|(oldest, bounds)| oldest + bounds.age);
        let due = oldest.or_else(|| self.ends().filter(|_| self.members.is_empty()));
        Standing {
            without_members: self.members.is_empty().then_some(self.rank),
            with_history: (bytes > 0).then_some(self.rank),
            due: due.map(|due| (due, self.rank.born)),
            members: self.members.len(),
            bytes,
        }
    }

    pub(super) const fn members(&self) -> &Members {
        &self.members
    }

    pub(super) const fn history(&self) -> Option<&History<T>> {
        self.history.as_ref()
    }

    pub(super) const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// When a room without members ends; none: at once.
    fn ends(&self) -> Option<Tick> {
        self.law.history.map(|bounds| self.stirred + bounds.age)
    }

    fn tells_presence(&self) -> bool {
        self.law.presence.is_some_and(|most| self.members.users() <= most)
    }
}
