//! Who is here, and the seat that each of them holds.
//!
//! One lock guards the books and never crosses an await. Admission takes a [`Seat`]; dropping it undoes everything
//! that admission did, exactly once, whatever way the connection ends. There is no other clean-up code.

mod occupant;
mod seat;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use std::time::Duration;

use gateway_domain::{
    Code, ConnectionId, Principal, Refusal, UserId,
    plan::{OnConnectionLimit, Plan},
    refusal::LimitMet,
    registry::Registry,
    seats::NoSeat,
    session::PROBE_PATIENCE,
};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::{audit::Audit, metrics::Metrics};
pub use occupant::{Arrival, Occupant, Orders, Standing, Traffic, Transport};
pub use seat::{Ending, Seat};

/// The house's books of connections.
#[derive(Debug)]
pub struct Hub {
    registry: Mutex<Registry<Arc<Occupant>>>,
    draining: AtomicBool,
    audit: Arc<Audit>,
    metrics: Arc<Metrics>,
}

impl Hub {
    /// An empty house with that many seats.
    pub fn new(capacity: usize, audit: Arc<Audit>, metrics: Arc<Metrics>) -> Self {
        Self { registry: Mutex::new(Registry::new(capacity)), draining: AtomicBool::new(false), audit, metrics }
    }

    /// Refuses where nobody can be let in at all.
    pub fn open_to_newcomers(&self) -> Result<(), Refusal> {
        if self.draining.load(Ordering::Acquire) {
            return Err(Refusal::plain(Code::Draining).retry_after(Duration::from_secs(5)));
        }
        if self.registry.lock().seats().is_full() {
            return Err(node_full());
        }
        Ok(())
    }

    /// Takes a seat for the user, by its plan. At the limit the answer comes at once, and what the plan says is done
    /// to those who sit there.
    pub fn take_seat(self: &Arc<Self>, principal: &Principal, plan: &Plan) -> Result<Seat, Refusal> {
        let user = &principal.user;
        let id = ConnectionId::new(Uuid::new_v4());
        let mut registry = self.registry.lock();
        match registry.admit(user, id, plan.connections) {
            Ok(()) => {}
            Err(NoSeat::NodeFull) => return Err(node_full().of_user(user)),
            Err(NoSeat::UserFull(held)) => match (plan.on_connection_limit, held.first()) {
                (OnConnectionLimit::EvictOldest, Some(oldest)) => {
                    let evicted = registry.leave(user, *oldest);
                    registry.admit(user, id, plan.connections).map_err(|_| seats_taken(user, plan))?;
                    if let Some(occupant) = evicted {
                        occupant.end(Refusal::plain(Code::Evicted));
                    }
                }
                (OnConnectionLimit::EvictStale, _) => {
                    registry.of_user(user).for_each(|occupant| occupant.probe());
                    return Err(seats_taken(user, plan).retry_after(PROBE_PATIENCE + Duration::from_millis(500)));
                }
                (OnConnectionLimit::RejectNew | OnConnectionLimit::EvictOldest, _) => {
                    return Err(seats_taken(user, plan));
                }
            },
        }
        drop(registry);
        Ok(Seat::taken(Arc::clone(self), user.clone(), id))
    }

    /// The connection of that id.
    pub fn occupant(&self, id: ConnectionId) -> Option<Arc<Occupant>> {
        self.registry.lock().get(id).cloned()
    }

    /// The user's connections, the oldest first.
    pub fn of_user(&self, user: &UserId) -> Vec<Arc<Occupant>> {
        self.registry.lock().of_user(user).cloned().collect()
    }

    /// A page of the connections that are wanted, in the order of their ids, from behind that one on.
    pub fn page(
        &self,
        after: Option<ConnectionId>,
        most: usize,
        wanted: impl Fn(&Occupant) -> bool,
    ) -> Vec<(ConnectionId, Arc<Occupant>)> {
        let registry = self.registry.lock();
        registry
            .after(after)
            .filter(|(_, here)| wanted(here))
            .take(most)
            .map(|(id, here)| (id, Arc::clone(here)))
            .collect()
    }

    /// Ends every connection that is meant; how many there were.
    pub fn end_where(&self, meant: impl Fn(&Occupant) -> bool, refusal: &Refusal) -> usize {
        // The books are only copied under the lock: a question may look at a connection's own lock.
        let all: Vec<_> = self.registry.lock().after(None).map(|(_, here)| Arc::clone(here)).collect();
        let met = all.iter().filter(|here| meant(here));
        met.map(|here| here.end(refusal.clone())).count()
    }

    /// Lets nobody in any more, and tells everybody to go.
    pub fn drain(&self) -> usize {
        self.draining.store(true, Ordering::Release);
        self.end_where(|_| true, &Refusal::plain(Code::Draining).retry_after(Duration::from_secs(5)))
    }

    /// Whether the house is leaving.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// How many connections, seats and users there are.
    pub fn counts(&self) -> Counts {
        let registry = self.registry.lock();
        let seats = registry.seats();
        Counts { connections: registry.len(), seats: seats.taken(), users: seats.users() }
    }
}

/// How full the house is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Live connections.
    pub connections: usize,
    /// Seats, those of newcomers on their way through the door included.
    pub seats: usize,
    /// Users with a seat.
    pub users: usize,
}

fn node_full() -> Refusal {
    Refusal::plain(Code::NodeFull).retry_after(Duration::from_secs(5))
}

fn seats_taken(user: &UserId, plan: &Plan) -> Refusal {
    let limit = plan.connections.unwrap_or_default();
    Refusal::new(Code::ConnectionLimit, format!("all {limit} connections of this user are taken"))
        .because(format!("{user} holds {limit} connections, all that plan `{}` allows", plan.name))
        .limit(LimitMet { limit, period: None })
        .retry_after(Duration::from_secs(5))
        .of_user(user)
}
