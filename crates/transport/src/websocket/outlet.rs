//! The way out of a socket, which others than its task may use: whoever has something for many writes it himself, and
//! wakes nobody.
//!
//! What waits to be written is behind one lock. Who comes from outside takes it only where it is free, and writes only
//! where nothing waits: so what the socket's own task has queued is never overtaken. What the peer did not take stays
//! here, in its order, and the task goes on from there.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
};

use super::output::{Kind, Output, SHARED_FROM, put_head};
use crate::text::Text;

/// Small texts are joined up to this size before they are written.
const JOINED: usize = 16 << 10;
/// The most that is written at once from outside: the rest is left to the socket's own task.
const MOST: usize = 64 << 10;

/// What a socket reads from, and what it writes to where nobody else does.
pub(super) enum Source<S> {
    /// The stream in both directions.
    Whole(S),
    /// Its way in; the way out is shared.
    Half(OwnedReadHalf),
}

/// What waits to be written, and, where it is shared, what it is written to.
#[derive(Default)]
pub(super) struct Way {
    pub(super) output: Output,
    half: Option<OwnedWriteHalf>,
    is_shut: bool,
}

/// The way out of a socket, for others than its task.
#[derive(Clone)]
pub struct Outlet(Arc<Mutex<Way>>);

/// Memory to join texts in, used again and again.
#[derive(Default)]
pub struct Scratch(Vec<u8>);

impl Outlet {
    pub(super) fn new(half: Option<OwnedWriteHalf>) -> Self {
        Self(Arc::new(Mutex::new(Way { half, ..Way::default() })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Way> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anybody but the socket's task can write at all.
    pub(super) fn is_shared(&self) -> bool {
        self.lock().half.is_some()
    }

    /// Looks at where it lies in memory, and waits for nobody: what comes to write there finds it at hand.
    pub fn glance(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    /// Writes what there is, unless something waits already or somebody is at it. False: the socket's own task is to be
    /// woken, for there is, or may be, more to write. What was taken from `next` is never lost.
    pub fn send(&self, scratch: &mut Scratch, next: impl FnMut() -> Option<Text>) -> bool {
        match self.0.try_lock() {
            Ok(mut way) => way.send(&mut scratch.0, next),
            Err(_) => false,
        }
    }

    /// Leaves everything to the socket's own task from now on.
    pub fn shut(&self) {
        self.lock().is_shut = true;
    }

    /// The stream is let go of, whoever else has a hold of this.
    pub(super) fn drop_stream(&self) {
        if let Some(half) = self.lock().half.take() {
            // The socket says itself when it has ended; the other half closes the stream.
            half.forget();
        }
    }
}

impl Way {
    fn send(&mut self, scratch: &mut Vec<u8>, mut next: impl FnMut() -> Option<Text>) -> bool {
        let Self { output, half: Some(half), is_shut: false } = self else { return false };
        if output.len() > 0 {
            return false;
        }
        let mut written = 0;
        loop {
            let (large, is_all) = join(scratch, &mut next);
            let length = scratch.len() + large.as_ref().map_or(0, Bytes::len);
            if length == 0 {
                return true;
            }
            let taken = match &large {
                None => half.try_write(scratch),
                Some(large) => half.try_write_vectored(&[IoSlice::new(scratch), IoSlice::new(large)]),
            };
            // Whatever is wrong with the stream, its own task finds it there, too.
            let taken = taken.unwrap_or(0);
            if taken < length {
                output.keep_rest(scratch, large, taken);
                return false;
            }
            if is_all {
                return true;
            }
            written += length;
            if written >= MOST {
                return false;
            }
        }
    }

    /// Writes until nothing waits.
    pub(super) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        source: &mut Source<S>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        match (&mut self.half, source) {
            (Some(half), _) => self.output.poll_write(half, cx),
            (None, Source::Whole(stream)) => self.output.poll_write(stream, cx),
            (None, Source::Half(_)) => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// Ends our side of the stream.
    pub(super) fn poll_shutdown<S: AsyncWrite + Unpin>(
        &mut self,
        source: &mut Source<S>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        match (&mut self.half, source) {
            (Some(half), _) => Pin::new(half).poll_shutdown(cx),
            (None, Source::Whole(stream)) => Pin::new(stream).poll_shutdown(cx),
            (None, Source::Half(_)) => Poll::Ready(Ok(())),
        }
    }
}

/// Frames what comes next into the empty scratch, up to so much; a large payload ends it and is not copied. Whether that
/// was all.
fn join(scratch: &mut Vec<u8>, next: &mut impl FnMut() -> Option<Text>) -> (Option<Bytes>, bool) {
    scratch.clear();
    while scratch.len() < JOINED {
        let Some(text) = next() else { return (None, true) };
        let payload = Bytes::from(text);
        put_head(scratch, Kind::Text, payload.len());
        if payload.len() >= SHARED_FROM {
            return (Some(payload), false);
        }
        scratch.extend_from_slice(&payload);
    }
    (None, false)
}

impl<S: AsyncRead + Unpin> AsyncRead for Source<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Whole(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Half(half) => Pin::new(half).poll_read(cx, buffer),
        }
    }
}

impl std::fmt::Debug for Outlet {
    // Nothing of what is about to be said.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outlet").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scratch").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_finds_the_lock_held_takes_nothing_and_leaves_it_to_the_task() {
        let outlet = Outlet::new(None);
        let _held = outlet.lock();
        assert!(!outlet.send(&mut Scratch::default(), || panic!("it was taken, and is lost")));
    }
}
