//! Under a flood, refusals of one kind, address, user and endpoint become one line with a count.
//!
//! The first few within a window stand for themselves; the rest share a line, and its id, until the window ends.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use gateway_domain::{Code, Now, Refusal, RequestId, Tick, UserId, network::Network};
use gateway_transport::address::ClientAddress;

use super::record::{Event, Record, Subject};

/// How many of a kind stand for themselves.
pub(super) const LINES_APART: usize = 5;
const WINDOW: Duration = Duration::from_secs(10);
/// Beyond so many kinds at once, strangers' addresses and users no longer tell kinds apart.
const MOST_KINDS: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Kind {
    event: Event,
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
        event: Event,
        refusal: &Refusal,
        subject: &Subject<'_>,
        now: Now,
        record: impl Fn(&Refusal) -> Record,
    ) -> Folding {
        let mut kind = Kind::of(event, refusal, subject);
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
    fn of(event: Event, refusal: &Refusal, subject: &Subject<'_>) -> Self {
        let address = subject.address.map(|address| match address {
            ClientAddress::Ip(ip) => Network::of_customer(*ip),
            // No stranger has this address: it stands for whoever came by the unix socket.
            ClientAddress::Local => Network::around(IpAddr::from([0, 0, 0, 0]), 0),
        });
        Self {
            event,
            code: refusal.code,
            detail: refusal.detail,
            address,
            user: subject.user.or(refusal.user.as_ref()).cloned(),
            endpoint: subject.endpoint.filter(|_| !subject.elsewhere).map(Into::into),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{audit::Event, clock};
    use gateway_domain::Detail;
    use uuid::Uuid;

    struct Knock<'a> {
        refusal: Refusal,
        user: Option<&'a UserId>,
        address: ClientAddress,
        endpoint: &'a str,
    }

    fn knock(address: &str) -> Knock<'static> {
        let address = ClientAddress::Ip(address.parse().unwrap());
        Knock { refusal: Refusal::plain(Code::TokenExpired), user: None, address, endpoint: "/ws" }
    }

    impl Folds {
        fn take(&mut self, knock: &Knock<'_>, n: u128, now: Now) -> Folding {
            let subject = Subject {
                user: knock.user,
                address: Some(&knock.address),
                endpoint: Some(knock.endpoint),
                ..Subject::new(RequestId::new(Uuid::from_u128(n)))
            };
            self.take_in(Event::Refused, &knock.refusal, &subject, now, |refusal| {
                Record::new(Event::Refused, Some(refusal), &subject, None, refusal.reason().into(), now)
            })
        }

        fn flood(&mut self, knock: &Knock<'_>, now: Now) {
            (0..100).for_each(|n| drop(self.take(knock, n, now)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_that_is_over_ends_its_fold_at_the_next_of_its_kind() {
        let (mut folds, now, knock) = (Folds::default(), clock::now(), knock("203.0.113.9"));
        folds.flood(&knock, now);
        tokio::time::advance(WINDOW).await;
        let later = clock::now();
        let Folding::Line { record, ended } = folds.take(&knock, 500, later) else { panic!("a window begins") };
        let ended = ended.unwrap();
        assert_eq!((record.count, ended.count, ended.until), (None, Some(95), Some(now.wall)));
        assert!(folds.end_older(later).is_empty() && folds.open(ended.request_id).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn kinds_are_told_apart_by_code_detail_address_user_and_endpoint() {
        let (mut folds, now) = (Folds::default(), clock::now());
        let ann: UserId = "ann".parse().unwrap();
        let detail = Refusal::invalid_token(Detail::Signature, "no");
        let kinds = [
            knock("203.0.113.9"),
            knock("203.0.113.8"),
            Knock { user: Some(&ann), ..knock("203.0.113.9") },
            Knock { refusal: detail, ..knock("203.0.113.9") },
            Knock { refusal: Refusal::plain(Code::Banned), ..knock("203.0.113.9") },
            Knock { endpoint: "/ws/agent", ..knock("203.0.113.9") },
            Knock { address: ClientAddress::Local, ..knock("203.0.113.9") },
        ];
        kinds.iter().for_each(|kind| folds.flood(kind, now));
        // A user that only the refusal knows, and a neighbour in one /64, are the same kind as before.
        folds.flood(&Knock { refusal: Refusal::plain(Code::TokenExpired).of_user(&ann), ..knock("203.0.113.9") }, now);
        let mut counts: Vec<_> = folds.end_all().into_iter().filter_map(|record| record.count).collect();
        counts.sort_unstable();
        assert_eq!(counts, [95, 95, 95, 95, 95, 95, 195]);
        assert!(folds.end_all().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_over_paths_of_ones_own_making_is_one_flood() {
        let (mut folds, now, knock) = (Folds::default(), clock::now(), knock("203.0.113.9"));
        for n in 0..1_000u128 {
            let path = format!("/{n}");
            let subject = Subject {
                address: Some(&knock.address),
                endpoint: Some(&path),
                elsewhere: true,
                ..Subject::new(RequestId::new(Uuid::from_u128(n)))
            };
            folds.take_in(Event::Refused, &knock.refusal, &subject, now, |refusal| {
                Record::new(Event::Refused, Some(refusal), &subject, None, refusal.reason().into(), now)
            });
        }
        assert_eq!(folds.end_all().iter().map(|record| record.count).collect::<Vec<_>>(), [Some(995)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_kinds_is_bounded_and_told_together() {
        let (mut folds, now) = (Folds::default(), clock::now());
        for n in 0..20_000u32 {
            let address = std::net::Ipv4Addr::from(0x0a00_0000 + n).to_string();
            folds.take(&knock(&address), u128::from(n), now);
        }
        assert_eq!(folds.0.len(), MOST_KINDS + 1);
        let told: Vec<_> = folds.end_all().into_iter().filter_map(|record| record.count).collect();
        assert_eq!(told, [(10_000 - LINES_APART) as u64], "the rest share one line");
        tokio::time::advance(WINDOW).await;
        folds.end_older(clock::now());
        assert!(folds.0.capacity() == 0, "and no memory is kept for them");
    }
}
