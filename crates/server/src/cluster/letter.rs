//! What nodes tell each other: versioned JSON.
//!
//! Two releases run side by side while a cluster is upgraded. A letter of a kind that is not known, or that cannot be
//! read, is let go and counted; a member that is not known is passed over; a new member has a default.

use std::time::Duration;

use gateway_domain::{
    AgentId, Code, ConnectionId, Refusal, RequestId, Room, UserId, ban::Ban, revocation::Revocation, rooms::Present,
    route::Correlation, trace::Trace,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::told;

/// The version of letters as they are written here.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Written<'a> {
    v: u32,
    letter: &'a Letter,
}

#[derive(Deserialize)]
struct Read {
    letter: Letter,
}

/// What a node tells another.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Letter {
    /// This connection of yours has to go.
    End {
        user: UserId,
        connection: ConnectionId,
        agent: Option<AgentId>,
        code: String,
        /// Who wants to know when it is done.
        #[serde(default)]
        asked: Option<RequestId>,
    },
    /// That is done.
    Done { asked: RequestId },
    /// Find out whether these connections of yours live.
    Probe { connections: Vec<ConnectionId> },
    /// Into so many outboxes that post was put here.
    Counted { ticket: u64, hearings: u32, count: usize },
    /// Somebody came into a room, or left it.
    Present { room: Room, member: Present, came: bool },
    /// Who among those that these targets mean could be asked?
    Seek { seek: RequestId, targets: Vec<String>, asker: ConnectionId },
    /// These here.
    Offers { seek: RequestId, offers: Vec<Offer> },
    /// Ask that one.
    Ask(Box<Ask>),
    /// It was not here any more: nothing was delivered.
    Unasked { request: RequestId },
    /// It answers.
    Replied { request: RequestId, more: bool, text: String },
    /// It left without an answer.
    Lost { request: RequestId },
    /// The asker needs no answer any more; the request stays open.
    Cancel { request: RequestId },
    /// The asker has left.
    Orphaned { request: RequestId },
    /// The request is over, whatever is still answered.
    Over { request: RequestId },
    /// What have you of that?
    Gather { asked: RequestId, question: Box<Question> },
    /// This.
    Gathered { asked: RequestId, found: Box<Found> },
}

/// Somebody who could be asked.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Offer {
    pub(crate) connection: ConnectionId,
    /// How many requests wait for its answer.
    pub(crate) open: usize,
}

/// A request for a connection of another node's.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ask {
    pub(crate) request: RequestId,
    pub(crate) receiver: ConnectionId,
    pub(crate) asker: ConnectionId,
    pub(crate) asker_id: Option<Box<str>>,
    pub(crate) correlation: Option<Correlation>,
    pub(crate) timeout_millis: u64,
    /// The trace that it belongs to.
    #[serde(default, with = "told", skip_serializing_if = "Option::is_none")]
    pub(crate) traceparent: Option<Trace>,
    pub(crate) text: String,
}

impl Ask {
    pub(crate) const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_millis)
    }
}

/// What is asked of all nodes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Question {
    /// A page of the connections.
    Connections(Spread),
    /// That connection.
    Connection(ConnectionId),
    /// That connection, and it has to go.
    EndConnection { connection: ConnectionId, by: UserId },
    /// The connections of that user, and its violations.
    User(UserId),
    /// The same, and they have to go.
    EndUser { user: UserId, by: UserId },
    /// A page of the agents.
    Agents(Spread),
    /// Every agent, as its followers read it.
    Online,
    /// A page of the rooms.
    Rooms(Spread),
    /// That room.
    Room(Room),
    /// Whom that ban meets; where it is laid by this, they go.
    Banned { ban: Ban, laid: bool },
    /// Whom that revocation meets: they go.
    Revoked { revocation: Revocation, by: UserId },
}

/// Which page of a list is wanted, and which entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spread {
    /// Behind that entry.
    pub(crate) after: Option<String>,
    /// So many.
    pub(crate) most: usize,
    /// Of that user.
    #[serde(default)]
    pub(crate) user: Option<String>,
    /// Of that role.
    #[serde(default)]
    pub(crate) role: Option<String>,
    /// At that endpoint.
    #[serde(default)]
    pub(crate) endpoint: Option<String>,
    /// Whose names begin like this.
    #[serde(default)]
    pub(crate) prefix: Option<String>,
}

/// What a node has of what was asked.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Found {
    /// How many there are in all, wanted or not; or how many it met.
    pub(crate) total: usize,
    /// Those that are wanted, in the order of their names.
    pub(crate) entries: Vec<(String, Box<RawValue>)>,
    /// How many violations are remembered of that user, and how long its penalty lasts.
    #[serde(default)]
    pub(crate) violations: u32,
    #[serde(default)]
    pub(crate) penalty_seconds: Option<u64>,
}

/// Reads why a connection has to go, by the name of a code that ends one.
pub(crate) fn ended(code: &str) -> Refusal {
    let known = Code::ALL.iter().find(|known| known.name() == code && known.close_code().is_some());
    Refusal::plain(known.copied().unwrap_or(Code::Disconnected))
}

impl Letter {
    /// As it is written.
    pub(crate) fn to_text(&self) -> String {
        // It is made of names and numbers, and always has a JSON form.
        serde_json::to_string(&Written { v: VERSION, letter: self }).unwrap_or_default()
    }

    /// Reads what another node has written; none, where that means nothing here.
    pub(crate) fn read(text: &str) -> Option<Self> {
        serde_json::from_str::<Read>(text).ok().map(|read| read.letter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_domain::route::Scalar;
    use uuid::Uuid;

    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_letter_survives_the_way() {
        let ask = Ask {
            request: RequestId::new(Uuid::from_u128(1)),
            receiver: ConnectionId::new(Uuid::from_u128(2)),
            asker: ConnectionId::new(Uuid::from_u128(3)),
            asker_id: Some("q\"1".into()),
            correlation: Some(Correlation { path: "payload.id".into(), value: Scalar::Integer(i128::from(u64::MAX)) }),
            timeout_millis: 1500,
            traceparent: TRACE.parse().ok(),
            text: r#"{"type":"x"}"#.into(),
        };
        let text = Letter::Ask(Box::new(ask)).to_text();
        let Some(Letter::Ask(read)) = Letter::read(&text) else { panic!("{text}") };
        assert_eq!((read.timeout(), read.asker_id.as_deref()), (Duration::from_millis(1500), Some("q\"1")));
        assert_eq!(read.traceparent.map(|trace| trace.to_string()).as_deref(), Some(TRACE));
        assert_eq!(read.correlation.unwrap().value, Scalar::Integer(i128::from(u64::MAX)));
        let found = Found {
            total: 3,
            entries: vec![("a".into(), RawValue::from_string(r#"{"n": 1.50}"#.into()).unwrap())],
            ..Found::default()
        };
        let asked = RequestId::new(Uuid::nil());
        let text = Letter::Gathered { asked, found: Box::new(found) }.to_text();
        let Some(Letter::Gathered { found, .. }) = Letter::read(&text) else { panic!("{text}") };
        assert_eq!(found.entries[0].1.get(), r#"{"n": 1.50}"#, "byte for byte");
    }

    #[test]
    fn what_a_newer_release_writes_is_let_go_or_read_as_far_as_it_is_known() {
        assert!(Letter::read(r#"{"v":2,"letter":{"sing":{"song":1}}}"#).is_none());
        assert!(Letter::read("nonsense").is_none());
        let older = Letter::read(&older_ask(r#""#)).zip(Letter::read(&older_ask(r#","traceparent":[1]"#)));
        let (Letter::Ask(older), Letter::Ask(newer)) = older.unwrap() else { panic!("these ask") };
        assert_eq!((older.traceparent, newer.traceparent), (None, None));
        let newer = r#"{"v":2,"mood":"good","letter":{"counted":{"ticket":7,"hearings":1,"count":3,"more":true}}}"#;
        assert!(matches!(Letter::read(newer), Some(Letter::Counted { ticket: 7, hearings: 1, count: 3 })));
    }

    fn older_ask(more: &str) -> String {
        let id = Uuid::nil();
        format!(
            r#"{{"v":1,"letter":{{"ask":{{"request":"{id}","receiver":"{id}","asker":"{id}","timeout_millis":5,"text":"{{}}"{more}}}}}}}"#
        )
    }

    #[test]
    fn only_what_ends_a_connection_is_an_end() {
        assert_eq!(ended("REPLACED").code, Code::Replaced);
        assert_eq!(ended("FORBIDDEN").code, Code::Disconnected);
        assert_eq!(ended("SOMETHING_NEW").code, Code::Disconnected);
    }
}
