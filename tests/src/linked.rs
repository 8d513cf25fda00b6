//! One end of a link, without a gateway: it orders, and hears what arrives. What a test knows of a node is what it heard.

use std::time::Duration;

use gateway_cluster::{
    local::{self, Switchboard},
    redis::{self, Fault, Settings},
};
use gateway_domain::{
    ConnectionId, Room, Timestamp,
    history::{HistoryBounds, Position},
    link::{Act, Answer, Arrival, Channel, Health, NodeId, Order, Posting, SeatAnswer, SeatClaim, Ticket},
    name::NodeName,
    plan::OnConnectionLimit,
};
use gateway_server::clock;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::redis::Redis;

/// How long a lease is in tests.
pub const LEASE: Duration = Duration::from_secs(2);
/// What rooms remember, where a test says nothing else.
pub const BOUNDS: HistoryBounds = HistoryBounds { messages: 100, age: Duration::from_secs(60), bytes: 100_000 };
const PATIENCE: Duration = Duration::from_secs(20);

/// What joins nodes.
#[derive(Debug)]
pub enum Engine {
    /// A switchboard in this process.
    Local(Switchboard),
    /// A Redis of its own.
    Redis(Box<Redis>),
}

impl Engine {
    /// A switchboard.
    pub fn local() -> Self {
        Self::Local(Switchboard::new(local::Rules::new(clock::now)))
    }

    /// A Redis that keeps nothing.
    pub fn redis() -> Self {
        Self::Redis(Box::new(Redis::start()))
    }

    /// A node joins, and is up.
    pub async fn join(&self, name: &str) -> Linked {
        let mut node = match self {
            Self::Local(switchboard) => {
                let id = node_id(name);
                let (orders, arrivals) = switchboard.join(id.clone());
                Linked::over(id, orders, arrivals)
            }
            Self::Redis(redis) => Linked::open(name, settings(&redis.url())).await.expect("a link"),
        };
        node.up().await;
        node
    }

    /// A node dies without a word.
    pub fn kill(&self, node: Linked) {
        let id = node.id.clone();
        drop(node);
        if let Self::Local(switchboard) = self {
            switchboard.kill(&id);
        }
    }

    /// Whatever rooms remember may not be all.
    pub async fn new_epoch(&self) {
        match self {
            Self::Local(switchboard) => switchboard.new_epoch(),
            Self::Redis(redis) => {
                redis.ask(&["DEBUG", "CHANGE-REPL-ID"]);
                // The next beat finds it out.
                tokio::time::sleep(LEASE / 2).await;
            }
        }
    }
}

/// Settings for tests: everything is short.
pub fn settings(url: &str) -> Settings {
    Settings { lease: LEASE, ..Settings::of_urls([url]).expect("a URL") }
}

/// A life of a node of that name.
pub fn node_id(name: &str) -> NodeId {
    NodeId::new(&NodeName::parse(name).expect("a name"), Uuid::new_v4())
}

/// A room.
pub fn room(name: &str) -> Room {
    Room::parse(name).expect("a room")
}

/// Who wants a seat, of at most so many.
pub fn claim(user: &str, agent: Option<&str>, limit: usize, on_limit: OnConnectionLimit) -> SeatClaim {
    SeatClaim {
        user: user.parse().expect("a user"),
        connection: ConnectionId::new(Uuid::new_v4()),
        agent: agent.map(|agent| agent.parse().expect("an agent")),
        limit: Some(limit),
        on_limit,
        since: clock::now().wall,
        note: None,
    }
}

/// A text for those channels; the rooms among them that are named remember it.
pub fn posting(channels: &[Channel], remembered: &[&str], text: &str) -> Posting {
    Posting {
        channels: channels.to_vec(),
        remembered: remembered.iter().map(|name| (room(name), BOUNDS)).collect(),
        head: "head".to_owned(),
        text: text.to_owned(),
        patience: Duration::from_secs(1),
    }
}

/// One end.
#[derive(Debug)]
pub struct Linked {
    /// Who it is.
    pub id: NodeId,
    /// Everything that arrived and was no answer, but for health that is fine, in its order.
    pub heard: Vec<Arrival>,
    orders: mpsc::Sender<Order>,
    arrivals: mpsc::Receiver<Arrival>,
    tickets: u64,
    answers: Vec<(Ticket, Answer)>,
    is_up: bool,
}

impl Linked {
    /// Over these ends.
    pub fn over(id: NodeId, orders: mpsc::Sender<Order>, arrivals: mpsc::Receiver<Arrival>) -> Self {
        Self { id, heard: Vec::new(), orders, arrivals, tickets: 0, answers: Vec::new(), is_up: false }
    }

    /// Through a Redis; not yet up.
    pub async fn open(name: &str, settings: Settings) -> Result<Self, Fault> {
        let id = node_id(name);
        let (orders, arrivals) = redis::open(settings, id.clone(), clock::now).await?;
        Ok(Self::over(id, orders, arrivals))
    }

    /// Waits until it is up.
    pub async fn up(&mut self) {
        self.until("it is up", |node| node.is_up).await;
    }

    /// Whether it is.
    pub const fn is_up(&self) -> bool {
        self.is_up
    }

    /// Waits for something, and hears meanwhile.
    pub async fn until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !holds(self) {
                self.hear().await;
            }
        });
        if waited.await.is_err() {
            panic!("{}: it never came to this: {what}; heard: {:?}", self.id, self.heard);
        }
    }

    /// Waits for something that is heard, and says which it is.
    pub async fn until_heard(&mut self, what: &str, mut is_it: impl FnMut(&Arrival) -> bool) -> usize {
        let mut at = 0;
        self.until(what, |node| {
            let found = node.heard.iter().position(&mut is_it);
            at = found.unwrap_or(0);
            found.is_some()
        })
        .await;
        at
    }

    /// Hears for so long.
    pub async fn listen(&mut self, time: Duration) {
        let _ = tokio::time::timeout(time, async {
            loop {
                self.hear().await;
            }
        })
        .await;
    }

    /// Orders, and does not wait.
    pub async fn send(&mut self, act: Act) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let mut order = Some(Order { ticket, act });
        while let Some(sent) = order.take() {
            if let Err(error) = self.orders.try_send(sent) {
                order = Some(error.into_inner());
                self.hear().await;
            }
        }
        ticket
    }

    /// How an order came out.
    pub async fn answer(&mut self, ticket: Ticket) -> Answer {
        let mut found = None;
        self.until("an order is answered", |node| {
            found = node.answers.iter().position(|(other, _)| *other == ticket);
            found.is_some()
        })
        .await;
        self.answers.remove(found.unwrap_or(0)).1
    }

    /// Orders, and waits.
    pub async fn order(&mut self, act: Act) -> Answer {
        let ticket = self.send(act).await;
        self.answer(ticket).await
    }

    /// Takes a seat.
    pub async fn take(&mut self, claim: &SeatClaim) -> Option<SeatAnswer> {
        match self.order(Act::TakeSeat(claim.clone())).await {
            Answer::Seat(answer) => Some(answer),
            _ => None,
        }
    }

    /// Gives it back.
    pub async fn leave(&mut self, claim: &SeatClaim) {
        let SeatClaim { user, connection, agent, .. } = claim.clone();
        let answer = self.order(Act::LeaveSeat { user, connection, agent }).await;
        assert!(matches!(answer, Answer::Done), "{answer:?}");
    }

    /// Follows.
    pub async fn follow(&mut self, channel: Channel) {
        let answer = self.order(Act::Follow(channel)).await;
        assert!(matches!(answer, Answer::Done), "{answer:?}");
    }

    /// Posts; how often it is heard, or nothing where it is not carried.
    pub async fn post(&mut self, posting: Posting) -> Option<u32> {
        match self.order(Act::Post(posting)).await {
            Answer::Posted { hearings } => Some(hearings),
            _ => None,
        }
    }

    /// What a room remembers behind a position.
    pub async fn recall(&mut self, name: &str, since: Option<Position>) -> (Position, Option<Vec<(u64, String)>>) {
        let act = Act::Recall { room: room(name), since, latest: None, bounds: BOUNDS };
        match self.order(act).await {
            Answer::Recalled { position, texts } => (position, texts),
            answer => panic!("{answer:?}"),
        }
    }

    /// The texts of all posts that were heard, in their order.
    pub fn texts(&self) -> Vec<String> {
        let posts = self.heard.iter().filter_map(|arrival| match arrival {
            Arrival::Post { text, .. } => Some(text.clone()),
            _ => None,
        });
        posts.collect()
    }

    /// A moment on the wall, from now.
    pub fn later(time: Duration) -> Timestamp {
        clock::now().wall + time
    }

    async fn hear(&mut self) {
        match self.arrivals.recv().await.expect("the link lives") {
            Arrival::Answer(ticket, answer) => self.answers.push((ticket, answer)),
            Arrival::Health(health) => {
                self.is_up = matches!(health, Health::Up(_));
                if health == Health::Away {
                    self.heard.push(Arrival::Health(health));
                }
            }
            other => self.heard.push(other),
        }
    }
}
