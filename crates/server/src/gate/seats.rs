//! Where a connection sits down: the one thing of the gate that differs from front to front.
//!
//! A house that stands alone counts seats in its hub, at once. One that is linked to others counts them over all, and has
//! to ask. A front without a hub of its own keeps them in a table elsewhere. What is taken is given back when it is
//! dropped, or by whatever the front does at the end of a connection.

use std::{fmt, future::Future, net::IpAddr, sync::Arc};

use gateway_domain::{Now, Principal, Refusal, RequestId, Role, UserId, plan::Plan};

use crate::{
    endpoint::Endpoint,
    hub::{Hub, Seat},
    limits::HandshakeLimits,
};

/// Who wants to sit down: everything before it in the corridor has been passed.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The handshake.
    pub request_id: RequestId,
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

    /// Counts a handshake from an address: in this process, unless the front has none that stays.
    fn knock_from(
        &self,
        limits: &HandshakeLimits,
        address: IpAddr,
        _now: Now,
    ) -> impl Future<Output = Result<(), Refusal>> + Send {
        std::future::ready(limits.knock_from(address))
    }

    /// Counts a handshake of a user, likewise.
    fn knock_of(
        &self,
        limits: &HandshakeLimits,
        user: &UserId,
        _now: Now,
    ) -> impl Future<Output = Result<(), Refusal>> + Send {
        std::future::ready(limits.knock_of(user))
    }

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
