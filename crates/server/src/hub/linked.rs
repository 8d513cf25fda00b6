//! A hub that is linked to others: what is said, asked and counted over all of them.
//!
//! Nothing here runs where there is no link. The law: the books are those of this node, and what all nodes share is in the
//! link; an order goes out under the lock of the books, so that it stands among the others as the act that it is about
//! does. What a node hears of others it hears in one order. While the link is away the stated policy holds, and what was done alone
//! is told as that.
//!
//! `follow` is which channels somebody here needs, `post` what is said and `arrive` how it is heard, `recall` how a
//! room is mended, `join` how one comes into it, `presence` who is in it anywhere, `seating` the seats, `coming` who waits for one, `ask` requests,
//! `gather` questions to all nodes, `hearing` what other nodes tell, `back` what follows when the link is there again.

mod arrive;
mod ask;
mod back;
mod coming;
mod follow;
mod gather;
mod head;
mod hearing;
mod join;
mod post;
mod presence;
mod recall;
mod seating;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use gateway_domain::{
    Code, ConnectionId, Refusal, RequestId, Room,
    link::{Channel, SeatClaim, Ticket},
};

use super::Hub;
use crate::cluster::Link;
pub(crate) use arrive::Heard;
pub use ask::Asker;
use coming::Coming;
use follow::Followed;
use gather::Gathering;
use post::Said;
use recall::Mending;
pub(super) use seating::Left;

/// What the books hold of the link.
#[derive(Debug, Default)]
pub(super) struct LinkedBooks {
    followed: Followed,
    /// What was said here and is on its way.
    said: HashMap<Ticket, Said>,
    mending: Mending,
    /// Rooms in which something was said to this node alone, under an epoch of its own.
    apart: BTreeSet<Room>,
    /// Connections that have asked for a seat.
    coming: HashMap<ConnectionId, Coming>,
    /// Seats that were given while the link was away: the others do not know of them yet.
    unkept: HashMap<ConnectionId, SeatClaim>,
    /// Roles that connections took since they came.
    roles: HashMap<ConnectionId, Channel>,
    /// Who was counted as present, by connection and room.
    entered: HashMap<(ConnectionId, Room), String>,
    gathers: HashMap<RequestId, Gathering>,
}

impl Hub {
    /// A hub that counts and says over all nodes that the link joins.
    pub fn linked(mut self, link: Arc<Link>) -> Self {
        let rules = self.rules();
        self.books.get_mut().feed_rooms(&rules);
        self.link = Some(link);
        self
    }

    /// The link to others, where there is one.
    pub const fn link(&self) -> Option<&Arc<Link>> {
        self.link.as_ref()
    }
}

/// What needs the others is refused while they cannot be reached.
pub(super) fn cut_off() -> Refusal {
    let why = "this gateway cannot reach the others at the moment";
    Refusal::new(Code::NodeFull, why).retry_after(std::time::Duration::from_secs(5))
}
