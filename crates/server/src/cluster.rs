//! The house's end of the link to other gateways.
//!
//! The law: an order goes out under the lock of whoever gives it, so that orders have the order of what they are about;
//! its answer comes back by its ticket, or [`Answer::Away`] does, and nobody waits longer than a stated patience. What must
//! be done, be it late (a seat given back), is kept until it is. What others do arrives at one `pump`, which hands it
//! to the rooms of the house. Nodes tell each other `letter`s; a link that is away is met by a stated policy.

mod keeping;
mod letter;
mod pace;
mod pump;
mod tickets;
pub(crate) mod told;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use gateway_domain::link::{Act, Answer, Arrival, Health, Hearer, NodeId, Order, Ticket};
use parking_lot::{Mutex, RwLock};
use tokio::sync::mpsc;

use keeping::Keeping;
#[cfg(feature = "net")]
pub(crate) use letter::Spread;
pub(crate) use letter::{Ask, Found, Letter, Offer, Question, ended};
use pace::Pace;
pub use pump::keep;
pub(crate) use tickets::Asked;
use tickets::Tickets;

/// How long an answer is awaited at most.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// A text that waited so long is not carried any more.
pub const POST_PATIENCE: Duration = Duration::from_millis(1500);

/// What holds while the others cannot be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenAway {
    /// The node goes on alone: its own limits are in force, and what is said reaches those who are here.
    #[default]
    FailOpenLocal,
    /// What needs the others is refused.
    FailClosed,
}

/// The house's end of the link.
#[derive(Debug)]
pub struct Link {
    node: NodeId,
    when_away: WhenAway,
    orders: mpsc::Sender<Order>,
    arrivals: Mutex<Option<mpsc::Receiver<Arrival>>>,
    next: AtomicU64,
    tickets: Tickets,
    keeping: Keeping,
    pace: Pace,
    is_away: AtomicBool,
    has_spoken: AtomicBool,
    round_trip_micros: AtomicU64,
    nodes: RwLock<Vec<NodeId>>,
    pub(crate) counts: Counts,
}

/// What is counted of the link; who reads it takes it as it stands.
#[derive(Debug, Default)]
pub struct Counts {
    /// Texts that were given to the link.
    pub posts_out: AtomicU64,
    /// Texts that came by it.
    pub posts_in: AtomicU64,
    /// Letters that were written to other nodes.
    pub letters_out: AtomicU64,
    /// Letters that were read.
    pub letters_in: AtomicU64,
    /// Letters that a newer release wrote, and that mean nothing here.
    pub letters_unknown: AtomicU64,
    /// What was done by this node alone, or refused, since the link was away or too busy.
    pub fallbacks: AtomicU64,
    /// Rooms of which something had to be looked up, since it had not come.
    pub repairs: AtomicU64,
}

impl Counts {
    pub(crate) fn posted(&self) {
        self.posts_out.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn heard(&self) {
        self.posts_in.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) {
        self.letters_in.fetch_add(1, Ordering::Relaxed);
    }

    fn unknown(&self) {
        self.letters_unknown.fetch_add(1, Ordering::Relaxed);
    }
}

impl Link {
    /// The end of a link that was opened for that life of this node: its orders go there, and what arrives comes from here.
    pub fn new(
        node: NodeId,
        when_away: WhenAway,
        orders: mpsc::Sender<Order>,
        arrivals: mpsc::Receiver<Arrival>,
    ) -> Arc<Self> {
        Arc::new(Self {
            nodes: RwLock::new(vec![node.clone()]),
            node,
            when_away,
            orders,
            arrivals: Mutex::new(Some(arrivals)),
            next: AtomicU64::new(1),
            tickets: Tickets::default(),
            keeping: Keeping::default(),
            pace: Pace::default(),
            is_away: AtomicBool::new(false),
            has_spoken: AtomicBool::new(false),
            round_trip_micros: AtomicU64::new(0),
            counts: Counts::default(),
        })
    }

    /// This life of this node.
    pub const fn node(&self) -> &NodeId {
        &self.node
    }

    /// What holds while it is away.
    pub const fn when_away(&self) -> WhenAway {
        self.when_away
    }

    /// Whether it is known to be away.
    pub fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Acquire)
    }

    /// Whether it has said yet that it is up, or away. Until then it is asked, and its answers tell.
    pub fn has_spoken(&self) -> bool {
        self.has_spoken.load(Ordering::Acquire)
    }

    /// Whether it is known that it does its work.
    pub fn is_up(&self) -> bool {
        self.has_spoken() && !self.is_away()
    }

    /// How long the loop took last; none while the link is away or has not said yet.
    pub fn round_trip(&self) -> Option<Duration> {
        let micros = self.round_trip_micros.load(Ordering::Relaxed);
        (micros > 0 && !self.is_away()).then(|| Duration::from_micros(micros))
    }

    /// Who is here, this node among them.
    pub fn nodes(&self) -> Vec<NodeId> {
        self.nodes.read().clone()
    }

    /// Whether a node of the cluster, or more than one life of it, has that name.
    pub fn has_node(&self, name: &str) -> bool {
        self.nodes.read().iter().any(|node| node.name() == name)
    }

    /// Gives an order that nobody waits for; whether it went out.
    pub(crate) fn send(&self, act: Act) -> bool {
        self.give(act).is_some()
    }

    /// Gives an order whose answer somebody awaits.
    pub(crate) fn ask(self: &Arc<Self>, act: Act) -> Asked {
        let Some((ticket, answer)) = self.tickets.awaited(self.number()) else { return Asked::away() };
        if self.put(Order { ticket, act }) {
            Asked::new(Arc::clone(self), ticket, answer)
        } else {
            self.tickets.forget(ticket);
            Asked::away()
        }
    }

    /// Gives an order that something follows upon, done by the pump; none where it did not go out, and then nothing
    /// follows.
    pub(crate) fn then(&self, act: Act, next: impl FnOnce(Ticket, Answer) + Send + 'static) -> Option<Ticket> {
        let ticket = Ticket(self.number());
        self.tickets.followed(ticket, Box::new(next));
        if self.put(Order { ticket, act }) {
            return Some(ticket);
        }
        self.tickets.forget(ticket);
        None
    }

    /// Gives an order that the link must have, be it late.
    pub(crate) fn must(&self, act: Act) {
        self.keeping.put((act, None));
        self.flush();
    }

    /// The same, and something follows upon the answer.
    pub(crate) fn must_then(&self, act: Act, next: impl FnOnce(Ticket, Answer) + Send + 'static) {
        self.keeping.put((act, Some(Box::new(next))));
        self.flush();
    }

    /// Tells another node, or several, something; whether it went out.
    pub(crate) fn tell(&self, to: Hearer, letter: &Letter) -> bool {
        let told = self.send(Act::Tell { to, letter: letter.to_text() });
        self.counts.letters_out.fetch_add(u64::from(told), Ordering::Relaxed);
        told
    }

    /// Tells, and waits to hear how many were told.
    pub(crate) fn tell_all(self: &Arc<Self>, to: Hearer, letter: &Letter) -> Asked {
        self.counts.letters_out.fetch_add(1, Ordering::Relaxed);
        self.ask(Act::Tell { to, letter: letter.to_text() })
    }

    /// Gives everything back at once, before the process ends.
    pub async fn leave(self: &Arc<Self>) {
        let _ = self.ask(Act::Leave).within(PATIENCE).await;
    }

    /// Notes that something was done alone, or refused.
    pub(crate) fn fell_back(&self) {
        self.counts.fallbacks.fetch_add(1, Ordering::Relaxed);
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn give(&self, act: Act) -> Option<Ticket> {
        let ticket = Ticket(self.number());
        self.put(Order { ticket, act }).then_some(ticket)
    }

    /// Puts an order behind the others. Nothing overtakes what waits until it can be put.
    fn put(&self, order: Order) -> bool {
        !self.is_away() && self.keeping.len() == 0 && self.orders.try_send(order).is_ok()
    }

    /// Gives the link what it must have, for as long as it takes more, be it away or not.
    pub(crate) fn flush(&self) {
        self.keeping.flush(|(act, next)| {
            let Ok(place) = self.orders.try_reserve() else { return Some((act, next)) };
            let ticket = Ticket(self.number());
            if let Some(next) = next {
                self.tickets.followed(ticket, next);
            }
            place.send(Order { ticket, act });
            None
        });
    }

    /// Whether so much waits for it that nobody should say two things at once.
    #[cfg(feature = "net")]
    pub(crate) fn is_busy(&self) -> bool {
        self.pace.is_reached(self.tickets.len())
    }

    /// A text was answered for after so long.
    pub(crate) fn answered_after(&self, waited: Duration) {
        self.pace.answered_after(waited);
    }

    /// How many orders wait that must be done.
    pub fn kept(&self) -> usize {
        self.keeping.len()
    }

    /// The link has answered.
    fn answered(&self, ticket: Ticket, answer: Answer) {
        self.tickets.answered(ticket, answer);
    }

    /// The link is no more: whoever waits is told.
    fn ended(&self) {
        self.is_away.store(true, Ordering::Release);
        self.tickets.end();
    }

    /// What the link says of itself; whether that is a change.
    fn is_well(&self, health: Health) -> bool {
        let is_away = match health {
            Health::Up(round_trip) => {
                let micros = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX).max(1);
                self.round_trip_micros.store(micros, Ordering::Relaxed);
                false
            }
            Health::Away => true,
        };
        let was_away = self.is_away.swap(is_away, Ordering::AcqRel);
        self.has_spoken.store(true, Ordering::Release);
        was_away != is_away
    }
}
