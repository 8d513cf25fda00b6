//! The outboxes that something was put into, until it is written: by one task for many connections, so that none of them
//! has to be woken for it.
//!
//! Whoever puts the first text into an outbox marks it here. The writing begins when whoever put it there has done what
//! it was at, and goes in passes with a pause between, so that what comes meanwhile for those who are still to be
//! written to joins what waits for them. A connection whose stream takes nothing now, or that nobody but its own task
//! can write to, is rung for, and its task goes on from there.

use std::{
    collections::VecDeque,
    future::poll_fn,
    hint::black_box,
    sync::Arc,
    task::{Context, Poll, Waker},
};

#[cfg(feature = "net")]
pub(super) use gateway_transport::Scratch;
use parking_lot::Mutex;
use tokio::{runtime::Handle, task::yield_now};

use super::{Occupant, occupant::Since};
use crate::{clock, metrics::Histogram};

/// Without a network nothing is written.
#[cfg(not(feature = "net"))]
#[derive(Debug, Default)]
pub(super) struct Scratch(());

/// So many connections are written to before others have a turn.
pub(super) const WRITTEN: usize = 256;
/// So many are looked at together before they are written to.
pub(super) const LOOKED_AHEAD: usize = 16;
/// The most tasks that write at the same time.
const MOST_HANDS: usize = 8;

/// Outboxes that wait to be written.
#[derive(Debug, Default)]
pub(super) struct Outgoing(Mutex<Waiting>, Histogram);

#[derive(Debug, Default)]
struct Waiting {
    /// Each once: there are never more than connections.
    marked: VecDeque<Arc<Occupant>>,
    /// Somebody puts texts into many outboxes, and sees to the writing himself.
    is_held: bool,
    /// The house is gone.
    is_over: bool,
    writer: Writer,
}

/// The task that writes where nobody else sees to it.
#[derive(Debug, Default)]
enum Writer {
    #[default]
    None,
    Awake,
    Asleep(Waker),
}

impl Outgoing {
    /// What is written is timed there.
    pub(super) fn timed_by(delivery: &Histogram) -> Self {
        Self(Mutex::default(), delivery.clone())
    }

    /// Notes that something waits in an outbox that was empty.
    pub(super) fn mark(self: &Arc<Self>, here: &Arc<Occupant>) {
        if !here.mark() {
            return;
        }
        let mut waiting = self.0.lock();
        waiting.marked.push_back(Arc::clone(here));
        if waiting.is_held {
            return;
        }
        match std::mem::replace(&mut waiting.writer, Writer::Awake) {
            Writer::Awake => {}
            Writer::Asleep(waker) => {
                drop(waiting);
                waker.wake();
            }
            Writer::None => match Handle::try_current() {
                Ok(runtime) => {
                    // A runtime that is ending drops the task right here, and its hand wants the lock.
                    drop(waiting);
                    drop(runtime.spawn(write(Hand(Arc::clone(self)))));
                }
                Err(_) => waiting.ring_for_all(),
            },
        }
    }

    /// From now on the caller sees to the writing, until it lets go.
    pub(super) fn hold(&self) {
        self.0.lock().is_held = true;
    }

    /// Writes to the next so many; whether there were any.
    pub(super) fn write_some(&self, scratch: &mut Scratch) -> bool {
        let some: Vec<_> = {
            let mut waiting = self.0.lock();
            let count = waiting.marked.len().min(WRITTEN);
            waiting.marked.drain(..count).collect()
        };
        let mut times = Times::default();
        for next in some.chunks(LOOKED_AHEAD) {
            // Each lies elsewhere in memory, in no cache: these looks do not wait for each other, as the writes would.
            black_box(next.iter().map(|here| here.glance()).sum::<usize>());
            for here in next {
                here.unmark();
                if let Some(since) = here.write_out(scratch) {
                    times.note(since, &self.1);
                }
            }
        }
        times.tell(&self.1);
        !some.is_empty()
    }

    /// Whether there is something for the writer to do; false for never again.
    fn poll_called(&self, cx: &Context<'_>) -> Poll<bool> {
        let mut waiting = self.0.lock();
        if waiting.is_over {
            return Poll::Ready(false);
        }
        if waiting.is_held || waiting.marked.is_empty() {
            waiting.writer = Writer::Asleep(cx.waker().clone());
            return Poll::Pending;
        }
        waiting.writer = Writer::Awake;
        Poll::Ready(true)
    }

    fn is_busy(&self) -> bool {
        !self.0.lock().marked.is_empty()
    }

    /// Where many wait and there are more processors than one: helping hands, for as long as there is something to do.
    pub(super) fn call_for_help(self: &Arc<Self>) {
        let wanted = (self.0.lock().marked.len() / WRITTEN).min(MOST_HANDS);
        if wanted == 0 {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        for _ in 0..wanted.min(runtime.metrics().num_workers().saturating_sub(1)) {
            let outgoing = Arc::clone(self);
            runtime.spawn(async move {
                let mut scratch = Scratch::default();
                while outgoing.write_some(&mut scratch) {
                    yield_now().await;
                }
            });
        }
    }

    /// Lets go where nothing is left to write; otherwise false.
    pub(super) fn let_go(&self) -> bool {
        let mut waiting = self.0.lock();
        waiting.is_held = !waiting.marked.is_empty();
        !waiting.is_held
    }

    /// The house is gone, and so is what waited.
    pub(super) fn end(&self) {
        let mut waiting = self.0.lock();
        waiting.is_over = true;
        waiting.marked.clear();
        if let Writer::Asleep(waker) = std::mem::replace(&mut waiting.writer, Writer::Awake) {
            waker.wake();
        }
    }
}

/// Deliveries of one post: noted at once, when the last of them is written, so that the clock is read once for many.
#[derive(Default)]
struct Times {
    since: Since,
    count: u64,
}

impl Times {
    fn note(&mut self, since: Since, delivery: &Histogram) {
        if self.count > 0 && self.since != since {
            self.tell(delivery);
        }
        self.since = since;
        self.count += 1;
    }

    fn tell(&mut self, delivery: &Histogram) {
        if self.count > 0 {
            delivery.observe_many(self.since.until(clock::tick()), std::mem::take(&mut self.count));
        }
    }
}

impl Waiting {
    /// Nobody is here to write: everybody writes for itself.
    fn ring_for_all(&mut self) {
        self.writer = Writer::None;
        for here in self.marked.drain(..) {
            here.unmark();
            here.ring();
        }
    }
}

/// The writer's part in this. Dropped with its runtime, it leaves the rest to whoever has one.
struct Hand(Arc<Outgoing>);

impl Drop for Hand {
    fn drop(&mut self) {
        self.0.0.lock().ring_for_all();
    }
}

async fn write(hand: Hand) {
    let outgoing = &hand.0;
    let mut scratch = Scratch::default();
    while poll_fn(|cx| outgoing.poll_called(cx)).await {
        outgoing.write_some(&mut scratch);
        if outgoing.is_busy() {
            yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock, endpoint::Endpoint, hub::Arrival, hub::Standing};
    use gateway_domain::{
        ConnectionId, Principal, RequestId,
        plan::{Messages, OnConnectionLimit, OwnLimits, Plan},
    };
    use gateway_transport::ClientAddress;
    use uuid::Uuid;

    fn somebody() -> Arc<Occupant> {
        let now = clock::now();
        let arrival = Arrival {
            request_id: RequestId::new(Uuid::nil()),
            endpoint: Arc::new(Endpoint::at("/ws")),
            address: ClientAddress::Local,
            user_agent: None,
            autojoin: true,
        };
        let plan = Plan {
            name: "default".parse().unwrap(),
            connections: None,
            on_connection_limit: OnConnectionLimit::RejectNew,
            messages: Messages { rate: None, burst: None },
        };
        let principal = Principal {
            user: "ann".parse().unwrap(),
            agent: None,
            issuer: None,
            key: "main".into(),
            roles: Vec::new(),
            permissions: Vec::new(),
            plan: None,
            own_limits: OwnLimits::default(),
            token_id: None,
            issued_at: None,
            expires_at: now.wall,
            claims: Arc::default(),
        };
        let standing = Standing {
            principal: Arc::new(principal),
            role: None,
            plan: Arc::new(plan),
            account: Arc::default(),
            authenticated_at: now.wall,
        };
        Arc::new(Occupant::new(ConnectionId::new(Uuid::nil()), arrival, standing, now))
    }

    #[test]
    fn whoever_waits_to_be_written_to_does_not_wait_twice() {
        let (outgoing, here) = (Arc::new(Outgoing::default()), somebody());
        outgoing.hold();
        outgoing.mark(&here);
        outgoing.mark(&here);
        assert_eq!(outgoing.0.lock().marked.len(), 1);
        assert!(outgoing.write_some(&mut Scratch::default()));
        outgoing.mark(&here);
        assert_eq!(outgoing.0.lock().marked.len(), 1, "who was written to is marked anew");
    }

    /// What a task that is dropped says, as its runtime ends.
    struct LastWord(Arc<Outgoing>, Arc<Occupant>);

    impl Drop for LastWord {
        fn drop(&mut self) {
            self.0.mark(&self.1);
        }
    }

    #[test]
    fn what_is_said_while_a_runtime_ends_blocks_nobody() {
        let (ended, hears) = std::sync::mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let last = LastWord(Arc::default(), somebody());
            runtime.spawn(async move {
                let _last = last;
                std::future::pending::<()>().await;
            });
            runtime.block_on(yield_now());
            drop(runtime);
            ended.send(()).unwrap();
        });
        hears.recv_timeout(std::time::Duration::from_secs(10)).expect("the runtime ends");
    }
}
