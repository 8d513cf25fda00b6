//! Requests that wait for a reply: who asked whom, under which name, and until when.
//!
//! The law: each request ends exactly once, by its last reply, by time, by the end of its receiver or its asker, or
//! because it could not be delivered. Only its receiver answers it. Any number of askers may use the same `id`; a
//! reply by such an `id` counts where it can mean one request only.

mod desk;
mod ids;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    time::Duration,
};

use desk::Desk;
use ids::{ById, Ids};

use crate::{
    link::NodeId,
    name::{ConnectionId, RequestId},
    route::{Correlation, Scalar},
    time::Tick,
};

/// The most requests that wait at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PendingBounds {
    /// Of the whole node.
    pub in_all: usize,
    /// Of one asker.
    pub of_asker: usize,
}

/// A request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// Our name for it, drawn by the caller, and never twice.
    pub id: RequestId,
    /// Who asks.
    pub asker: ConnectionId,
    /// The asker's own name for it.
    pub asker_id: Option<Box<str>>,
    /// Who is to answer.
    pub receiver: ConnectionId,
    /// What request and answers carry themselves.
    pub correlation: Option<Correlation>,
    /// How long each reply may take.
    pub timeout: Duration,
    /// Where one of the two is, if not here.
    pub beyond: Option<Beyond>,
}

/// One end of a request that is at another node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Beyond {
    /// Who asks is there, and the request is theirs: what becomes of it is told there.
    Asker(NodeId),
    /// Who is to answer is there.
    Receiver(NodeId),
}

/// Why no further request can wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooMany {
    /// The asker has as many open as it may.
    #[error("{0} requests of this connection are open, as many as may be: wait for a reply, or cancel one")]
    OfAsker(usize),
    /// The node has.
    #[error("{0} requests are open at this gateway, as many as may be: try again in a moment")]
    InAll(usize),
}

/// Why a reply answers nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unasked {
    /// No such request is open at this receiver.
    #[error(
        "no open request of that name was sent to this connection: it was answered, has timed out, or is another's"
    )]
    NotAsked,
    /// Several are.
    #[error("several open requests have that id: answer with the requestId that came with the request")]
    Ambiguous,
}

/// To whom a reply goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answered {
    /// Who asked.
    pub asker: ConnectionId,
    /// Under which name of its own.
    pub asker_id: Option<Box<str>>,
    /// What request and answers carry themselves.
    pub correlation: Option<Correlation>,
    /// Who answered.
    pub receiver: ConnectionId,
    /// Where one of the two is, if not here.
    pub beyond: Option<Beyond>,
}

/// A request that its asker no longer wants. It stays open: its end is the reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cancelled {
    /// Which.
    pub id: RequestId,
    /// Who is to be told.
    pub receiver: ConnectionId,
    /// What request and answers carry themselves.
    pub correlation: Option<Correlation>,
    /// Where the receiver is, if not here.
    pub beyond: Option<Beyond>,
}

/// What the end of a connection ends along with it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Left {
    /// It was to answer these: their askers are to be told.
    pub lost: Vec<Request>,
    /// It had asked these: their receivers are to be told.
    pub orphaned: Vec<Request>,
}

/// All requests that wait.
#[derive(Debug)]
pub struct Pending {
    bounds: PendingBounds,
    open: HashMap<RequestId, Open, ById>,
    deadlines: BTreeSet<(Tick, RequestId)>,
    /// In the order of ids, so that what is done for many is done in one order.
    asked: HashMap<ConnectionId, Ids, ById>,
    desks: HashMap<ConnectionId, Desk, ById>,
}

#[derive(Debug)]
struct Open {
    request: Request,
    asked: Tick,
    deadline: Tick,
}

impl Pending {
    /// Nothing waits yet.
    pub fn new(bounds: PendingBounds) -> Self {
        Self {
            bounds,
            open: HashMap::default(),
            deadlines: BTreeSet::new(),
            asked: HashMap::default(),
            desks: HashMap::default(),
        }
    }

    /// Keeps to other bounds from now on; what is open stays.
    pub const fn bound(&mut self, bounds: PendingBounds) {
        self.bounds = bounds;
    }

    /// A request begins to wait.
    pub fn open(&mut self, request: Request, now: Tick) -> Result<(), TooMany> {
        let id = request.id;
        let asked = self.asked.entry(request.asker);
        let held = match &asked {
            Entry::Occupied(asked) => asked.get().len(),
            Entry::Vacant(_) => 0,
        };
        if held >= self.bounds.of_asker {
            return Err(TooMany::OfAsker(self.bounds.of_asker));
        }
        if self.open.len() >= self.bounds.in_all {
            return Err(TooMany::InAll(self.bounds.in_all));
        }
        let deadline = now + request.timeout;
        self.deadlines.insert((deadline, id));
        asked.and_modify(|asked| asked.put(id)).or_insert(Ids::One(id));
        let open = &self.open;
        let desk = self.desks.entry(request.receiver);
        desk.and_modify(|desk| desk.put(&request, |id| Some(&open.get(&id)?.request))).or_insert(Desk::One(id));
        self.open.insert(id, Open { request, asked: now, deadline });
        Ok(())
    }

    /// The open request that a reply means: by its `requestId`, or by an id that exactly one at this receiver has.
    pub fn by_reply_to(&self, receiver: ConnectionId, reply_to: &str) -> Result<RequestId, Unasked> {
        let desk = self.desks.get(&receiver).ok_or(Unasked::NotAsked)?;
        match reply_to.parse() {
            Ok(id) if desk.has(id) => Ok(id),
            _ => desk.by_asker_id(reply_to, |id| self.get(id)),
        }
    }

    /// The open request that an answer means by what it carries itself.
    pub fn by_correlation(&self, receiver: ConnectionId, correlation: &Correlation) -> Result<RequestId, Unasked> {
        self.desks.get(&receiver).ok_or(Unasked::NotAsked)?.by_correlation(correlation, |id| self.get(id))
    }

    /// A reply: with more to come, its time starts anew; else the request is over.
    pub fn answer(&mut self, id: RequestId, more: bool, now: Tick) -> Option<Answered> {
        if !more {
            return self.end(id).map(Answered::from);
        }
        let open = self.open.get_mut(&id)?;
        self.deadlines.remove(&(open.deadline, id));
        open.deadline = now + open.request.timeout;
        self.deadlines.insert((open.deadline, id));
        Some(open.request.clone().into())
    }

    /// What an asker means with a cancel: what has the `id` or `requestId` that it names, and where nothing has, what
    /// carries the same as the cancel does. `carried` reads that from a path, and is asked once for each.
    pub fn cancelled(
        &self,
        asker: ConnectionId,
        reply_to: Option<&str>,
        mut carried: impl FnMut(&str) -> Option<Scalar>,
    ) -> Vec<Cancelled> {
        let asked = || self.asked.get(&asker).into_iter().flat_map(Ids::iter).filter_map(|id| self.open.get(id));
        let id: Option<RequestId> = reply_to.and_then(|name| name.parse().ok());
        let named = asked()
            .map(|open| &open.request)
            .filter(|request| Some(request.id) == id || reply_to.is_some() && request.asker_id.as_deref() == reply_to);
        let named: Vec<_> = named.map(Cancelled::from).collect();
        if !named.is_empty() {
            return named;
        }
        let mut read: BTreeMap<&str, Option<Scalar>> = BTreeMap::new();
        let correlated = asked().map(|open| &open.request).filter(|request| {
            let Some(Correlation { path, value }) = &request.correlation else { return false };
            read.entry(path).or_insert_with(|| carried(path)).as_ref() == Some(value)
        });
        correlated.map(Cancelled::from).collect()
    }

    /// It could not be delivered after all.
    pub fn abandon(&mut self, id: RequestId) -> Option<Request> {
        self.end(id)
    }

    /// A connection is gone, and with it all that it asked and was asked. What it had asked itself is lost.
    pub fn leave(&mut self, connection: ConnectionId) -> Left {
        let lost: Vec<_> = self.desks.get(&connection).map_or_else(Vec::new, Desk::requests);
        let lost = lost.into_iter().filter_map(|id| self.end(id)).collect();
        let orphaned: Vec<_> = self.asked.get(&connection).into_iter().flat_map(Ids::iter).copied().collect();
        let orphaned = orphaned.into_iter().filter_map(|id| self.end(id)).collect();
        Left { lost, orphaned }
    }

    /// A node is gone, and with it its end of everything: what it was to answer is lost, what it asked is orphaned.
    pub fn lose(&mut self, node: &NodeId) -> Left {
        let met =
            |open: &&Open| matches!(&open.request.beyond, Some(Beyond::Asker(at) | Beyond::Receiver(at)) if at == node);
        let mut ids: Vec<_> = self.open.values().filter(met).map(|open| open.request.id).collect();
        ids.sort_unstable();
        let (mut lost, mut orphaned) = (Vec::new(), Vec::new());
        for request in ids.into_iter().filter_map(|id| self.end(id)) {
            match request.beyond {
                Some(Beyond::Asker(_)) => orphaned.push(request),
                Some(Beyond::Receiver(_)) | None => lost.push(request),
            }
        }
        Left { lost, orphaned }
    }

    /// The open request of that name.
    pub fn get(&self, id: RequestId) -> Option<&Request> {
        self.open.get(&id).map(|open| &open.request)
    }

    /// Those whose time is up, the longest first.
    pub fn expire(&mut self, now: Tick) -> Vec<Request> {
        let mut expired = Vec::new();
        while self.next_deadline().is_some_and(|deadline| deadline <= now) {
            let id = self.deadlines.pop_first().map(|(_, id)| id);
            expired.extend(id.and_then(|id| self.end(id)));
        }
        expired
    }

    /// When the next one's time is up.
    pub fn next_deadline(&self) -> Option<Tick> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// When a request that is open was made.
    pub fn asked_at(&self, id: RequestId) -> Option<Tick> {
        self.open.get(&id).map(|open| open.asked)
    }

    /// How many wait for this receiver.
    pub fn open_at(&self, receiver: ConnectionId) -> usize {
        self.desks.get(&receiver).map_or(0, Desk::len)
    }

    /// Whether any is open that this connection asked or is to answer.
    pub fn concerns(&self, connection: ConnectionId) -> bool {
        self.asked.contains_key(&connection) || self.desks.contains_key(&connection)
    }

    /// How many wait for anybody.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The one way in which a request ends: out of all the books at once.
    fn end(&mut self, id: RequestId) -> Option<Request> {
        let Open { request, deadline, .. } = self.open.remove(&id)?;
        self.deadlines.remove(&(deadline, id));
        if let Entry::Occupied(mut asked) = self.asked.entry(request.asker)
            && asked.get_mut().take(id)
        {
            asked.remove();
        }
        if let Entry::Occupied(mut desk) = self.desks.entry(request.receiver)
            && desk.get_mut().take(&request)
        {
            desk.remove();
        }
        Some(request)
    }
}

impl From<Request> for Answered {
    fn from(request: Request) -> Self {
        let Request { asker, asker_id, correlation, receiver, beyond, .. } = request;
        Self { asker, asker_id, correlation, receiver, beyond }
    }
}

impl From<&Request> for Cancelled {
    fn from(request: &Request) -> Self {
        let Request { id, receiver, correlation, beyond, .. } = request.clone();
        Self { id, receiver, correlation, beyond }
    }
}

#[cfg(test)]
mod tests;
