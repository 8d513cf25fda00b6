//! What the hub's one lock guards: who is here, the rooms, the requests under way, and the posts that are still being
//! carried around. They change together: whoever is struck out leaves all of them at once.

use std::{collections::HashMap, sync::Arc};

use gateway_domain::{
    AgentId, ConnectionId, Now, Room, UserId,
    history::EpochSource,
    pending::Pending,
    registry::Registry,
    rooms::{Present, Rooms},
    rules::RoomRules,
    sightings::Sightings,
};
use gateway_transport::Text;
use uuid::Uuid;

use super::{
    Hub, HubRules, Letter, Occupant,
    agents::{Gone, MOST_GONE},
    calls::Line,
    delivery::{Dispatch, Post},
    linked::LinkedBooks,
    outbox::Class,
    overview::Totals,
};

#[derive(Debug)]
pub(super) struct Books {
    pub(super) registry: Registry<Arc<Occupant>>,
    pub(super) rooms: Rooms<Text>,
    pub(super) pending: Pending,
    pub(super) dispatch: Dispatch,
    /// Those who ask without a connection.
    pub(super) calls: HashMap<ConnectionId, Line>,
    /// Who may be in which room, and what holds there.
    pub(super) laws: RoomRules,
    /// In how many rooms a connection is.
    pub(super) rooms_per_connection: usize,
    /// Which agents are here or were, and how steadily.
    pub(super) sightings: Sightings<Gone>,
    /// What those who left had said and heard.
    pub(super) departed: Totals,
    pub(super) linked: LinkedBooks,
}

impl Books {
    pub(super) fn new(rules: &HubRules) -> Self {
        Self {
            registry: Registry::new(rules.seats),
            rooms: Rooms::new(rules.rooms, epochs()),
            pending: Pending::new(rules.pending),
            dispatch: Dispatch::default(),
            calls: HashMap::new(),
            laws: rules.laws.clone(),
            rooms_per_connection: rules.rooms_per_connection,
            sightings: Sightings::new(MOST_GONE),
            departed: Totals::default(),
            linked: LinkedBooks::default(),
        }
    }

    /// Keeps to other rules from now on.
    pub(super) fn adopt(&mut self, rules: &HubRules) {
        self.registry.resize(rules.seats);
        self.rooms.bound(rules.rooms);
        self.pending.bound(rules.pending);
        self.laws = rules.laws.clone();
        self.rooms_per_connection = rules.rooms_per_connection;
    }

    /// From now on the rooms are fed by a link, which gives the offsets.
    pub(super) fn feed_rooms(&mut self, rules: &HubRules) {
        self.rooms = Rooms::new(rules.rooms, epochs()).fed();
    }
}

/// Epochs of this life of the house: offsets of an earlier one mean nothing.
fn epochs() -> EpochSource {
    let (prefix, _) = Uuid::new_v4().as_u64_pair();
    EpochSource::new(prefix)
}

impl Hub {
    /// Strikes a connection out of everything, and tells whoever has to know. A second time does nothing.
    pub(super) fn strike(
        self: &Arc<Self>,
        books: &mut Books,
        (user, id, agent): (&UserId, ConnectionId, Option<&AgentId>),
        gone: Gone,
        now: Now,
    ) -> Option<Arc<Occupant>> {
        let left = books.registry.leave(user, id, agent)?;
        books.departed.add(&left.handle.traffic);
        for room in &left.rooms {
            self.leave_room(books, id, room);
        }
        let ended = books.pending.leave(id);
        for request in ended.lost {
            self.tell_lost(books, &request);
        }
        for request in ended.orphaned {
            self.tell_orphaned(books, &request);
        }
        if let Some(agent) = &left.agent {
            self.agent_went(books, agent, &left.handle, gone, now);
        }
        Some(left.handle)
    }

    /// Tells the others who subscribed to a room who came or went. They are few, or it would not be told.
    pub(super) fn announce(&self, books: &Books, kind: &str, room: &Room, who: &Present) {
        let payload = serde_json::json!({ "room": room, "member": who });
        let mut letter = Letter::new(super::notice(kind, None, &payload));
        for (id, member) in books.rooms.members(room, None, u64::MAX, None) {
            let here = books.registry.get(id).filter(|here| member.subscribed && here.user() != &who.user_id);
            if let Some(here) = here {
                self.say(here, &mut letter, Class::Control);
            }
        }
    }

    /// Posts what the gateway itself says to many.
    pub(super) fn post_own(self: &Arc<Self>, books: &mut Books, rooms: &[Room], text: String, now: Now) {
        let targets: Vec<_> = rooms.iter().cloned().map(gateway_domain::target::Target::Room).collect();
        // Nobody waits for it, and where the house is too busy for it the loss is counted there.
        let _ = self.post_in(books, Post::new(text, &targets, Class::Control), now);
    }
}
