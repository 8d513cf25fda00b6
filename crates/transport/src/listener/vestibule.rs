//! Where sockets wait until they have shown who they are. Room is short: an address that holds too many gets no more,
//! and when the room is full, the oldest idle socket of whoever holds most makes place for the newcomer.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use gateway_domain::network::Network;
use tokio::sync::Notify;

use super::{Counters, Limits};

/// The room, shared by a listener's connections.
pub(super) struct Vestibule {
    most: usize,
    most_per_address: usize,
    counters: Arc<Counters>,
    room: Mutex<Room>,
}

#[derive(Default)]
struct Room {
    last: u64,
    places: HashMap<u64, Place>,
    /// By customer of a network; those that no cap holds for (trusted proxies, unix sockets) stand under none.
    holders: HashMap<Option<Network>, Holder>,
}

struct Place {
    holder: Option<Network>,
    evicted: Arc<Notify>,
}

#[derive(Default)]
struct Holder {
    places: usize,
    idle: BTreeSet<u64>,
}

impl Vestibule {
    pub(super) fn new(limits: &Limits, counters: Arc<Counters>) -> Arc<Self> {
        Arc::new(Self {
            most: limits.unauthenticated.max(1),
            most_per_address: limits.unauthenticated_per_address.max(1),
            counters,
            room: Mutex::default(),
        })
    }

    /// A place for a new socket, or none.
    pub(super) fn enter(self: &Arc<Self>, holder: Option<Network>) -> Option<Ticket> {
        let mut room = self.room();
        if holder.is_some() && room.held_by(holder) >= self.most_per_address {
            self.counters.over_address_cap.add();
            return None;
        }
        if room.places.len() >= self.most {
            if !room.evict() {
                self.counters.over_node_cap.add();
                return None;
            }
            self.counters.evicted.add();
        }
        let evicted = Arc::<Notify>::default();
        room.last += 1;
        let number = room.last;
        room.place(number, Place { holder, evicted: Arc::clone(&evicted) });
        drop(room);
        Some(Ticket {
            vestibule: Arc::clone(self),
            holder: Mutex::new(holder),
            number,
            evicted,
            is_admitted: AtomicBool::new(false),
            answers: AtomicU64::new(0),
        })
    }

    /// Makes room for so many where even the system has none.
    pub(super) fn make_room(&self, places: usize) {
        let mut room = self.room();
        for _ in 0..places {
            if !room.evict() {
                break;
            }
            self.counters.evicted.add();
        }
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        // Nothing panics while the room is locked; if something did, the counts still hold.
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    fn held_by(&self, holder: Option<Network>) -> usize {
        self.holders.get(&holder).map_or(0, |holder| holder.places)
    }

    fn place(&mut self, number: u64, place: Place) {
        let holder = self.holders.entry(place.holder).or_default();
        holder.places += 1;
        holder.idle.insert(number);
        self.places.insert(number, place);
    }

    fn leave(&mut self, number: u64) -> Option<Place> {
        let place = self.places.remove(&number)?;
        if let Some(holder) = self.holders.get_mut(&place.holder) {
            holder.places -= 1;
            holder.idle.remove(&number);
            if holder.places == 0 {
                self.holders.remove(&place.holder);
            }
        }
        Some(place)
    }

    /// Closes the oldest idle socket of whoever holds most.
    fn evict(&mut self) -> bool {
        let greediest = self.holders.iter().filter_map(|(network, holder)| {
            let weight = if network.is_some() { holder.places } else { 1 };
            holder.idle.first().map(|oldest| (weight, Reverse(*oldest)))
        });
        let Some((_, Reverse(oldest))) = greediest.max() else { return false };
        if let Some(place) = self.leave(oldest) {
            place.evicted.notify_one();
        }
        true
    }

    fn set_idle(&mut self, number: u64, is_idle: bool) {
        let Some(place) = self.places.get(&number) else { return };
        let Some(holder) = self.holders.get_mut(&place.holder) else { return };
        if is_idle {
            holder.idle.insert(number);
        } else {
            holder.idle.remove(&number);
        }
    }
}

/// A socket's place among the unauthenticated. It ends when the socket is admitted, or with the ticket.
pub struct Ticket {
    vestibule: Arc<Vestibule>,
    holder: Mutex<Option<Network>>,
    number: u64,
    evicted: Arc<Notify>,
    is_admitted: AtomicBool,
    answers: AtomicU64,
}

impl Ticket {
    /// A place in a room of its own, for whoever brings streams that no listener accepted.
    pub fn unlisted() -> Self {
        Self {
            vestibule: Vestibule::new(&Limits::default(), Arc::default()),
            holder: Mutex::default(),
            number: 0,
            evicted: Arc::default(),
            is_admitted: AtomicBool::new(false),
            answers: AtomicU64::new(0),
        }
    }

    /// Gives the place up: the client has shown who it is, and the handshake's time no longer runs.
    pub fn admit(&self) {
        if !self.is_admitted.swap(true, Ordering::AcqRel) {
            self.vestibule.room().leave(self.number);
        }
    }

    /// Whether it was.
    pub fn is_admitted(&self) -> bool {
        self.is_admitted.load(Ordering::Acquire)
    }

    /// Waits until the place is taken away: whoever holds the stream of an upgrade that is not yet admitted closes it
    /// then. For one waiter.
    pub async fn evicted(&self) {
        self.evicted.notified().await;
    }

    /// A further place on the same account, for a stranger whose sockets come and go; none where there is no room.
    pub fn another(&self) -> Option<Self> {
        let holder = *self.holder.lock().unwrap_or_else(PoisonError::into_inner);
        self.vestibule.enter(holder)
    }

    /// Counts the place to the client that a balancer told of; false where that one holds too many.
    pub(super) fn attribute(&self, network: Network) -> bool {
        let mut room = self.vestibule.room();
        if room.held_by(Some(network)) >= self.vestibule.most_per_address {
            self.vestibule.counters.over_address_cap.add();
            return false;
        }
        if let Some(place) = room.leave(self.number) {
            room.place(self.number, Place { holder: Some(network), ..place });
        }
        *self.holder.lock().unwrap_or_else(PoisonError::into_inner) = Some(network);
        true
    }

    /// While a request is being served, its socket is not idle, and not evicted.
    pub(super) fn serving(self: &Arc<Self>) -> Serving {
        self.vestibule.room().set_idle(self.number, false);
        Serving(Arc::clone(self))
    }

    /// How many requests were answered.
    pub(super) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Acquire)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.admit();
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("number", &self.number).field("is_admitted", &self.is_admitted).finish()
    }
}

/// A request in service.
pub(super) struct Serving(Arc<Ticket>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.answers.fetch_add(1, Ordering::AcqRel);
        self.0.vestibule.room().set_idle(self.0.number, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn vestibule(most: usize, most_per_address: usize) -> Arc<Vestibule> {
        let limits =
            Limits { unauthenticated: most, unauthenticated_per_address: most_per_address, ..Limits::default() };
        Vestibule::new(&limits, Arc::default())
    }

    fn from(last: u8) -> Option<Network> {
        Some(Network::of_customer([203, 0, 113, last].into()))
    }

    async fn is_evicted(ticket: &Ticket) -> bool {
        tokio::time::timeout(Duration::from_millis(1), ticket.evicted()).await.is_ok()
    }

    #[tokio::test]
    async fn an_address_holds_only_so_many() {
        let room = vestibule(10, 2);
        let first = room.enter(from(1)).unwrap();
        let _second = room.enter(from(1)).unwrap();
        assert!(room.enter(from(1)).is_none());
        assert!(room.enter(from(2)).is_some());
        first.admit();
        assert!(first.is_admitted());
        assert!(room.enter(from(1)).is_some());
        assert_eq!(room.counters.over_address_cap.get(), 1);
        let exempt: Vec<_> = (0..4).map(|_| room.enter(None).unwrap()).collect();
        assert_eq!(room.room().held_by(None), exempt.len());
    }

    #[tokio::test]
    async fn a_full_room_gives_place_to_the_newcomer_at_the_cost_of_the_greediest() {
        let room = vestibule(4, 3);
        let old = room.enter(from(1)).unwrap();
        let greedy: Vec<_> = (0..3).map(|_| room.enter(from(2)).unwrap()).collect();
        let newcomer = room.enter(from(3)).unwrap();
        assert!(is_evicted(&greedy[0]).await);
        for stays in [&old, &greedy[1], &greedy[2], &newcomer] {
            assert!(!is_evicted(stays).await);
        }
        assert_eq!(room.counters.evicted.get(), 1);
    }

    #[tokio::test]
    async fn among_equals_the_oldest_idle_one_goes_and_a_served_one_stays() {
        let room = vestibule(3, 3);
        let tickets: Vec<_> = (1..=3).map(|n| Arc::new(room.enter(from(n)).unwrap())).collect();
        let serving = tickets[0].serving();
        let _fourth = room.enter(from(4)).unwrap();
        assert!(is_evicted(&tickets[1]).await && !is_evicted(&tickets[0]).await);
        drop(serving);
        assert_eq!(tickets[0].answers(), 1);
        let _fifth = room.enter(from(5)).unwrap();
        assert!(is_evicted(&tickets[0]).await);
    }

    #[test]
    fn when_all_are_served_the_newcomer_waits_outside() {
        let room = vestibule(1, 1);
        let ticket = Arc::new(room.enter(from(1)).unwrap());
        let _serving = ticket.serving();
        assert!(room.enter(from(2)).is_none());
        room.make_room(2);
        assert_eq!((room.counters.over_node_cap.get(), room.counters.evicted.get()), (1, 0));
    }

    #[test]
    fn a_told_client_is_counted_as_itself() {
        let room = vestibule(10, 1);
        let first = room.enter(None).unwrap();
        let second = room.enter(None).unwrap();
        assert!(first.attribute(from(1).unwrap()));
        assert!(first.another().is_none(), "a further place is of the same account");
        assert!(!second.attribute(from(1).unwrap()));
        assert!(second.attribute(from(2).unwrap()));
        assert!(second.another().is_none() && room.enter(from(3)).unwrap().another().is_none());
        drop((first, second));
        assert!(room.room().places.is_empty() && room.room().holders.is_empty(), "nothing is left behind");
    }
}
