//! What one connection has said and heard, counted.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use gateway_domain::{Now, Tick, Timestamp};

/// Counts of what went by.
#[derive(Debug, Default)]
pub struct Traffic {
    messages_in: AtomicU64,
    pub(super) messages_out: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    last_heard_millis: AtomicU64,
}

impl Traffic {
    /// A message came in.
    pub fn received(&self, bytes: usize) {
        self.messages_in.fetch_add(1, Ordering::Relaxed);
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A message went out.
    pub fn sent(&self, bytes: usize) {
        self.messages_out.fetch_add(1, Ordering::Relaxed);
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The peer was heard.
    pub fn heard(&self, now: Now) {
        let millis = u64::try_from(now.tick.since_origin().as_millis()).unwrap_or(u64::MAX);
        self.last_heard_millis.store(millis, Ordering::Relaxed);
    }

    /// When the peer was last heard, on the wall clock.
    pub fn last_heard(&self, now: Now) -> Timestamp {
        let then = Tick::after_origin(Duration::from_millis(self.last_heard_millis.load(Ordering::Relaxed)));
        let ago = i64::try_from(now.tick.since(then).as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(now.wall.millis().saturating_sub(ago))
    }

    /// Messages in and out, bytes in and out.
    pub fn counts(&self) -> [u64; 4] {
        [&self.messages_in, &self.messages_out, &self.bytes_in, &self.bytes_out]
            .map(|count| count.load(Ordering::Relaxed))
    }
}
