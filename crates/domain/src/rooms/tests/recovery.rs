//! Whoever drops and comes back has each message once, in order, or is told that it has not.

use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

#[derive(Clone, Debug)]
enum Deed {
    Post(usize),
    /// Serves the oldest post that is still under way.
    Deliver,
    Drop,
    Return,
    Wait(u64),
    Sweep,
    Shrink(usize),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        6 => (0usize..60).prop_map(Deed::Post),
        5 => Just(Deed::Deliver),
        3 => Just(Deed::Drop),
        4 => Just(Deed::Return),
        2 => (0u64..40).prop_map(Deed::Wait),
        1 => Just(Deed::Sweep),
        1 => (1usize..8).prop_map(Deed::Shrink),
    ];
    prop::collection::vec(deed, 0..200)
}

/// A client: where it stands, and its connection, while it has one.
struct Client {
    stands: Option<Position>,
    connection: Option<u128>,
}

impl Client {
    fn receive(&mut self, offset: u64) {
        let stands = self.stands.as_mut().unwrap();
        assert_eq!(offset, stands.offset + 1, "each once, in order");
        stands.offset = offset;
    }
}

/// What is true of the room: every message by when it was posted and its size, when it was last posted to or left, and
/// whether it stood empty and silent for so long that it may have been forgotten.
#[derive(Default)]
struct Truth {
    posted: Vec<(u64, u64, usize)>,
    stirred: u64,
    deserted: bool,
}

impl Truth {
    /// Whether all behind that offset would still be kept by a room that is never forgotten.
    fn keeps(&self, since: u64, bounds: &HistoryBounds, now: u64) -> bool {
        let missed = || self.posted.iter().filter(|(offset, ..)| *offset > since);
        missed().count() <= bounds.messages
            && missed().map(|(.., size)| size).sum::<usize>() <= bounds.bytes
            && missed().all(|(_, posted, _)| now < posted + AGE)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_client_that_comes_back_has_each_message_once_in_order_or_is_told(deeds in deeds()) {
        let mut rooms = rooms();
        let (name, ann) = (room("a"), user("ann"));
        let mut law = LAW;
        let mut narrowest = HISTORY.messages;
        let mut client = Client { stands: None, connection: None };
        let mut under_way: VecDeque<(u64, u64)> = VecDeque::new();
        let mut truth = Truth::default();
        let (mut now, mut comings) = (0, 0);
        for deed in deeds {
            match deed {
                Deed::Post(size) => {
                    let posted = rooms.post(&name, &law, at(now), |offset| (offset, size));
                    let (offset, _) = posted.kept.unwrap();
                    // A first offset is that of a new epoch.
                    if offset == 1 { truth.posted.clear(); }
                    truth.posted.push((offset, now, size));
                    truth.stirred = now;
                    under_way.push_back((posted.sequence, offset));
                }
                Deed::Deliver => {
                    if let Some((sequence, offset)) = under_way.pop_front()
                        && rooms.members(&name, None, sequence, None).next().is_some()
                    {
                        client.receive(offset);
                    }
                }
                Deed::Drop => {
                    if let Some(connection) = client.connection.take() {
                        rooms.sweep(at(now));
                        rooms.leave(&name, id(connection)).unwrap();
                        truth.stirred = now;
                    }
                }
                Deed::Return if client.connection.is_none() => {
                    comings += 1;
                    client.connection = Some(comings);
                    let joining = subscribing(comings, &ann, client.stands.as_ref());
                    let joined = rooms.join(&name, joining, &law, at(now)).unwrap();
                    let top = joined.position.unwrap();
                    match joined.recovery {
                        Some(Recovery::Recovered(missed)) => {
                            missed.into_iter().for_each(|offset| client.receive(offset));
                            prop_assert_eq!(client.stands.as_ref(), Some(&top), "the top is what it has now");
                        }
                        Some(Recovery::Lost) => {
                            let stood = client.stands.replace(top).unwrap();
                            let bounds = HistoryBounds { messages: narrowest, ..HISTORY };
                            let spared = truth.keeps(stood.offset, &bounds, now) && !truth.deserted;
                            prop_assert!(!spared, "lost for no reason");
                        }
                        None => prop_assert!(client.stands.replace(top).is_none()),
                    }
                    truth.deserted = false;
                }
                Deed::Return => {}
                Deed::Wait(seconds) => {
                    now += seconds;
                    truth.deserted |= client.connection.is_none() && now >= truth.stirred + AGE;
                }
                Deed::Sweep => { rooms.sweep(at(now)); }
                Deed::Shrink(messages) => {
                    // A reload: the next post or join is the first to see it.
                    law.history = Some(HistoryBounds { messages, ..HISTORY });
                    narrowest = narrowest.min(messages);
                }
            }
        }
    }
}
