//! People in a hub without sockets: what is said to one waits in its outbox until a test reads it.

use std::{sync::Arc, time::Duration};

use gateway_domain::{
    Code, Principal, Refusal, RequestId,
    history::{HistoryBounds, Position},
    plan::{Messages, OnConnectionLimit, OwnLimits, Plan},
    rules::{JoinSpec, RoomLaw, RoomRules, RuleSpec},
    target::Target,
    template::RoomTemplate,
};
use gateway_server::{
    audit::{AddressDetail, Audit, Destination},
    clock,
    endpoint::Endpoint,
    hub::{Arrival, Class, Ending, Hub, HubRules, Occupant, Post, Posted, Seat, Standing},
    limits::Account,
    metrics::Metrics,
};
use gateway_transport::ClientAddress;
use serde_json::Value;
use uuid::Uuid;

/// A house with rooms that everybody may enter.
pub(crate) struct Hall {
    pub(crate) hub: Arc<Hub>,
}

/// Somebody who sits there.
pub(crate) struct Person {
    pub(crate) occupant: Arc<Occupant>,
    seat: Seat,
}

/// Everybody may subscribe; only what begins with `kept:` is remembered, and nobody is told of others.
pub(crate) fn rules() -> HubRules {
    let history = HistoryBounds { messages: 100, age: Duration::from_secs(60), bytes: 1 << 20 };
    let everybody = |pattern: &str, history| RuleSpec {
        pattern: pattern.into(),
        join: vec![JoinSpec::default()],
        history: Some(history),
        presence: None,
    };
    let specs = [everybody("kept:{name}", Some(history)), everybody("{name}", None)];
    let laws = RoomRules::compile(&specs, RoomLaw { history: None, presence: None }, &Default::default()).unwrap();
    let mut rules = HubRules::seating(10_000);
    // Nobody here is too slow, but where a test says so.
    rules.outbox.bytes = 1 << 30;
    HubRules { laws, ..rules }
}

pub(crate) fn plan() -> Plan {
    let messages = Messages { rate: None, burst: None };
    Plan {
        name: "default".parse().unwrap(),
        connections: None,
        on_connection_limit: OnConnectionLimit::RejectNew,
        messages,
    }
}

pub(crate) fn principal(user: &str, role: &str) -> Principal {
    Principal {
        user: user.parse().unwrap(),
        agent: None,
        issuer: None,
        key: "main".into(),
        roles: vec![role.parse().unwrap()],
        permissions: Vec::new(),
        plan: None,
        own_limits: OwnLimits::default(),
        token_id: None,
        issued_at: None,
        expires_at: clock::now().wall + Duration::from_secs(60),
        claims: Arc::default(),
    }
}

pub(crate) fn target(text: &str) -> Target {
    text.parse().unwrap()
}

impl Hall {
    pub(crate) fn with(rules: HubRules) -> Self {
        let audit = Arc::new(Audit::new(Destination::Nowhere, AddressDetail::Full, 100).unwrap());
        Self { hub: Arc::new(Hub::new(rules, audit, Arc::new(Metrics::new()))) }
    }

    /// Somebody comes in by `/ws`.
    pub(crate) fn person(&self, user: &str, role: &str) -> Person {
        self.enters(principal(user, role), Endpoint::at("/ws"))
    }

    /// Somebody comes in by a door that puts it into the room `put`.
    pub(crate) fn put(&self, user: &str) -> Person {
        let join = vec![RoomTemplate::parse("put").unwrap()];
        self.enters(principal(user, "viewer"), Endpoint { join, ..Endpoint::at("/put") })
    }

    /// An agent comes in.
    pub(crate) fn agent(&self, id: &str) -> Person {
        let agent = Some(id.parse().unwrap());
        self.enters(Principal { agent, ..principal(id, "agent") }, Endpoint { agents: true, ..Endpoint::at("/agent") })
    }

    /// So many come in, subscribe to a room, and have read all that they were told.
    pub(crate) fn crowd(&self, count: usize, room: &str) -> Vec<Person> {
        let comes = |n| {
            let person = self.person(&format!("member{n}"), "member");
            self.subscribe(&person, room);
            person.read();
            person
        };
        (0..count).map(comes).collect()
    }

    fn enters(&self, principal: Principal, endpoint: Endpoint) -> Person {
        let (now, plan) = (clock::now(), plan());
        let mut seat = self.hub.take_seat(&principal, &plan, endpoint.agents).unwrap();
        let arrival = Arrival {
            request_id: RequestId::new(Uuid::new_v4()),
            endpoint: Arc::new(endpoint),
            address: ClientAddress::Local,
            user_agent: None,
            autojoin: true,
        };
        let standing = Standing {
            role: principal.roles.first().cloned(),
            principal: Arc::new(principal),
            plan: Arc::new(plan),
            account: Arc::new(Account::default()),
            authenticated_at: now.wall,
        };
        let occupant = Arc::new(Occupant::new(seat.id(), arrival, standing, now));
        seat.occupy(Arc::clone(&occupant)).unwrap();
        Person { occupant, seat }
    }

    pub(crate) fn subscribe(&self, person: &Person, room: &str) {
        self.hub.subscribe(&person.occupant, None, &room.parse().unwrap(), None, clock::now()).unwrap();
    }

    pub(crate) fn subscribe_since(&self, person: &Person, room: &str, since: Value) {
        let since: Position = serde_json::from_value(since).unwrap();
        self.hub.subscribe(&person.occupant, None, &room.parse().unwrap(), Some(&since), clock::now()).unwrap();
    }

    /// Posts a numbered word; in a target, `ONE` is the id of the sender.
    pub(crate) fn posting(&self, targets: &[&str], n: u64, sender: Option<&Person>) -> Result<Posted, Refusal> {
        let id = sender.map(|sender| sender.occupant.id);
        let own = id.map(|id| id.to_string()).unwrap_or_default();
        let targets: Vec<_> = targets.iter().map(|text| target(&text.replace("ONE", &own))).collect();
        let text = format!(r#"{{"type":"say","n":{n}}}"#);
        let post = Post { sender: id, counted: true, ..Post::new(text, &targets, Class::Event) };
        self.hub.post(post, clock::now())
    }

    /// Posts a numbered word to a few; how many were told.
    pub(crate) fn post(&self, targets: &[&str], n: u64, sender: Option<&Person>) -> usize {
        match self.posting(targets, n, sender).unwrap() {
            Posted::Done(count) => count,
            Posted::Underway(_) => panic!("it was told at once to nobody"),
        }
    }
}

impl Person {
    /// Takes all that it was told.
    pub(crate) fn read(&self) -> Vec<Value> {
        let texts = std::iter::from_fn(|| self.occupant.take());
        texts.map(|text| serde_json::from_str(text.as_str()).unwrap()).collect()
    }

    /// How many messages wait for it.
    pub(crate) fn waiting(&self) -> usize {
        self.occupant.waiting().0
    }

    /// Why it was told to go, if it was.
    pub(crate) fn sent_away(&self) -> Option<Code> {
        use futures_util::FutureExt;
        loop {
            // A bell that rang for a message says nothing about an end.
            match self.occupant.ordered().now_or_never() {
                Some(orders) if orders.end.is_none() => {}
                orders => return orders?.end.map(|refusal| refusal.code),
            }
        }
    }

    /// Goes, and says why.
    pub(crate) fn ends(mut self, ending: Ending) {
        self.seat.end(ending);
    }
}
