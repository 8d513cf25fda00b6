//! What follows when the link is there again, and what is looked after each second.

use std::sync::Arc;

use gateway_domain::{
    Now,
    link::{Act, Channel},
};

use crate::{cluster::Link, hub::Hub};

impl Hub {
    /// From now on this node is among the others: what means one connection by its id is heard.
    pub(crate) fn joins(self: &Arc<Self>) {
        let Some(link) = &self.link else { return };
        self.claim(&mut self.books.lock(), link, &Channel::Every);
    }

    /// The link was away and is back. What this node holds and follows stands again; what was said meanwhile is looked up.
    pub(crate) fn back(self: &Arc<Self>) {
        let Some(link) = &self.link else { return };
        let mut books = self.books.lock();
        let books = &mut *books;
        keep_seats(&mut books.linked, link);
        self.tear_all(books);
        self.mend(books);
    }

    /// Looks after what hangs on the link, each second.
    pub(crate) fn look_after_link(self: &Arc<Self>, now: Now) {
        let Some(link) = &self.link else { return };
        link.flush();
        if link.has_spoken() {
            self.claim_left(link, now);
        }
        let mut books = self.books.lock();
        let books = &mut *books;
        self.end_long_said(books, now);
        self.unfollow_idle(books, link, now);
        if !link.is_away() {
            keep_seats(&mut books.linked, link);
            self.mend(books);
        }
    }
}

/// Has the seats written down that were given while nobody could be asked.
fn keep_seats(books: &mut super::LinkedBooks, link: &Link) {
    for (_, claim) in books.unkept.drain() {
        link.must(Act::KeepSeat(claim));
    }
}
