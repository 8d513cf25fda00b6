//! What becomes of a post, and who is told.

use gateway_domain::{
    Refusal,
    link::{NodeId, Ticket},
};
use tokio::sync::oneshot;

/// What came of a post; refused, where it needed others who cannot be reached.
pub type Outcome = Result<Reach, Box<Refusal>>;

/// How far a post has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Into so many outboxes and queues of webhooks it was put.
    pub count: usize,
    /// Whose these are.
    pub scope: Scope,
}

/// Whose outboxes were counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those of this gateway.
    Node,
    /// Those of all gateways.
    Cluster,
}

/// Who is told to how many a post was told.
#[derive(Debug)]
pub(in crate::hub) enum Report {
    Nobody,
    /// Whoever posted it here, some having been told before.
    Poster {
        done: Option<oneshot::Sender<Outcome>>,
        scope: Scope,
        before: usize,
    },
    /// The node where it was posted.
    Node {
        node: NodeId,
        ticket: Ticket,
        hearings: u32,
    },
}
