//! All requests in one list that is looked through for everything.

use super::*;
use std::collections::HashSet;

#[derive(Clone, Debug)]
enum Deed {
    /// Asker, receiver, id, correlation, seconds.
    Open(u8, u8, Option<u8>, Option<u8>, u64),
    /// Who, which of all requests there ever were, more.
    AnswerByRequestId(u8, u8, bool),
    AnswerById(u8, u8, bool),
    AnswerByCorrelation(u8, u8, bool),
    CancelById(u8, u8),
    CancelByCorrelation(u8, u8),
    Abandon(u8),
    Leave(u8),
    Wait(u64),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    use Deed::*;
    let (who, name) = (0u8..5, 0u8..3);
    let named = prop::option::of(0u8..3);
    let deed = prop_oneof![
        8 => (who.clone(), who.clone(), named.clone(), named, 1u64..20).prop_map(|(a, r, i, c, s)| Open(a, r, i, c, s)),
        3 => (who.clone(), 0u8..40, any::<bool>()).prop_map(|(who, n, more)| AnswerByRequestId(who, n, more)),
        3 => (who.clone(), name.clone(), any::<bool>()).prop_map(|(who, name, more)| AnswerById(who, name, more)),
        3 => (who.clone(), name.clone(), any::<bool>()).prop_map(|(who, n, more)| AnswerByCorrelation(who, n, more)),
        2 => (who.clone(), name.clone()).prop_map(|(who, name)| CancelById(who, name)),
        2 => (who.clone(), name).prop_map(|(who, name)| CancelByCorrelation(who, name)),
        1 => (0u8..40).prop_map(Abandon),
        1 => who.prop_map(Leave),
        3 => (0u64..8).prop_map(Wait),
    ];
    prop::collection::vec(deed, 0..120)
}

/// Every request that is open, with its deadline; and the ends there were.
#[derive(Default)]
struct Naive {
    open: Vec<(Request, u64)>,
    ended: Vec<RequestId>,
}

impl Naive {
    /// What a reply from this receiver means by something that requests may have in common.
    fn meant(&self, receiver: u8, has: impl Fn(&Request) -> bool) -> Result<RequestId, Unasked> {
        let at_receiver = self.open.iter().filter(|(request, _)| request.receiver == conn(receiver));
        let meant: Vec<_> = at_receiver.filter(|(request, _)| has(request)).map(|(request, _)| request.id).collect();
        match meant[..] {
            [] => Err(Unasked::NotAsked),
            [id] => Ok(id),
            _ => Err(Unasked::Ambiguous),
        }
    }

    fn end(&mut self, ends: impl Fn(&Request, u64) -> bool) -> Vec<Request> {
        let (gone, open) = self.open.drain(..).partition(|(request, deadline)| ends(request, *deadline));
        self.open = open;
        let gone: Vec<(Request, u64)> = gone;
        self.ended.extend(gone.iter().map(|(request, _)| request.id));
        gone.into_iter().map(|(request, _)| request).collect()
    }

    fn answer(&mut self, id: RequestId, more: bool, now: u64) -> Option<Answered> {
        if !more {
            return self.end(|request, _| request.id == id).pop().map(Answered::from);
        }
        let (request, deadline) = self.open.iter_mut().find(|(request, _)| request.id == id)?;
        *deadline = now + request.timeout.as_secs();
        Some(request.clone().into())
    }

    fn cancelled(&self, asker: u8, has: impl Fn(&Request) -> bool) -> Vec<Cancelled> {
        let asked = self.open.iter().map(|(request, _)| request).filter(|request| request.asker == conn(asker));
        asked.filter(|request| has(request)).map(Cancelled::from).collect()
    }
}

fn text(name: u8) -> String {
    format!("id-{name}")
}

fn carried(name: u8) -> Correlation {
    command(&text(name))
}

fn sorted(mut requests: Vec<Request>) -> Vec<Request> {
    requests.sort_by_key(|request| request.id);
    requests
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn each_request_ends_once_and_only_its_receiver_answers_it(deeds in deeds()) {
        let mut pending = Pending::new(BOUNDS);
        let mut naive = Naive::default();
        let (mut now, mut drawn) = (0, 0);
        for deed in deeds {
            let said = match deed {
                Deed::Open(asker, receiver, id, correlation, seconds) => {
                    let request = Request {
                        asker_id: id.map(|name| text(name).into()),
                        correlation: correlation.map(carried),
                        timeout: Duration::from_secs(seconds),
                        ..request(drawn, asker, receiver)
                    };
                    let of_asker = naive.open.iter().filter(|(other, _)| other.asker == conn(asker)).count();
                    let expected = if of_asker >= BOUNDS.of_asker {
                        Err(TooMany::OfAsker(BOUNDS.of_asker))
                    } else if naive.open.len() >= BOUNDS.in_all {
                        Err(TooMany::InAll(BOUNDS.in_all))
                    } else {
                        naive.open.push((request.clone(), now + seconds));
                        drawn += 1;
                        Ok(())
                    };
                    prop_assert_eq!(pending.open(request, at(now)), expected);
                    None
                }
                Deed::AnswerByRequestId(who, n, more) => {
                    let id = rid(n.into());
                    let meant = pending.by_reply_to(conn(who), &id.to_string());
                    Some((meant, naive.meant(who, |request| request.id == id), more))
                }
                Deed::AnswerById(who, name, more) => {
                    let meant = pending.by_reply_to(conn(who), &text(name));
                    let has = |request: &Request| request.asker_id.as_deref() == Some(&text(name));
                    Some((meant, naive.meant(who, has), more))
                }
                Deed::AnswerByCorrelation(who, name, more) => {
                    let meant = pending.by_correlation(conn(who), &carried(name));
                    let has = |request: &Request| request.correlation == Some(carried(name));
                    Some((meant, naive.meant(who, has), more))
                }
                Deed::CancelById(who, name) => {
                    let has = |request: &Request| request.asker_id.as_deref() == Some(&text(name));
                    let cancelled = pending.cancelled(conn(who), Some(&text(name)), nothing);
                    prop_assert_eq!(cancelled, naive.cancelled(who, has));
                    None
                }
                Deed::CancelByCorrelation(who, name) => {
                    let has = |request: &Request| request.correlation == Some(carried(name));
                    let cancelled = pending.cancelled(conn(who), None, |_| Some(carried(name).value));
                    prop_assert_eq!(cancelled, naive.cancelled(who, has));
                    None
                }
                Deed::Abandon(n) => {
                    let id = rid(n.into());
                    prop_assert_eq!(pending.abandon(id), naive.end(|request, _| request.id == id).pop());
                    None
                }
                Deed::Leave(who) => {
                    let left = pending.leave(conn(who));
                    prop_assert_eq!(left.lost, naive.end(|request, _| request.receiver == conn(who)));
                    prop_assert_eq!(left.orphaned, naive.end(|request, _| request.asker == conn(who)));
                    None
                }
                Deed::Wait(seconds) => {
                    now += seconds;
                    let expired = pending.expire(at(now));
                    prop_assert_eq!(sorted(expired), naive.end(|_, deadline| deadline <= now));
                    None
                }
            };
            if let Some((meant, expected, more)) = said {
                prop_assert_eq!(meant, expected);
                if let Ok(id) = meant {
                    prop_assert_eq!(pending.answer(id, more, at(now)), naive.answer(id, more, now));
                }
            }
            prop_assert_eq!(pending.len(), naive.open.len());
            prop_assert_eq!(pending.next_deadline(), naive.open.iter().map(|(_, deadline)| at(*deadline)).min());
            for who in 0..5 {
                let open = naive.open.iter().filter(|(request, _)| request.receiver == conn(who)).count();
                prop_assert_eq!(pending.open_at(conn(who)), open);
            }
        }
        let last = pending.expire(at(1000));
        prop_assert_eq!(sorted(last), naive.end(|_, _| true));
        let once: HashSet<_> = naive.ended.iter().collect();
        prop_assert_eq!((naive.ended.len(), once.len()), (drawn as usize, drawn as usize), "each once");
        prop_assert!(pending.is_empty() && pending.asked.is_empty() && pending.desks.is_empty(), "nothing is left over");
        prop_assert!(pending.deadlines.is_empty());
    }
}
