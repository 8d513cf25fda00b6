//! The names of all keys and channels. What belongs together has the same word in braces, so that a Redis that shares its keys
//! among several could keep it together, too.

use gateway_domain::{
    AgentId, Room, UserId,
    link::{Book, Channel, NodeId},
};

/// The version of names, values and what is told. Releases that can work side by side have the same.
pub(crate) const VERSION: u32 = 1;

/// Every kind of name behind `PREFIX:1:`: the first four stand while any node does, the rest come and go.
pub const NAMES: &[&str] = &[
    "nodes",
    "lost",
    "generation",
    "settled",
    "seats:{user:*}",
    "agent:{agent:*}",
    "held:{node:*}",
    "notes:{node:*}",
    "in:{node:*}",
    "members:{room:*}",
    "room:{room:*}",
    "texts:{room:*}",
    "book:bans",
    "book:bans:until",
    "book:revocations",
    "book:revocations:until",
    "family:{*}",
    "once:{*}",
    "gone:{*}",
    "knock:{*}",
    "spent:{*}",
    "at:{room:*}",
    "at:{agent:*}",
    "at:{role:*}",
    "at:{endpoint:*}",
    "at:{every}",
    "at:{node:*}",
    "at:{all}",
];

/// What they all begin with.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    start: String,
}

impl Keys {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { start: format!("{prefix}:{VERSION}:") }
    }

    /// What all begin with, for scripts that find names by themselves.
    pub(crate) fn start(&self) -> &str {
        &self.start
    }

    /// Whose lease ends when (ms).
    pub(crate) fn nodes(&self) -> String {
        format!("{}nodes", self.start)
    }

    /// Whose lease is over, and when they were heard of last (ms), until all that hung on them is given back.
    pub(crate) fn lost(&self) -> String {
        format!("{}lost", self.start)
    }

    /// How often data may have been lost.
    pub(crate) fn generation(&self) -> String {
        format!("{}generation", self.start)
    }

    /// In which generation each node has put back what it holds.
    pub(crate) fn settled(&self) -> String {
        format!("{}settled", self.start)
    }

    pub(crate) fn seats(&self, user: &UserId) -> String {
        format!("{}seats:{{user:{user}}}", self.start)
    }

    pub(crate) fn agent(&self, agent: &AgentId) -> String {
        format!("{}agent:{{agent:{agent}}}", self.start)
    }

    /// The seats that a node holds.
    pub(crate) fn held(&self, node: &NodeId) -> String {
        format!("{}held:{{node:{node}}}", self.start)
    }

    /// What is to be known of the connections of a node, should it be lost.
    pub(crate) fn notes(&self, node: &NodeId) -> String {
        format!("{}notes:{{node:{node}}}", self.start)
    }

    /// The rooms that members are in by a node.
    pub(crate) fn places(&self, node: &NodeId) -> String {
        format!("{}in:{{node:{node}}}", self.start)
    }

    pub(crate) fn members(&self, room: &Room) -> String {
        format!("{}members:{{room:{room}}}", self.start)
    }

    /// Where a room stands.
    pub(crate) fn room(&self, room: &Room) -> String {
        format!("{}room:{{room:{room}}}", self.start)
    }

    /// What a room remembers.
    pub(crate) fn texts(&self, room: &Room) -> String {
        format!("{}texts:{{room:{room}}}", self.start)
    }

    /// A book as a whole, and when its entries end; or one entry of a book that has none.
    pub(crate) fn book(&self, book: Book, key: &str) -> Vec<String> {
        let start = &self.start;
        match book {
            Book::Bans => vec![format!("{start}book:bans"), format!("{start}book:bans:until")],
            Book::Revocations => vec![format!("{start}book:revocations"), format!("{start}book:revocations:until")],
            Book::Families => vec![format!("{start}family:{{{key}}}")],
            Book::Once => vec![format!("{start}once:{{{key}}}")],
            Book::Gone => vec![format!("{start}gone:{{{key}}}")],
        }
    }

    pub(crate) fn knock(&self, key: &str) -> String {
        format!("{}knock:{{{key}}}", self.start)
    }

    pub(crate) fn spent(&self, key: &str) -> String {
        format!("{}spent:{{{key}}}", self.start)
    }

    /// Where what is said to that channel is published.
    pub(crate) fn channel(&self, channel: &Channel) -> String {
        format!("{}at:{}", self.start, tag(channel))
    }

    /// Where a node hears what is meant for it alone.
    pub(crate) fn to_node(&self, node: &NodeId) -> String {
        format!("{}at:{{node:{node}}}", self.start)
    }

    /// Where every node hears what nodes tell each other.
    pub(crate) fn to_all(&self) -> String {
        format!("{}at:{{all}}", self.start)
    }

    /// The last part of a channel's name.
    pub(crate) fn tag_of<'a>(&self, name: &'a str) -> Option<&'a str> {
        name.strip_prefix(self.start.as_str())?.strip_prefix("at:")
    }
}

/// The last part of a channel's name, which what is told names it by.
pub(crate) fn tag(channel: &Channel) -> String {
    match channel {
        Channel::Room(room) => format!("{{room:{room}}}"),
        Channel::Agent(agent) => format!("{{agent:{agent}}}"),
        Channel::Role(role) => format!("{{role:{role}}}"),
        Channel::Endpoint(path) => format!("{{endpoint:{path}}}"),
        Channel::Every => "{every}".to_owned(),
    }
}
