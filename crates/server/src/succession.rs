//! One policy after another: a house is never changed, another comes in its place, with the same hub, ledger and books.
//! Whoever is here is judged by it as at the gate, from the origin to the plan, and goes with POLICY_CHANGED where it would
//! not be let in again. What a connection was greeted with stays with it: its language, its heartbeat, its largest message.
//!
//! The old house points at the new one. A connection, a session or a listener that holds an old one looks there when its
//! bell rings, or when it next lets somebody in; nobody waits, and no message pays for it.

use std::{
    collections::HashSet,
    fmt, mem,
    sync::{Arc, OnceLock},
};

use gateway_domain::{Code, Now, Refusal, plan::OnConnectionLimit};

use crate::{
    clock,
    endpoint::{Endpoint, MessagesScope},
    house::House,
    hub::{Occupant, Standing, Transport},
};

/// The house that came in the place of another.
#[derive(Default)]
pub struct Successor(OnceLock<Arc<House>>);

impl House {
    /// The house that stands in this one's place by now; this one, where none does.
    pub fn now(self: &Arc<Self>) -> Arc<Self> {
        let mut house = self;
        while let Some(next) = house.successor.0.get() {
            house = next;
        }
        Arc::clone(house)
    }

    /// Whether another stands in its place.
    pub fn is_past(&self) -> bool {
        self.successor.0.get().is_some()
    }

    /// Puts another in its place, which has the same hub, and judges everybody by it: the new house, and how many it
    /// admits no more. Only the last of a line has a successor; one at a time.
    pub fn succeeded_by(self: &Arc<Self>, heir: Self) -> (Arc<Self>, usize) {
        let was = self.now();
        let heir = Arc::new(heir);
        if was.successor.0.set(Arc::clone(&heir)).is_err() {
            return (was.now(), 0);
        }
        let closed = heir.judge_everybody(&was);
        (heir, closed)
    }

    fn judge_everybody(&self, was: &Self) -> usize {
        let now = clock::now();
        // Whoever is entered from here on has found the successor.
        let everybody = self.hub.page(None, usize::MAX, |_| true);
        let users: HashSet<_> = everybody.iter().map(|(_, here)| here.user()).collect();
        users.into_iter().map(|user| self.judge_user(was, &self.hub.of_user(user), now)).sum()
    }

    /// Judges the connections of one user, the oldest first; how many go.
    fn judge_user(&self, was: &Self, all: &[Arc<Occupant>], now: Now) -> usize {
        let mut staying = Vec::new();
        let mut going: Vec<(&Arc<Occupant>, Refusal)> = Vec::new();
        for here in all {
            match self.judge(was, here, now) {
                Ok(standing) => staying.push((here, standing)),
                Err(refusal) => going.push((here, refusal)),
            }
        }
        going.extend(surplus(&mut staying));
        for (here, standing) in staying {
            here.restand(standing);
            self.hub.judge_again(here);
            here.take_policy();
        }
        let count = going.len();
        going.into_iter().for_each(|(here, refusal)| here.end(refusal));
        count
    }

    /// What a connection is by this policy that `was` let in, or why it is not let in.
    pub(crate) fn judge(&self, was: &Self, here: &Occupant, now: Now) -> Result<Standing, Refusal> {
        let endpoint = self.door_of(here).ok_or_else(|| changed("its endpoint is no more"))?;
        let kind = |endpoint: &Endpoint| (endpoint.agents, mem::discriminant(&endpoint.handler));
        if kind(endpoint) != kind(&here.endpoint) {
            return Err(changed("its endpoint serves something else"));
        }
        if here.page.as_ref().is_some_and(|page| !page.passes(&endpoint.origins)) {
            return Err(changed("its page is not on the list of origins"));
        }
        let before = here.standing();
        let known = &before.principal;
        let mut principal = self.gate.authenticator.read_again(known, &was.gate.authenticator, now).map_err(no_more)?;
        if self.gate.agent_source == was.gate.agent_source && principal.agent.is_none() {
            // An id that the client chose at the handshake stays what it was.
            principal.agent.clone_from(&known.agent);
        }
        if (&principal.user, &principal.agent, &principal.issuer) != (&known.user, &known.agent, &known.issuer) {
            return Err(changed("its token means somebody else"));
        }
        self.gate.still_welcome(&principal, &here.address, now)?;
        let role = crate::gate::admitted_role(&principal, endpoint).map_err(no_more)?;
        let plan = self.gate.plans.holding(&principal, endpoint.plan.as_ref()).plan;
        let shared = self.gate.accounts.of(&principal.user);
        let account = match endpoint.messages_scope {
            MessagesScope::User => shared,
            MessagesScope::Connection if Arc::ptr_eq(&shared, &before.account) => Arc::default(),
            MessagesScope::Connection => before.account,
        };
        let authenticated_at = before.authenticated_at;
        Ok(Standing { principal: Arc::new(principal), role, plan, account, authenticated_at })
    }

    /// The door that a connection came through, as it is now.
    pub(crate) fn door_of(&self, here: &Occupant) -> Option<&Arc<Endpoint>> {
        match here.transport() {
            Transport::Websocket => self.endpoints.iter().find(|endpoint| endpoint.path == here.endpoint.path),
            Transport::SocketioPolling | Transport::SocketioWebsocket => self.namespaces.at(&here.endpoint.path),
        }
    }
}

/// Takes those out who are more than their plan admits: the newest, or the oldest where those make room.
fn surplus<'a>(staying: &mut Vec<(&'a Arc<Occupant>, Standing)>) -> Vec<(&'a Arc<Occupant>, Refusal)> {
    let evicts =
        staying.first().is_some_and(|(_, first)| first.plan.on_connection_limit == OnConnectionLimit::EvictOldest);
    if evicts {
        staying.reverse();
    }
    let mut going = Vec::new();
    let mut count = 0u32;
    staying.retain(|(here, standing)| {
        let fits = standing.plan.connections.is_none_or(|most| count < most);
        if fits {
            count += 1;
        } else {
            let why = format!("plan `{}` admits fewer connections", standing.plan.name);
            going.push((*here, changed(why)));
        }
        fits
    });
    going
}

fn changed(why: impl Into<String>) -> Refusal {
    Refusal::plain(Code::PolicyChanged).because(why)
}

/// What another check says is the reason, and not the code: the client did nothing wrong.
fn no_more(refusal: Refusal) -> Refusal {
    let why = refusal.cause.unwrap_or_else(|| refusal.message.into_owned());
    changed(why)
}

impl fmt::Debug for Successor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Successor").field(&self.0.get().is_some()).finish()
    }
}
