//! The ring against a naive one.

use super::*;
use proptest::prelude::*;

const BOUNDS: HistoryBounds = HistoryBounds { messages: 3, age: Duration::from_secs(60), bytes: 100 };

fn epoch(text: &str) -> Epoch {
    Epoch::parse(text).unwrap()
}

fn at(seconds: u64) -> Tick {
    Tick::ZERO + Duration::from_secs(seconds)
}

fn behind(offset: u64) -> Position {
    Position { epoch: epoch("e"), offset }
}

/// A history with so many messages of ten bytes, each of which is its offset.
fn with(messages: u64) -> History<u64> {
    let mut history = History::new(epoch("e"));
    for offset in 1..=messages {
        assert_eq!(history.append(offset, 10, &BOUNDS, at(offset)), offset);
    }
    history
}

#[test]
fn what_came_after_a_position_is_recovered_oldest_first() {
    let mut history = with(5);
    assert_eq!(history.since(&behind(2), &BOUNDS, at(5)), Some(vec![3, 4, 5]));
    assert_eq!(history.since(&behind(4), &BOUNDS, at(5)), Some(vec![5]));
    assert_eq!(history.since(&behind(5), &BOUNDS, at(5)), Some(vec![]), "nothing was missed, and that is a success");
    assert_eq!((history.top(), history.len(), history.bytes(), history.is_empty()), (5, 3, 30, false));
    assert_eq!(history.position(), behind(5));
}

#[test]
fn what_cannot_be_recovered_whole_is_lost() {
    let mut history = with(5);
    assert_eq!(history.since(&behind(1), &BOUNDS, at(5)), None, "the second is gone");
    assert_eq!(history.since(&behind(6), &BOUNDS, at(5)), None, "from the future");
    assert_eq!(history.since(&behind(u64::MAX), &BOUNDS, at(5)), None);
    let other = Position { epoch: epoch("other"), offset: 5 };
    assert_eq!(history.since(&other, &BOUNDS, at(5)), None);
}

#[test]
fn a_message_is_kept_for_its_age_and_not_longer() {
    let mut history = with(2);
    assert_eq!(history.oldest(), Some(at(1)));
    assert_eq!(history.since(&behind(0), &BOUNDS, at(60)), Some(vec![1, 2]));
    assert_eq!(history.since(&behind(0), &BOUNDS, at(61)), None);
    assert_eq!(history.since(&behind(1), &BOUNDS, at(61)), Some(vec![2]));
    history.trim(&BOUNDS, at(62));
    assert_eq!((history.len(), history.bytes(), history.oldest(), history.top()), (0, 0, None, 2));
    assert_eq!(history.since(&behind(2), &BOUNDS, at(62)), Some(vec![]), "who has seen all has lost nothing");
}

#[test]
fn a_message_larger_than_the_whole_history_counts_and_is_not_kept() {
    let mut history = with(2);
    assert_eq!(history.append(3, 101, &BOUNDS, at(3)), 3);
    assert_eq!((history.len(), history.bytes()), (0, 0));
    assert_eq!(history.since(&behind(2), &BOUNDS, at(3)), None);
    assert_eq!(history.since(&behind(3), &BOUNDS, at(3)), Some(vec![]));
    history.append(4, 100, &BOUNDS, at(3));
    assert_eq!(history.since(&behind(3), &BOUNDS, at(3)), Some(vec![4]), "exactly as large as it may be");
    assert_eq!(history.since(&behind(2), &BOUNDS, at(3)), None, "never with a gap");
}

#[test]
fn the_latest_are_given_without_a_position() {
    let history = with(5);
    assert_eq!(history.latest(2), [4, 5]);
    assert!(history.latest(0).is_empty());
    assert_eq!(history.latest(usize::MAX), [3, 4, 5]);
}

#[test]
fn bounds_that_shrink_hold_at_once() {
    let mut history = with(3);
    let narrow = HistoryBounds { messages: 1, ..BOUNDS };
    assert_eq!(history.since(&behind(1), &narrow, at(3)), None);
    assert_eq!(history.since(&behind(2), &narrow, at(3)), Some(vec![3]));
    let nothing = HistoryBounds { messages: 0, ..BOUNDS };
    assert_eq!(history.append(4, 1, &nothing, at(3)), 4);
    assert!(history.is_empty());
}

#[test]
fn an_epoch_is_a_short_printable_text() {
    assert_eq!(Epoch::parse(""), Err(crate::name::NameFault::Empty));
    assert_eq!(Epoch::parse(&"x".repeat(65)), Err(crate::name::NameFault::TooLong(64)));
    assert_eq!(Epoch::parse("a\nb"), Err(crate::name::NameFault::Control));
    let fault = serde_json::from_str::<Position>(r#"{"epoch":"","offset":1}"#).unwrap_err().to_string();
    assert!(fault.contains("the epoch is empty"), "{fault}");
    for broken in [r#"{"epoch":"e"}"#, r#"{"offset":1}"#, r#"{"epoch":"e","offset":-1}"#, r#"{"epoch":7,"offset":1}"#] {
        assert!(serde_json::from_str::<Position>(broken).is_err(), "{broken}");
    }
}

#[test]
fn a_position_is_written_and_read_as_epoch_and_offset() {
    let position = Position { epoch: EpochSource::new(0xabc).draw(), offset: 7 };
    let json = serde_json::to_string(&position).unwrap();
    assert_eq!(json, r#"{"epoch":"abc-1","offset":7}"#);
    assert_eq!(serde_json::from_str::<Position>(&json).unwrap(), position);
    assert_eq!((position.epoch.to_string(), format!("{:?}", position.epoch)), ("abc-1".into(), "\"abc-1\"".into()));
    assert_eq!(position.epoch.as_str(), "abc-1");
}

#[test]
fn no_two_epochs_are_the_same_and_the_longest_can_be_read_back() {
    let mut source = EpochSource::new(u64::MAX);
    let (first, second) = (source.draw(), source.draw());
    assert_ne!(first, second);
    assert!(Epoch::parse(second.as_str()).is_ok());
}

proptest! {
    #[test]
    fn a_history_agrees_with_a_naive_list(
        steps in prop::collection::vec((0u64..4, 0usize..40), 1..120),
        messages in 0usize..8, age in 0u64..10, bytes in 0usize..120,
    ) {
        let bounds = HistoryBounds { messages, age: Duration::from_secs(age), bytes };
        let mut history = History::new(epoch("e"));
        let mut naive: Vec<(u64, usize, u64)> = Vec::new();
        let mut clock = 0;
        for (wait, size) in steps {
            clock += wait;
            let offset = history.append(history.top() + 1, size, &bounds, at(clock));
            naive.push((clock, size, offset));
            // From the newest back, as long as all that is newer fits as well.
            let mut room = bytes;
            let alive: Vec<u64> = naive.iter().rev().take(messages).take_while(|(posted, size, _)| {
                let fits = *size <= room && clock < posted + age;
                room = room.saturating_sub(*size);
                fits
            }).map(|(_, _, offset)| *offset).collect();
            prop_assert_eq!(history.len(), alive.len());
            prop_assert!(history.bytes() <= bytes);
            for from in 0..=offset + 1 {
                let wanted: Vec<u64> = (from + 1..=offset).collect();
                let whole = from <= offset && wanted.iter().all(|offset| alive.contains(offset));
                prop_assert_eq!(history.since(&behind(from), &bounds, at(clock)), whole.then_some(wanted));
            }
        }
    }
}
