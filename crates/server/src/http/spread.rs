//! Lists over all nodes: each is asked for its part, and the parts are put together. Those that do not answer are named.

use std::sync::Arc;

use gateway_domain::Now;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Site, connections, rooms};
use crate::{
    clock,
    cluster::{Found, Question, Spread},
    house::House,
    hub::Occupant,
};

/// An entry of a list, by its name.
pub(super) type Entry = (String, Box<RawValue>);

/// What all nodes have.
#[derive(Debug, Default)]
pub(super) struct All {
    pub(super) entries: Vec<Entry>,
    pub(super) total: usize,
    pub(super) violations: u32,
    pub(super) penalty_seconds: Option<u64>,
    pub(super) missing: Vec<String>,
}

impl All {
    fn take(&mut self, found: Found) {
        self.entries.extend(found.entries);
        self.total += found.total;
        self.violations = self.violations.max(found.violations);
        self.penalty_seconds = self.penalty_seconds.max(found.penalty_seconds);
    }

    /// The first so many, and the name of the last of them, where there may be more.
    pub(super) fn page(&self, most: usize) -> (Vec<Box<RawValue>>, Option<String>) {
        let page = self.entries.get(..most).unwrap_or(&self.entries);
        let next = page.last().filter(|_| page.len() == most).map(|(name, _)| name.clone());
        (page.iter().map(|(_, entry)| entry.clone()).collect(), next)
    }
}

impl Site {
    /// Asks all nodes, or the one of that name.
    pub(super) async fn asked(&self, question: Question, node: Option<&str>) -> All {
        let house = &self.house;
        let mut all = All::default();
        let is_own = node.is_some_and(|node| node == house.node.as_str());
        match house.hub.link().filter(|_| !is_own) {
            None if node.is_none() || is_own => all.take(found(house, question, clock::now())),
            None => all.total = found(house, question, clock::now()).total,
            Some(link) => {
                let gathered = house.hub.gather(link, question.clone()).await;
                let is_meant = |name: &str| node.is_none_or(|node| node == name);
                // This node always knows what it has itself.
                let own = gathered.found.iter().any(|(from, _)| from == link.node());
                if !own && is_meant(link.node().name()) {
                    all.take(found(house, question, clock::now()));
                }
                for (from, found) in gathered.found {
                    if is_meant(from.name()) {
                        all.take(found);
                    } else {
                        all.total += found.total;
                    }
                }
                let missing = gathered.missing.into_iter().filter(|name| name != link.node().name() && is_meant(name));
                all.missing = missing.collect();
            }
        }
        all.entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        all
    }

    /// Asks all other nodes.
    pub(super) async fn asked_of_others(&self, question: Question) -> All {
        let mut all = All::default();
        let Some(link) = self.house.hub.link() else { return all };
        let gathered = self.house.hub.gather(link, question).await;
        gathered.found.into_iter().filter(|(from, _)| from != link.node()).for_each(|(_, found)| all.take(found));
        all.missing = gathered.missing.into_iter().filter(|name| name != link.node().name()).collect();
        all
    }
}

/// What this node has of what was asked. A ban or a revocation is laid by whoever asks, at its own node.
pub(crate) fn found(house: &Arc<House>, question: Question, now: Now) -> Found {
    let hub = &house.hub;
    match question {
        Question::Connections(spread) => connections::page(house, &spread, now),
        Question::Connection(id) => connections::some(house, hub.occupant(id).as_slice(), now),
        Question::EndConnection { connection, by } => {
            let here = hub.occupant(connection);
            here.iter().for_each(|here| here.end(connections::kicked(&by)));
            connections::some(house, here.as_slice(), now)
        }
        Question::User(user) => connections::of_user(house, &user, now),
        Question::EndUser { user, by } => {
            let here = hub.of_user(&user);
            here.iter().for_each(|here| here.end(connections::kicked(&by)));
            Found { total: here.len(), ..Found::default() }
        }
        Question::Agents(spread) => rooms::agents_here(house, &spread, now),
        Question::Online => hub.online_here(now),
        Question::Rooms(spread) => rooms::page(house, &spread),
        Question::Room(room) => rooms::one(house, &room),
        Question::Banned { ban, laid: false } => {
            let here = hub.page(None, usize::MAX, |here| crate::ledger::is_met(here, &ban.subject));
            Found { total: here.len(), ..Found::default() }
        }
        Question::Banned { ban, laid: true } => Found { total: house.ledger.takes_ban(hub, ban), ..Found::default() },
        Question::Revoked { revocation, .. } => {
            Found { total: house.ledger.takes_revocation(hub, revocation), ..Found::default() }
        }
    }
}

/// An entry of that name, as it is told.
pub(super) fn entry(name: String, told: &impl Serialize) -> Option<Entry> {
    Some((name, serde_json::value::to_raw_value(told).ok()?))
}

impl Spread {
    /// Whether the filters let that connection pass.
    pub(super) fn means(&self, here: &Occupant) -> bool {
        let is = |wanted: &Option<String>, own: &str| wanted.as_deref().is_none_or(|wanted| wanted == own);
        is(&self.user, here.user().as_str())
            && is(&self.endpoint, &here.endpoint.path)
            && self.role.as_deref().is_none_or(|role| here.stands(|standing| standing.principal.is(role)))
    }

    /// The entry behind which the page begins, where that is an id.
    pub(super) fn after_as<T: std::str::FromStr>(&self) -> Option<T> {
        self.after.as_deref().and_then(|after| after.parse().ok())
    }
}
