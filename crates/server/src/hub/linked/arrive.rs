//! How what was said anywhere is heard here.

use std::sync::Arc;

use gateway_domain::{
    Now, Room,
    history::Position,
    link::{NodeId, Ticket},
    rooms::{Placed, Posted},
};
use gateway_transport::Text;

use super::head::Head;
use crate::hub::{
    Hub, Post,
    books::Books,
    delivery::{Offsets, Report},
};

/// Something that was said.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) from: NodeId,
    pub(crate) ticket: Ticket,
    pub(crate) hearings: u32,
    pub(crate) places: Vec<(Room, Position)>,
    pub(crate) head: String,
    pub(crate) text: String,
}

impl Hub {
    /// Whether more may be handed out at the moment.
    pub(crate) fn takes_more(&self) -> bool {
        self.books.lock().dispatch.has_room_for(0)
    }

    /// Hands out what was said, here or elsewhere.
    pub(crate) fn arrived(self: &Arc<Self>, heard: Heard, now: Now) {
        let Some(link) = &self.link else { return };
        let Heard { from, ticket, hearings, places, head, text } = heard;
        let Ok(head) = serde_json::from_str::<Head>(&head) else {
            tracing::warn!(node = %from, "what another node says of a text cannot be read: is it of another release?");
            return;
        };
        link.counts.heard();
        let mut books = self.books.lock();
        let books = &mut *books;
        let is_own = from == *link.node();
        if is_own {
            Self::comes_around(books, ticket);
        } else {
            head.is_noted(&from);
        }
        let report =
            if is_own || head.counted { Report::Node { node: from, ticket, hearings } } else { Report::Nobody };
        let targets = head.targets();
        let post = Post {
            text,
            targets: &targets,
            class: head.class(),
            sender: head.sender,
            counted: head.counted,
            trace: head.traceparent,
            request: head.request,
        };
        self.tell(books, post, Offsets::Given(&places), report, now);
    }

    /// Puts a text into a room at the offset that it got; none where it is not handed out there.
    pub(in crate::hub) fn placed(
        self: &Arc<Self>,
        books: &mut Books,
        room: &Room,
        given: &[(Room, Position)],
        make: impl FnOnce(u64) -> (Text, usize),
        now: Now,
    ) -> Option<Posted<Text>> {
        let law = *books.laws.law(room);
        let Some((_, at)) = given.iter().find(|(own, _)| own == room) else {
            return Some(books.rooms.post(room, &law, now.tick, make));
        };
        match books.rooms.place(room, &law, at, now.tick, make) {
            Placed::Next(posted) | Placed::Late(posted) => Some(posted),
            Placed::Anew(posted) => {
                books.linked.apart.remove(room);
                let before = Position { epoch: at.epoch.clone(), offset: at.offset.saturating_sub(1) };
                self.tell_of_loss(books, room, &before);
                Some(posted)
            }
            Placed::Again => None,
            Placed::Gap(_) => {
                self.torn_at(books, room, at.offset);
                None
            }
        }
    }
}
