//! Where a connection sits down: the one thing of the gate that differs from front to front.
//!
//! A house that stands alone counts seats in its hub, at once. One that is linked to others counts them over all, and has
//! to ask. A front without a hub of its own keeps them in a table elsewhere. What is taken is given back when it is
//! dropped, or by whatever the front does at the end of a connection.

use std::{fmt, future::Future, net::IpAddr, sync::Arc};

use gateway_domain::{
    Now, Principal, Refusal, RequestId, Role, UserId,
    link::{Act, Answer},
    network::Network,
    plan::Plan,
};

use crate::{
    cluster::Link,
    endpoint::Endpoint,
    hub::{Hub, Seat},
    limits::{HandshakeLimits, HandshakeRate},
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

/// Counts a handshake over all gateways. While they cannot be reached, this one's own count is in force.
async fn knock(link: &Arc<Link>, key: String, rate: HandshakeRate, message: &'static str) -> Result<(), Refusal> {
    let act = Act::Knock { key, every: rate.rate.interval(), burst: rate.burst.get() };
    match link.ask(act).answer().await {
        Answer::Knocked(Err(wait)) => Err(rate.exceeded(message, wait)),
        _ => Ok(()),
    }
}

impl Seats for Arc<Hub> {
    type Seat = Seat;

    fn open_to_newcomers(&self) -> Result<(), Refusal> {
        Hub::open_to_newcomers(self)
    }

    async fn knock_from(&self, limits: &HandshakeLimits, address: IpAddr, _now: Now) -> Result<(), Refusal> {
        limits.knock_from(address)?;
        match (self.link(), limits.rates().0) {
            (Some(link), Some(rate)) => {
                let key = format!("address:{}", Network::of_customer(address));
                knock(link, key, rate, "too many handshakes from this address").await
            }
            _ => Ok(()),
        }
    }

    async fn knock_of(&self, limits: &HandshakeLimits, user: &UserId, _now: Now) -> Result<(), Refusal> {
        limits.knock_of(user)?;
        match (self.link(), limits.rates().1) {
            (Some(link), Some(rate)) => {
                knock(link, format!("user:{user}"), rate, "too many handshakes of this user").await
            }
            _ => Ok(()),
        }
    }

    async fn take(&self, claim: Claim<'_>) -> Result<Seat, Refusal> {
        match self.link() {
            None => self.take_seat(claim.principal, claim.plan, claim.endpoint.agents),
            Some(link) => self.take_seat_abroad(link, claim).await,
        }
    }
}
