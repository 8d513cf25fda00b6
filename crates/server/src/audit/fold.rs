//! Under a flood, refusals of one kind, address, user and endpoint become one line with a count.
//!
//! The first few within a window stand for themselves; the rest share a line, and its id, until the window ends.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use gateway_domain::{Code, Now, Refusal, RequestId, Tick, UserId, network::Network};
use gateway_transport::address::ClientAddress;

use super::record::{Record, Subject};

/// How many of a kind stand for themselves.
pub(super) const LINES_APART: usize = 5;
const WINDOW: Duration = Duration::from_secs(10);
/// Beyond so many kinds at once, strangers' addresses and users no longer tell kinds apart.
const MOST_KINDS: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Kind {
    code: Code,
    detail: Option<gateway_domain::Detail>,
    address: Option<Network>,
    user: Option<UserId>,
    endpoint: Option<Box<str>>,
}

#[derive(Debug)]
struct Fold {
    since: Tick,
    lines: usize,
    open: Option<Record>,
}

/// The kinds of the last seconds.
#[derive(Debug, Default)]
pub(super) struct Folds(HashMap<Kind, Fold>);

/// What became of a refusal.
#[derive(Debug)]
pub(super) enum Folding {
    /// A line of its own; and the fold before it, whose window is over.
    Line {
        /// The line.
        record: Box<Record>,
        /// The fold that ended.
        ended: Option<Box<Record>>,
    },
    /// One more of a fold.
    Folded(RequestId),
}

impl Folds {
    /// Takes a refusal in.
    pub(super) fn take_in(
        &mut self,
        refusal: &Refusal,
        subject: &Subject<'_>,
        now: Now,
        record: impl Fn(&Refusal) -> Record,
    ) -> Folding {
        let mut kind = Kind::of(refusal, subject);
        if self.0.len() >= MOST_KINDS && !self.0.contains_key(&kind) {
            kind = Kind { address: None, user: None, endpoint: None, ..kind };
        }
        let fold = self.0.entry(kind).or_insert(Fold { since: now.tick, lines: 0, open: None });
        let ended = if now.tick.since(fold.since) >= WINDOW {
            (fold.since, fold.lines) = (now.tick, 0);
            fold.open.take().map(Box::new)
        } else {
            None
        };
        if fold.lines < LINES_APART {
            fold.lines += 1;
            return Folding::Line { record: Box::new(record(refusal)), ended };
        }
        let open = fold.open.get_or_insert_with(|| Record { count: Some(0), ..record(refusal) });
        open.count = open.count.map(|count| count + 1);
        open.until = Some(now.wall);
        Folding::Folded(open.request_id)
    }

    /// Ends the folds whose window is over.
    pub(super) fn end_older(&mut self, now: Now) -> Vec<Record> {
        let mut ended = Vec::new();
        self.0.retain(|_, fold| {
            let lasts = now.tick.since(fold.since) < WINDOW;
            if !lasts {
                ended.extend(fold.open.take());
            }
            lasts
        });
        if self.0.is_empty() {
            self.0.shrink_to_fit();
        }
        ended
    }

    /// Ends all.
    pub(super) fn end_all(&mut self) -> Vec<Record> {
        self.0.drain().filter_map(|(_, fold)| fold.open).collect()
    }

    /// The fold of that id, as it stands.
    pub(super) fn open(&self, id: RequestId) -> Option<Record> {
        self.0.values().filter_map(|fold| fold.open.as_ref()).find(|record| record.request_id == id).cloned()
    }
}

impl Kind {
    fn of(refusal: &Refusal, subject: &Subject<'_>) -> Self {
        let address = subject.address.map(|address| match address {
            ClientAddress::Ip(ip) => Network::of_customer(*ip),
            // No stranger has this address: it stands for whoever came by the unix socket.
            ClientAddress::Local => Network::around(IpAddr::from([0, 0, 0, 0]), 0),
        });
        Self {
            code: refusal.code,
            detail: refusal.detail,
            address,
            user: subject.user.or(refusal.user.as_ref()).cloned(),
            endpoint: subject.endpoint.map(Into::into),
        }
    }
}
