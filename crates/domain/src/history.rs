//! What a room remembers: a ring of its latest messages, each with an offset.
//!
//! The law: offsets count from 1 by 1 within one [`Epoch`], kept or not. The ring never has a gap: what is beyond
//! the bounds goes oldest first, so that whoever comes back recovers all that came after its position, or is told
//! that it cannot.

mod position;

use std::{collections::VecDeque, time::Duration};

pub use position::{Epoch, EpochSource, Position};

use crate::time::Tick;

/// How much a room remembers; whatever is beyond any of the three is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HistoryBounds {
    /// The most messages.
    pub messages: usize,
    /// How long a message is kept.
    pub age: Duration,
    /// The most bytes of all messages together.
    pub bytes: usize,
}

/// The history of one room. `T` is a message as it is sent.
#[derive(Clone, Debug)]
pub struct History<T> {
    epoch: Epoch,
    top: u64,
    /// The last of these has the offset `top`.
    ring: VecDeque<Kept<T>>,
    bytes: usize,
}

#[derive(Clone, Debug)]
struct Kept<T> {
    posted: Tick,
    size: usize,
    text: T,
}

impl<T: Clone> History<T> {
    /// An empty one.
    pub const fn new(epoch: Epoch) -> Self {
        Self { epoch, top: 0, ring: VecDeque::new(), bytes: 0 }
    }

    /// Appends a message of so many bytes, and gives it the next offset. A message that is larger than all bytes that
    /// may be kept counts, and is not kept: it takes what was before it along.
    pub fn append(&mut self, text: T, size: usize, bounds: &HistoryBounds, now: Tick) -> u64 {
        self.top += 1;
        if size > bounds.bytes {
            self.clear();
        } else {
            // A clock that stands still or is read out of order makes no message older than the one before it.
            let posted = self.ring.back().map_or(now, |last| last.posted.max(now));
            self.bytes += size;
            self.ring.push_back(Kept { posted, size, text });
        }
        self.trim(bounds, now);
        self.top
    }

    /// Begins behind that position: whatever was kept is gone.
    pub fn stand_at(&mut self, position: Position) {
        self.clear();
        self.epoch = position.epoch;
        self.top = position.offset;
    }

    /// Everything behind that position, the oldest first. None: part of it is gone, or the position is of another
    /// epoch, or of the future.
    pub fn since(&mut self, position: &Position, bounds: &HistoryBounds, now: Tick) -> Option<Vec<T>> {
        self.trim(bounds, now);
        let missed = self.top.checked_sub(position.offset).filter(|_| position.epoch == self.epoch)?;
        let missed = usize::try_from(missed).ok().filter(|missed| *missed <= self.ring.len())?;
        Some(self.latest(missed))
    }

    /// The last so many that are kept, the oldest of them first.
    pub fn latest(&self, most: usize) -> Vec<T> {
        self.ring.iter().skip(self.ring.len().saturating_sub(most)).map(|kept| kept.text.clone()).collect()
    }

    /// Lets go of whatever is beyond the bounds by now.
    pub fn trim(&mut self, bounds: &HistoryBounds, now: Tick) {
        while let Some(oldest) = self.ring.front() {
            let fits = self.ring.len() <= bounds.messages && self.bytes <= bounds.bytes;
            if fits && now < oldest.posted + bounds.age {
                return;
            }
            self.bytes -= oldest.size;
            self.ring.pop_front();
        }
        self.clear();
    }

    /// Lets go of all messages, and of their room; epoch and offset go on.
    pub fn clear(&mut self) {
        self.ring = VecDeque::new();
        self.bytes = 0;
    }

    /// Where the history stands: its epoch, and the offset of the last message.
    pub fn position(&self) -> Position {
        Position { epoch: self.epoch.clone(), offset: self.top }
    }

    /// The offset of the last message; 0 before the first.
    pub const fn top(&self) -> u64 {
        self.top
    }

    /// How many messages are kept.
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    /// Whether no message is kept.
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// How many bytes all that is kept has.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the oldest that is kept was posted.
    pub fn oldest(&self) -> Option<Tick> {
        self.ring.front().map(|kept| kept.posted)
    }
}

#[cfg(test)]
mod tests;
