//! What waits to be said to one client: one queue, told in the order in which it was put, bounded in messages and in
//! bytes. A policy says who goes when it is full; it never changes the order.

use std::collections::VecDeque;

use gateway_transport::Text;
use parking_lot::Mutex;

/// How much may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxBounds {
    /// The most messages.
    pub messages: usize,
    /// The most bytes. An empty outbox takes one message of any size.
    pub bytes: usize,
    /// What happens to one more.
    pub when_full: WhenFull,
}

/// What happens when an outbox is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The client is too slow, and its connection is closed.
    Close,
    /// The oldest events make room; what is no event still closes.
    DropOldest,
}

/// What a message is to the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// An event: one of many, and the next says more.
    Event,
    /// What somebody waits for, or must know: never dropped.
    Control,
    /// What a room remembered: bounded there, and so not counted here.
    Recovered,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It waits; the queue was empty before.
    First,
    /// It waits behind others.
    Behind,
    /// It waits, and so many events made room for it.
    InPlaceOf(usize),
    /// It was an event, and nothing could make room for it.
    Dropped,
    /// The queue is full, and the connection must go.
    Overflow,
    /// Nobody takes anything from here any more.
    Closed,
}

impl Put {
    /// Whether the message waits now.
    pub const fn is_in(self) -> bool {
        matches!(self, Self::First | Self::Behind | Self::InPlaceOf(_))
    }
}

/// The queue of one client.
#[derive(Debug, Default)]
pub struct Outbox(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    /// The oldest, in its own place: who is told one message at a time needs no memory for it.
    first: Option<(Text, Class)>,
    /// Those behind it.
    rest: VecDeque<(Text, Class)>,
    messages: usize,
    bytes: usize,
    closed: bool,
}

/// An empty queue with more room than this gives it back.
const KEPT_ROOM: usize = 32;

impl Outbox {
    /// Puts a message behind the others.
    pub fn put(&self, text: Text, class: Class, bounds: &OutboxBounds) -> Put {
        let mut queue = self.0.lock();
        if queue.closed {
            return Put::Closed;
        }
        let was_empty = queue.first.is_none();
        let mut gone = 0;
        if class != Class::Recovered && !queue.fits(text.len(), bounds) {
            if bounds.when_full == WhenFull::DropOldest {
                gone = queue.make_room(text.len(), bounds);
            }
            if !queue.fits(text.len(), bounds) {
                if class == Class::Event && bounds.when_full == WhenFull::DropOldest {
                    return Put::Dropped;
                }
                queue.close();
                return Put::Overflow;
            }
        }
        queue.push(text, class);
        match (gone, was_empty) {
            (0, true) => Put::First,
            (0, false) => Put::Behind,
            (gone, _) => Put::InPlaceOf(gone),
        }
    }

    /// Takes the oldest.
    pub fn take(&self) -> Option<Text> {
        self.0.lock().pop()
    }

    /// Takes nothing more; what waits may still be taken.
    pub fn close(&self) {
        self.0.lock().closed = true;
    }

    /// How many messages and bytes wait.
    pub fn waiting(&self) -> (usize, usize) {
        let queue = self.0.lock();
        (queue.len(), queue.first.iter().chain(&queue.rest).map(|(text, _)| text.len()).sum())
    }
}

impl Queue {
    const fn fits(&self, bytes: usize, bounds: &OutboxBounds) -> bool {
        self.messages == 0 || (self.messages < bounds.messages && self.bytes.saturating_add(bytes) <= bounds.bytes)
    }

    fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    /// Lets the oldest events go until so many bytes fit; how many went.
    fn make_room(&mut self, bytes: usize, bounds: &OutboxBounds) -> usize {
        let before = self.len();
        let Self { first, rest, messages, bytes: held, .. } = self;
        let mut stays = |(text, class): &(Text, Class)| {
            let fits = *messages == 0 || (*messages < bounds.messages && held.saturating_add(bytes) <= bounds.bytes);
            if fits || *class != Class::Event {
                return true;
            }
            *messages -= 1;
            *held -= text.len();
            false
        };
        if first.as_ref().is_some_and(|first| !stays(first)) {
            *first = None;
        }
        rest.retain(stays);
        if first.is_none() {
            *first = rest.pop_front();
        }
        before - self.len()
    }

    fn push(&mut self, text: Text, class: Class) {
        if class != Class::Recovered {
            self.messages += 1;
            self.bytes += text.len();
        }
        match self.first {
            None => self.first = Some((text, class)),
            Some(_) => self.rest.push_back((text, class)),
        }
    }

    fn pop(&mut self) -> Option<Text> {
        let (text, class) = std::mem::replace(&mut self.first, self.rest.pop_front())?;
        if class != Class::Recovered {
            self.messages -= 1;
            self.bytes -= text.len();
        }
        if self.rest.is_empty() && self.rest.capacity() > KEPT_ROOM {
            self.rest = VecDeque::new();
        }
        Some(text)
    }

    fn close(&mut self) {
        *self = Self { closed: true, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bounds(when_full: WhenFull) -> OutboxBounds {
        OutboxBounds { messages: 3, bytes: 10, when_full }
    }

    fn all(outbox: &Outbox) -> Vec<String> {
        std::iter::from_fn(|| outbox.take()).map(|text| text.as_str().to_owned()).collect()
    }

    #[test]
    fn an_empty_outbox_takes_one_message_of_any_size() {
        let outbox = Outbox::default();
        let bounds = bounds(WhenFull::Close);
        assert_eq!(outbox.put("x".repeat(1000).into(), Class::Event, &bounds), Put::First);
        assert_eq!(outbox.put("y".into(), Class::Event, &bounds), Put::Overflow);
        assert_eq!(outbox.waiting(), (0, 0), "what a slow client was to be told is given back at once");
        assert_eq!(outbox.put("z".into(), Class::Control, &bounds), Put::Closed);
    }

    #[test]
    fn it_is_bounded_in_messages_and_in_bytes() {
        for texts in [["a", "b", "c", "d"], ["aaaaa", "bbbbb", "c", ""]] {
            let outbox = Outbox::default();
            let puts: Vec<_> =
                texts.iter().map(|text| outbox.put((*text).into(), Class::Event, &bounds(WhenFull::Close))).collect();
            assert!(puts.contains(&Put::Overflow), "{puts:?}");
        }
    }

    #[test]
    fn the_oldest_events_make_room_and_control_stays_in_its_place() {
        let outbox = Outbox::default();
        let bounds = bounds(WhenFull::DropOldest);
        for (text, class) in [("e1", Class::Event), ("c1", Class::Control), ("e2", Class::Event)] {
            outbox.put(text.into(), class, &bounds);
        }
        assert_eq!(outbox.put("e3".into(), Class::Event, &bounds), Put::InPlaceOf(1));
        assert_eq!(outbox.put("c2".into(), Class::Control, &bounds), Put::InPlaceOf(1));
        assert_eq!(outbox.put("c3".into(), Class::Control, &bounds), Put::InPlaceOf(1));
        assert_eq!(outbox.put("e4".into(), Class::Event, &bounds), Put::Dropped);
        assert_eq!(all(&outbox), ["c1", "c2", "c3"]);
        for text in ["c4", "c5", "c6"] {
            outbox.put(text.into(), Class::Control, &bounds);
        }
        assert_eq!(outbox.put("c7".into(), Class::Control, &bounds), Put::Overflow, "control is never dropped");
    }

    #[test]
    fn what_was_recovered_is_not_counted() {
        let outbox = Outbox::default();
        let bounds = bounds(WhenFull::Close);
        for n in 0..100 {
            assert!(outbox.put(n.to_string().into(), Class::Recovered, &bounds).is_in());
        }
        assert!(outbox.put("live".into(), Class::Event, &bounds).is_in());
        assert_eq!(all(&outbox).len(), 101);
        assert_eq!(outbox.0.lock().rest.capacity(), 0, "an empty outbox gives its room back");
        outbox.close();
        assert_eq!(outbox.put("late".into(), Class::Control, &bounds), Put::Closed);
    }

    proptest! {
        /// Whatever comes: the order is that of putting, the bounds hold, and control is there or the box is closed.
        #[test]
        fn order_and_bounds_hold(
            steps in prop::collection::vec((0u8..4, 0usize..8), 0..100), dropping: bool,
        ) {
            let bounds = bounds(if dropping { WhenFull::DropOldest } else { WhenFull::Close });
            let (outbox, mut controls, mut taken) = (Outbox::default(), Vec::new(), Vec::new());
            for (n, (what, size)) in steps.into_iter().enumerate() {
                let text = format!("{n:03}{}", "x".repeat(size));
                let class = match what {
                    0 => Class::Control,
                    1 | 2 => Class::Event,
                    _ => {
                        taken.extend(outbox.take());
                        continue;
                    }
                };
                let put = outbox.put(text.clone().into(), class, &bounds);
                if put == Put::Overflow { return Ok(()); }
                if class == Class::Control { prop_assert!(put.is_in()); controls.push(text); }
                let queue = outbox.0.lock();
                prop_assert!(queue.messages <= 3 && (queue.bytes <= 10 || queue.messages == 1));
                prop_assert_eq!(queue.messages, queue.len());
            }
            taken.extend(std::iter::from_fn(|| outbox.take()));
            let order: Vec<_> = taken.iter().map(|text| text.as_str().to_owned()).collect();
            prop_assert!(order.is_sorted());
            prop_assert!(controls.iter().all(|text| order.contains(text)));
        }
    }
}
