//! Rooms against naive models: recovery, presence, bounds.

use super::*;
use crate::{
    history::{Epoch, HistoryBounds},
    name::{Role, UserId},
};
use std::time::Duration;
use uuid::Uuid;

mod crowding;
mod fed;
mod presence;
mod recovery;

const AGE: u64 = 60;
const HISTORY: HistoryBounds = HistoryBounds { messages: 5, age: Duration::from_secs(AGE), bytes: 100 };
const LAW: RoomLaw = RoomLaw { history: Some(HISTORY), presence: Some(2) };
const BARE: RoomLaw = RoomLaw { history: None, presence: None };
const BOUNDS: RoomsBounds = RoomsBounds { rooms: 3, history_bytes: 200 };

fn rooms() -> Rooms<u64> {
    Rooms::new(BOUNDS, EpochSource::new(7))
}

fn room(name: impl ToString) -> Room {
    name.to_string().parse().unwrap()
}

fn id(n: u128) -> ConnectionId {
    ConnectionId::new(Uuid::from_u128(n))
}

fn at(seconds: u64) -> Tick {
    Tick::ZERO + Duration::from_secs(seconds)
}

fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

fn subscribing<'a>(connection: u128, user: &'a UserId, since: Option<&'a Position>) -> Joining<'a> {
    Joining { connection: id(connection), user, role: None, subscribed: true, since, floor: 0 }
}

/// Joins as ann.
fn join(rooms: &mut Rooms<u64>, name: &str, connection: u128, now: u64) -> Joined<u64> {
    rooms.join(&room(name), subscribing(connection, &user("ann"), None), &LAW, at(now)).unwrap()
}

/// Posts its own offset.
fn post(rooms: &mut Rooms<u64>, name: &str, size: usize, now: u64) -> Posted<u64> {
    rooms.post(&room(name), &LAW, at(now), |offset| (offset, size))
}

fn reached(rooms: &Rooms<u64>, name: &str, sequence: u64) -> Vec<ConnectionId> {
    rooms.members(&room(name), None, sequence, None).map(|(id, _)| id).collect()
}

#[test]
fn a_message_is_for_those_who_were_here_before_it() {
    let mut rooms = rooms();
    join(&mut rooms, "a", 2, 0);
    let first = post(&mut rooms, "a", 1, 0);
    join(&mut rooms, "a", 1, 0);
    let second = post(&mut rooms, "a", 1, 0);
    assert_eq!(
        (first.sequence + 1, first.kept, second.kept),
        (second.sequence, Some((1, Some(1))), Some((2, Some(2))))
    );
    assert_eq!(reached(&rooms, "a", first.sequence), [id(2)]);
    assert_eq!(reached(&rooms, "a", second.sequence), [id(1), id(2)], "in the order of ids");
    let rest: Vec<_> = rooms.members(&room("a"), Some(id(1)), second.sequence, None).collect();
    assert_eq!(rest, [(id(2), Member { subscribed: true, since: 0, floor: 0 })], "behind the last that was served");
    assert!(reached(&rooms, "b", 9).is_empty());
}

#[test]
fn a_message_still_under_way_finds_nobody_in_the_next_room_of_that_name() {
    let mut rooms = rooms();
    rooms.join(&room("a"), subscribing(1, &user("ann"), None), &BARE, at(0)).unwrap();
    let old = rooms.post(&room("a"), &BARE, at(0), |_| panic!("there is no history"));
    rooms.leave(&room("a"), id(1)).unwrap();
    assert_eq!(rooms.counts(), RoomCounts::default());
    let nobody = rooms.post(&room("a"), &BARE, at(0), |_| panic!("there is no history"));
    rooms.join(&room("a"), subscribing(2, &user("ann"), None), &BARE, at(0)).unwrap();
    for posted in [&old, &nobody] {
        assert!(reached(&rooms, "a", posted.sequence).is_empty(), "{posted:?}");
    }
    let new = rooms.post(&room("a"), &BARE, at(0), |_| panic!("there is no history"));
    assert_eq!((reached(&rooms, "a", new.sequence), new.kept), (vec![id(2)], None));
}

#[test]
fn who_comes_back_in_time_recovers_what_an_empty_room_was_told() {
    let mut rooms = rooms();
    let before = join(&mut rooms, "a", 1, 0).position.unwrap();
    assert_eq!(before.offset, 0);
    rooms.sweep(at(100));
    rooms.leave(&room("a"), id(1));
    rooms.sweep(at(100 + AGE - 1));
    post(&mut rooms, "a", 1, 100 + AGE - 1);
    let back = |rooms: &mut Rooms<u64>, now| {
        rooms.join(&room("a"), subscribing(2, &user("ann"), Some(&before)), &LAW, at(now)).unwrap()
    };
    let joined = back(&mut rooms, 100 + AGE);
    assert_eq!(joined.recovery, Some(Recovery::Recovered(vec![1])));
    assert_eq!(joined.position, Some(Position { offset: 1, ..before.clone() }));
    rooms.leave(&room("a"), id(2));
    rooms.sweep(at(1000));
    assert_eq!(rooms.counts().rooms, 0, "nobody came back");
    let joined = back(&mut rooms, 1001);
    assert_eq!(joined.recovery, Some(Recovery::Lost));
    assert_ne!(joined.position.unwrap().epoch, before.epoch);
}

#[test]
fn without_a_history_nothing_is_recovered_and_nothing_is_kept() {
    let mut rooms = rooms();
    let since = join(&mut rooms, "a", 1, 0).position.unwrap();
    post(&mut rooms, "a", 10, 0);
    let joined = rooms.join(&room("a"), subscribing(2, &user("bob"), Some(&since)), &BARE, at(0)).unwrap();
    assert_eq!((joined.recovery, joined.position, joined.presence), (Some(Recovery::Lost), None, None));
    assert_eq!(rooms.counts().history_bytes, 0, "the new law holds for what was kept before");
    assert_eq!(rooms.position(&room("a")), None);
}

#[test]
fn a_second_subscribe_begins_anew() {
    let mut rooms = rooms();
    let since = join(&mut rooms, "a", 1, 0).position.unwrap();
    let first = post(&mut rooms, "a", 1, 0);
    let again = rooms.join(&room("a"), subscribing(1, &user("ann"), Some(&since)), &LAW, at(0)).unwrap();
    assert_eq!((again.recovery, again.announced), (Some(Recovery::Recovered(vec![1])), None));
    assert!(reached(&rooms, "a", first.sequence).is_empty(), "it was recovered, and does not come twice");
    assert_eq!((rooms.size(&room("a")), rooms.counts().memberships), (1, 1));
}

#[test]
fn joining_unasked_moves_nobody_who_subscribed() {
    let mut rooms = rooms();
    join(&mut rooms, "a", 1, 0);
    let first = post(&mut rooms, "a", 1, 0);
    let ann = user("ann");
    let unasked = Joining { subscribed: false, ..subscribing(1, &ann, None) };
    rooms.join(&room("a"), unasked, &LAW, at(0)).unwrap();
    assert_eq!(reached(&rooms, "a", first.sequence), [id(1)], "what is under way still reaches it");
    let departed = rooms.leave(&room("a"), id(1)).unwrap();
    assert!(departed.was_subscribed && departed.announced.is_some());
    assert_eq!(rooms.leave(&room("a"), id(1)), None);
    assert_eq!(rooms.leave(&room("nowhere"), id(1)), None);
}

#[test]
fn the_latest_messages_and_the_place_of_a_room_can_be_read() {
    let mut rooms = rooms();
    for _ in 0..7 {
        post(&mut rooms, "a", 1, 0);
    }
    assert_eq!(rooms.latest(&room("a"), 2), [6, 7]);
    assert_eq!(rooms.position(&room("a")).unwrap().offset, 7);
    assert!(rooms.latest(&room("b"), 2).is_empty() && rooms.position(&room("b")).is_none());
    assert!(!rooms.is_member(&room("a"), id(1)) && !rooms.is_member(&room("b"), id(1)));
    assert_eq!((rooms.size(&room("a")), rooms.size(&room("b"))), (0, 0));
}

#[test]
fn rooms_with_members_do_not_make_way() {
    let mut rooms = rooms();
    for name in ["a", "b", "c"] {
        join(&mut rooms, name, 1, 0);
    }
    let ann = user("ann");
    let full = rooms.join(&room("d"), subscribing(1, &ann, None), &LAW, at(0));
    assert_eq!(full, Err(RoomsFull(3)));
    assert_eq!(post(&mut rooms, "d", 1, 0).kept, None, "and a post keeps no history");
    rooms.leave(&room("b"), id(1));
    assert!(rooms.join(&room("d"), subscribing(1, &ann, None), &LAW, at(0)).is_ok());
    assert_eq!(rooms.position(&room("b")), None);
}

#[test]
fn a_message_that_fits_no_budget_puts_nobody_out() {
    let mut rooms = rooms();
    post(&mut rooms, "a", 100, 0);
    let wide = RoomLaw { history: Some(HistoryBounds { bytes: usize::MAX, ..HISTORY }), ..LAW };
    let posted = rooms.post(&room("b"), &wide, at(0), |offset| (offset, 201));
    assert_eq!(posted.kept, Some((1, None)), "it has its offset, and nobody to hear it");
    assert_eq!((rooms.latest(&room("a"), 9), rooms.latest(&room("b"), 9)), (vec![1], vec![]));
}

#[test]
fn a_sweep_lets_others_pass_before_it_goes_on() {
    let mut rooms = Rooms::new(RoomsBounds { rooms: 5000, history_bytes: 5000 }, EpochSource::new(7));
    for n in 0..1500 {
        rooms.post(&room(n), &LAW, at(0), |offset| (offset, 1));
    }
    assert!(!rooms.sweep(at(AGE - 1)));
    assert!(rooms.sweep(at(AGE)));
    assert_eq!(rooms.counts(), RoomCounts { rooms: 476, memberships: 0, history_bytes: 476 });
    assert!(!rooms.sweep(at(0)), "time does not run backwards");
    assert_eq!(rooms.counts(), RoomCounts::default());
}

#[test]
fn presence_is_written_in_camel_case() {
    let mut present =
        Present { user_id: user("ann"), role: Some("dashboard".parse::<Role>().unwrap()), connections: 2 };
    let written = |present: &Present| serde_json::to_string(present).unwrap();
    assert_eq!(written(&present), r#"{"userId":"ann","role":"dashboard","connections":2}"#);
    present.role = None;
    assert_eq!(written(&present), r#"{"userId":"ann","connections":2}"#);
}
