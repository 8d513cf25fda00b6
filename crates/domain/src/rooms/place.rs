//! One room: its members, its history, and whether it is still wanted.

use super::{
    members::Members,
    order::{Rank, Standing},
    outcome::{Departed, Joined, Joining, Placed, Posted, Recovery},
};
use crate::{
    history::{EpochSource, History, Position},
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
    /// Where offsets are given elsewhere: up to here everybody has had everything, whatever still arrives.
    caught_up: u64,
    /// When it was last posted to, or left.
    stirred: Tick,
}

impl<T: Clone> Place<T> {
    pub(super) fn new(born: u64, sequence: u64, law: RoomLaw) -> Self {
        let rank = Rank { posted: 0, born };
        Self { rank, law, sequence, members: Members::default(), history: None, caught_up: 0, stirred: Tick::ZERO }
    }

    /// Puts the room under that law, which may be another than before.
    pub(super) fn govern(&mut self, law: RoomLaw, epochs: Option<&mut EpochSource>) {
        self.law = law;
        if law.history.is_none() {
            self.history = None;
        } else if let (None, Some(epochs)) = (&self.history, epochs) {
            self.history = Some(History::new(epochs.draw()));
        }
    }

    /// Stands at a position that was looked up, where it did not know of any, or of one of another epoch: what is behind its
    /// own is still to come. Whether it stands otherwise than before, so that whoever subscribed must be told.
    pub(super) fn stand_at(&mut self, position: &Position) -> bool {
        match &self.history {
            Some(history) if history.position().epoch == position.epoch => false,
            Some(_) => {
                self.skip_to(position);
                self.members.subscribers() > 0
            }
            None => {
                self.skip_to(position);
                false
            }
        }
    }

    /// Goes on behind that position: what is before it, and did not come yet, never will.
    pub(super) fn skip_to(&mut self, position: &Position) {
        let is_known = self.history.is_some();
        let history = self.history.get_or_insert_with(|| History::new(position.epoch.clone()));
        history.stand_at(position.clone());
        self.caught_up = 0;
        if is_known {
            self.members.begin_anew(position.offset);
        }
    }

    /// Everybody here has had everything up to where the room stands.
    pub(super) fn caught_up(&mut self) {
        self.caught_up = self.history.as_ref().map_or(0, History::top);
    }

    /// Puts a message at its offset, which was given elsewhere.
    pub(super) fn place(
        &mut self,
        nth: u64,
        at: &Position,
        now: Tick,
        make: impl FnOnce(u64) -> (T, usize),
    ) -> Placed<T> {
        let behind = Position { epoch: at.epoch.clone(), offset: at.offset.saturating_sub(1) };
        let Some(history) = self.history.as_mut() else {
            // Nobody has asked yet where the room stands: from here on it is known.
            self.skip_to(&behind);
            return Placed::Next(self.post(nth, now, make));
        };
        let own = history.position();
        if own.epoch != at.epoch {
            self.skip_to(&behind);
            return Placed::Anew(self.post(nth, now, make));
        }
        if at.offset == own.offset + 1 {
            return Placed::Next(self.post(nth, now, make));
        }
        if at.offset > own.offset {
            return Placed::Gap(own);
        }
        if at.offset <= self.caught_up {
            return Placed::Again;
        }
        self.sequence += 1;
        let (text, _) = make(at.offset);
        Placed::Late(Posted { sequence: self.sequence, kept: Some((at.offset, Some(text))) })
    }

    /// Lets go of the history: nobody tells this room any more what is posted.
    pub(super) fn let_go(&mut self) {
        self.history = None;
        self.caught_up = 0;
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

    pub(super) fn since(&mut self, position: &Position, law: &RoomLaw, now: Tick) -> Option<Vec<T>> {
        let history = self.history.as_mut().zip(law.history.as_ref());
        history.and_then(|(history, bounds)| history.since(position, bounds, now))
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
