//! The audit: every refusal and every event in the life of a connection, one JSON object a line, apart from the
//! debug log. Never a token, never a payload.
//!
//! The way of a record: folded with its like under a flood, kept among the latest for the API, offered to whoever
//! follows, and queued for the writer. The queue is bounded; a line that finds it full, or the disk, is lost, and
//! the loss is counted and written down when writing works again. The gateway itself goes on.

mod fold;
mod record;
mod writer;

use std::{
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use gateway_domain::{Now, Refusal, RequestId, network::Network};
use gateway_transport::address::ClientAddress;
use parking_lot::Mutex;
use tokio::sync::broadcast;

use fold::{Folding, Folds};
pub use record::{Event, Record, Subject};
pub use writer::Destination;
use writer::Writer;

const FOLLOWERS_QUEUE: usize = 1_024;

/// How much of an address is written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressDetail {
    /// All of it.
    #[default]
    Full,
    /// The /24 of a v4 address, the /48 of a v6 one.
    Prefix,
    /// A keyed hash that is the same for the same address as long as the gateway runs.
    Hash,
}

/// The audit stream.
#[derive(Debug)]
pub struct Audit {
    addresses: AddressDetail,
    hasher: RandomState,
    folds: Mutex<Folds>,
    kept: usize,
    latest: Mutex<VecDeque<Arc<Record>>>,
    followers: broadcast::Sender<Arc<Record>>,
    writer: Writer,
    written: AtomicU64,
}

impl Audit {
    /// A stream to that destination, of which the latest `kept` stay in memory for the API.
    pub fn new(destination: Destination, addresses: AddressDetail, kept: usize) -> std::io::Result<Self> {
        Ok(Self {
            addresses,
            hasher: RandomState::new(),
            folds: Mutex::default(),
            kept: kept.max(1),
            latest: Mutex::default(),
            followers: broadcast::channel(FOLLOWERS_QUEUE).0,
            writer: Writer::start(destination)?,
            written: AtomicU64::new(0),
        })
    }

    /// Records a refused handshake or call. The answer is the id under which it can be explained: the caller's own, or under a flood
    /// that of the line into which it was folded.
    pub fn refused(&self, refusal: &Refusal, subject: &Subject<'_>, now: Now) -> RequestId {
        self.refused_as(Event::Refused, refusal, subject, now)
    }

    /// Records a refusal of another kind, and folds a flood of them likewise.
    pub fn refused_as(&self, event: Event, refusal: &Refusal, subject: &Subject<'_>, now: Now) -> RequestId {
        let folding = self.folds.lock().take_in(event, refusal, subject, now, |refusal| {
            self.record(event, Some(refusal), subject, refusal.reason().into(), now)
        });
        match folding {
            Folding::Line { record, ended } => {
                ended.into_iter().for_each(|fold| self.publish(*fold));
                let id = record.request_id;
                self.publish(*record);
                id
            }
            Folding::Folded(id) => id,
        }
    }

    /// Records an event.
    pub fn event(&self, event: Event, subject: &Subject<'_>, reason: impl Into<String>, now: Now) {
        self.publish(self.record(event, None, subject, reason.into(), now));
    }

    /// Records an event that a refusal explains.
    pub fn event_of(&self, event: Event, refusal: &Refusal, subject: &Subject<'_>, now: Now) {
        self.publish(self.record(event, Some(refusal), subject, refusal.reason().into(), now));
    }

    /// Writes the folds whose time is over.
    pub fn sweep(&self, now: Now) {
        let ended = self.folds.lock().end_older(now);
        ended.into_iter().for_each(|fold| self.publish(fold));
    }

    /// The record of that id; of several (a connection's beginning and end) the first.
    pub fn find(&self, id: RequestId) -> Vec<Record> {
        let mut found: Vec<Record> = self
            .latest
            .lock()
            .iter()
            .filter(|record| record.request_id == id)
            .map(|record| (**record).clone())
            .collect();
        if let Some(open) = self.folds.lock().open(id) {
            found.push(open);
        }
        found
    }

    /// The latest records that are wanted, the newest first.
    pub fn latest(&self, most: usize, wanted: impl Fn(&Record) -> bool) -> Vec<Arc<Record>> {
        self.latest.lock().iter().rev().filter(|record| wanted(record)).take(most).cloned().collect()
    }

    /// Every record from now on. A follower that does not keep up is told how many it missed.
    pub fn follow(&self) -> broadcast::Receiver<Arc<Record>> {
        self.followers.subscribe()
    }

    /// How many lines were queued for writing, and how many lost.
    pub fn counts(&self) -> (u64, u64) {
        (self.written.load(Ordering::Relaxed), self.writer.lost())
    }

    /// Writes what is queued, and ends.
    pub fn close(&self) {
        let ended = self.folds.lock().end_all();
        ended.into_iter().for_each(|fold| self.publish(fold));
        self.writer.close();
    }

    fn record(
        &self,
        event: Event,
        refusal: Option<&Refusal>,
        subject: &Subject<'_>,
        reason: String,
        now: Now,
    ) -> Record {
        Record::new(event, refusal, subject, subject.address.map(|address| self.shown(address)), reason, now)
    }

    fn publish(&self, record: Record) {
        let record = Arc::new(record);
        {
            let mut latest = self.latest.lock();
            if latest.len() >= self.kept {
                latest.pop_front();
            }
            latest.push_back(Arc::clone(&record));
        }
        // Nobody follows: nobody misses it.
        let _ = self.followers.send(Arc::clone(&record));
        self.written.fetch_add(1, Ordering::Relaxed);
        self.writer.write(record);
    }

    fn shown(&self, address: &ClientAddress) -> String {
        let ClientAddress::Ip(ip) = address else { return address.to_string() };
        match (self.addresses, ip.to_canonical()) {
            (AddressDetail::Full, ip) => ip.to_string(),
            (AddressDetail::Prefix, ip @ IpAddr::V4(_)) => Network::around(ip, 24).to_string(),
            (AddressDetail::Prefix, ip @ IpAddr::V6(_)) => Network::around(ip, 48).to_string(),
            (AddressDetail::Hash, ip) => format!("#{:016x}", self.hasher.hash_one(ip)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use gateway_domain::Code;
    use std::time::Duration;
    use uuid::Uuid;

    fn subject<'a>(n: u128, address: &'a ClientAddress) -> Subject<'a> {
        Subject { address: Some(address), endpoint: Some("/ws"), ..Subject::new(RequestId::new(Uuid::from_u128(n))) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_one_line_and_shares_its_id() {
        let audit = Audit::new(Destination::Nowhere, AddressDetail::Full, 100).unwrap();
        let address = ClientAddress::Ip("203.0.113.9".parse().unwrap());
        let refusal = Refusal::plain(Code::RateLimited);
        let ids: Vec<_> = (0..1000).map(|n| audit.refused(&refusal, &subject(n, &address), clock::now())).collect();
        let shared = *ids.last().unwrap();
        assert_eq!(ids.iter().filter(|id| **id == shared).count(), 1000 - fold::LINES_APART);
        assert_eq!(audit.find(shared)[0].count, Some(995), "it can be explained while it is still open");
        assert_eq!(audit.find(ids[0])[0].count, None);

        let other = ClientAddress::Ip("203.0.113.8".parse().unwrap());
        assert_eq!(audit.refused(&refusal, &subject(2000, &other), clock::now()).uuid(), Uuid::from_u128(2000));

        tokio::time::advance(Duration::from_secs(11)).await;
        audit.sweep(clock::now());
        let lines = audit.latest(100, |record| record.count.is_some());
        assert_eq!((lines.len(), lines[0].count, lines[0].request_id), (1, Some(995), shared));
        assert_eq!(audit.refused(&refusal, &subject(3000, &address), clock::now()).uuid(), Uuid::from_u128(3000));
    }

    #[tokio::test(start_paused = true)]
    async fn the_latest_are_bounded_and_an_address_is_shown_as_told() {
        let audit = Audit::new(Destination::Nowhere, AddressDetail::Prefix, 100).unwrap();
        let v4 = ClientAddress::Ip("203.0.113.9".parse().unwrap());
        let v6 = ClientAddress::Ip("2001:db8:1:2::9".parse().unwrap());
        let mut follower = audit.follow();
        audit.event(Event::Connected, &subject(1, &v4), "in", clock::now());
        audit.event(Event::Connected, &subject(2, &v6), "in", clock::now());
        let shown: Vec<_> = audit.latest(2, |_| true).iter().map(|record| record.ip.clone().unwrap()).collect();
        assert_eq!(shown, ["2001:db8:1::/48", "203.0.113.0/24"]);
        assert_eq!(follower.recv().await.unwrap().request_id.uuid(), Uuid::from_u128(1));
        for n in 0..110 {
            audit.event(Event::Connected, &subject(n, &v4), "in", clock::now());
        }
        assert_eq!(audit.latest(usize::MAX, |_| true).len(), 100);

        let audit = Audit::new(Destination::Nowhere, AddressDetail::Hash, 100).unwrap();
        audit.event(Event::Connected, &subject(1, &v4), "in", clock::now());
        audit.event(Event::Connected, &subject(2, &v4), "in", clock::now());
        audit.event(Event::Connected, &subject(3, &ClientAddress::Local), "in", clock::now());
        let shown: Vec<_> = audit.latest(3, |_| true).iter().map(|record| record.ip.clone().unwrap()).collect();
        assert!(
            shown[1] == shown[2] && shown[1].starts_with('#') && shown[0] == ClientAddress::Local.to_string(),
            "{shown:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_writes_what_is_folded_and_counts_every_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let audit = Audit::new(Destination::File(path.clone()), AddressDetail::Full, 100).unwrap();
        let (address, now) = (ClientAddress::Ip("203.0.113.9".parse().unwrap()), clock::now());
        let refusal = Refusal::plain(Code::TokenExpired).because("since long ago");
        for n in 0..50 {
            audit.refused(&refusal, &subject(n, &address), now);
        }
        audit.event_of(Event::TokenRefused, &refusal, &subject(50, &address), now);
        audit.close();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let written = fold::LINES_APART + 2;
        assert_eq!((lines.len(), audit.counts()), (written, (written as u64, 0)));
        let (refused, folded) = (&lines[fold::LINES_APART], &lines[fold::LINES_APART + 1]);
        assert_eq!((&refused["event"], &refused["code"]), (&"token.refused".into(), &"TOKEN_EXPIRED".into()));
        assert_eq!((&folded["count"], &folded["reason"]), (&45.into(), &"since long ago".into()));
        assert_eq!(audit.find(RequestId::new(Uuid::from_u128(50))).len(), 1);
        audit.event(Event::Gateway, &subject(51, &address), "after the end", now);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}
