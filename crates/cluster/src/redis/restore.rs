//! A session begins: what this node holds and follows stands again, and what it does not hold stands no more. What others
//! were told is lost with this node, and is not, is told to the house once it can be heard.

use std::collections::{HashMap, HashSet};

use gateway_domain::{
    Room, UserId,
    link::{Act, Answer, Arrival, Expected, Order, SeatClaim, Ticket},
};
use redis::{Pipeline, Value};

use super::{
    errand::{self, Desk, Errand, Outcome},
    fault::Fault,
    link::{End, Link, Session},
    mirror::{Entry, TOLD},
    reply,
};

/// How much goes out together.
const TOGETHER: usize = 256;

/// What stands again by a command.
enum Stands {
    Seat(SeatClaim),
    Member(Room, String),
    /// It stands no more.
    Nothing,
}

impl Link {
    /// Puts everything right.
    pub(super) async fn restore(&mut self, session: &mut Session) -> Result<(), End> {
        self.follow_again(session).await?;
        // Where the data is another, nobody was told that this node is lost: there was nobody who could have known.
        let was_lost = self.was_up && !session.stood && self.read_in == session.generation.1;
        self.hold_again(session, was_lost).await?;
        self.read_books(session).await
    }

    /// What the scripts need to know, in that session.
    pub(super) fn desk<'a>(&'a self, session: &'a Session) -> Desk<'a> {
        Desk {
            node: &self.node,
            keys: &self.keys,
            scripts: &session.scripts,
            generation: (session.generation.0, &session.generation.1),
            clock: session.clock,
            members: self.settings.members,
            spent_for: super::serve::SPENT_FOR,
        }
    }

    async fn follow_again(&mut self, session: &mut Session) -> Result<(), End> {
        let names: Vec<String> = self.memory.follows().iter().map(|channel| self.keys.channel(channel)).collect();
        for names in names.chunks(TOGETHER) {
            let followed = self.meanwhile(session.ears.subscribe(names)).await.ok_or(End::HouseGone)?;
            followed.map_err(End::Broken)?;
        }
        Ok(())
    }

    /// Compares what is written down of this node with what it remembers.
    async fn hold_again(&mut self, session: &mut Session, was_lost: bool) -> Result<(), End> {
        let mut held: HashSet<String> = HashSet::new();
        self.scan(session, "SSCAN", self.keys.held(&self.node), |page| {
            held.extend(reply::texts(page).map(str::to_owned));
        })
        .await?;
        let mut places: HashMap<String, u32> = HashMap::new();
        self.scan(session, "HSCAN", self.keys.places(&self.node), |page| {
            let counted = reply::pairs(page).into_iter();
            places.extend(counted.filter_map(|(place, count)| Some((place.to_owned(), count.parse().ok()?))));
        })
        .await?;

        let desk = self.desk(session);
        let mut commands = Vec::new();
        for claim in self.memory.seats() {
            let agent = claim.agent.as_ref().map_or("", |agent| agent.as_str());
            if !held.remove(&format!("{}\t{}\t{agent}", claim.user, claim.connection)) {
                commands.push((desk.seat(claim, "keep"), Stands::Seat(claim.clone())));
            }
        }
        for stale in &held {
            let mut fields = stale.split('\t');
            let user = fields.next().and_then(|user| UserId::parse(user).ok());
            if let (Some(user), Some(connection)) = (user, fields.next()) {
                commands.push((desk.leave_seat(&user, connection), Stands::Nothing));
            }
        }
        for (room, member, count) in self.memory.members() {
            if places.remove(&format!("{room}\t{member}")) != Some(count) {
                let stands = Stands::Member(room.clone(), member.to_owned());
                commands.push((desk.members(room, member, i64::from(count)), stands));
            }
        }
        for stale in places.keys() {
            if let Some((room, member)) =
                stale.split_once('\t').and_then(|(room, member)| Some((Room::parse(room).ok()?, member)))
            {
                commands.push((desk.members(&room, member, 0), Stands::Nothing));
            }
        }
        let mut commands = commands.into_iter().peekable();
        while commands.peek().is_some() {
            let (mut pipeline, mut all) = (redis::pipe(), Vec::new());
            for (command, stands) in commands.by_ref().take(TOGETHER) {
                pipeline.add_command(command);
                all.push(stands);
            }
            let answers = self.ask(session, &pipeline).await?;
            for (answer, stands) in answers.iter().zip(all) {
                self.stands_again(stands, answer, was_lost).await?;
            }
        }
        Ok(())
    }

    async fn stands_again(&mut self, stands: Stands, answer: &Value, was_lost: bool) -> Result<(), End> {
        let (act, found) = match stands {
            Stands::Nothing => return Ok(()),
            Stands::Seat(claim) => {
                let found = Arrival::SeatFound(claim.connection);
                (Act::KeepSeat(claim), found)
            }
            Stands::Member(room, member) => {
                (Act::Enter { room: room.clone(), member: member.clone() }, Arrival::MemberFound { room, member })
            }
        };
        let order = Order { ticket: Ticket(0), act };
        let errand = Errand { order, until: gateway_domain::Tick::ZERO, again: false };
        match errand::outcome(&errand, answer, (self.now)().wall) {
            Outcome::Kept(Some(displaced)) => self.tell(Arrival::Displaced(displaced)).await,
            Outcome::Kept(None) | Outcome::Answer(Answer::Present { is_turn: true, .. }) if was_lost => {
                self.found.push(found);
            }
            Outcome::LeaseOver => return Err(End::Broken(Fault::LeaseOver)),
            _ => {}
        }
        Ok(())
    }

    /// Reads the books that are told, and puts back what Redis lost of them.
    async fn read_books(&mut self, session: &mut Session) -> Result<(), End> {
        let may_be_lost = !self.read_in.is_empty() && session.generation.1 != self.read_in;
        for book in TOLD {
            let mut ask = redis::pipe();
            ask.cmd("HGETALL").arg(errand::book_name(&self.keys, book));
            let answers = self.ask(session, &ask).await?;
            let now = (self.now)().wall;
            let mut stands: HashMap<String, Entry> = HashMap::new();
            for (key, entry) in answers.first().map(reply::pairs).unwrap_or_default() {
                if let Some((value, until)) = errand::standing(entry, now) {
                    stands.insert(key.to_owned(), (value.to_owned(), until));
                }
            }
            let known = self.mirror.lock().entries(book);
            let mut put_back = redis::pipe();
            for (key, (value, until)) in &known {
                if stands.contains_key(key) {
                    continue;
                }
                if may_be_lost && until.is_none_or(|until| now < until) {
                    let act = Act::Write {
                        book,
                        key: key.clone(),
                        value: Some(value.clone()),
                        until: *until,
                        expected: Some(Expected::Absent),
                    };
                    let order = Order { ticket: Ticket(0), act };
                    let errand = Errand { order, until: gateway_domain::Tick::ZERO, again: false };
                    if let Some(command) = self.desk(session).command(&errand, || 0) {
                        put_back.add_command(command);
                    }
                } else {
                    self.mirror.lock().note(book, key, None);
                    self.tell(Arrival::Written { book, key: key.clone(), value: None }).await;
                }
            }
            self.ask(session, &put_back).await?;
            for (key, entry) in stands {
                if known.get(&key).map(|(value, _)| value) != Some(&entry.0) {
                    self.tell(Arrival::Written { book, key: key.clone(), value: Some(entry.0.clone()) }).await;
                }
                self.mirror.lock().note(book, &key, Some(entry));
            }
        }
        self.read_in.clone_from(&session.generation.1);
        Ok(())
    }

    async fn scan(
        &mut self,
        session: &mut Session,
        command: &str,
        key: String,
        mut take: impl FnMut(&Value),
    ) -> Result<(), End> {
        let mut cursor = "0".to_owned();
        loop {
            let mut ask = redis::pipe();
            ask.cmd(command).arg(&key).arg(&cursor).arg("COUNT").arg(2000);
            let answers = self.ask(session, &ask).await?;
            let page = answers.first().and_then(reply::list).unwrap_or_default();
            if let Some(page) = page.get(1) {
                take(page);
            }
            cursor = page.first().and_then(reply::text).unwrap_or("0").to_owned();
            if cursor == "0" {
                return Ok(());
            }
        }
    }

    /// Runs commands and takes orders meanwhile. An error among the answers ends the session.
    pub(super) async fn ask(&mut self, session: &mut Session, commands: &Pipeline) -> Result<Vec<Value>, End> {
        let mut wire = session.wire.clone();
        let answers = self.meanwhile(wire.run(commands)).await.ok_or(End::HouseGone)?.map_err(End::Broken)?;
        for answer in &answers {
            if let Value::ServerError(error) = answer {
                return Err(End::Broken(Fault::of(wire.server(), &error.clone().into())));
            }
        }
        Ok(answers)
    }
}
