//! Who is here, the seat that each of them holds, and how they reach each other.
//!
//! One lock guards the books and never crosses an await. Admission takes a [`Seat`]; dropping it undoes everything
//! that admission did, exactly once, whatever way the connection ends. There is no other clean-up code.
//!
//! What is said to a client is put into its [`Outbox`] under that lock, so that everybody in a room hears everything
//! in one order. A [`Letter`] is one text in the words of each reader; `delivery` carries a post to all whom it means,
//! `membership` is who is in which room, `requests` are questions with an answer, `calls` those of who holds no
//! connection, `agents` who is online, `leaving` is how the house empties, `overview` what is here for those who look from
//! outside, `survey` for those who count. Where there is a link to other
//! hubs, `linked` says, asks and counts over all of them.

mod agents;
mod bell;
mod books;
mod bounds;
mod calls;
mod delivery;
mod leaving;
mod letter;
mod linked;
mod membership;
mod occupant;
mod outbox;
mod outgoing;
mod overview;
mod page;
mod requests;
mod seat;
mod seating;
mod survey;

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use gateway_domain::{
    AgentId, Code, ConnectionId, Now, Refusal, Tick, Timestamp, UserId,
    envelope::Notice,
    history::HistoryBounds,
    pending::PendingBounds,
    rooms::{RoomCounts, RoomsBounds},
    rules::{RoomLaw, RoomRules},
};
use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{audit::Audit, clock, cluster::Link, metrics::Metrics, webhook::Webhooks};
pub use agents::EVERY_AGENT;
pub use agents::Gone;
use books::Books;
use bounds::LiveBounds;
pub use calls::{Calling, Ended};
pub use delivery::{Outcome, Post, Posted, Reach, Scope};
pub use letter::Letter;
pub use linked::Asker;
pub(crate) use linked::Heard;
pub use membership::{not_allowed_in, sender, too_many_rooms};
pub use occupant::{Arrival, Occupant, Orders, Standing, Traffic, Transport};
pub use outbox::{Class, Outbox, OutboxBounds, Put, WhenFull};
use outgoing::Outgoing;
pub use overview::{RoomOverview, Totals};
pub use page::Page;
#[cfg(feature = "net")]
pub(crate) use page::of_its_own;
pub use requests::{Addressed, Asking, Meant, ended};
pub use seat::{Ending, Seat};
pub use seating::seats_taken;
pub use survey::Survey;

/// The bounds and laws of a house.
#[derive(Clone, Debug)]
pub struct HubRules {
    /// How many connections it holds.
    pub seats: usize,
    /// What waits for a client.
    pub outbox: OutboxBounds,
    /// How much all rooms hold.
    pub rooms: RoomsBounds,
    /// In how many rooms a connection is.
    pub rooms_per_connection: usize,
    /// How many requests wait.
    pub pending: PendingBounds,
    /// Who may subscribe to which room, and what holds there.
    pub laws: RoomRules,
}

impl HubRules {
    /// The bounds that ship, and rooms into which nobody may: a house of that many seats.
    pub fn seating(seats: usize) -> Self {
        let history = HistoryBounds { messages: 100, age: Duration::from_secs(300), bytes: 1 << 20 };
        let law = RoomLaw { history: Some(history), presence: Some(100) };
        // Without rules there is none that could be at fault.
        let laws = RoomRules::compile(&[], law, &Default::default()).unwrap_or_default();
        Self {
            seats,
            outbox: OutboxBounds { messages: 1024, bytes: 4 << 20, when_full: WhenFull::Close },
            rooms: RoomsBounds { rooms: 100_000, history_bytes: 64 << 20 },
            rooms_per_connection: 100,
            pending: PendingBounds { in_all: 100_000, of_asker: 256 },
            laws,
        }
    }
}

/// The house's books of connections.
#[derive(Debug)]
pub struct Hub {
    books: Mutex<Books>,
    outgoing: Arc<Outgoing>,
    outbox: LiveBounds,
    /// All bounds and laws, for those who look: what is asked all the time is where it is needed.
    rules: RwLock<Arc<HubRules>>,
    draining: AtomicBool,
    /// Rings when a request is due earlier than any before it.
    deadlines: Notify,
    began: Timestamp,
    audit: Arc<Audit>,
    metrics: Arc<Metrics>,
    webhooks: Webhooks,
    /// To other hubs, where there are any.
    link: Option<Arc<Link>>,
}

impl Hub {
    /// An empty house.
    pub fn new(rules: HubRules, audit: Arc<Audit>, metrics: Arc<Metrics>) -> Self {
        Self {
            books: Mutex::new(Books::new(&rules)),
            outgoing: Arc::new(Outgoing::timed_by(metrics.messages.delivery())),
            outbox: LiveBounds::new(rules.outbox),
            rules: RwLock::new(Arc::new(rules)),
            draining: AtomicBool::new(false),
            deadlines: Notify::new(),
            began: clock::now().wall,
            audit,
            metrics,
            webhooks: Webhooks::default(),
            link: None,
        }
    }

    /// Tells these hooks what happens here.
    pub fn telling(mut self, webhooks: Webhooks) -> Self {
        self.webhooks = webhooks;
        self
    }

    /// Since when it counts.
    pub const fn began(&self) -> Timestamp {
        self.began
    }

    /// Who is told what happens here.
    pub const fn webhooks(&self) -> &Webhooks {
        &self.webhooks
    }

    /// What it keeps to.
    pub fn rules(&self) -> Arc<HubRules> {
        Arc::clone(&self.rules.read())
    }

    /// What waits for a client at most.
    pub fn outbox(&self) -> OutboxBounds {
        self.outbox.get()
    }

    /// Keeps to other bounds and laws from now on. Whoever is here stays, be it one too many.
    pub fn adopt(&self, rules: HubRules) {
        self.outbox.set(rules.outbox);
        self.books.lock().adopt(&rules);
        *self.rules.write() = Arc::new(rules);
    }

    /// Refuses where nobody can be let in at all.
    pub fn open_to_newcomers(&self) -> Result<(), Refusal> {
        if self.is_draining() {
            return Err(Self::leaving());
        }
        if self.books.lock().registry.seats().is_full() {
            return Err(seating::node_full());
        }
        Ok(())
    }

    /// Says something to one connection; whether it waits in its outbox now.
    pub fn say(&self, here: &Arc<Occupant>, letter: &mut Letter, class: Class) -> bool {
        self.say_since(here, letter, class, None)
    }

    /// Says something that was posted then: how long it takes to be written is noted.
    fn say_since(&self, here: &Arc<Occupant>, letter: &mut Letter, class: Class, posted: Option<Tick>) -> bool {
        if !here.endpoint.hears() {
            return false;
        }
        let Some(text) = letter.in_words_of(&here.endpoint.vocabulary) else { return false };
        if let Some(posted) = posted {
            here.stamp(posted);
        }
        let put = here.put(text, class, &self.outbox());
        match put {
            Put::InPlaceOf(gone) => self.metrics.messages.dropped(gone as u64),
            Put::Dropped => self.metrics.messages.dropped(1),
            Put::Overflow => {
                let OutboxBounds { messages, bytes, .. } = self.outbox();
                let why = format!("its outbox of {messages} messages and {bytes} bytes was full");
                here.end(Refusal::plain(Code::SlowConsumer).because(why).retry_after(Duration::from_secs(1)));
            }
            Put::First if here.is_open() => self.outgoing.mark(here),
            Put::First => here.ring(),
            Put::Behind | Put::Closed => {}
        }
        put.is_in()
    }

    /// The live connection of an agent.
    pub fn agent(&self, agent: &AgentId) -> Option<Arc<Occupant>> {
        self.books.lock().registry.agent(agent).map(|(_, here)| Arc::clone(here))
    }

    /// Forgets what rooms need not remember any more.
    pub fn sweep(&self, now: Now) {
        // A look at so many at a time, and the rest a second later.
        self.books.lock().rooms.sweep(now.tick);
    }

    /// The connection of that id.
    pub fn occupant(&self, id: ConnectionId) -> Option<Arc<Occupant>> {
        self.books.lock().registry.get(id).cloned()
    }

    /// The user's connections, the oldest first.
    pub fn of_user(&self, user: &UserId) -> Vec<Arc<Occupant>> {
        self.books.lock().registry.of_user(user).cloned().collect()
    }

    /// A page of the connections that are wanted, in the order of their ids, from behind that one on.
    pub fn page(
        &self,
        after: Option<ConnectionId>,
        most: usize,
        wanted: impl Fn(&Occupant) -> bool,
    ) -> Vec<(ConnectionId, Arc<Occupant>)> {
        let books = self.books.lock();
        books
            .registry
            .after(after)
            .filter(|(_, here)| wanted(here))
            .take(most)
            .map(|(id, here)| (id, Arc::clone(here)))
            .collect()
    }

    /// Ends every connection that is meant; how many there were.
    pub fn end_where(&self, meant: impl Fn(&Occupant) -> bool, refusal: &Refusal) -> usize {
        // The books are only copied under the lock: a question may look at a connection's own lock.
        let all: Vec<_> = self.books.lock().registry.after(None).map(|(_, here)| Arc::clone(here)).collect();
        let met = all.iter().filter(|here| meant(here));
        met.map(|here| here.end(refusal.clone())).count()
    }

    /// How many connections, seats and users there are.
    pub fn counts(&self) -> Counts {
        let books = self.books.lock();
        let seats = books.registry.seats();
        Counts {
            connections: books.registry.len(),
            seats: seats.taken(),
            users: seats.users(),
            rooms: books.rooms.counts(),
            requests: books.pending.len(),
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.outgoing.end();
    }
}

/// How full the house is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Live connections.
    pub connections: usize,
    /// Seats, those of newcomers on their way through the door included.
    pub seats: usize,
    /// Users with a seat.
    pub users: usize,
    /// Rooms, and what they hold.
    pub rooms: RoomCounts,
    /// Requests that wait for a reply.
    pub requests: usize,
}

/// An id that sorts by the time of its making (version 7), and is as hard to guess as any. Rooms are gone through in the order
/// of ids: so those are told one after the other who came one after the other, and lie side by side in memory, in this
/// process and in the kernel.
fn draw_id(now: Now) -> ConnectionId {
    // The bytes of a random id that hold no version: all of them are random.
    let [a, b, c, d, e, f, _, _, _, g, h, i, j, ..] = Uuid::new_v4().into_bytes();
    let millis = u64::try_from(now.wall.millis()).unwrap_or_default();
    let made = uuid::Builder::from_unix_timestamp_millis(millis, &[a, b, c, d, e, f, g, h, i, j]);
    ConnectionId::new(made.into_uuid())
}

/// A text that the gateway itself says.
pub(crate) fn notice(kind: &str, id: Option<&str>, payload: &impl Serialize) -> String {
    // It is made of strings and numbers, and always has a JSON form.
    Notice { kind, id, payload: Some(payload) }.to_text().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_domain::{Tick, Timestamp};

    #[test]
    fn ids_sort_by_time_and_never_come_twice() {
        let at = |millis| Now { tick: Tick::ZERO, wall: Timestamp::from_millis(millis) };
        let ids: Vec<ConnectionId> = (0..10_000).map(|nth| draw_id(at(nth / 100))).collect();
        assert!(ids.chunks(100).map(|of_a_milli| of_a_milli.iter().max()).is_sorted());
        let unlike: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(unlike.len(), ids.len());
        assert!(ids.iter().all(|id| id.uuid().get_version_num() == 7));
    }
}
