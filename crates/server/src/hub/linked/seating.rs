//! Seats that are counted over all nodes, and the place of an agent.
//!
//! What is held hangs on the guard from before the link is asked: whatever happens to whoever asks, it is given back. Whoever
//! makes room for a newcomer has gone before the newcomer is let in, for as long as its node answers.

use std::{sync::Arc, time::Duration};

use gateway_domain::{
    AgentId, Code, ConnectionId, Now, Refusal, RequestId, Role, Room, UserId,
    link::{Act, Answer, Channel, Hearer, Place, SeatAnswer, SeatClaim},
    plan::{OnConnectionLimit, Plan},
    session::PROBE_PATIENCE,
};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{
    coming::{Waits, Way},
    cut_off,
};
use crate::{
    clock,
    cluster::{Asked, Letter, Link, WhenAway},
    gate::Claim,
    hub::{Hub, Seat, agents::Gone, books::Books, draw_id, seating::seats_taken},
};

/// So long a seat is awaited. Where Redis may have lost something it is given no sooner than all nodes have put back theirs.
const SEATING: Duration = Duration::from_secs(4);
/// So long until a link that had no room for a question is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// So long another node has to end a connection that makes room.
const MAKING_ROOM: Duration = Duration::from_secs(1);

impl Hub {
    /// Takes a seat for the user over all nodes, and the place of the agent.
    pub(crate) async fn take_seat_abroad(
        self: &Arc<Self>,
        link: &Arc<Link>,
        claim: Claim<'_>,
    ) -> Result<Seat, Refusal> {
        let (user, plan) = (&claim.principal.user, claim.plan);
        let agent = claim.principal.agent.as_ref().filter(|_| claim.endpoint.agents);
        let id = draw_id(clock::now());
        let seat_claim = SeatClaim {
            user: user.clone(),
            connection: id,
            agent: agent.cloned(),
            limit: plan.connections.map(|most| most as usize),
            on_limit: plan.on_connection_limit,
            since: clock::now().wall,
            note: self.webhooks.note(&claim, id, clock::now()),
        };
        let channels = channels(&claim, id);
        let mut seat = Seat::held(Arc::clone(self), user.clone(), id, agent.cloned());
        self.books.lock().linked.comes(id);
        let asked = link.ask(Act::TakeSeat(seat_claim.clone()));
        let hearings: Vec<_> = {
            let mut books = self.books.lock();
            channels.iter().map(|channel| self.claim(&mut books, link, channel)).collect()
        };
        seat.hears(channels);
        match seated(link, &seat_claim, asked).await {
            Answer::Seat(SeatAnswer::Taken { evicted, replaced }) => {
                for (place, code) in [(replaced, Code::Replaced), (evicted, Code::Evicted)] {
                    if let Some(place) = place {
                        self.make_room(link, &place, (user, agent), code).await;
                    }
                }
                self.sit_abroad(link, (user, id), None, agent)?;
            }
            Answer::Seat(refused) => {
                seat.is_not_counted();
                return Err(self.no_seat(link, refused, (user, plan)));
            }
            _ => {
                // Nobody is let in beside the count by a node that does not say that it is alone.
                let is_alone = link.is_away();
                if !is_alone || link.when_away() == WhenAway::FailClosed {
                    return Err(Refusal::new(Code::AuthError, "connections cannot be counted at the moment")
                        .because(cut_off().to_string())
                        .retry_after(Duration::from_secs(if is_alone { 5 } else { 1 }))
                        .of_user(user));
                }
                link.fell_back();
                self.sit_abroad(link, (user, id), Some(plan), agent)?;
                self.books.lock().linked.unkept.insert(id, seat_claim);
            }
        }
        for hearing in hearings {
            hearing.begins().await;
        }
        Ok(seat)
    }

    /// Writes down a connection whose seat was given. Where that was given away again before, it is not written down, and so
    /// ends as soon as it would sit down.
    fn sit_abroad(
        self: &Arc<Self>,
        link: &Link,
        (user, id): (&UserId, ConnectionId),
        plan: Option<&Plan>,
        agent: Option<&AgentId>,
    ) -> Result<(), Refusal> {
        let mut books = self.books.lock();
        if books.linked.has_come(link, id) {
            return Ok(());
        }
        self.sit_in_books(&mut books, (user, id), plan, agent)
    }

    fn no_seat(&self, link: &Link, answer: SeatAnswer, (user, plan): (&UserId, &Plan)) -> Refusal {
        match answer {
            SeatAnswer::AgentTaken(place) => {
                self.probe_at(link, std::slice::from_ref(&place));
                Refusal::plain(Code::AgentIdTaken)
                    .because(format!("connection {} of another user is that agent", place.connection))
                    .of_user(user)
            }
            SeatAnswer::UserFull { held } if plan.on_connection_limit == OnConnectionLimit::EvictStale => {
                self.probe_at(link, &held);
                seats_taken(user, plan).retry_after(PROBE_PATIENCE + Duration::from_millis(500))
            }
            SeatAnswer::UserFull { .. } | SeatAnswer::Taken { .. } => seats_taken(user, plan),
        }
    }

    /// Makes connections find out whether their peers live.
    fn probe_at(&self, link: &Link, places: &[Place]) {
        let mut elsewhere: Vec<(&gateway_domain::link::NodeId, Vec<ConnectionId>)> = Vec::new();
        for Place { node, connection } in places {
            if node == link.node() {
                self.probe(*connection);
            } else if let Some((_, connections)) = elsewhere.iter_mut().find(|(other, _)| *other == node) {
                connections.push(*connection);
            } else {
                elsewhere.push((node, vec![*connection]));
            }
        }
        for (node, connections) in elsewhere {
            link.tell(Hearer::Node(node.clone()), &Letter::Probe { connections });
        }
    }

    pub(super) fn probe(&self, connection: ConnectionId) {
        if let Some(here) = self.occupant(connection) {
            here.probe();
        }
    }

    /// Ends the connection whose seat was given away, wherever it is.
    async fn make_room(
        self: &Arc<Self>,
        link: &Arc<Link>,
        place: &Place,
        (user, agent): (&UserId, Option<&AgentId>),
        code: Code,
    ) {
        if place.node == *link.node() {
            let (tells, told) = oneshot::channel();
            let waits = Some(Waits::Here(tells));
            if self.give_way((user, place.connection, agent), &Refusal::plain(code), waits, clock::now()) == Way::Soon {
                // Whether it is out of the way or not: longer nobody waits.
                let _ = tokio::time::timeout(MAKING_ROOM, told).await;
            }
            return;
        }
        let asked = RequestId::new(Uuid::new_v4());
        let done = self.awaits(asked, 1);
        let letter = Letter::End {
            user: user.clone(),
            connection: place.connection,
            agent: agent.cloned(),
            code: code.name().to_owned(),
            asked: Some(asked),
        };
        if link.tell(Hearer::Node(place.node.clone()), &letter) {
            done.first(MAKING_ROOM).await;
        }
    }

    /// Ends a connection here that makes room for another, be it on its way through the door. Whoever waits for one that has
    /// not got its seat yet is told.
    pub(super) fn give_way(
        self: &Arc<Self>,
        (user, connection, agent): (&UserId, ConnectionId, Option<&AgentId>),
        refusal: &Refusal,
        waits: Option<Waits>,
        now: Now,
    ) -> Way {
        let mut books = self.books.lock();
        if books.linked.gives_away(connection, waits) {
            return Way::Soon;
        }
        let own = books.registry.get(connection).and_then(|here| here.agent());
        let agent = own.as_ref().or(agent);
        let gone = if refusal.code == Code::Replaced { Gone::Replaced } else { Gone::Kicked };
        if let Some(gone) = self.strike(&mut books, (user, connection, agent), gone, now) {
            gone.end(refusal.clone());
        }
        Way::Free
    }

    /// A connection whose agent came by a newer one while nodes did not hear each other.
    pub(crate) fn displaced(self: &Arc<Self>, connection: ConnectionId, now: Now) {
        let Some(here) = self.occupant(connection) else {
            self.books.lock().linked.gives_away(connection, None);
            return;
        };
        let agent = here.agent();
        self.give_way((here.user(), connection, agent.as_ref()), &Refusal::plain(Code::Replaced), None, now);
    }

    /// Others took this node for lost, and told that its connection is; it stands again.
    pub(crate) fn seat_found(self: &Arc<Self>, connection: ConnectionId, now: Now) {
        let Some(here) = self.occupant(connection) else { return };
        self.webhooks.connected(&here, now);
        if let Some(agent) = here.agent() {
            self.agent_came(&mut self.books.lock(), &agent, here.user(), now);
        }
    }

    /// A connection is listed under another role: what is said to that is heard for it, too.
    pub(in crate::hub) fn hears_role(self: &Arc<Self>, books: &mut Books, id: ConnectionId, role: Option<&Role>) {
        let Some(link) = &self.link else { return };
        let role = role.cloned().map(Channel::Role);
        if books.linked.roles.get(&id) == role.as_ref() {
            return;
        }
        let before = match role {
            Some(role) => {
                self.claim(books, link, &role);
                books.linked.roles.insert(id, role)
            }
            None => books.linked.roles.remove(&id),
        };
        if let Some(before) = before {
            self.release(books, &before, clock::now());
        }
    }

    /// A seat is given back.
    pub(in crate::hub) fn seat_left(&self, books: &mut Books, left: Left<'_>, now: Now) {
        let Some(link) = &self.link else { return };
        let Left { user, connection, agent, channels, is_counted } = left;
        books.linked.has_come(link, connection);
        for channel in channels {
            self.release(books, channel, now);
        }
        if let Some(role) = books.linked.roles.remove(&connection) {
            self.release(books, &role, now);
        }
        // Others learn of a seat that was given while the link was away when it is back, unless it is free again.
        let is_unknown = books.linked.unkept.remove(&connection).is_some();
        if is_counted || is_unknown {
            link.must(Act::LeaveSeat { user: user.clone(), connection, agent: agent.cloned() });
        }
    }
}

/// How the claim of a seat came out; nothing comes of it only where the link is away, or too late.
async fn seated(link: &Arc<Link>, claim: &SeatClaim, asked: Asked) -> Answer {
    let since = clock::now().tick;
    let mut answer = asked.within(SEATING).await;
    while matches!(answer, Answer::Away) && !link.is_away() {
        let left = SEATING.saturating_sub(clock::now().tick.since(since));
        if left.is_zero() {
            break;
        }
        tokio::time::sleep(ASK_AGAIN.min(left)).await;
        answer = link.ask(Act::TakeSeat(claim.clone())).within(left).await;
    }
    answer
}

/// A seat that is given back.
#[derive(Clone, Copy, Debug)]
pub(in crate::hub) struct Left<'a> {
    pub(in crate::hub) user: &'a UserId,
    pub(in crate::hub) connection: ConnectionId,
    pub(in crate::hub) agent: Option<&'a AgentId>,
    /// What it needed to be heard.
    pub(in crate::hub) channels: &'a [Channel],
    pub(in crate::hub) is_counted: bool,
}

/// Where a connection of that claim is meant: its user, role, door and agent, and the rooms that the door puts it into.
fn channels(claim: &Claim<'_>, id: ConnectionId) -> Vec<Channel> {
    let Claim { principal, role, plan, endpoint, .. } = claim;
    if !endpoint.hears() {
        return Vec::new();
    }
    let sender = gateway_domain::sender::Sender {
        principal,
        connection: id,
        role: *role,
        plan: &plan.name,
        endpoint: &endpoint.path,
    };
    let user = Room::parse(&format!("user:{}", principal.user)).ok();
    let joined = endpoint.join.iter().filter_map(|template| template.room(&sender));
    let mut channels: Vec<Channel> = user.into_iter().chain(joined).map(Channel::Room).collect();
    channels.extend(role.cloned().map(Channel::Role));
    channels.push(Channel::Endpoint((*endpoint.path).into()));
    channels.extend(principal.agent.clone().filter(|_| endpoint.agents).map(Channel::Agent));
    channels
}
