//! Every request ends once, against a naive list.

use super::*;
use proptest::prelude::*;
use uuid::Uuid;

mod naive;

const BOUNDS: PendingBounds = PendingBounds { in_all: 8, of_asker: 4 };

fn conn(n: u8) -> ConnectionId {
    ConnectionId::new(Uuid::from_u128(n.into()))
}

fn rid(n: u128) -> RequestId {
    RequestId::new(Uuid::from_u128(n))
}

fn at(seconds: u64) -> Tick {
    Tick::ZERO + Duration::from_secs(seconds)
}

fn command(value: &str) -> Correlation {
    Correlation { path: "payload.commandId".into(), value: Scalar::Text(value.into()) }
}

/// Nothing that a cancel carries.
fn nothing(_: &str) -> Option<Scalar> {
    None
}

/// A request with the id `same` and ten seconds.
fn request(n: u128, asker: u8, receiver: u8) -> Request {
    Request {
        id: rid(n),
        asker: conn(asker),
        asker_id: Some("same".into()),
        receiver: conn(receiver),
        correlation: None,
        timeout: Duration::from_secs(10),
        beyond: None,
    }
}

fn opened(requests: impl IntoIterator<Item = Request>) -> Pending {
    let mut pending = Pending::new(BOUNDS);
    for request in requests {
        pending.open(request, at(0)).unwrap();
    }
    pending
}

#[test]
fn a_reply_finds_its_asker_by_request_id_or_by_an_id_of_its_own() {
    let mut pending = opened([request(1, 1, 9)]);
    assert_eq!(pending.by_reply_to(conn(9), &rid(1).to_string()), Ok(rid(1)));
    assert_eq!(pending.by_reply_to(conn(9), "same"), Ok(rid(1)));
    assert_eq!(pending.by_reply_to(conn(9), "other"), Err(Unasked::NotAsked));
    let answered = pending.answer(rid(1), false, at(1)).unwrap();
    let expected =
        Answered { asker: conn(1), asker_id: Some("same".into()), correlation: None, receiver: conn(9), beyond: None };
    assert_eq!(answered, expected);
    assert_eq!(pending.answer(rid(1), false, at(1)), None, "once");
    assert_eq!(pending.by_reply_to(conn(9), "same"), Err(Unasked::NotAsked), "too late");
    assert!(pending.is_empty() && pending.next_deadline().is_none());
}

#[test]
fn nobody_else_answers() {
    let pending = opened([request(1, 1, 9), request(2, 2, 8)]);
    for stranger in [1, 2, 7, 8] {
        assert_eq!(pending.by_reply_to(conn(stranger), &rid(1).to_string()), Err(Unasked::NotAsked));
    }
    assert_eq!(pending.by_reply_to(conn(8), "same"), Ok(rid(2)), "its own of that name");
    assert_eq!(pending.by_correlation(conn(7), &command("c1")), Err(Unasked::NotAsked));
}

#[test]
fn an_id_that_several_askers_use_is_ambiguous_until_one_is_left() {
    let mut pending = opened([request(1, 1, 9), request(2, 2, 9), request(3, 3, 8)]);
    assert_eq!(pending.by_reply_to(conn(9), "same"), Err(Unasked::Ambiguous));
    assert_eq!(pending.by_reply_to(conn(8), "same"), Ok(rid(3)), "at another receiver it is one");
    pending.answer(rid(1), true, at(0));
    assert_eq!(pending.by_reply_to(conn(9), "same"), Err(Unasked::Ambiguous), "progress ends nothing");
    pending.answer(rid(1), false, at(0));
    assert_eq!(pending.by_reply_to(conn(9), "same"), Ok(rid(2)));
}

#[test]
fn an_asker_cannot_take_a_reply_by_calling_its_request_like_another() {
    let mut sly = request(2, 2, 9);
    sly.asker_id = Some(rid(1).to_string().into());
    let mut pending = opened([request(1, 1, 9), sly]);
    assert_eq!(pending.by_reply_to(conn(9), &rid(1).to_string()), Ok(rid(1)));
    pending.abandon(rid(1)).unwrap();
    assert_eq!(pending.by_reply_to(conn(9), &rid(1).to_string()), Ok(rid(2)), "then it is but a name");
}

#[test]
fn an_answer_finds_its_request_by_what_both_carry() {
    let with = |n, value: &str| Request { correlation: Some(command(value)), ..request(n, 1, 9) };
    let mut pending = opened([with(1, "c1"), with(2, "c2"), with(3, "c2")]);
    assert_eq!(pending.by_correlation(conn(9), &command("c1")), Ok(rid(1)));
    assert_eq!(pending.by_correlation(conn(9), &command("c2")), Err(Unasked::Ambiguous));
    let elsewhere = Correlation { path: "payload.id".into(), ..command("c1") };
    assert_eq!(pending.by_correlation(conn(9), &elsewhere), Err(Unasked::NotAsked), "the same value at another place");
    assert_eq!(pending.answer(rid(1), false, at(0)).unwrap().correlation, Some(command("c1")));
}

#[test]
fn progress_starts_the_time_anew() {
    let mut pending = opened([request(1, 1, 9)]);
    assert_eq!(pending.next_deadline(), Some(at(10)));
    assert!(pending.answer(rid(1), true, at(9)).is_some());
    assert_eq!(pending.next_deadline(), Some(at(19)));
    assert!(pending.expire(at(18)).is_empty());
    assert_eq!(pending.expire(at(19)), [request(1, 1, 9)]);
    assert_eq!(pending.answer(rid(1), true, at(19)), None);
}

#[test]
fn a_cancel_means_what_it_names_and_ends_nothing() {
    let mut carrying = request(3, 1, 8);
    carrying.asker_id = None;
    carrying.correlation = Some(command("c1"));
    let pending = opened([request(1, 1, 9), request(2, 1, 8), carrying.clone(), request(4, 2, 9)]);
    let ids = |cancelled: Vec<Cancelled>| cancelled.into_iter().map(|one| one.id).collect::<Vec<_>>();
    assert_eq!(ids(pending.cancelled(conn(1), Some("same"), nothing)), [rid(1), rid(2)], "all of that name");
    assert_eq!(ids(pending.cancelled(conn(1), Some(&rid(2).to_string()), nothing)), [rid(2)]);
    assert!(pending.cancelled(conn(1), Some(&rid(4).to_string()), nothing).is_empty(), "another's");
    assert!(pending.cancelled(conn(1), Some("other"), nothing).is_empty());
    assert!(pending.cancelled(conn(1), None, nothing).is_empty());
    assert!(pending.cancelled(conn(9), Some("same"), nothing).is_empty());
    let mut asked = Vec::new();
    let mut carries = |path: &str| {
        asked.push(path.to_owned());
        Some(Scalar::Text("c1".into()))
    };
    let expected = [Cancelled { id: rid(3), receiver: conn(8), correlation: carrying.correlation, beyond: None }];
    assert_eq!(pending.cancelled(conn(1), Some("own id of the cancel"), &mut carries), expected);
    assert_eq!(pending.cancelled(conn(1), None, carries), expected);
    assert_eq!(asked, ["payload.commandId"; 2], "each path is read once a cancel");
    assert_eq!(pending.len(), 4);
}

#[test]
fn the_end_of_a_connection_ends_what_it_asked_and_was_asked() {
    let mut pending = opened([request(1, 1, 9), request(2, 9, 2), request(3, 9, 9), request(4, 1, 2)]);
    let left = pending.leave(conn(9));
    assert_eq!(left, Left { lost: vec![request(1, 1, 9), request(3, 9, 9)], orphaned: vec![request(2, 9, 2)] });
    assert_eq!(pending.leave(conn(9)), Left::default());
    assert_eq!((pending.len(), pending.open_at(conn(9)), pending.open_at(conn(2))), (1, 0, 1));
}

#[test]
fn too_many_wait_neither_for_one_asker_nor_in_all() {
    let mut pending = opened((0..4).map(|n| request(n, 1, 9)));
    let of_asker = pending.open(request(4, 1, 8), at(0)).unwrap_err();
    assert_eq!(of_asker, TooMany::OfAsker(4));
    assert!(of_asker.to_string().contains("4 requests of this connection"), "{of_asker}");
    for n in 4..8 {
        pending.open(request(n, 2, 9), at(0)).unwrap();
    }
    assert_eq!(pending.open(request(8, 3, 9), at(0)), Err(TooMany::InAll(8)));
    pending.abandon(rid(0)).unwrap();
    assert_eq!(pending.open(request(8, 3, 9), at(0)), Ok(()));
    assert_eq!(pending.abandon(rid(0)), None);
    assert_eq!(pending.open_at(conn(9)), 8);
}

#[test]
fn faults_say_what_to_do() {
    assert!(Unasked::Ambiguous.to_string().contains("requestId"));
    assert!(Unasked::NotAsked.to_string().contains("timed out"));
    assert!(TooMany::InAll(3).to_string().contains("try again"));
}
