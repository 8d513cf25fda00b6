//! Bans and revocations that all gateways share.
//!
//! What is laid here is in force here at once, and with the others within a second; what they lay is in force here as it
//! arrives, and whom it meets is gone. What is laid while the others cannot be reached is told to them when they can.

use std::{collections::BTreeMap, sync::Arc};

use gateway_domain::{
    Code, Now, Refusal,
    ban::{Ban, Subject},
    link::{Act, Answer, Book, Expected},
    revocation::{Revocation, RevokedSubject},
};
use parking_lot::Mutex;
use serde::Serialize;

use super::{Ledger, banned};
use crate::{
    cluster::Link,
    hub::{Hub, Occupant},
};

/// So many changes wait for the others to be reached; one more is for this gateway alone.
const MOST_UNTOLD: usize = 10_000;

/// The way to the others' books.
#[derive(Debug)]
pub(super) struct Shared {
    link: Arc<Link>,
    /// What could not be told yet, the last word on each.
    untold: Arc<Mutex<BTreeMap<(u8, String), Act>>>,
}

impl Shared {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self { link, untold: Arc::default() }
    }

    pub(super) const fn link(&self) -> &Arc<Link> {
        &self.link
    }

    pub(super) fn ban(&self, ban: &Ban) {
        self.write(Book::Bans, ban.subject.to_string(), Some(ban), ban.until, None);
    }

    pub(super) fn lift(&self, subject: &Subject) {
        self.write(Book::Bans, subject.to_string(), None::<&Ban>, None, None);
    }

    pub(super) fn revoke(&self, revocation: &Revocation) {
        self.write(Book::Revocations, key(revocation), Some(revocation), revocation.until, None);
    }

    fn write<T: Serialize>(
        &self,
        book: Book,
        key: String,
        value: Option<&T>,
        until: Option<gateway_domain::Timestamp>,
        expected: Option<Expected>,
    ) {
        let value = value.and_then(|value| serde_json::to_string(value).ok());
        let name = (u8::from(book == Book::Bans), key.clone());
        let act = Act::Write { book, key, value, until, expected };
        let (untold, again) = (Arc::clone(&self.untold), (name.clone(), act.clone()));
        let next = move |_, answer| {
            if matches!(answer, Answer::Away) {
                keep(&untold, again.0, again.1);
            }
        };
        if self.link.then(act.clone(), next).is_none() {
            keep(&self.untold, name, act);
        }
    }

    fn tell_untold(&self) {
        let untold = std::mem::take(&mut *self.untold.lock());
        for (name, act) in untold {
            let (untold, again) = (Arc::clone(&self.untold), (name.clone(), act.clone()));
            let next = move |_, answer| {
                if matches!(answer, Answer::Away) {
                    keep(&untold, again.0, again.1);
                }
            };
            if self.link.then(act.clone(), next).is_none() {
                keep(&self.untold, name, act);
            }
        }
    }
}

fn keep(untold: &Mutex<BTreeMap<(u8, String), Act>>, name: (u8, String), act: Act) {
    let mut untold = untold.lock();
    if untold.len() < MOST_UNTOLD || untold.contains_key(&name) {
        untold.insert(name, act);
    }
}

fn key(revocation: &Revocation) -> String {
    match &revocation.subject {
        RevokedSubject::Token { jti } => format!("token:{jti}"),
        RevokedSubject::User { user, .. } => format!("user:{user}"),
    }
}

impl Ledger {
    /// This gateway is among the others now: what it had before is told to them, where they do not know better.
    pub(crate) fn joins(&self, now: Now) {
        let Some(shared) = &self.shared else { return };
        for ban in self.books.bans.read().iter().filter(|ban| ban.holds(now)) {
            shared.write(Book::Bans, ban.subject.to_string(), Some(ban), ban.until, Some(Expected::Absent));
        }
        for revocation in self.books.revocations.read().iter() {
            let key = key(revocation);
            shared.write(Book::Revocations, key, Some(revocation), revocation.until, Some(Expected::Absent));
        }
    }

    /// The others can be reached again.
    pub(crate) fn back(&self) {
        if let Some(shared) = &self.shared {
            shared.tell_untold();
        }
    }

    /// Something was laid, or lifted, at another gateway.
    pub(crate) fn written(&self, hub: &Hub, book: Book, key: &str, value: Option<&str>) {
        match book {
            Book::Bans => match value {
                Some(value) => match serde_json::from_str::<Ban>(value) {
                    Ok(ban) => drop(self.takes_ban(hub, ban)),
                    Err(fault) => tracing::warn!(%fault, key, "a ban of another gateway cannot be read"),
                },
                None => {
                    let mut bans = self.books.bans.write();
                    let subject = bans.iter().map(|ban| ban.subject.clone()).find(|subject| subject.to_string() == key);
                    drop(subject.and_then(|subject| bans.lift(&subject)));
                }
            },
            Book::Revocations => match value.map(serde_json::from_str::<Revocation>) {
                Some(Ok(revocation)) => drop(self.takes_revocation(hub, revocation)),
                Some(Err(fault)) => tracing::warn!(%fault, key, "a revocation of another gateway cannot be read"),
                None => {}
            },
            Book::Families | Book::Once | Book::Gone => {}
        }
    }

    /// A ban of another gateway's is in force here, too; how many connections it met.
    pub(crate) fn takes_ban(&self, hub: &Hub, ban: Ban) -> usize {
        let refusal = banned(&ban);
        let subject = ban.subject.clone();
        if let Err(full) = self.books.bans.write().put(ban) {
            tracing::warn!(%full, "a ban of another gateway is not in force here");
        }
        hub.end_where(|here| is_met(here, &subject), &refusal)
    }

    /// The same of a revocation.
    pub(crate) fn takes_revocation(&self, hub: &Hub, revocation: Revocation) -> usize {
        if let Err(full) = self.books.revocations.write().put(revocation.clone()) {
            tracing::warn!(%full, "a revocation of another gateway is not in force here");
        }
        if let RevokedSubject::User { user, .. } = &revocation.subject {
            let _in_order = self.families_in_order.lock();
            let ended = self.books.families.end_of_user(user);
            self.tell_ended(&ended, crate::clock::now());
            drop(self.write(ended.into_iter().map(super::Entry::Family)));
        }
        let refusal = Refusal::new(Code::TokenRevoked, "the token was revoked").because("at another gateway");
        hub.end_where(|here| here.stands(|standing| revocation.meets(&standing.principal)), &refusal)
    }
}

/// Whether a ban is about that connection.
pub(crate) fn is_met(here: &Occupant, subject: &Subject) -> bool {
    match subject {
        Subject::Network(network) => here.address.as_ip().is_some_and(|ip| network.contains(ip)),
        Subject::User(user) => here.user() == user,
    }
}
