//! What wakes the task of a connection, and nobody else: one listens, anybody rings, and a ring is never lost.

use std::{
    future::poll_fn,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;

/// A bell. Rung several times before it is heard, it was rung once.
#[derive(Debug, Default)]
pub(super) struct Bell {
    is_rung: AtomicBool,
    listener: Mutex<Option<Waker>>,
}

impl Bell {
    /// Wakes whoever listens, or will.
    pub(super) fn ring(&self) {
        if self.is_rung.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Some(waker) = self.listener.lock().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// Waits until it was rung, and forgets that it was. May be dropped and called again.
    pub(super) async fn rung(&self) {
        poll_fn(|cx| self.poll_rung(cx)).await;
    }

    fn poll_rung(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.was_rung() {
            return Poll::Ready(());
        }
        {
            let mut listener = self.listener.lock();
            if !listener.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
                *listener = Some(cx.waker().clone());
            }
        }
        // Who rang before the listener was known woke nobody.
        if self.was_rung() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Forgets a ring. Each turn of a loop asks, and as a rule there was none: then nothing is written.
    fn was_rung(&self) -> bool {
        self.is_rung.load(Ordering::Acquire) && self.is_rung.swap(false, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::Arc, time::Duration};

    #[test]
    fn rung_before_or_after_it_is_heard_once() {
        let mut cx = Context::from_waker(Waker::noop());
        let bell = Bell::default();
        assert!(bell.poll_rung(&mut cx).is_pending());
        bell.ring();
        bell.ring();
        assert!(bell.poll_rung(&mut cx).is_ready());
        assert!(bell.poll_rung(&mut cx).is_pending());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_ring_is_lost_between_two_threads() {
        let (there, back) = (Arc::new(Bell::default()), Arc::new(Bell::default()));
        let (near, far) = (Arc::clone(&there), Arc::clone(&back));
        let other = tokio::spawn(async move {
            for _ in 0..20_000 {
                near.rung().await;
                far.ring();
            }
        });
        let game = async {
            for _ in 0..20_000 {
                there.ring();
                back.rung().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), game).await.expect("a ring was lost");
        other.await.unwrap();
    }
}
