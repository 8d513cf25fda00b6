//! Where a connection sits down: the one thing of the gate that differs from front to front.
//!
//! A house that stands alone counts seats in its hub, at once. One that is linked to others counts them over all, and has
//! to ask. A front without a hub of its own keeps them in a table elsewhere. What is taken is given back when it is
//! dropped, or by whatever the front does at the end of a connection.

use std::{fmt, future::Future, sync::Arc};

use gateway_domain::{Principal, Refusal, Role, plan::Plan};

use crate::{
    endpoint::Endpoint,
    hub::{Hub, Seat},
};

/// Who wants to sit down: everything before it in the corridor has been passed.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Who.
    pub principal: &'a Principal,
    /// As what it is admitted.
    pub role: Option<&'a Role>,
    /// Whose limits hold: how many connections, and what happens to one more.
    pub plan: &'a Plan,
    /// At which door. Where that is one of agents, the agent's place is taken along with the seat.
    pub endpoint: &'a Endpoint,
}

/// Seats, wherever they are counted.
pub trait Seats: fmt::Debug + Send + Sync {
    /// A place that was taken.
    type Seat: Send;

    /// Refuses where nobody can be let in at all. It neither waits nor asks anybody.
    fn open_to_newcomers(&self) -> Result<(), Refusal>;

    /// Takes a seat, or says why not: at once, or as soon as whoever counts has answered.
    fn take(&self, claim: Claim<'_>) -> impl Future<Output = Result<Self::Seat, Refusal>> + Send;
}

impl Seats for Arc<Hub> {
    type Seat = Seat;

    fn open_to_newcomers(&self) -> Result<(), Refusal> {
        Hub::open_to_newcomers(self)
    }

    async fn take(&self, claim: Claim<'_>) -> Result<Seat, Refusal> {
        self.take_seat(claim.principal, claim.plan, claim.endpoint.agents)
    }
}
