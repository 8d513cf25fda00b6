//! Who waits for which answer. Each is given to one, once; whoever stops waiting is forgotten.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use gateway_domain::link::{Answer, Ticket};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{Link, PATIENCE};

/// So many answers are awaited at once; one more is not asked for.
const MOST_AWAITED: usize = 100_000;

/// What follows upon an answer.
pub(super) type Next = Box<dyn FnOnce(Ticket, Answer) + Send>;

enum Waits {
    Somebody(oneshot::Sender<Answer>),
    /// The pump itself does what follows.
    Next(Next),
}

/// Answers that are awaited, by ticket.
#[derive(Default)]
pub(super) struct Tickets(Mutex<HashMap<Ticket, Waits>>);

/// An answer that somebody awaits.
#[derive(Debug)]
pub(crate) struct Asked(Option<Awaited>);

#[derive(Debug)]
struct Awaited {
    link: Arc<Link>,
    ticket: Ticket,
    answer: oneshot::Receiver<Answer>,
}

impl Tickets {
    pub(super) fn awaited(&self, number: u64) -> Option<(Ticket, oneshot::Receiver<Answer>)> {
        let (tells, told) = oneshot::channel();
        self.put(Ticket(number), Waits::Somebody(tells)).then_some((Ticket(number), told))
    }

    /// Something follows; nothing is put off for want of room.
    pub(super) fn followed(&self, ticket: Ticket, next: Next) {
        self.0.lock().insert(ticket, Waits::Next(next));
    }

    fn put(&self, ticket: Ticket, waits: Waits) -> bool {
        let mut all = self.0.lock();
        let fits = all.len() < MOST_AWAITED;
        if fits {
            all.insert(ticket, waits);
        }
        fits
    }

    /// How many answers are awaited.
    #[cfg(feature = "net")]
    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }

    pub(super) fn forget(&self, ticket: Ticket) {
        self.0.lock().remove(&ticket);
    }

    pub(super) fn answered(&self, ticket: Ticket, answer: Answer) {
        let waits = self.0.lock().remove(&ticket);
        match waits {
            // Whoever asked may have gone.
            Some(Waits::Somebody(tells)) => drop(tells.send(answer)),
            Some(Waits::Next(next)) => next(ticket, answer),
            None => {}
        }
    }

    /// Nobody answers any more.
    pub(super) fn end(&self) {
        let all: Vec<_> = self.0.lock().drain().collect();
        for (ticket, waits) in all {
            match waits {
                Waits::Somebody(tells) => drop(tells.send(Answer::Away)),
                Waits::Next(next) => next(ticket, Answer::Away),
            }
        }
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").field("awaited", &self.0.lock().len()).finish()
    }
}

impl Asked {
    pub(super) const fn new(link: Arc<Link>, ticket: Ticket, answer: oneshot::Receiver<Answer>) -> Self {
        Self(Some(Awaited { link, ticket, answer }))
    }

    /// Nobody was asked.
    pub(super) const fn away() -> Self {
        Self(None)
    }

    /// The answer; after the usual patience it is taken that there is none.
    pub(crate) async fn answer(self) -> Answer {
        self.within(PATIENCE).await
    }

    /// The answer, within that time.
    pub(crate) async fn within(mut self, patience: Duration) -> Answer {
        let Some(awaited) = &mut self.0 else { return Answer::Away };
        match tokio::time::timeout(patience, &mut awaited.answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Answer::Away,
        }
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.link.tickets.forget(self.ticket);
    }
}
