//! Hooks of several gateways that act as one: of each connection that went with its node, one of those who are left tells.
//!
//! The law: a connection that a hook is to be told of leaves a note with the link when its seat is taken. Who is handed the
//! notes of a lost node stands in a book that all nodes read, and so does a node that comes back and finds in its roll
//! whom its crash took: nobody else tells of them.

use std::sync::Arc;

use gateway_domain::{
    Now,
    link::{Act, Answer, Book, Expected},
};
use parking_lot::Mutex;

use super::{Kind, Webhooks, happening::Facts, roll::Left};
use crate::{cluster::Link, gate::Claim, hub::Hub};

/// So long it is known who told of a connection. A node that stays away for longer tells again.
const KNOWN_FOR: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// Those whom a crash of this node took and of whom others may have told.
#[derive(Debug, Default)]
pub(super) struct Unclaimed(Option<Mutex<Vec<Left>>>);

impl Unclaimed {
    pub(super) fn new(has_others: bool) -> Self {
        Self(has_others.then(Mutex::default))
    }

    /// Keeps them until it is known whether others told of them; hands them back where there are none who could have.
    pub(super) fn keep(&self, left: Vec<Left>) -> Vec<Left> {
        match &self.0 {
            Some(waiting) => {
                waiting.lock().extend(left);
                Vec::new()
            }
            None => left,
        }
    }

    fn take(&self) -> Vec<Left> {
        self.0.as_ref().map(|waiting| std::mem::take(&mut *waiting.lock())).unwrap_or_default()
    }
}

impl Webhooks {
    /// What others need to know of a connection, where a hook is to be told of its end.
    pub(crate) fn note(&self, claim: &Claim<'_>, id: gateway_domain::ConnectionId, now: Now) -> Option<Box<str>> {
        let is_wanted = self.hooks().iter().any(|hook| hook.wants(Kind::Disconnect, &claim.endpoint.path));
        let note = is_wanted.then(|| serde_json::to_string(&Facts::of_claim(claim, id, now.wall)).ok());
        note.flatten().map(Into::into)
    }

    /// A connection of another node went with it, and nobody else tells of it.
    pub(crate) fn lost(&self, note: &str) {
        match serde_json::from_str::<Facts>(note) {
            Ok(facts) => {
                let facts = Arc::new(facts);
                self.hooks().iter().for_each(|hook| hook.adopts(&facts));
            }
            Err(_) => tracing::warn!("a note of a lost connection cannot be read: is it of another release?"),
        }
    }
}

impl Hub {
    /// Asks the others whether they told of those whom a crash of this node took. Where nobody can say, they are told of.
    pub(crate) fn claim_left(self: &Arc<Self>, link: &Link, now: Now) {
        for left in self.webhooks().unclaimed.take() {
            let (hub, own) = (Arc::clone(self), link.node().name().to_owned());
            let act = Act::Write {
                book: Book::Gone,
                key: left.1.connection_id.to_string(),
                value: Some(own.clone()),
                until: Some(now.wall + KNOWN_FOR),
                expected: Some(Expected::Absent),
            };
            link.must_then(act, move |_, answer| match answer {
                Answer::Written(Err(Some(other))) if other != own => {
                    hub.webhooks().strike(&left.0, left.1.connection_id)
                }
                _ => hub.webhooks().inherit_one(left),
            });
        }
    }
}
