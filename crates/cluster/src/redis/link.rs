//! The task between a house and its Redis. It lives as long as the house does, connected or not.
//!
//! The law: every order is answered, in its time. What was under way when a connection broke is asked again where
//! twice is once, and else answered by [`Answer::Away`] as soon as it can no longer happen.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use gateway_domain::{
    Now, Tick,
    link::{Act, Answer, Arrival, Health, NodeId, Order, Ticket},
};
use parking_lot::Mutex;
use redis::Value;
use tokio::sync::mpsc;

use super::{
    dial::{Dial, Wire},
    errand::{Errand, millis},
    fault::Fault,
    hearing::Hearing,
    keys::Keys,
    mirror::Mirror,
    reply,
    scripts::{Script, Scripts},
    settings::{Address, Servers, Settings},
};
use crate::memory::Memory;

/// How often it is looked at what waited too long.
const LOOK: Duration = Duration::from_millis(50);

/// One house's.
pub(crate) struct Link {
    pub(super) settings: Arc<Settings>,
    pub(super) dial: Dial,
    pub(super) node: NodeId,
    pub(super) keys: Keys,
    pub(super) now: fn() -> Now,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) arrivals: mpsc::Sender<Arrival>,
    pub(super) memory: Memory,
    pub(super) mirror: Arc<Mutex<Mirror>>,
    pub(super) waiting: VecDeque<Errand>,
    /// Posts of which nobody knows whether they were carried, until they cannot be any more.
    doubts: Vec<(Ticket, Tick)>,
    /// The generation of the data, and its mark.
    pub(super) generation: (i64, String),
    /// The mark of the generation in which the books were read last; nothing before that.
    pub(super) read_in: String,
    /// What others took for lost and is not: told when the house hears that the link is up.
    pub(super) found: Vec<Arrival>,
    pub(super) nodes: Vec<NodeId>,
    /// Who was here before the data was another, until it has settled.
    pub(super) awaited: BTreeSet<NodeId>,
    /// What all had spent of a key when it was heard of last, and when that was.
    pub(super) spent: HashMap<String, (u64, Tick)>,
    /// When the loop was closed last.
    pub(super) proven: Tick,
    pub(super) is_away: bool,
    /// A session stands, told or not.
    pub(super) is_connected: bool,
    /// It was up before: the next time it is back.
    pub(super) was_up: bool,
    pub(super) probes: u64,
}

/// What one life of the two connections has.
pub(crate) struct Session {
    /// For commands.
    pub(super) wire: Wire,
    /// For what is heard.
    pub(super) ears: Wire,
    pub(super) hearing: Arc<Hearing>,
    pub(super) scripts: Scripts,
    pub(super) address: Address,
    /// The generation of the data, and its mark.
    pub(super) generation: (i64, String),
    /// How old that generation is.
    pub(super) age: Duration,
    /// Whether the lease of this node still stood.
    pub(super) stood: bool,
    /// What is to be added to a tick (ms) for the clock of Redis.
    pub(super) clock: i64,
    pub(super) opened: Tick,
}

/// How a session ended.
pub(crate) enum End {
    /// The house took its leave.
    Left,
    /// The house is gone.
    HouseGone,
    /// It broke.
    Broken(Fault),
}

impl Link {
    pub(crate) fn new(
        settings: Settings,
        node: NodeId,
        now: fn() -> Now,
        orders: mpsc::Receiver<Order>,
        arrivals: mpsc::Sender<Arrival>,
    ) -> Result<Self, Fault> {
        let settings = Arc::new(settings);
        Ok(Self {
            dial: Dial::new(Arc::clone(&settings))?,
            keys: Keys::new(&settings.prefix),
            settings,
            node,
            now,
            orders,
            arrivals,
            memory: Memory::default(),
            mirror: Arc::default(),
            waiting: VecDeque::new(),
            doubts: Vec::new(),
            generation: (0, String::new()),
            read_in: String::new(),
            found: Vec::new(),
            nodes: Vec::new(),
            awaited: BTreeSet::new(),
            spent: HashMap::new(),
            proven: now().tick,
            is_away: false,
            is_connected: false,
            was_up: false,
            probes: 0,
        })
    }

    /// Opens a session; on its own, so that others can be served meanwhile.
    pub(crate) fn opening(&self) -> impl Future<Output = Result<Session, Fault>> + Send + 'static {
        let (dial, keys, settings, now) = (self.dial.clone(), self.keys.clone(), Arc::clone(&self.settings), self.now);
        let (node, seen) = (self.node.clone(), self.generation.0);
        let hearing = Hearing::new(node.clone(), keys.clone(), now, self.arrivals.clone(), Arc::clone(&self.mirror));
        async move {
            let address = dial.master().await?;
            let mut wire = dial.connect(&address, None).await?;
            check_server(&mut wire).await?;
            let loaded = wire.run(&Scripts::loading()).await?;
            let no = |said: &str| Fault::Said { said: said.to_owned() };
            let refused = loaded.iter().find_map(|answer| match answer {
                Value::ServerError(error) => Some(Fault::of(wire.server(), &error.clone().into())),
                _ => None,
            });
            if let Some(fault) = refused {
                return Err(fault);
            }
            let scripts = Scripts::loaded(&loaded).ok_or_else(|| no("scripts are not kept"))?;
            let hearing = Arc::new(hearing);
            let mut ears = dial.connect(&address, Some(Arc::clone(&hearing) as _)).await?;
            ears.subscribe(&[keys.to_node(&node), keys.to_all(), keys.channel(&gateway_domain::link::Channel::Every)])
                .await?;
            // The lease begins when everything else stands.
            let mut command = scripts.run(Script::Open, &[keys.nodes(), keys.lost(), keys.generation()]);
            command.arg(node.as_str()).arg(millis(settings.written_lease())).arg(seen);
            let mut pipeline = redis::pipe();
            pipeline.add_command(command);
            let answers = wire.run(&pipeline).await?;
            let opened = now().tick;
            let answer = answers.first().ok_or_else(|| no("nothing"))?;
            if let Value::ServerError(error) = answer {
                return Err(Fault::of(wire.server(), &error.clone().into()));
            }
            match reply::told(answer) {
                Some(("open", [count, mark, age, stood, clock])) => {
                    let read = || {
                        let age = u64::try_from(reply::number(age)?).ok()?;
                        let clock = reply::number(clock)? - millis(opened.since_origin()) - 1;
                        Some((
                            (reply::number(count)?, reply::text(mark)?.to_owned()),
                            Duration::from_millis(age),
                            clock,
                        ))
                    };
                    let (generation, age, clock) = read().ok_or_else(|| no("what makes no sense"))?;
                    let stood = reply::number(stood) == Some(1);
                    Ok(Session { wire, ears, hearing, scripts, address, generation, age, stood, clock, opened })
                }
                Some(("replica", _)) => Err(Fault::Replica { server: address.to_string() }),
                _ => Err(no("what makes no sense")),
            }
        }
    }

    /// Serves the house until it is gone. `first` is how the first attempt to connect came out.
    pub(crate) async fn run(mut self, first: Result<Session, Fault>) {
        let mut next = Some(first);
        let mut pause = Pause::default();
        loop {
            let opened = match next.take() {
                Some(first) => first,
                None => match self.meanwhile(self.opening()).await {
                    Some(opened) => opened,
                    None => return,
                },
            };
            let fault = match opened {
                Ok(session) => {
                    let before = self.proven;
                    match self.serve(session).await {
                        End::Left | End::HouseGone => return,
                        End::Broken(fault) => {
                            if self.proven > before {
                                pause = Pause::default();
                            }
                            fault
                        }
                    }
                }
                Err(fault) => fault,
            };
            let pause = pause.next();
            tracing::warn!(%fault, again_in = ?pause, "the link to the other gateways is not there");
            if self.meanwhile(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    /// Waits for something, and takes orders meanwhile. Nothing where the house is gone.
    pub(super) async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        let mut look = tokio::time::interval(LOOK);
        loop {
            let most = self.settings.orders;
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                order = self.orders.recv(), if self.waiting.len() < most => self.take(order?).await,
                _ = look.tick() => self.look().await,
            }
        }
    }

    /// Takes an order, unless nothing can be done now.
    pub(super) async fn take(&mut self, order: Order) {
        self.memory.note(&order.act);
        if self.is_away && !self.is_connected {
            return self.answer(order.ticket, Answer::Away).await;
        }
        self.keep(order);
    }

    /// The data is of that generation.
    pub(super) fn comes_to(&mut self, generation: (i64, String)) {
        if generation != self.generation {
            self.awaited.extend(self.nodes.iter().cloned());
            self.generation = generation;
        }
    }

    /// Puts an order down to be done.
    pub(super) fn keep(&mut self, order: Order) {
        let patience = match &order.act {
            Act::Post(posting) => posting.patience,
            _ => self.settings.timeout,
        };
        let until = (self.now)().tick + patience;
        self.waiting.push_back(Errand { order, until, again: false });
    }

    /// Answers what waited too long, and tells when the link is away.
    pub(super) async fn look(&mut self) {
        let now = (self.now)().tick;
        if !self.is_away && now.since(self.proven) > self.settings.patience {
            self.is_away = true;
            tracing::warn!(after = ?now.since(self.proven), "the link to the other gateways is away");
            self.tell(Arrival::Health(Health::Away)).await;
        }
        // What this node holds is compared when a session begins; from then on none of what changes it is passed over.
        let (alone, connected) = (self.is_away && !self.is_connected, self.is_connected);
        let is_over = |errand: &Errand| alone || (errand.until <= now && !errand.stays(connected));
        if self.waiting.iter().any(is_over) {
            let (over, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(is_over);
            self.waiting = waiting;
            let over: VecDeque<Errand> = over;
            for errand in over {
                self.answer(errand.order.ticket, Answer::Away).await;
            }
        }
        if self.doubts.iter().any(|(_, until)| *until <= now) {
            let over: Vec<Ticket> =
                self.doubts.extract_if(.., |(_, until)| *until <= now).map(|(ticket, _)| ticket).collect();
            for ticket in over {
                self.answer(ticket, Answer::Away).await;
            }
        }
    }

    /// What becomes of errands whose answers are lost with their connection.
    pub(super) async fn doubt(&mut self, errands: Vec<Errand>, hearing: &Hearing) {
        for mut errand in errands.into_iter().rev() {
            let ticket = errand.order.ticket;
            match &errand.order.act {
                Act::Post(_) => match hearing.own(ticket) {
                    Some(hearings) => self.answer(ticket, Answer::Posted { hearings }).await,
                    None => self.doubts.push((ticket, errand.until)),
                },
                // A letter may have been told.
                Act::Tell { .. } | Act::Spend(_) | Act::Leave => self.answer(ticket, Answer::Away).await,
                // A seat that may be taken is given back when the session is restored, and asked for again.
                Act::TakeSeat(_)
                | Act::KeepSeat(_)
                | Act::LeaveSeat { .. }
                | Act::Follow(_)
                | Act::Unfollow(_)
                | Act::Recall { .. }
                | Act::Enter { .. }
                | Act::Exit { .. }
                | Act::Members(_)
                | Act::Write { .. }
                | Act::Read { .. }
                | Act::Knock { .. } => {
                    errand.again = true;
                    self.waiting.push_front(errand);
                }
            }
        }
    }

    /// Answers an order.
    pub(super) async fn answer(&self, ticket: Ticket, answer: Answer) {
        self.tell(Arrival::Answer(ticket, answer)).await;
    }

    /// Tells the house. That it is gone shows by its orders.
    pub(super) async fn tell(&self, arrival: Arrival) {
        let _ = self.arrivals.send(arrival).await;
    }

    /// Whether Sentinels say who the master is.
    pub(super) fn has_sentinels(&self) -> bool {
        matches!(self.settings.servers, Servers::Behind(_))
    }
}

/// Refuses a server on which the scripts would not do what they say.
pub(super) async fn check_server(wire: &mut Wire) -> Result<(), Fault> {
    let mut ask = redis::pipe();
    ask.cmd("INFO").arg("server").cmd("INFO").arg("cluster").cmd("INFO").arg("memory");
    let answers = wire.run(&ask).await?;
    let server = wire.server().to_owned();
    for answer in &answers {
        if let Value::ServerError(error) = answer {
            return Err(Fault::of(&server, &error.clone().into()));
        }
    }
    let find = |name: &str| {
        let lines = answers.iter().filter_map(reply::text).flat_map(str::lines);
        lines.filter_map(|line| line.split_once(':')).find(|(key, _)| *key == name).map(|(_, value)| value.trim())
    };
    let version = find("redis_version").unwrap_or("unknown");
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if find("valkey_version").is_none() && major.is_none_or(|major| major < 7) {
        return Err(Fault::TooOld { server, version: version.to_owned() });
    }
    if find("redis_mode") == Some("cluster") || find("cluster_enabled") == Some("1") {
        return Err(Fault::Sharded { server });
    }
    if let Some(policy) = find("maxmemory_policy").filter(|policy| *policy != "noeviction") {
        tracing::warn!(%server, policy, "this Redis throws keys away when its memory is full, and with them seats and bans: \
            set maxmemory-policy noeviction");
    }
    Ok(())
}

/// How long until the next attempt: longer each time, and by chance, so that not all nodes come at once.
#[derive(Default)]
struct Pause {
    attempts: u32,
}

impl Pause {
    fn next(&mut self) -> Duration {
        let longest = Duration::from_millis(25 << self.attempts.min(5));
        self.attempts += 1;
        let chance = uuid::Uuid::new_v4().as_u64_pair().0 % 1000;
        longest.mul_f64(0.5 + chance as f64 / 2000.0)
    }
}
