//! The bounds of outboxes as they are now. They are read for each text that anybody is told, so no lock is in the way; a
//! text that meets them half changed meets bounds that either of the two configurations has.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::outbox::{OutboxBounds, WhenFull};

/// Bounds that may change.
#[derive(Debug)]
pub(super) struct LiveBounds {
    messages: AtomicUsize,
    bytes: AtomicUsize,
    drops_oldest: AtomicBool,
}

impl LiveBounds {
    pub(super) const fn new(OutboxBounds { messages, bytes, when_full }: OutboxBounds) -> Self {
        let drops_oldest = matches!(when_full, WhenFull::DropOldest);
        Self {
            messages: AtomicUsize::new(messages),
            bytes: AtomicUsize::new(bytes),
            drops_oldest: AtomicBool::new(drops_oldest),
        }
    }

    pub(super) fn get(&self) -> OutboxBounds {
        let drops_oldest = self.drops_oldest.load(Ordering::Relaxed);
        OutboxBounds {
            messages: self.messages.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            when_full: if drops_oldest { WhenFull::DropOldest } else { WhenFull::Close },
        }
    }

    pub(super) fn set(&self, OutboxBounds { messages, bytes, when_full }: OutboxBounds) {
        self.messages.store(messages, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
        self.drops_oldest.store(matches!(when_full, WhenFull::DropOldest), Ordering::Relaxed);
    }
}
