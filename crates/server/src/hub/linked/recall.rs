//! Rooms of which something did not come: it is looked up, and told in its order; or who subscribed is told that it is gone.
//!
//! While a room is being mended, what arrives for it behind a gap is left aside: all of it is looked up. What arrives without a
//! gap is told, and is not told again when it was looked up, too.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
};

use gateway_domain::{
    Now, Room,
    history::{HistoryBounds, Position},
    link::{Act, Answer},
    relay,
    target::Target,
};
use serde::Deserialize;

use crate::{
    clock,
    cluster::Link,
    hub::{
        Class, Hub, Letter, Post,
        books::Books,
        delivery::{Offsets, Report},
        membership::Subscribed,
        notice,
    },
};

/// So many rooms are looked up at a time.
const AT_ONCE: usize = 64;

/// Rooms that are to be mended.
#[derive(Debug, Default)]
pub(super) struct Mending {
    torn: BTreeSet<Room>,
    /// Those that are being looked up, and the highest offset that was left aside meanwhile.
    under_way: BTreeMap<Room, u64>,
}

impl Mending {
    /// Whether something of the room may be missing here.
    pub(super) fn is_torn(&self, room: &Room) -> bool {
        self.torn.contains(room) || self.under_way.contains_key(room)
    }
}

/// Who said a text, where a client did.
#[derive(Default, Deserialize)]
struct Said {
    from: Option<By>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct By {
    connection_id: Option<gateway_domain::ConnectionId>,
}

impl Hub {
    /// Something before that offset did not come.
    pub(super) fn torn_at(self: &Arc<Self>, books: &mut Books, room: &Room, offset: u64) {
        if let Some(seen) = books.linked.mending.under_way.get_mut(room) {
            *seen = offset.max(*seen);
            return;
        }
        books.linked.mending.torn.insert(room.clone());
        self.mend(books);
    }

    /// Every room that remembers, and in which somebody here is, may have missed something.
    pub(super) fn tear_all(&self, books: &mut Books) {
        let remembers = |room: &&Room| books.laws.law(room).history.is_some();
        let rooms: Vec<_> = books.linked.followed.rooms().filter(remembers).cloned().collect();
        books.linked.mending.torn.extend(rooms.into_iter().filter(|room| books.rooms.is_there(room)));
    }

    /// Looks up what rooms miss, for as long as the link takes it.
    pub(super) fn mend(self: &Arc<Self>, books: &mut Books) {
        let Some(link) = &self.link else { return };
        while books.linked.mending.under_way.len() < AT_ONCE {
            let Some(room) = books.linked.mending.torn.pop_first() else { return };
            let law = books.laws.law(&room).history;
            let Some(bounds) = law.filter(|_| books.rooms.is_there(&room)) else { continue };
            let since = books.rooms.position(&room).filter(|_| !books.linked.apart.contains(&room));
            if !self.look_up(link, &room, since, bounds) {
                books.linked.mending.torn.insert(room);
                return;
            }
            link.counts.repairs.fetch_add(1, Ordering::Relaxed);
            books.linked.mending.under_way.insert(room, 0);
        }
    }

    fn look_up(self: &Arc<Self>, link: &Link, room: &Room, since: Option<Position>, bounds: HistoryBounds) -> bool {
        let (hub, looked_up) = (Arc::clone(self), room.clone());
        let next = move |_, answer| hub.looked_up(&looked_up, answer);
        link.then(Act::Recall { room: room.clone(), since, latest: None, bounds }, next).is_some()
    }

    fn looked_up(self: &Arc<Self>, room: &Room, answer: Answer) {
        let now = clock::now();
        let mut books = self.books.lock();
        let books = &mut *books;
        let seen = books.linked.mending.under_way.remove(room).unwrap_or_default();
        let Answer::Recalled { position, texts } = answer else {
            // Each second it is tried again, and when the link comes back.
            books.linked.mending.torn.insert(room.clone());
            return;
        };
        let is_apart = books.linked.apart.remove(room);
        // Where it stands in that epoch, and what came of it meanwhile: that was told.
        let own = books.rooms.position(room).filter(|own| !is_apart && own.epoch == position.epoch);
        let top = own.map(|own| own.offset);
        match texts.filter(|_| top.is_some()) {
            Some(texts) => {
                for (offset, text) in texts.into_iter().filter(|(offset, _)| Some(*offset) > top) {
                    self.tell_late(books, room, &Position { offset, ..position.clone() }, text, now);
                }
                books.rooms.caught_up(room);
            }
            // The epoch began meanwhile with what arrived, and they were told so then.
            None if top >= Some(position.offset) => {}
            None => {
                books.rooms.skip_to(room, &position);
                books.rooms.caught_up(room);
                self.tell_of_loss(books, room, &position);
            }
        }
        if seen > position.offset {
            books.linked.mending.torn.insert(room.clone());
        }
        self.mend(books);
    }

    /// Where a room stands, and the latest of it, where all nodes remember it; none: this node's memory is all there is.
    #[cfg_attr(not(feature = "net"), allow(dead_code, reason = "the HTTP API alone asks for it"))]
    pub(crate) async fn recalled(&self, room: &Room, most: usize) -> Option<(Option<Position>, Vec<String>)> {
        let bounds = self.books.lock().laws.law(room).history?;
        let recall = Act::Recall { room: room.clone(), since: None, latest: Some(most), bounds };
        let Answer::Recalled { position, texts } = self.link.as_ref()?.ask(recall).answer().await else { return None };
        let placed = |(offset, text): (u64, String)| relay::in_room(&text, room, offset);
        Some((Some(position), texts.unwrap_or_default().into_iter().map(placed).collect()))
    }

    /// Tells what did not come in its time.
    fn tell_late(self: &Arc<Self>, books: &mut Books, room: &Room, at: &Position, text: String, now: Now) {
        let said: Said = serde_json::from_str(&text).unwrap_or_default();
        let sender = said.from.and_then(|by| by.connection_id);
        let targets = [Target::Room(room.clone())];
        let post = Post { sender, ..Post::new(text, &targets, Class::Event) };
        self.tell(books, post, Offsets::Given(&[(room.clone(), at.clone())]), Report::Nobody, now);
    }

    /// Tells all who subscribed to a room here that nobody can say what they missed, and where the room stands.
    pub(super) fn tell_of_loss(&self, books: &Books, room: &Room, position: &Position) {
        self.tell_of_loss_but(books, room, position, None);
    }

    /// The same, but for one who is told otherwise.
    pub(super) fn tell_of_loss_but(
        &self,
        books: &Books,
        room: &Room,
        position: &Position,
        but: Option<gateway_domain::ConnectionId>,
    ) {
        let payload = Subscribed {
            room,
            position: Some(position.clone()),
            recovered: Some(false),
            missed: Some(0),
            presence: None,
        };
        let mut letter = Letter::new(notice("subscribed", None, &payload));
        for (id, member) in books.rooms.members(room, None, u64::MAX, None) {
            if let (true, Some(here)) = (member.subscribed && Some(id) != but, books.registry.get(id)) {
                self.say(here, &mut letter, Class::Control);
            }
        }
    }

    /// What is said into these rooms now is said to this node alone: under an epoch of its own, of which who subscribed is
    /// told.
    pub(super) fn part_rooms(&self, books: &mut Books, targets: &[Target]) {
        for room in targets.iter().filter_map(super::head::room) {
            if books.laws.law(&room).history.is_none() || books.linked.apart.contains(&room) {
                continue;
            }
            if let Some(own) = books.rooms.part(&room) {
                self.tell_of_loss(books, &room, &own);
                books.linked.apart.insert(room);
            }
        }
    }
}
