//! The board of the switchboard: all that nodes have in common, and each verb of the link done on it in one step.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use gateway_domain::{
    AgentId, Now, Room, Timestamp, UserId,
    history::{EpochSource, History, Position},
    link::{Act, Answer, Arrival, Book, Expected, Hearer, NodeId, Place, Posting, SeatAnswer, SeatClaim, Ticket},
    plan::OnConnectionLimit,
};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{Rules, books::Books, desk::Desk, health};

/// All that the nodes have in common.
#[derive(Debug)]
pub(super) struct Board {
    most: usize,
    now: fn() -> Now,
    desks: BTreeMap<NodeId, Desk>,
    seats: HashMap<UserId, Vec<Seat>>,
    agents: HashMap<AgentId, (UserId, Place)>,
    rooms: HashMap<Room, History<(u64, String)>>,
    members: HashMap<Room, BTreeMap<String, BTreeMap<NodeId, u32>>>,
    books: Books,
    epochs: EpochSource,
}

/// A seat that is held.
#[derive(Clone, Debug)]
struct Seat {
    place: Place,
    agent: Option<AgentId>,
    since: Timestamp,
    note: Option<Box<str>>,
}

impl Board {
    pub(super) fn new(rules: &Rules) -> Self {
        Self {
            most: rules.queue,
            now: rules.now,
            desks: BTreeMap::new(),
            seats: HashMap::new(),
            agents: HashMap::new(),
            rooms: HashMap::new(),
            members: HashMap::new(),
            books: Books::default(),
            epochs: EpochSource::new(Uuid::new_v4().as_u64_pair().0),
        }
    }

    /// A node comes.
    pub(super) fn join(&mut self, node: NodeId) -> Arc<Notify> {
        let desk = Desk::new(self.most);
        let bell = desk.bell();
        self.desks.insert(node.clone(), desk);
        self.tell_nodes();
        self.tell_books(&node);
        bell
    }

    /// A node says no more. Unless it took its leave, what hangs on it stays.
    pub(super) fn end(&mut self, node: &NodeId) {
        if self.desks.get(node).is_some_and(|desk| desk.lost && !desk.away) {
            self.desks.remove(node);
        }
    }

    /// A node's lease ends.
    pub(super) fn kill(&mut self, node: &NodeId) {
        let Some(desk) = self.desks.get_mut(node).filter(|desk| !desk.lost) else { return };
        let cut = desk.away;
        if cut {
            desk.lost = true;
        } else {
            self.desks.remove(node);
        }
        let last_seen = (self.now)().wall;
        let notes = self.notes(node);
        let agents = self.free_seats(node);
        let members = self.free_members(node);
        self.tell_all(&Arrival::NodeLost(node.clone()));
        self.tell_nodes();
        let Some(left) = self.desks.iter().find(|(_, desk)| !desk.away).map(|(node, _)| node.clone()) else { return };
        for agent in agents {
            self.tell(&left, Arrival::AgentLost { agent, last_seen });
        }
        for (room, member) in members {
            self.tell(&left, Arrival::MemberLost { room, member });
        }
        let now = (self.now)();
        for (connection, note) in notes {
            let entry = (Some(left.name().to_owned()), None);
            if self.books.write(Book::Gone, &connection, entry, Some(&Expected::Absent), now).is_ok() {
                self.tell(&left, Arrival::SeatLost { note });
            }
        }
    }

    /// What is to be known of the seats of a node, by connection.
    fn notes(&self, node: &NodeId) -> Vec<(String, String)> {
        let seats = self.seats.values().flatten().filter(|seat| seat.place.node == *node);
        let noted =
            seats.filter_map(|seat| Some((seat.place.connection.to_string(), seat.note.as_deref()?.to_owned())));
        noted.collect()
    }

    /// A node is cut off.
    pub(super) fn cut(&mut self, node: &NodeId) {
        let Some(desk) = self.desks.get_mut(node).filter(|desk| !desk.away) else { return };
        desk.away = true;
        desk.tell(health(true));
    }

    /// And is joined again.
    pub(super) fn heal(&mut self, node: &NodeId) {
        let Some(desk) = self.desks.get_mut(node).filter(|desk| desk.away) else { return };
        desk.away = false;
        let was_lost = std::mem::take(&mut desk.lost);
        let memory = desk.memory.clone();
        // Whatever it left, took or entered in between: what it remembers is what stands.
        self.free_seats(node);
        self.free_members(node);
        let mut found = Vec::new();
        for claim in memory.seats() {
            if !self.keep_seat(node, claim) {
                found.push(Arrival::SeatFound(claim.connection));
            }
        }
        for (room, member, count) in memory.members() {
            let members = self.members.entry(room.clone()).or_default();
            let nodes = members.entry(member.to_owned()).or_default();
            if nodes.is_empty() {
                found.push(Arrival::MemberFound { room: room.clone(), member: member.to_owned() });
            }
            nodes.insert(node.clone(), count);
        }
        self.tell_nodes();
        self.tell_books(node);
        self.tell(node, Arrival::Back);
        self.tell(node, health(false));
        found.into_iter().filter(|_| was_lost).for_each(|found| self.tell(node, found));
    }

    /// Every room begins anew.
    pub(super) fn new_epoch(&mut self) {
        self.rooms.clear();
    }

    /// Tells a node that its loop is fine, or not.
    pub(super) fn probe(&mut self, node: &NodeId) {
        if let Some(desk) = self.desks.get_mut(node) {
            desk.tell(health(desk.away));
        }
    }

    /// Puts something down for a node.
    pub(super) fn tell(&mut self, node: &NodeId, arrival: Arrival) {
        if let Some(desk) = self.desks.get_mut(node) {
            desk.tell(arrival);
        }
    }

    /// What a node is to be told next.
    pub(super) fn next_for(&mut self, node: &NodeId) -> Option<Arrival> {
        self.desks.get_mut(node)?.next()
    }

    /// Does what a node orders.
    pub(super) fn perform(&mut self, node: &NodeId, ticket: Ticket, act: Act, now: Now) -> Answer {
        let Some(desk) = self.desks.get_mut(node) else { return Answer::Away };
        desk.memory.note(&act);
        if desk.away {
            return Answer::Away;
        }
        match act {
            Act::TakeSeat(claim) => {
                let answer = Answer::Seat(self.take_seat(node, &claim));
                if let Some(desk) = self.desks.get_mut(node) {
                    desk.memory.note_seat(&claim, &answer);
                }
                answer
            }
            Act::KeepSeat(claim) => {
                self.keep_seat(node, &claim);
                Answer::Done
            }
            Act::LeaveSeat { user, connection, .. } => {
                self.leave_seat(&user, |seat| seat.place.connection == connection);
                Answer::Done
            }
            Act::Follow(_) | Act::Unfollow(_) => Answer::Done,
            Act::Post(posting) => self.post(node, ticket, posting, now),
            Act::Tell { to, letter } => self.tell_letter(node, &to, &letter),
            Act::Recall { room, since, latest, bounds } => {
                let epochs = &mut self.epochs;
                let history = self.rooms.entry(room).or_insert_with(|| History::new(epochs.draw()));
                history.trim(&bounds, now.tick);
                let texts = match (since, latest) {
                    (Some(since), _) => history.since(&since, &bounds, now.tick),
                    (None, most) => Some(history.latest(most.unwrap_or(0))),
                };
                Answer::Recalled { position: history.position(), texts }
            }
            Act::Enter { room, member } => self.count(node, room, member, true),
            Act::Exit { room, member } => self.count(node, room, member, false),
            Act::Members(room) => Answer::Present { is_turn: false, members: self.present(&room) },
            Act::Write { book, key, value, until, expected } => {
                let entry = (value.clone(), until);
                let written = self.books.write(book, &key, entry, expected.as_ref(), now);
                if written.is_ok() && book.is_told() {
                    for desk in self.desks.iter_mut().filter(|(other, desk)| *other != node && !desk.away) {
                        desk.1.tell(Arrival::Written { book, key: key.clone(), value: value.clone() });
                    }
                }
                Answer::Written(written)
            }
            Act::Read { book, key } => Answer::Read(self.books.read(book, &key, now).map(str::to_owned)),
            Act::Knock { key, every, burst } => Answer::Knocked(self.books.knock(&key, every, burst, now)),
            Act::Spend(spent) => {
                let Some(desk) = self.desks.get_mut(node) else { return Answer::Away };
                Answer::Spent(self.books.spend(&spent, &mut desk.spent))
            }
            Act::Leave => {
                self.free_seats(node);
                self.free_members(node);
                if let Some(desk) = self.desks.get_mut(node) {
                    desk.lost = true;
                }
                self.tell_nodes();
                Answer::Done
            }
        }
    }

    fn take_seat(&mut self, node: &NodeId, claim: &SeatClaim) -> SeatAnswer {
        let holder = claim.agent.as_ref().and_then(|agent| self.agents.get(agent)).cloned();
        if let Some((_, place)) = holder.as_ref().filter(|(user, _)| *user != claim.user) {
            return SeatAnswer::AgentTaken(place.clone());
        }
        let replaced = holder.map(|(_, place)| place);
        let seats = self.seats.get(&claim.user).map_or(&[][..], Vec::as_slice);
        let held = seats.iter().filter(|seat| replaced.as_ref() != Some(&seat.place));
        let held: Vec<Place> = held.map(|seat| seat.place.clone()).collect();
        let full = claim.limit.is_some_and(|limit| held.len() >= limit);
        let evicted = match (full, claim.on_limit) {
            (true, OnConnectionLimit::EvictOldest) if !held.is_empty() => held.first().cloned(),
            (true, _) => return SeatAnswer::UserFull { held },
            (false, _) => None,
        };
        self.leave_seat(&claim.user, |seat| {
            replaced.as_ref() == Some(&seat.place) || evicted.as_ref() == Some(&seat.place)
        });
        self.keep_seat(node, claim);
        SeatAnswer::Taken { evicted, replaced }
    }

    /// Writes a seat down; a user's are in the order of their age. An agent that two connections hold is the newer one's,
    /// and the older one's node is told. Whether it is the agent's older one.
    fn keep_seat(&mut self, node: &NodeId, claim: &SeatClaim) -> bool {
        let place = Place { node: node.clone(), connection: claim.connection };
        let seats = self.seats.entry(claim.user.clone()).or_default();
        seats.retain(|seat| seat.place != place);
        let at = seats.partition_point(|seat| seat.since <= claim.since);
        let (agent, note) = (claim.agent.clone(), claim.note.clone());
        seats.insert(at, Seat { place: place.clone(), agent, since: claim.since, note });
        let mut is_older = false;
        if let Some(agent) = &claim.agent {
            let other = self.agents.get(agent).filter(|(_, other)| *other != place).cloned();
            let since = other.as_ref().and_then(|(user, held)| {
                self.seats.get(user)?.iter().find(|seat| seat.place == *held).map(|seat| seat.since)
            });
            is_older = since.is_some_and(|since| since > claim.since);
            let displaced = if is_older {
                Some(place)
            } else {
                self.agents.insert(agent.clone(), (claim.user.clone(), place));
                other.map(|(_, place)| place)
            };
            if let Some(Place { node, connection }) = displaced {
                self.tell(&node, Arrival::Displaced(connection));
            }
        }
        is_older
    }

    fn leave_seat(&mut self, user: &UserId, goes: impl Fn(&Seat) -> bool) {
        let Some(seats) = self.seats.get_mut(user) else { return };
        for seat in seats.extract_if(.., |seat| goes(seat)) {
            let Some(agent) = &seat.agent else { continue };
            if self.agents.get(agent).is_some_and(|(_, place)| *place == seat.place) {
                self.agents.remove(agent);
            }
        }
        if seats.is_empty() {
            self.seats.remove(user);
        }
    }

    fn free_seats(&mut self, node: &NodeId) -> Vec<AgentId> {
        let users: Vec<UserId> = self.seats.keys().cloned().collect();
        let mut agents: Vec<AgentId> =
            self.agents.iter().filter(|(_, (_, place))| place.node == *node).map(|(agent, _)| agent.clone()).collect();
        agents.sort();
        for user in users {
            self.leave_seat(&user, |seat| seat.place.node == *node);
        }
        agents
    }

    fn free_members(&mut self, node: &NodeId) -> Vec<(Room, String)> {
        let mut gone = Vec::new();
        for (room, members) in &mut self.members {
            members.retain(|member, nodes| {
                let stays = nodes.remove(node).is_none() || !nodes.is_empty();
                if !stays {
                    gone.push((room.clone(), member.clone()));
                }
                stays
            });
        }
        self.members.retain(|_, members| !members.is_empty());
        gone.sort();
        gone
    }

    fn count(&mut self, node: &NodeId, room: Room, member: String, comes: bool) -> Answer {
        let members = self.members.entry(room.clone()).or_default();
        let nodes = members.entry(member.clone()).or_default();
        let was_there = !nodes.is_empty();
        if comes {
            *nodes.entry(node.clone()).or_default() += 1;
        } else if let Some(count) = nodes.get_mut(node) {
            *count -= 1;
            if *count == 0 {
                nodes.remove(node);
            }
        }
        let is_turn = was_there == nodes.is_empty();
        if nodes.is_empty() {
            members.remove(&member);
        }
        if members.is_empty() {
            self.members.remove(&room);
        }
        Answer::Present { is_turn, members: self.present(&room) }
    }

    fn present(&self, room: &Room) -> Vec<(String, u32)> {
        let members = self.members.get(room).into_iter().flatten();
        members.map(|(member, nodes)| (member.clone(), nodes.values().sum())).collect()
    }

    fn post(&mut self, node: &NodeId, ticket: Ticket, posting: Posting, now: Now) -> Answer {
        let Posting { channels, remembered, head, text, .. } = posting;
        let mut places: Vec<(Room, Position)> = Vec::with_capacity(remembered.len());
        for (room, bounds) in remembered {
            let epochs = &mut self.epochs;
            let history = self.rooms.entry(room.clone()).or_insert_with(|| History::new(epochs.draw()));
            let offset = history.top() + 1;
            history.append((offset, text.clone()), text.len(), &bounds, now.tick);
            places.push((room, history.position()));
        }
        let mut hearings = 0;
        for desk in self.desks.values_mut() {
            let heard = desk.hears(&channels);
            if heard == 0 {
                continue;
            }
            hearings += heard;
            let follows = desk.memory.follows();
            let places =
                places.iter().filter(|(room, _)| follows.contains(&gateway_domain::link::Channel::Room(room.clone())));
            let places = places.cloned().collect();
            let (from, head, text) = (node.clone(), head.clone(), text.clone());
            desk.tell(Arrival::Post { from, ticket, hearings: heard, places, head, text });
        }
        Answer::Posted { hearings }
    }

    fn tell_letter(&mut self, node: &NodeId, to: &Hearer, letter: &str) -> Answer {
        let mut nodes = 0;
        for (other, desk) in &mut self.desks {
            let is_meant = match to {
                Hearer::Node(meant) => meant == other,
                Hearer::All => true,
                Hearer::Channel(channel) => desk.hears(std::slice::from_ref(channel)) > 0,
            };
            if is_meant && !desk.away {
                nodes += 1;
                desk.tell(Arrival::Letter { from: node.clone(), letter: letter.to_owned() });
            }
        }
        Answer::Told { nodes }
    }

    fn tell_all(&mut self, arrival: &Arrival) {
        for desk in self.desks.values_mut().filter(|desk| !desk.away) {
            desk.tell(arrival.clone());
        }
    }

    fn tell_nodes(&mut self) {
        let nodes = self.desks.iter().filter(|(_, desk)| !desk.lost).map(|(node, _)| node.clone());
        let nodes = Arrival::Nodes(nodes.collect());
        self.tell_all(&nodes);
    }

    fn tell_books(&mut self, node: &NodeId) {
        let now = (self.now)();
        for book in [Book::Bans, Book::Revocations] {
            for (key, value) in self.books.all(book, now) {
                self.tell(node, Arrival::Written { book, key, value: Some(value) });
            }
        }
    }
}
