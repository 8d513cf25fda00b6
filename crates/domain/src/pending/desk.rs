//! What lies at one receiver: the requests that it is to answer, and the names by which a reply may mean them.
//!
//! As a rule that is one, which is looked at itself; an index of names is made with the second.

use std::{borrow::Borrow, collections::HashMap, hash::Hash};

use super::{Request, Unasked, ids::Ids};
use crate::{name::RequestId, route::Correlation};

/// The requests at one receiver.
#[derive(Debug)]
pub(super) enum Desk {
    One(RequestId),
    Several(Box<Index>),
}

/// Several requests, by their names.
#[derive(Debug)]
pub(super) struct Index {
    requests: Ids,
    by_asker_id: Names<Box<str>>,
    by_correlation: Names<Correlation>,
}

/// Requests by a name that several of them may have.
#[derive(Debug)]
struct Names<K>(HashMap<K, Ids>);

impl Desk {
    /// One more lies there; `open` knows those that do already.
    pub(super) fn put<'a>(&mut self, request: &Request, open: impl FnOnce(RequestId) -> Option<&'a Request>) {
        if let Self::One(first) = self {
            *self = Self::Several(Box::new(Index::of(*first, open(*first))));
        }
        if let Self::Several(index) = self {
            index.requests.put(request.id);
            index.name(request);
        }
    }

    /// Takes one away; whether nothing lies there any more.
    pub(super) fn take(&mut self, request: &Request) -> bool {
        match self {
            Self::One(only) => *only == request.id,
            Self::Several(index) => {
                index.by_asker_id.take(request.asker_id.as_deref(), request.id);
                index.by_correlation.take(request.correlation.as_ref(), request.id);
                index.requests.take(request.id)
            }
        }
    }

    pub(super) fn has(&self, id: RequestId) -> bool {
        match self {
            Self::One(only) => *only == id,
            Self::Several(index) => index.requests.has(id),
        }
    }

    pub(super) fn by_asker_id<'a>(
        &self,
        name: &str,
        open: impl FnOnce(RequestId) -> Option<&'a Request>,
    ) -> Result<RequestId, Unasked> {
        match self {
            Self::One(only) => named(*only, open(*only).is_some_and(|open| open.asker_id.as_deref() == Some(name))),
            Self::Several(index) => index.by_asker_id.only(name),
        }
    }

    pub(super) fn by_correlation<'a>(
        &self,
        correlation: &Correlation,
        open: impl FnOnce(RequestId) -> Option<&'a Request>,
    ) -> Result<RequestId, Unasked> {
        match self {
            Self::One(only) => {
                named(*only, open(*only).is_some_and(|open| open.correlation.as_ref() == Some(correlation)))
            }
            Self::Several(index) => index.by_correlation.only(correlation),
        }
    }

    pub(super) fn requests(&self) -> Vec<RequestId> {
        match self {
            Self::One(only) => vec![*only],
            Self::Several(index) => index.requests.iter().copied().collect(),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Several(index) => index.requests.len(),
        }
    }
}

const fn named(id: RequestId, is_meant: bool) -> Result<RequestId, Unasked> {
    if is_meant { Ok(id) } else { Err(Unasked::NotAsked) }
}

impl Index {
    fn of(id: RequestId, request: Option<&Request>) -> Self {
        let mut index =
            Self { requests: Ids::One(id), by_asker_id: Names::default(), by_correlation: Names::default() };
        if let Some(request) = request {
            index.name(request);
        }
        index
    }

    fn name(&mut self, request: &Request) {
        self.by_asker_id.put(request.asker_id.as_ref(), request.id);
        self.by_correlation.put(request.correlation.as_ref(), request.id);
    }
}

impl<K: Hash + Eq + Clone> Names<K> {
    fn put(&mut self, name: Option<&K>, id: RequestId) {
        if let Some(name) = name {
            self.0.entry(name.clone()).and_modify(|ids| ids.put(id)).or_insert(Ids::One(id));
        }
    }

    fn take<Q: Hash + Eq + ?Sized>(&mut self, name: Option<&Q>, id: RequestId)
    where
        K: Borrow<Q>,
    {
        let Some(name) = name else { return };
        if self.0.get_mut(name).is_some_and(|ids| ids.take(id)) {
            self.0.remove(name);
        }
    }

    /// The one request of that name.
    fn only<Q: Hash + Eq + ?Sized>(&self, name: &Q) -> Result<RequestId, Unasked>
    where
        K: Borrow<Q>,
    {
        self.0.get(name).ok_or(Unasked::NotAsked)?.only().ok_or(Unasked::Ambiguous)
    }
}

impl<K> Default for Names<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}
