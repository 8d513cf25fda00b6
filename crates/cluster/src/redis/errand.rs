//! An order as a command, and a reply as an answer.

use std::time::Duration;

use gateway_domain::{
    ConnectionId, Tick, Timestamp,
    history::{Epoch, Position},
    link::{Act, Answer, Book, Expected, Hearer, NodeId, Order, Place, SeatAnswer, SeatClaim},
    plan::OnConnectionLimit,
};
use redis::{Cmd, Value};

use super::{
    keys::Keys,
    reply,
    scripts::{Script, Scripts},
    wire,
};

/// An order that waits, or is under way.
#[derive(Debug)]
pub(crate) struct Errand {
    pub(crate) order: Order,
    /// It is answered by then, whatever happens.
    pub(crate) until: Tick,
    /// It was under way when a connection broke.
    pub(crate) again: bool,
}

impl Errand {
    /// Whether it waits beyond its time. Who wants a seat is told that there is no answer only when the house is told that
    /// the others are away, and so lets nobody in beside the count. What is held is said while somebody listens.
    pub(crate) const fn stays(&self, connected: bool) -> bool {
        match self.order.act {
            Act::TakeSeat(_) => true,
            Act::KeepSeat(_)
            | Act::LeaveSeat { .. }
            | Act::Enter { .. }
            | Act::Exit { .. }
            | Act::Follow(_)
            | Act::Unfollow(_) => connected,
            _ => false,
        }
    }
}

/// What every command needs to know.
pub(crate) struct Desk<'a> {
    pub(crate) node: &'a NodeId,
    pub(crate) keys: &'a Keys,
    pub(crate) scripts: &'a Scripts,
    /// The generation of the data, and its mark.
    pub(crate) generation: (i64, &'a str),
    /// What is to be added to a tick in milliseconds for the clock of Redis; rather too little than too much.
    pub(crate) clock: i64,
    pub(crate) members: usize,
    /// How long sums of what was spent are kept.
    pub(crate) spent_for: Duration,
}

/// How a reply is to be taken.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is the answer.
    Answer(Answer),
    /// It is a seat, and the connection that lost its agent to another while nobody could tell.
    Kept(Option<ConnectionId>),
    /// The lease of this node is over.
    LeaseOver,
    /// The data is another since, and it is not known yet who holds what.
    Unsettled,
    /// It makes no sense.
    Strange,
}

impl Desk<'_> {
    /// The command that does what is ordered. Following is no command of this connection, and leaving is more than one:
    /// there is none for these.
    pub(crate) fn command(&self, errand: &Errand, count: impl FnOnce() -> u32) -> Option<Cmd> {
        let keys = self.keys;
        let command = match &errand.order.act {
            Act::TakeSeat(claim) => self.seat(claim, "take"),
            Act::KeepSeat(claim) => self.seat(claim, "keep"),
            Act::LeaveSeat { user, connection, .. } => self.leave_seat(user, &connection.to_string()),
            Act::Post(posting) => {
                let rooms = posting.remembered.iter().flat_map(|(room, _)| [keys.room(room), keys.texts(room)]);
                let mut command = self.scripts.run(Script::Post, &rooms.collect::<Vec<_>>());
                command
                    .arg(millis(errand.until.since_origin()) + self.clock)
                    .arg(self.generation.0)
                    .arg(self.generation.1)
                    .arg(wire::post_begins(self.node, errand.order.ticket, &posting.head, &posting.channels))
                    .arg(&posting.head)
                    .arg(&posting.text)
                    .arg(posting.channels.len());
                for channel in &posting.channels {
                    command.arg(keys.channel(channel));
                }
                for (room, bounds) in &posting.remembered {
                    command.arg(room.as_str()).arg(bounds.messages).arg(millis(bounds.age)).arg(bounds.bytes);
                }
                command
            }
            Act::Tell { to, letter } => {
                let channel = match to {
                    Hearer::Node(node) => keys.to_node(node),
                    Hearer::All => keys.to_all(),
                    Hearer::Channel(channel) => keys.channel(channel),
                };
                let mut command = redis::cmd("PUBLISH");
                command.arg(channel).arg(wire::letter(self.node, letter));
                command
            }
            Act::Recall { room, since, latest, bounds } => {
                let mut command = self.scripts.run(Script::Recall, &[keys.room(room), keys.texts(room)]);
                command
                    .arg(self.generation.0)
                    .arg(self.generation.1)
                    .arg(since.as_ref().map_or("", |since| since.epoch.as_str()))
                    .arg(since.as_ref().map_or(0, |since| since.offset))
                    .arg(latest.map_or(-1, |latest| i64::try_from(latest).unwrap_or(i64::MAX)))
                    .arg(bounds.messages)
                    .arg(millis(bounds.age))
                    .arg(bounds.bytes);
                command
            }
            Act::Enter { room, member } | Act::Exit { room, member } => self.members(room, member, i64::from(count())),
            Act::Members(room) => self.members(room, "", -1),
            Act::Write { book, key, value, until, expected } => {
                let told = book.is_told();
                let mut command = self.scripts.run(Script::Write, &keys.book(*book, key));
                command
                    .arg(if told { key.as_str() } else { "" })
                    .arg(i32::from(value.is_some()))
                    .arg(value.as_deref().unwrap_or_default())
                    .arg(until.map(|until| until.millis().max(0).to_string()).unwrap_or_default());
                match expected {
                    None => command.arg("any").arg(""),
                    Some(Expected::Absent) => command.arg("absent").arg(""),
                    Some(Expected::Value(value)) => command.arg("value").arg(value),
                };
                let message =
                    if told { wire::written(self.node, *book, key, value.as_deref(), *until) } else { String::new() };
                command.arg(keys.to_all()).arg(message);
                command
            }
            Act::Read { book, key } => {
                let names = keys.book(*book, key);
                let mut command = redis::cmd(if book.is_told() { "HGET" } else { "GET" });
                command.arg(names.first().map_or("", String::as_str));
                if book.is_told() {
                    command.arg(key);
                }
                command
            }
            Act::Knock { key, every, burst } => {
                let mut command = self.scripts.run(Script::Knock, &[keys.knock(key)]);
                command.arg(u64::try_from(every.as_micros()).unwrap_or(u64::MAX).max(1)).arg((*burst).max(1));
                command
            }
            Act::Spend(spent) => {
                let names: Vec<String> = spent.iter().map(|(key, _)| keys.spent(key)).collect();
                let mut command = self.scripts.run(Script::Spend, &names);
                command.arg(millis(self.spent_for));
                for (_, amount) in spent {
                    command.arg(i64::try_from(*amount).unwrap_or(i64::MAX));
                }
                command
            }
            Act::Follow(_) | Act::Unfollow(_) | Act::Leave => return None,
        };
        Some(command)
    }

    /// Takes a seat, or writes it down.
    pub(crate) fn seat(&self, claim: &SeatClaim, how: &str) -> Cmd {
        let keys = self.keys;
        let mut names = vec![keys.nodes(), keys.seats(&claim.user), keys.held(self.node), keys.generation()];
        names.extend(claim.agent.as_ref().map(|agent| keys.agent(agent)));
        let mut command = self.scripts.run(Script::Seat, &names);
        command
            .arg(self.node.as_str())
            .arg(claim.user.as_str())
            .arg(claim.connection.to_string())
            .arg(claim.agent.as_ref().map_or("", |agent| agent.as_str()))
            .arg(claim.limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX)))
            .arg(if claim.on_limit == OnConnectionLimit::EvictOldest { "evict" } else { "" })
            .arg(claim.since.millis().max(0))
            .arg(how)
            .arg(keys.start())
            .arg(wire::displaced_begins())
            .arg(claim.note.as_deref().unwrap_or_default())
            .arg(self.generation.0);
        command
    }

    /// Gives one back.
    pub(crate) fn leave_seat(&self, user: &gateway_domain::UserId, connection: &str) -> Cmd {
        let mut command = self.scripts.run(Script::Leave, &[self.keys.seats(user), self.keys.notes(self.node)]);
        command.arg(user.as_str()).arg(connection).arg(self.keys.start());
        command
    }

    /// Says how many connections of this node a member has in a room; or asks, with less than none.
    pub(crate) fn members(&self, room: &gateway_domain::Room, member: &str, count: i64) -> Cmd {
        let keys = self.keys;
        let mut command =
            self.scripts.run(Script::Members, &[keys.nodes(), keys.members(room), keys.places(self.node)]);
        command.arg(self.node.as_str()).arg(room.as_str()).arg(member).arg(count).arg(self.members);
        command
    }
}

/// What a reply says.
pub(crate) fn outcome(errand: &Errand, value: &Value, now: Timestamp) -> Outcome {
    read(errand, value, now).unwrap_or(Outcome::Strange)
}

fn read(errand: &Errand, value: &Value, now: Timestamp) -> Option<Outcome> {
    let answer = match &errand.order.act {
        Act::LeaveSeat { .. } => Answer::Done,
        Act::Tell { .. } => Answer::Told { nodes: u32::try_from(reply::number(value)?).ok()? },
        Act::Read { book, .. } => match (reply::text(value), book.is_told()) {
            (Some(text), true) => Answer::Read(standing(text, now).map(|(value, _)| value.to_owned())),
            (text, _) => Answer::Read(text.map(str::to_owned)),
        },
        Act::Spend(_) => {
            let before =
                reply::list(value)?.iter().map(|sum| reply::number(sum).and_then(|sum| u64::try_from(sum).ok()));
            Answer::Spent(before.collect::<Option<_>>()?)
        }
        act => {
            let (word, rest) = reply::told(value)?;
            match (word, act) {
                ("lost", _) => return Some(Outcome::LeaseOver),
                ("unsettled", Act::TakeSeat(_)) => return Some(Outcome::Unsettled),
                ("late", Act::Post(_)) => Answer::Away,
                ("posted", Act::Post(_)) => {
                    Answer::Posted { hearings: u32::try_from(reply::number(rest.first()?)?).ok()? }
                }
                ("taken", Act::KeepSeat(_)) => {
                    let displaced = rest.get(4).and_then(reply::text)?;
                    return Some(Outcome::Kept(displaced.parse::<ConnectionId>().ok()));
                }
                ("taken", Act::TakeSeat(_)) => {
                    Answer::Seat(SeatAnswer::Taken { evicted: place(rest.get(..2)?), replaced: place(rest.get(2..4)?) })
                }
                ("full", Act::TakeSeat(_)) => {
                    Answer::Seat(SeatAnswer::UserFull { held: rest.chunks_exact(2).filter_map(place).collect() })
                }
                ("agent", Act::TakeSeat(_)) => Answer::Seat(SeatAnswer::AgentTaken(place(rest)?)),
                ("members", _) => {
                    let members = reply::pairs(rest.get(1)?).into_iter();
                    let members = members.filter_map(|(member, count)| Some((member.to_owned(), count.parse().ok()?)));
                    let mut members: Vec<(String, u32)> = members.collect();
                    members.sort();
                    Answer::Present { is_turn: reply::number(rest.first()?)? == 1, members }
                }
                ("gone", Act::Recall { .. }) => Answer::Recalled { position: position(rest)?, texts: None },
                ("recalled", Act::Recall { .. }) => {
                    let texts = reply::list(rest.get(2)?)?.iter().rev().map(remembered).collect::<Option<_>>()?;
                    Answer::Recalled { position: position(rest)?, texts: Some(texts) }
                }
                ("written", Act::Write { .. }) => Answer::Written(Ok(())),
                ("stands", Act::Write { value, .. }) => {
                    let stands = rest.first().and_then(reply::text).map(str::to_owned);
                    // Its own value: the answer of the first attempt was lost.
                    let is_own = errand.again && stands.is_some() && stands == *value;
                    Answer::Written(if is_own { Ok(()) } else { Err(stands) })
                }
                ("knocked", Act::Knock { .. }) => Answer::Knocked(Ok(())),
                ("wait", Act::Knock { .. }) => {
                    Answer::Knocked(Err(Duration::from_micros(reply::text(rest.first()?)?.parse().ok()?)))
                }
                _ => return None,
            }
        }
    };
    Some(Outcome::Answer(answer))
}

/// The value of an entry of a book that is told, and until when it stands; nothing where that is over.
pub(crate) fn standing(entry: &str, now: Timestamp) -> Option<(&str, Option<Timestamp>)> {
    let (until, value) = entry.split_once('\t')?;
    let until = until.parse().ok().map(Timestamp::from_millis);
    until.is_none_or(|until| now < until).then_some((value, until))
}

/// The name of a book that is told, among the keys.
pub(crate) fn book_name(keys: &Keys, book: Book) -> String {
    keys.book(book, "").into_iter().next().unwrap_or_default()
}

pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4).min(i64::MAX / 4)
}

fn place(pair: &[Value]) -> Option<Place> {
    let node = NodeId::parse(reply::text(pair.first()?)?)?;
    let connection = reply::text(pair.get(1)?)?.parse::<ConnectionId>().ok()?;
    Some(Place { node, connection })
}

fn position(pair: &[Value]) -> Option<Position> {
    let epoch = Epoch::parse(reply::text(pair.first()?)?).ok()?;
    Some(Position { epoch, offset: reply::text(pair.get(1)?)?.parse().ok()? })
}

/// An entry of a stream: its offset and its text.
fn remembered(entry: &Value) -> Option<(u64, String)> {
    let entry = reply::list(entry)?;
    let offset = reply::text(entry.first()?)?.split_once('-')?.0.parse().ok()?;
    let text = reply::list(entry.get(1)?)?.get(3).and_then(reply::text)?;
    Some((offset, text.to_owned()))
}
