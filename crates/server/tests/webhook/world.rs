//! A house with hooks, and a receiver whose answers a test chooses.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use gateway_auth::Seal;
use gateway_domain::{
    Principal, Refusal, RequestId,
    plan::{Messages, OnConnectionLimit, OwnLimits, Plan},
    target::Target,
};
use gateway_server::{
    audit::{AddressDetail, Audit, Destination, Event},
    clock,
    endpoint::Endpoint,
    hub::{Arrival, Class, Ending, Hub, HubRules, Occupant, Post, Posted, Seat, Standing},
    limits::Account,
    metrics::{Metrics, Sight},
    webhook::{Address, BreakerRules, Carry, HookRules, Kind, NoAnswer, Parcel, QueueBounds, Webhooks},
};
use gateway_transport::address::ClientAddress;
use serde_json::Value;
use tokio::{sync::Notify, task::JoinHandle};
use uuid::Uuid;

/// What a receiver does with a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Status(u16),
    After(Duration, u16),
    Hang,
    Broken,
}

/// A request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) body: Value,
    pub(crate) signature: String,
    pub(crate) at: Duration,
}

/// The other end of all hooks.
#[derive(Debug, Default)]
pub(crate) struct Receiver {
    requests: Mutex<Vec<Request>>,
    next: Mutex<VecDeque<Answer>>,
    usual: Mutex<Option<Answer>>,
    came: Notify,
}

impl Receiver {
    /// Answers like this from now on.
    pub(crate) fn answers(&self, answer: Answer) {
        *self.usual.lock().unwrap() = Some(answer);
    }

    /// Answers the next requests like this, one after the other.
    pub(crate) fn answers_next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.next.lock().unwrap().extend(answers);
    }

    /// Every request so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Waits until so many have come.
    pub(crate) async fn heard(&self, count: usize) -> Vec<Request> {
        loop {
            let requests = self.requests();
            if requests.len() >= count {
                return requests;
            }
            self.came.notified().await;
        }
    }

    pub(crate) fn carry(self: &Arc<Self>) -> Carry {
        let receiver = Arc::clone(self);
        Arc::new(move |parcel: Parcel| {
            let receiver = Arc::clone(&receiver);
            Box::pin(async move {
                let answer = receiver.next.lock().unwrap().pop_front();
                let answer = answer.or(*receiver.usual.lock().unwrap()).unwrap_or(Answer::Status(204));
                receiver.requests.lock().unwrap().push(Request {
                    body: serde_json::from_slice(&parcel.body).unwrap(),
                    signature: parcel.headers[3].1.clone(),
                    at: clock::now().tick.since_origin(),
                });
                receiver.came.notify_waiters();
                receiver.came.notify_one();
                match answer {
                    Answer::Status(status) => Ok(status),
                    Answer::After(wait, status) => {
                        tokio::time::sleep(wait).await;
                        Ok(status)
                    }
                    Answer::Hang => std::future::pending().await,
                    Answer::Broken => Err(NoAnswer("the connection was refused".into())),
                }
            })
        })
    }
}

/// The house.
pub(crate) struct World {
    pub(crate) hub: Arc<Hub>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) receiver: Arc<Receiver>,
    pump: Option<JoinHandle<()>>,
}

/// A hook that is told everything.
pub(crate) fn hook(name: &str) -> HookRules {
    HookRules {
        name: name.into(),
        address: Address::new("http://127.0.0.1:1/hook"),
        seals: vec![Seal::new(&[7; 32])],
        events: vec![Kind::Connect, Kind::Disconnect, Kind::Message],
        endpoints: Vec::new(),
        timeout: Duration::from_secs(8),
        at_once: 8,
        queue: QueueBounds { events: 100, bytes: 1 << 20 },
        breaker: BreakerRules { failures: 100, pause: Duration::from_secs(10) },
    }
}

impl World {
    pub(crate) fn of(hooks: Vec<HookRules>) -> Self {
        Self::with_state(hooks, None)
    }

    pub(crate) fn with_state(hooks: Vec<HookRules>, state: Option<&Path>) -> Self {
        let audit = Arc::new(Audit::new(Destination::Nowhere, AddressDetail::Full, 1_000).unwrap());
        let metrics = Arc::new(Metrics::new());
        let receiver = Arc::<Receiver>::default();
        let webhooks = Webhooks::open(hooks, state, &receiver.carry(), &audit, &metrics, false).unwrap();
        let hub = Hub::new(HubRules::seating(1_000), Arc::clone(&audit), Arc::clone(&metrics)).telling(webhooks);
        Self { hub: Arc::new(hub), audit, metrics, receiver, pump: None }
    }

    /// Its hooks are carried to from now on.
    pub(crate) fn runs(mut self) -> Self {
        let hub = Arc::clone(&self.hub);
        self.pump = Some(tokio::spawn(async move { hub.webhooks().run().await }));
        self
    }

    /// Somebody comes in.
    pub(crate) fn guest(&self, user: &str, path: &str) -> Guest {
        let plan = plan();
        let mut seat = self.hub.take_seat(&principal(user), &plan, false).unwrap();
        let now = clock::now();
        let arrival = Arrival {
            request_id: RequestId::new(Uuid::new_v4()),
            endpoint: Arc::new(Endpoint::at(path)),
            address: ClientAddress::Local,
            user_agent: None,
            autojoin: true,
        };
        let standing = Standing {
            principal: Arc::new(principal(user)),
            role: Some("dashboard".parse().unwrap()),
            plan: Arc::new(plan),
            account: Arc::new(Account::default()),
            authenticated_at: now.wall,
        };
        let occupant = Arc::new(Occupant::new(seat.id(), arrival, standing, now));
        seat.occupy(Arc::clone(&occupant)).unwrap();
        Guest { seat, occupant }
    }

    /// Says something to the hook `h`; how many took it.
    pub(crate) fn post(&self, guest: Option<&Guest>, text: &str) -> usize {
        let targets = [Target::Webhook("h".into()), Target::Webhook("h".into())];
        let sender = guest.map(|guest| guest.occupant.id);
        let post = Post { sender, counted: true, ..Post::new(text.into(), &targets, Class::Event) };
        match self.hub.post(post, clock::now()).unwrap() {
            Posted::Done(count) => count,
            Posted::Underway(_) => panic!("nobody has to wait for a hook"),
        }
    }

    /// What the audit has of that event.
    pub(crate) fn audited(&self, event: Event) -> Vec<String> {
        let mut reasons: Vec<_> =
            self.audit.latest(usize::MAX, |record| record.event == event).iter().map(|r| r.reason.clone()).collect();
        reasons.reverse();
        reasons
    }

    /// A metric's value; nothing where it has none yet.
    pub(crate) fn metric(&self, line: &str) -> u64 {
        let text = self.metrics.render(&Sight::default());
        let found = text.lines().find_map(|own| own.strip_prefix(line)?.strip_prefix(' '));
        found.map_or(0, |value| value.parse().unwrap())
    }

    /// How many events of the hook `h` had that fate.
    pub(crate) fn fated(&self, fate: &str) -> u64 {
        let kinds = ["connect", "disconnect", "message"];
        let line = |kind| format!("gateway_webhook_events_total{{webhook=\"h\",event=\"{kind}\",fate=\"{fate}\"}}");
        kinds.map(|kind| self.metric(&line(kind))).iter().sum()
    }

    /// Waits until so many events had that fate.
    pub(crate) async fn has_fated(&self, fate: &str, count: u64) {
        while self.fated(fate) < count {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(self.fated(fate), count, "{fate}");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(pump) = self.pump.take() {
            pump.abort();
        }
    }
}

/// Somebody who sits.
pub(crate) struct Guest {
    seat: Seat,
    pub(crate) occupant: Arc<Occupant>,
}

impl Guest {
    /// Goes, for that reason.
    pub(crate) fn goes(mut self, ending: Ending) {
        self.seat.end(ending);
    }

    /// Is sent away.
    pub(crate) fn leaves_for(self, refusal: Refusal) {
        self.goes(Ending::Ours(refusal));
    }
}

fn plan() -> Plan {
    Plan {
        name: "default".parse().unwrap(),
        connections: None,
        on_connection_limit: OnConnectionLimit::RejectNew,
        messages: Messages { rate: None, burst: None },
    }
}

fn principal(user: &str) -> Principal {
    Principal {
        user: user.parse().unwrap(),
        agent: None,
        issuer: None,
        key: "main".into(),
        roles: Vec::new(),
        permissions: Vec::new(),
        plan: None,
        own_limits: OwnLimits::default(),
        token_id: None,
        issued_at: None,
        expires_at: clock::now().wall + Duration::from_secs(3600),
        claims: Arc::default(),
    }
}
