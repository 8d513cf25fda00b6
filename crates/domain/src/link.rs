//! What a gateway and the link between several gateways say to each other, in the words of neither's engine.
//!
//! The law: the house sends an [`Order`], the link answers it once, by an [`Arrival::Answer`] with its [`Ticket`], or
//! with [`Answer::Away`] where it cannot be done now; the house has a patience of its own, and may stop waiting. What others
//! do arrives without being asked for. Both ways are bounded queues of whoever composes the two; the house takes what
//! arrives whatever it waits for itself. What nodes tell each
//! other ([`Posting::head`], [`Act::Tell`], the values of a [`Book`]) is opaque here: the link carries it, and never
//! looks inside.
//!
//! The order in which posts arrive is one and the same at every node, the poster's included: a post is heard by being
//! carried around, also where it was said.
//!
//! What a node holds and follows is the link's to remember: seats that were taken or kept, channels that are followed, members
//! that entered. It knows them from the orders, answered or not, and puts them all right again whenever it comes back.

mod channel;
mod seat;

pub use channel::{Channel, NodeId};
pub use seat::{Place, SeatAnswer, SeatClaim};

use std::time::Duration;

use crate::{
    history::{HistoryBounds, Position},
    name::{AgentId, ConnectionId, Room, UserId},
    time::Timestamp,
};

/// Which order an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What the house wants done.
#[derive(Clone, Debug)]
pub struct Order {
    /// Its number, never used twice in a life of the house.
    pub ticket: Ticket,
    /// What.
    pub act: Act,
}

/// The verbs of the link.
#[derive(Clone, Debug)]
pub enum Act {
    /// Takes a seat, counted over all nodes. [`Answer::Seat`].
    TakeSeat(SeatClaim),
    /// Writes down a seat that was given while the link was away, whatever the limit. [`Answer::Done`].
    KeepSeat(SeatClaim),
    /// Gives a seat back, and with it the place of the agent. A seat that is not held is nothing to say of.
    /// [`Answer::Done`].
    LeaveSeat {
        /// Whose.
        user: UserId,
        /// Which.
        connection: ConnectionId,
        /// The agent that it was.
        agent: Option<AgentId>,
    },
    /// Hears a channel: what is posted there after the answer arrives. [`Answer::Done`].
    Follow(Channel),
    /// Hears a channel no more. [`Answer::Done`].
    Unfollow(Channel),
    /// Carries a text to every node that follows one of the channels, once to each. [`Answer::Posted`].
    Post(Posting),
    /// Tells another node, or all. [`Answer::Told`].
    Tell {
        /// Whom.
        to: Hearer,
        /// What.
        letter: String,
    },
    /// Reads what a room remembers behind a position, or its latest. [`Answer::Recalled`].
    Recall {
        /// Which room.
        room: Room,
        /// Behind that; without it no text, only where the room stands.
        since: Option<Position>,
        /// Instead of a position: so many of the latest.
        latest: Option<usize>,
        /// What may be remembered of it.
        bounds: HistoryBounds,
    },
    /// One more connection of a member subscribed to a room. [`Answer::Present`].
    Enter {
        /// Which room.
        room: Room,
        /// Who, in words that are the same for all connections of that member.
        member: String,
    },
    /// One connection of a member left a room. [`Answer::Present`].
    Exit {
        /// Which room.
        room: Room,
        /// Who.
        member: String,
    },
    /// Who is subscribed to a room. [`Answer::Present`].
    Members(Room),
    /// Writes a value into a book that all nodes read, or takes it out. Every node, this one not, hears it as
    /// [`Arrival::Written`]. [`Answer::Written`].
    Write {
        /// Which book.
        book: Book,
        /// Under which name.
        key: String,
        /// What; nothing takes it out.
        value: Option<String>,
        /// It is forgotten then.
        until: Option<Timestamp>,
        /// Only where the value is this one by now. Without it: whatever it is.
        expected: Option<Expected>,
    },
    /// Reads a value of a book. [`Answer::Read`].
    Read {
        /// Which book.
        book: Book,
        /// Under which name.
        key: String,
    },
    /// One more knock of somebody, at a rate counted over all nodes. [`Answer::Knocked`].
    Knock {
        /// Who, for instance `user:ann`.
        key: String,
        /// How long one knock is paid for by.
        every: Duration,
        /// How many may come at once.
        burst: u32,
    },
    /// How much was spent here since the last time, by key; the answer says what the others spent. [`Answer::Spent`].
    Spend(Vec<(String, u64)>),
    /// The house is leaving: everything that hangs on this node is given back at once. [`Answer::Done`].
    Leave,
}

/// What a value must be for it to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// None.
    Absent,
    /// Just this.
    Value(String),
}

/// A text for all who follow one of several channels.
#[derive(Clone, Debug)]
pub struct Posting {
    /// Where it is heard. A node that follows several of them hears it once.
    pub channels: Vec<Channel>,
    /// The rooms among them that remember, and how much: in each of these the text gets the next offset.
    pub remembered: Vec<(Room, HistoryBounds)>,
    /// What a node has to know to hand it out. Not remembered.
    pub head: String,
    /// What is said.
    pub text: String,
    /// It is not carried any more when it waited for so long: then the poster was told that it was not.
    pub patience: Duration,
}

/// Who hears what a node tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hearer {
    /// That node.
    Node(NodeId),
    /// Every node, this one too.
    All,
    /// Every node that follows the channel, in one order with what is posted there.
    Channel(Channel),
}

/// A book that all nodes read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Book {
    /// Who is banned: every node hears each change, and all of it when it joins.
    Bans,
    /// What is revoked: the same.
    Revocations,
    /// Refresh families: read and written one by one.
    Families,
    /// Events and questions that are known again: read and written one by one.
    Once,
    /// Connections that went with their node, and the node that tells of it: read and written one by one.
    Gone,
}

impl Book {
    /// Whether every node hears what is written there.
    pub const fn is_told(self) -> bool {
        match self {
            Self::Bans | Self::Revocations => true,
            Self::Families | Self::Once | Self::Gone => false,
        }
    }
}

/// How an order came out.
#[derive(Clone, Debug)]
pub enum Answer {
    /// It is done.
    Done,
    /// It was not done: the link is away, or too busy. A post will not be carried any more, a seat is not taken; but what
    /// the node holds and follows from then on ([`Act::KeepSeat`], [`Act::LeaveSeat`], [`Act::Follow`],
    /// [`Act::Unfollow`], [`Act::Enter`], [`Act::Exit`]) is remembered, and stands when the link is back.
    Away,
    /// A seat, or why not.
    Seat(SeatAnswer),
    /// The text is on its way, and is heard so often: by each node that follows, this one too, once for each channel
    /// of it that the node follows. Each finds its own share in [`Arrival::Post`].
    Posted {
        /// How often.
        hearings: u32,
    },
    /// So many nodes are told.
    Told {
        /// How many.
        nodes: u32,
    },
    /// What a room remembers.
    Recalled {
        /// Where it stands.
        position: Position,
        /// Everything behind the position that was asked for, or the latest, the oldest first, each with its offset.
        /// None: part of it is gone, or it is of another epoch.
        texts: Option<Vec<(u64, String)>>,
    },
    /// Who is subscribed to the room, over all nodes, in the order of names, and with how many connections.
    Present {
        /// Whether this was the first connection of the member to come, or the last to go.
        is_turn: bool,
        /// Who. No more than the link keeps count of.
        members: Vec<(String, u32)>,
    },
    /// Whether it was written; where not, what stands there.
    Written(Result<(), Option<String>>),
    /// What stands there.
    Read(Option<String>),
    /// Whether it may, and if not, how long to wait.
    Knocked(Result<(), Duration>),
    /// What the other nodes spent since the last time, for the same keys in the same order.
    Spent(Vec<u64>),
}

/// What the link says.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// An order came out so.
    Answer(Ticket, Answer),
    /// Somebody said something, here or elsewhere.
    Post {
        /// Where.
        from: NodeId,
        /// The order of that node.
        ticket: Ticket,
        /// How many of its channels this node follows: its share of what the poster is told.
        hearings: u32,
        /// Its place in the rooms that remember and that this node follows.
        places: Vec<(Room, Position)>,
        /// What the poster says of it.
        head: String,
        /// What is said.
        text: String,
    },
    /// A node tells something.
    Letter {
        /// Which node.
        from: NodeId,
        /// What.
        letter: String,
    },
    /// A value of a book that is told was written, or taken out, by another node, or stands there when the link comes
    /// back.
    Written {
        /// Which book.
        book: Book,
        /// Under which name.
        key: String,
        /// What.
        value: Option<String>,
    },
    /// Who is here, whenever that changes; this node among them.
    Nodes(Vec<NodeId>),
    /// A node is gone without a word, and all that hung on its lease is given back. Told to every node.
    NodeLost(NodeId),
    /// That agent went with its node. Told to one of those who are left.
    AgentLost {
        /// Who.
        agent: AgentId,
        /// When its node was heard of last.
        last_seen: Timestamp,
    },
    /// The last connection of that member went with its node. Told to one of those who are left.
    MemberLost {
        /// Of which room.
        room: Room,
        /// Who.
        member: String,
    },
    /// A connection of which its node left a note went with that node. Told to one of those who are left, and only where it
    /// does not stand in [`Book::Gone`] yet; from now on it does, under the name of the node that is told.
    SeatLost {
        /// The note.
        note: String,
    },
    /// This node was taken for lost, and that connection of its with it, which others were told; it stands again.
    SeatFound(ConnectionId),
    /// The same of a member, who was in that room by this node alone.
    MemberFound {
        /// Of which room.
        room: Room,
        /// Who.
        member: String,
    },
    /// While nodes did not hear each other, the agent of that connection came by a newer one: it has to end as replaced.
    Displaced(ConnectionId),
    /// The link is there, or not, or its loop takes so long. Told when it changes, and with every probe.
    Health(Health),
    /// The link was away and is back, and all that this node holds and follows stands again. What was posted in
    /// between did not arrive: rooms that remember can be recalled.
    Back,
}

/// Whether the link does its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// What this node sent to itself through it came back after so long.
    Up(Duration),
    /// It did not.
    Away,
}
