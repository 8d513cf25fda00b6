//! Taking a seat in this house: at once, under the lock.

use std::{sync::Arc, time::Duration};

use gateway_domain::{
    AgentId, Code, ConnectionId, Principal, Refusal, UserId,
    plan::{OnConnectionLimit, Plan},
    refusal::LimitMet,
    registry::NoPlace,
    seats::NoSeat,
    session::PROBE_PATIENCE,
};

use super::{Hub, Seat, agents::Gone, books::Books, draw_id};
use crate::clock;

impl Hub {
    /// Takes a seat for the user, by its plan, and the place of the agent, where it comes through a door of agents. At
    /// the limit the answer comes at once, and what the plan says is done to those who sit there. An agent of the same
    /// user that is here already makes room for its newer connection.
    pub fn take_seat(self: &Arc<Self>, principal: &Principal, plan: &Plan, as_agent: bool) -> Result<Seat, Refusal> {
        let agent = principal.agent.as_ref().filter(|_| as_agent);
        let id = draw_id(clock::now());
        self.sit_in_books(&mut self.books.lock(), (&principal.user, id), Some(plan), agent)?;
        Ok(Seat::taken(Arc::clone(self), principal.user.clone(), id, agent.cloned()))
    }

    /// Writes a connection down that is about to come. Without a plan the user's connections are counted elsewhere.
    pub(super) fn sit_in_books(
        self: &Arc<Self>,
        books: &mut Books,
        (user, id): (&UserId, ConnectionId),
        plan: Option<&Plan>,
        agent: Option<&AgentId>,
    ) -> Result<(), Refusal> {
        if let Some((holder, old)) = agent.and_then(|agent| books.registry.holder(agent)) {
            if holder != user {
                return Err(self.agent_taken(books, user, old));
            }
            if let Some(replaced) = self.strike(books, (user, old, agent), Gone::Replaced, clock::now()) {
                replaced.end(Refusal::plain(Code::Replaced));
            }
        }
        let limit = plan.and_then(|plan| plan.connections);
        match books.registry.admit(user, id, limit, agent) {
            Ok(()) => Ok(()),
            Err(NoPlace::AgentTaken(holder)) => Err(self.agent_taken(books, user, holder)),
            Err(NoPlace::Seat(NoSeat::NodeFull)) => Err(node_full().of_user(user)),
            Err(NoPlace::Seat(NoSeat::UserFull(held))) => {
                let Some(plan) = plan else { return Err(node_full().of_user(user)) };
                match (plan.on_connection_limit, held.first()) {
                    (OnConnectionLimit::EvictOldest, Some(oldest)) => {
                        self.evict(books, user, *oldest);
                        books.registry.admit(user, id, limit, agent).map_err(|_| seats_taken(user, plan))
                    }
                    (OnConnectionLimit::EvictStale, _) => {
                        books.registry.of_user(user).for_each(|occupant| occupant.probe());
                        Err(seats_taken(user, plan).retry_after(PROBE_PATIENCE + Duration::from_millis(500)))
                    }
                    (OnConnectionLimit::RejectNew | OnConnectionLimit::EvictOldest, _) => Err(seats_taken(user, plan)),
                }
            }
        }
    }

    /// Whoever holds the agent's place may be dead: then the next attempt gets in.
    fn agent_taken(&self, books: &Books, user: &UserId, holder: ConnectionId) -> Refusal {
        if let Some(holder) = books.registry.get(holder) {
            holder.probe();
        }
        Refusal::plain(Code::AgentIdTaken)
            .because(format!("connection {holder} of another user is that agent"))
            .of_user(user)
    }

    fn evict(self: &Arc<Self>, books: &mut Books, user: &UserId, oldest: ConnectionId) {
        let agent = books.registry.get(oldest).and_then(|here| here.agent());
        if let Some(evicted) = self.strike(books, (user, oldest, agent.as_ref()), Gone::Kicked, clock::now()) {
            evicted.end(Refusal::plain(Code::Evicted));
        }
    }
}

pub(super) fn node_full() -> Refusal {
    Refusal::plain(Code::NodeFull).retry_after(Duration::from_secs(5))
}

/// The refusal of whoever finds all seats of the user taken.
pub fn seats_taken(user: &UserId, plan: &Plan) -> Refusal {
    let limit = plan.connections.unwrap_or_default();
    Refusal::new(Code::ConnectionLimit, format!("all {limit} connections of this user are taken"))
        .because(format!("{user} holds {limit} connections, all that plan `{}` allows", plan.name))
        .limit(LimitMet { limit, period: None })
        .retry_after(Duration::from_secs(5))
        .of_user(user)
}
