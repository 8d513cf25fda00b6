//! A seat: the guard of everything that admission did.

use std::sync::Arc;

use gateway_domain::{AgentId, Code, ConnectionId, Refusal, UserId, link::Channel, registry::Listing};

use super::{Hub, Occupant, agents::Gone, linked::Left};
use crate::{audit::Event, clock};

/// A place in the house, taken before the upgrade and given back when this is dropped.
#[derive(Debug)]
pub struct Seat {
    hub: Arc<Hub>,
    user: UserId,
    id: ConnectionId,
    agent: Option<AgentId>,
    occupant: Option<Arc<Occupant>>,
    ending: Ending,
    /// What other nodes need to reach it by, and what they count; where there are any.
    held: Option<Box<Held>>,
}

#[derive(Debug)]
struct Held {
    channels: Vec<Channel>,
    is_counted: bool,
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nobody said why: its task was dropped, or it panicked.
    Aborted,
    /// The gateway closed it.
    Ours(Refusal),
    /// The peer closed it, with that code.
    Peer(Option<u16>),
    /// The peer vanished without a word.
    Lost(String),
}

impl Seat {
    pub(super) fn taken(hub: Arc<Hub>, user: UserId, id: ConnectionId, agent: Option<AgentId>) -> Self {
        Self { hub, user, id, agent, occupant: None, ending: Ending::Aborted, held: None }
    }

    /// One that is counted over all nodes, or about to be.
    pub(super) fn held(hub: Arc<Hub>, user: UserId, id: ConnectionId, agent: Option<AgentId>) -> Self {
        let mut seat = Self::taken(hub, user, id, agent);
        seat.held = Some(Box::new(Held { channels: Vec::new(), is_counted: true }));
        seat
    }

    /// This is heard for it.
    pub(super) fn hears(&mut self, channels: Vec<Channel>) {
        if let Some(held) = &mut self.held {
            held.channels = channels;
        }
    }

    /// It was refused.
    pub(super) fn is_not_counted(&mut self) {
        if let Some(held) = &mut self.held {
            held.is_counted = false;
        }
    }

    /// The connection's id.
    pub const fn id(&self) -> ConnectionId {
        self.id
    }

    /// Sits down: from now on the connection is found, counted and told. Refused where it was evicted, or an agent
    /// replaced, meanwhile.
    pub fn occupy(&mut self, occupant: Arc<Occupant>) -> Result<(), Refusal> {
        self.enter(&occupant)?;
        // A drain that began since the gate was passed has not seen this connection.
        if self.hub.is_draining() {
            occupant.end(Hub::leaving());
        }
        self.hub.metrics.doors.connected(&occupant);
        self.hub.audit.event(Event::Connected, &occupant.subject(), "admitted", clock::now());
        self.hub.webhooks.connected(&occupant, clock::now());
        self.occupant = Some(occupant);
        Ok(())
    }

    fn enter(&self, occupant: &Arc<Occupant>) -> Result<(), Refusal> {
        let now = clock::now();
        let listing = Listing {
            endpoint: Arc::clone(&occupant.endpoint.path),
            role: occupant.stands(|standing| standing.role.clone()),
            hears_user: occupant.hears_user && occupant.endpoint.hears(),
        };
        let mut books = self.hub.books.lock();
        let entered = books.registry.enter(&self.user, self.id, Arc::clone(occupant), listing);
        entered.map_err(|_| Refusal::plain(if self.agent.is_some() { Code::Replaced } else { Code::Evicted }))?;
        if occupant.hears_user {
            self.hub.put_into_rooms(&mut books, occupant, now);
        }
        if let Some(agent) = &self.agent {
            self.hub.agent_came(&mut books, agent, &self.user, now);
        }
        Ok(())
    }

    /// Notes why the connection ends.
    pub fn end(&mut self, ending: Ending) {
        self.ending = ending;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let (gone, now) = (Gone::by(&self.ending), clock::now());
        {
            let mut books = self.hub.books.lock();
            let (user, connection, agent) = (&self.user, self.id, self.agent.as_ref());
            self.hub.strike(&mut books, (user, connection, agent), gone, now);
            if let Some(Held { channels, is_counted }) = self.held.as_deref() {
                let left = Left { user, connection, agent, channels, is_counted: *is_counted };
                self.hub.seat_left(&mut books, left, now);
            }
        }
        let Some(occupant) = self.occupant.take() else { return };
        let (by, code) = match &self.ending {
            Ending::Ours(refusal) => ("gateway", refusal.code.name().to_owned()),
            Ending::Peer(code) => ("peer", code.map_or_else(|| "none".into(), |code| code.to_string())),
            Ending::Lost(_) => ("lost", "none".into()),
            Ending::Aborted => ("aborted", "none".into()),
        };
        self.hub.metrics.doors.disconnected(by, &code);
        self.hub.metrics.messages.keep(&occupant);
        self.hub.webhooks.disconnected(&occupant, &self.ending, now);
        let subject = occupant.subject();
        match &self.ending {
            Ending::Ours(refusal) => self.hub.audit.event_of(Event::Disconnected, refusal, &subject, now),
            Ending::Peer(Some(code)) => {
                self.hub.audit.event(Event::Disconnected, &subject, format!("closed by the peer with {code}"), now);
            }
            Ending::Peer(None) => self.hub.audit.event(Event::Disconnected, &subject, "closed by the peer", now),
            Ending::Lost(how) => self.hub.audit.event(Event::Disconnected, &subject, format!("lost: {how}"), now),
            Ending::Aborted => {
                self.hub.audit.event(Event::Disconnected, &subject, "its task ended without a word", now)
            }
        }
    }
}
