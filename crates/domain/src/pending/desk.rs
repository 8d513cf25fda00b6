//! What lies at one receiver: the requests that it is to answer, and the names by which a reply may mean them.

use std::{
    borrow::Borrow,
    collections::{BTreeSet, HashMap},
    hash::Hash,
};

use super::{Request, Unasked};
use crate::{name::RequestId, route::Correlation};

/// The requests at one receiver.
#[derive(Debug, Default)]
pub(super) struct Desk {
    requests: BTreeSet<RequestId>,
    by_asker_id: Names<Box<str>>,
    by_correlation: Names<Correlation>,
}

/// Requests by a name that several of them may have.
#[derive(Debug)]
struct Names<K>(HashMap<K, BTreeSet<RequestId>>);

impl Desk {
    pub(super) fn put(&mut self, request: &Request) {
        self.requests.insert(request.id);
        self.by_asker_id.put(request.asker_id.as_ref(), request.id);
        self.by_correlation.put(request.correlation.as_ref(), request.id);
    }

    pub(super) fn take(&mut self, request: &Request) {
        self.requests.remove(&request.id);
        self.by_asker_id.take(request.asker_id.as_deref(), request.id);
        self.by_correlation.take(request.correlation.as_ref(), request.id);
    }

    pub(super) fn has(&self, id: RequestId) -> bool {
        self.requests.contains(&id)
    }

    pub(super) fn by_asker_id(&self, id: &str) -> Result<RequestId, Unasked> {
        self.by_asker_id.only(id)
    }

    pub(super) fn by_correlation(&self, correlation: &Correlation) -> Result<RequestId, Unasked> {
        self.by_correlation.only(correlation)
    }

    pub(super) fn requests(&self) -> Vec<RequestId> {
        self.requests.iter().copied().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }
}

impl<K: Hash + Eq + Clone> Names<K> {
    fn put(&mut self, name: Option<&K>, id: RequestId) {
        if let Some(name) = name {
            self.0.entry(name.clone()).or_default().insert(id);
        }
    }

    fn take<Q: Hash + Eq + ?Sized>(&mut self, name: Option<&Q>, id: RequestId)
    where
        K: Borrow<Q>,
    {
        let Some(name) = name else { return };
        let Some(ids) = self.0.get_mut(name) else { return };
        ids.remove(&id);
        if ids.is_empty() {
            self.0.remove(name);
        }
    }

    /// The one request of that name.
    fn only<Q: Hash + Eq + ?Sized>(&self, name: &Q) -> Result<RequestId, Unasked>
    where
        K: Borrow<Q>,
    {
        let ids = self.0.get(name).ok_or(Unasked::NotAsked)?;
        match ids.first() {
            Some(id) if ids.len() == 1 => Ok(*id),
            _ => Err(Unasked::Ambiguous),
        }
    }
}

impl<K> Default for Names<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}
