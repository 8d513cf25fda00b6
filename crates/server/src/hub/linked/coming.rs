//! Connections that have asked for a seat, and are not written down yet: meanwhile another node may give their seat away.
//!
//! Whoever comes may have to wait for somebody to go. So who takes its place meanwhile waits for it: what others hear of an
//! agent that is taken over again and again comes in the order in which it was taken over.

use gateway_domain::{ConnectionId, RequestId, link::Hearer, link::NodeId};
use tokio::sync::oneshot;

use super::LinkedBooks;
use crate::cluster::{Letter, Link};

/// One of them.
#[derive(Debug, Default)]
pub(super) struct Coming {
    is_given_away: bool,
    waits: Vec<Waits>,
}

/// Who has got its seat, and goes on when it is out of the way.
#[derive(Debug)]
pub(super) enum Waits {
    Here(oneshot::Sender<()>),
    There(NodeId, RequestId),
}

/// Whether a connection that makes room is out of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It is, and was told why.
    Free,
    /// It is on its way through the door: whoever waits is told when it is not any more.
    Soon,
}

impl LinkedBooks {
    /// It asks for a seat.
    pub(super) fn comes(&mut self, connection: ConnectionId) {
        self.coming.insert(connection, Coming::default());
    }

    /// It is written down now, or never will be: whether its seat was given away.
    pub(super) fn has_come(&mut self, link: &Link, connection: ConnectionId) -> bool {
        let Some(Coming { is_given_away, waits }) = self.coming.remove(&connection) else { return false };
        for waits in waits {
            match waits {
                // Whoever waited may have gone.
                Waits::Here(tells) => drop(tells.send(())),
                Waits::There(node, asked) => drop(link.tell(Hearer::Node(node), &Letter::Done { asked })),
            }
        }
        is_given_away
    }

    /// Its seat is somebody else's; whoever wants to know is told when it is out of the way. False: it is not on its way.
    pub(super) fn gives_away(&mut self, connection: ConnectionId, waits: Option<Waits>) -> bool {
        let Some(coming) = self.coming.get_mut(&connection) else { return false };
        coming.is_given_away = true;
        coming.waits.extend(waits);
        true
    }
}
