//! Seats as they are counted over all nodes.

use crate::{
    link::NodeId,
    name::{AgentId, ConnectionId, UserId},
    plan::OnConnectionLimit,
    time::Timestamp,
};

/// Who wants a seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatClaim {
    /// Whose it is to be.
    pub user: UserId,
    /// What the connection will be called.
    pub connection: ConnectionId,
    /// The agent that it is, where it comes through a door of agents.
    pub agent: Option<AgentId>,
    /// How many the user may have; none: any number.
    pub limit: Option<usize>,
    /// What is done at the limit.
    pub on_limit: OnConnectionLimit,
    /// When it was asked for.
    pub since: Timestamp,
    /// What is to be known of it where its node is lost, in the words of the house: [`Arrival::SeatLost`]. None: nothing.
    ///
    /// [`Arrival::SeatLost`]: super::Arrival::SeatLost
    pub note: Option<Box<str>>,
}

/// A seat that somebody has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where.
    pub node: NodeId,
    /// Which.
    pub connection: ConnectionId,
}

/// How a claim came out. It is decided and written down in one step, for all nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeatAnswer {
    /// It is taken.
    Taken {
        /// The user's oldest seat, given away for it: its node has to end that connection.
        evicted: Option<Place>,
        /// The older connection of the same agent: the same.
        replaced: Option<Place>,
    },
    /// The user has as many as it may.
    UserFull {
        /// These, the oldest first.
        held: Vec<Place>,
    },
    /// The agent is the live connection of another user.
    AgentTaken(Place),
}
