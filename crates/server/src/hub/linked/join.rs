//! Coming into a room that all nodes share, and finding out what was missed.
//!
//! First the room is heard here, then it is looked up where it stands; what is posted from then on arrives. So nothing is
//! lost between the two, and what arrives late of what was looked up is not for the newcomer: it has a floor.

use std::sync::Arc;

use gateway_domain::{
    Code, ConnectionId, Now, Refusal, Room,
    history::Position,
    link::{Act, Answer, Channel},
    relay,
    rooms::{Joining, Recovery},
};

use super::cut_off;
use crate::{
    clock,
    cluster::WhenAway,
    hub::{
        Class, Hub, Letter, Occupant,
        books::Books,
        membership::{Subscribed, Who},
        notice,
    },
};

/// A channel that a newcomer needs, and its place among those who are present: given back, unless it gets in.
struct Coming {
    hub: Arc<Hub>,
    connection: ConnectionId,
    room: Room,
    /// It was here already, and has both.
    is_here: bool,
    is_in: bool,
}

impl Drop for Coming {
    fn drop(&mut self) {
        if self.is_in || self.is_here {
            return;
        }
        let now = clock::now();
        let mut books = self.hub.books.lock();
        self.hub.goes_absent(&mut books, self.connection, &self.room);
        self.hub.release(&mut books, &Channel::Room(self.room.clone()), now);
    }
}

/// What a room was found to be.
#[derive(Default)]
struct Found {
    position: Option<Position>,
    /// What was missed up to there, each with its offset; none where nobody can say.
    texts: Option<Vec<(u64, String)>>,
}

impl Hub {
    /// Subscribes a connection to a room of all nodes, where the rules let it, and tells it so.
    pub async fn subscribe_abroad(
        self: Arc<Self>,
        here: Arc<Occupant>,
        id: Option<Box<str>>,
        room: Room,
        since: Option<Position>,
    ) -> Result<(), Refusal> {
        let Some(link) = self.link.clone() else {
            return self.subscribe(&here, id.as_deref(), &room, since.as_ref(), clock::now());
        };
        let (mut coming, hearing, law) = {
            let mut books = self.books.lock();
            books.may_subscribe(&here, &room)?;
            let law = *books.laws.law(&room);
            if books.registry.get(here.id).is_none() {
                // It is on its way out.
                return Ok(());
            }
            let is_here = books.registry.rooms(here.id).contains(&room) && books.rooms.is_member(&room, here.id);
            let hearing = (!is_here).then(|| self.claim(&mut books, &link, &Channel::Room(room.clone())));
            let (hub, room) = (Arc::clone(&self), room.clone());
            (Coming { hub, connection: here.id, room, is_here, is_in: false }, hearing, law)
        };
        let is_heard = match hearing {
            Some(hearing) => hearing.begins().await,
            None => !link.is_away(),
        };
        if !is_heard && link.when_away() == WhenAway::FailClosed {
            return Err(cut_off());
        }
        let known = self.known_here(&room, since.as_ref(), clock::now());
        let recall = match (law.history, known) {
            (Some(bounds), None) => {
                Some(link.ask(Act::Recall { room: room.clone(), since: since.clone(), latest: None, bounds }))
            }
            _ => None,
        };
        let present = law.presence.is_some().then(|| self.comes_present(&link, &here, &room));
        let online = (room.as_str() == crate::hub::EVERY_AGENT).then(|| self.online_everywhere(&link));
        let found = match recall {
            None => None,
            Some(recall) => match recall.answer().await {
                Answer::Recalled { position, texts } => Some(Found { position: Some(position), texts }),
                _ if link.when_away() == WhenAway::FailClosed => return Err(cut_off()),
                _ => Some(Found::default()),
            },
        };
        let present = match present {
            Some(present) => present.await,
            None => None,
        };
        let online = match online {
            Some(online) => Some(online.await),
            None => None,
        };
        let is_told = law.presence.filter(|most| present.as_ref().is_none_or(|(_, members)| members.len() <= *most));
        let (is_turn, members) = present.map_or((false, None), |(is_turn, members)| (is_turn, Some(members)));
        if is_turn && is_told.is_some() {
            Self::announce_everywhere(&link, &here, &room).await;
        }
        let now = clock::now();
        let mut books = self.books.lock();
        let books = &mut *books;
        if books.registry.get(here.id).is_none() {
            return Ok(());
        }
        let (joined, missed) = self.sit_in(books, &here, &room, since.as_ref(), found, now)?;
        coming.is_in = true;
        let members = members.or(joined.presence).filter(|_| is_told.is_some());
        let payload = Subscribed {
            room: &room,
            position: joined.position,
            recovered: since.is_some().then_some(missed.is_some()),
            missed: since.is_some().then(|| missed.as_ref().map_or(0, Vec::len)),
            presence: match online {
                Some(others) => Some(Who::Agents(books.online_with(others, now))),
                None => members.map(Who::Users),
            },
        };
        self.say(&here, &mut Letter::new(notice("subscribed", id.as_deref(), &payload)), Class::Control);
        for text in missed.into_iter().flatten() {
            self.say(&here, &mut Letter::new(text), Class::Recovered);
        }
        drop(coming);
        Ok(())
    }

    /// Where a room stands, where that is known here well enough for somebody who comes from there.
    fn known_here(&self, room: &Room, since: Option<&Position>, now: Now) -> Option<()> {
        let mut books = self.books.lock();
        books.rooms.position(room)?;
        if books.linked.mending.is_torn(room) {
            return None;
        }
        let Some(since) = since else { return Some(()) };
        let law = *books.laws.law(room);
        books.rooms.since(room, since, &law, now.tick).map(drop)
    }

    /// Puts it into the room, and gathers what it missed; none where it wanted that, and nobody can say.
    #[allow(clippy::type_complexity, reason = "two things that belong together, once")]
    fn sit_in(
        &self,
        books: &mut Books,
        here: &Arc<Occupant>,
        room: &Room,
        since: Option<&Position>,
        found: Option<Found>,
        now: Now,
    ) -> Result<(gateway_domain::rooms::Joined<gateway_transport::Text>, Option<Vec<gateway_transport::Text>>), Refusal>
    {
        let law = *books.laws.law(room);
        let role = here.stands(|standing| standing.role.clone());
        let (looked_up, own) = (found.as_ref().and_then(|found| found.position.as_ref()), books.rooms.position(room));
        // It is told where the room stands, here or by what was looked up: what is up to there and still arrives is not for it.
        let floor = match (looked_up, own) {
            (Some(position), Some(own)) if own.epoch == position.epoch => own.offset.max(position.offset),
            (Some(position), _) => position.offset,
            (None, own) => own.map_or(0, |own| own.offset),
        };
        // What was looked up says what was missed; where nothing was, the room here knows.
        let asked = since.filter(|_| found.is_none());
        let joining = Joining {
            connection: here.id,
            user: here.user(),
            role: role.as_ref(),
            subscribed: true,
            since: asked,
            floor,
        };
        let mut joined = books
            .rooms
            .join(room, joining, &law, now.tick)
            .map_err(|full| Refusal::new(Code::LimitExceeded, full.to_string()))?;
        books.registry.note_room(here.id, room);
        let Some(Found { position, texts }) = found else {
            let missed = joined.recovery.take().and_then(|recovery| match recovery {
                Recovery::Recovered(missed) => Some(missed),
                Recovery::Lost => None,
            });
            return Ok((joined, missed));
        };
        let Some(position) = position else {
            // Nobody can say now where the room stands.
            joined.position = books.rooms.position(room);
            return Ok((joined, None));
        };
        if books.rooms.stand_at(room, &position) {
            // The others here did not know yet that another epoch has begun.
            self.tell_of_loss_but(books, room, &position, Some(here.id));
        }
        let own = books.rooms.position(room);
        let is_ahead = own.as_ref().is_some_and(|own| own.epoch == position.epoch && own.offset > position.offset);
        let since_then = if is_ahead { books.rooms.since(room, &position, &law, now.tick) } else { Some(Vec::new()) };
        joined.position = if is_ahead { own } else { Some(position) };
        let missed = texts.zip(since_then).filter(|_| since.is_some()).map(|(texts, more)| {
            let placed = |(offset, text): (u64, String)| relay::in_room(&text, room, offset).into();
            texts.into_iter().map(placed).chain(more).collect()
        });
        Ok((joined, missed))
    }
}
