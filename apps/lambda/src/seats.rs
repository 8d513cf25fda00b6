//! The seats and the knocks of the gate, in the table: the form of the port for a front that has no memory of its own.
//!
//! A `$disconnect` may be lost. So before a seat counts against somebody who finds all of them taken, the management API
//! is asked about each connection that holds one, and the seats of those that are gone are given back. A seat that
//! was taken a moment ago counts without that: its connection may not be established yet.

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use futures_util::{StreamExt, stream};
use gateway_domain::{
    Code, ConnectionId, Now, Principal, Refusal, UserId,
    network::Network,
    plan::{OnConnectionLimit, Plan},
};
use gateway_server::{
    clock,
    gate::{Claim, Seats},
    hub::seats_taken,
    limits::{
        HandshakeLimits, HandshakeRate,
        handshakes::{TOO_MANY_FROM_ADDRESS, TOO_MANY_OF_USER},
    },
};

use crate::{
    connections::Connections,
    table::{
        StoreFault,
        seats::{mark, read_mark},
    },
};

/// The seats of a user whose plan has no limit: one item has to hold their marks.
const MOST_SEATS: u32 = 2_000;
/// How many connections are asked about at a time.
const AT_A_TIME: usize = 10;
/// How often it is tried again with the seats that were given back, while others race for them.
const ROUNDS: usize = 3;

/// The keeper of seats.
#[derive(Clone, Debug)]
pub struct TableSeats {
    /// Where they are.
    pub connections: Connections,
    /// How long a seat counts unasked.
    pub grace: Duration,
}

/// A seat that was taken. It is given back with its connection.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Whose it is.
    pub id: ConnectionId,
    /// Its mark in the table.
    pub mark: String,
}

impl Seats for TableSeats {
    type Seat = Taken;

    fn open_to_newcomers(&self) -> Result<(), Refusal> {
        Ok(())
    }

    async fn knock_from(&self, limits: &HandshakeLimits, address: IpAddr, now: Now) -> Result<(), Refusal> {
        let name = format!("address#{}", Network::of_customer(address));
        self.knock(&name, limits.rates().0, TOO_MANY_FROM_ADDRESS, now).await
    }

    async fn knock_of(&self, limits: &HandshakeLimits, user: &UserId, now: Now) -> Result<(), Refusal> {
        self.knock(&format!("user#{user}"), limits.rates().1, TOO_MANY_OF_USER, now).await
    }

    async fn take(&self, claim: Claim<'_>) -> Result<Taken, Refusal> {
        // A handshake here is its connection: both have one id.
        let id = ConnectionId::new(claim.request_id.uuid());
        self.seat(id, claim.principal, claim.plan, clock::now()).await.unwrap_or_else(|fault| Err(fault.refusal()))
    }
}

impl TableSeats {
    async fn knock(
        &self,
        name: &str,
        rate: Option<HandshakeRate>,
        message: &'static str,
        now: Now,
    ) -> Result<(), Refusal> {
        let Some(rate) = rate else { return Ok(()) };
        let counted = self.connections.table.knock(name, &rate, now.wall).await.map_err(|fault| fault.refusal())?;
        counted.map_err(|wait| rate.exceeded(message, wait))
    }

    async fn seat(
        &self,
        id: ConnectionId,
        principal: &Principal,
        plan: &Plan,
        now: Now,
    ) -> Result<Result<Taken, Refusal>, StoreFault> {
        let (table, user) = (&self.connections.table, &principal.user);
        let mark = mark(id, now.wall);
        let limit = plan.connections.unwrap_or(MOST_SEATS);
        for _ in 0..ROUNDS {
            if table.take_seat(user, &mark, limit, now.wall).await? {
                return Ok(Ok(Taken { id, mark }));
            }
            let held = table.held(user).await?;
            if self.give_back_of_the_gone(user, &held, now).await? > 0 {
                continue;
            }
            if plan.on_connection_limit != OnConnectionLimit::EvictOldest {
                break;
            }
            if let Some(oldest) = held.first() {
                match read_mark(oldest) {
                    Some((_, oldest)) => self.connections.end(oldest, &Refusal::plain(Code::Evicted)).await?,
                    None => drop(table.give_back(user, oldest).await?),
                }
            }
        }
        Ok(Err(seats_taken(user, plan)))
    }

    /// Asks about all that hold a seat for long enough; how many were gone.
    async fn give_back_of_the_gone(
        &self,
        user: &UserId,
        held: &BTreeSet<String>,
        now: Now,
    ) -> Result<usize, StoreFault> {
        let asked: Vec<(String, ConnectionId)> = held
            .iter()
            .filter_map(|mark| {
                let (taken_at, id) = read_mark(mark)?;
                (now.wall.since(taken_at) >= self.grace).then(|| (mark.clone(), id))
            })
            .collect();
        let outcomes = stream::iter(asked).map(|(mark, id)| self.given_back(user, mark, id));
        let outcomes: Vec<Result<usize, StoreFault>> = outcomes.buffer_unordered(AT_A_TIME).collect().await;
        outcomes.into_iter().sum()
    }

    /// Gives a seat back whose connection is gone; how many that are.
    async fn given_back(&self, user: &UserId, mark: String, id: ConnectionId) -> Result<usize, StoreFault> {
        if self.connections.is_there(id).await? {
            return Ok(0);
        }
        self.connections.bury(id).await;
        self.connections.table.give_back(user, &mark).await?;
        Ok(1)
    }
}
