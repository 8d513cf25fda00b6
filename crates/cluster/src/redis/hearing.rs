//! What arrives over the connection that hears: in the order in which Redis said it, each thing once.
//!
//! The law: nothing here waits. What the house does not take in time overruns its queue, and ends the connection: then it is
//! told that it was away, which is the truth.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use gateway_domain::{
    ConnectionId, Now, Tick,
    link::{Arrival, Channel, NodeId, Ticket},
};
use parking_lot::Mutex;
use redis::{
    PushInfo, PushKind, Value,
    aio::{AsyncPushSender, SendError},
};
use tokio::sync::{Notify, mpsc, mpsc::error::TrySendError};

use super::{
    fault::Fault,
    keys::{self, Keys},
    mirror::Mirror,
    reply,
    wire::{self, Strange, Told},
};

/// How many posts are known again. Copies of one follow each other at once.
const KNOWN_AGAIN: usize = 256;

/// What one connection hears.
pub(crate) struct Hearing {
    node: NodeId,
    keys: Keys,
    now: fn() -> Now,
    arrivals: mpsc::Sender<Arrival>,
    mirror: Arc<Mutex<Mirror>>,
    state: Mutex<State>,
    bell: Notify,
    strange: AtomicU64,
}

#[derive(Default)]
struct State {
    /// What is followed by now, by the last parts of the names.
    followed: HashSet<Box<str>>,
    nodes: HashMap<Box<str>, NodeId>,
    heard: VecDeque<(NodeId, Ticket)>,
    probe: Option<(u64, Tick)>,
    /// Own posts that came back, for those whose answer was lost.
    own: VecDeque<(Ticket, u32)>,
    fault: Option<Fault>,
}

impl Hearing {
    pub(crate) fn new(
        node: NodeId,
        keys: Keys,
        now: fn() -> Now,
        arrivals: mpsc::Sender<Arrival>,
        mirror: Arc<Mutex<Mirror>>,
    ) -> Self {
        let (state, bell) = (Mutex::default(), Notify::new());
        Self { node, keys, now, arrivals, mirror, state, bell, strange: AtomicU64::new(0) }
    }

    /// Waits until there is something that [`Self::fault`] or [`Self::probe`] has.
    pub(crate) async fn rung(&self) {
        self.bell.notified().await;
    }

    /// Why nothing is heard any more.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.state.lock().fault.clone()
    }

    /// The latest probe that came back, and when.
    pub(crate) fn probe(&self) -> Option<(u64, Tick)> {
        self.state.lock().probe.take()
    }

    /// How often this node heard a post of its own, where it did lately.
    pub(crate) fn own(&self, ticket: Ticket) -> Option<u32> {
        self.state.lock().own.iter().find(|(own, _)| *own == ticket).map(|(_, hearings)| *hearings)
    }

    fn end(&self, fault: Fault) {
        self.state.lock().fault.get_or_insert(fault);
        self.bell.notify_one();
    }

    fn pass(&self, arrival: Arrival) {
        match self.arrivals.try_send(arrival) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => self.end(Fault::Overrun { queue: self.arrivals.max_capacity() }),
            Err(TrySendError::Closed(_)) => self.end(Fault::Broken { reason: "nobody listens".to_owned() }),
        }
    }

    fn take(&self, told: &str) -> Result<(), Strange> {
        match wire::read(told)? {
            Told::Post { node, ticket, channels, places, head, text } => {
                let mut state = self.state.lock();
                let from = state.node(node).ok_or(Strange::Broken)?;
                // What was said to one channel comes once.
                if channels.len() > 1 {
                    if state.heard.iter().rev().any(|(node, known)| *known == ticket && *node == from) {
                        return Ok(());
                    }
                    state.heard.push_back((from.clone(), ticket));
                    if state.heard.len() > KNOWN_AGAIN {
                        state.heard.pop_front();
                    }
                }
                let hearings = match channels.as_slice() {
                    [_] => 1,
                    several => {
                        let mut counted = HashSet::new();
                        let followed =
                            several.iter().filter(|tag| state.followed.contains(**tag) && counted.insert(**tag));
                        u32::try_from(followed.count()).unwrap_or(u32::MAX)
                    }
                };
                if from == self.node {
                    state.own.push_back((ticket, hearings));
                    if state.own.len() > KNOWN_AGAIN {
                        state.own.pop_front();
                    }
                }
                let is_followed = |room: &gateway_domain::Room| {
                    let tag = keys::tag(&Channel::Room(room.clone()));
                    state.followed.contains(tag.as_str())
                };
                let places = if channels.len() == 1 && places.len() == 1 {
                    places
                } else {
                    places.into_iter().filter(|(room, _)| is_followed(room)).collect()
                };
                drop(state);
                let (head, text) = (head.to_owned(), text.to_owned());
                self.pass(Arrival::Post { from, ticket, hearings, places, head, text });
            }
            Told::Letter { node, letter } => {
                let from = self.state.lock().node(node).ok_or(Strange::Broken)?;
                self.pass(Arrival::Letter { from, letter: letter.to_owned() });
            }
            Told::Written { node, book, key, value, until } => {
                if node != self.node.as_str() {
                    self.mirror.lock().note(book, key, value.map(|value| (value.to_owned(), until)));
                    self.pass(Arrival::Written { book, key: key.to_owned(), value: value.map(str::to_owned) });
                }
            }
            Told::Lost { node } => {
                let mut state = self.state.lock();
                let node = state.node(node).ok_or(Strange::Broken)?;
                state.nodes.remove(node.as_str());
                drop(state);
                if node != self.node {
                    self.pass(Arrival::NodeLost(node));
                }
            }
            Told::Displaced { connection } => {
                let connection = connection.parse::<ConnectionId>().map_err(|_| Strange::Broken)?;
                self.pass(Arrival::Displaced(connection));
            }
            Told::Probe(number) => {
                self.state.lock().probe = Some((number, (self.now)().tick));
                self.bell.notify_one();
            }
        }
        Ok(())
    }

    fn strange(&self, channel: &str, why: Strange) {
        let count = self.strange.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_power_of_two() {
            tracing::warn!(channel, ?why, count, "something that was told by the link is not understood");
        }
    }
}

impl State {
    /// The node of that name. Few names come, over and over.
    fn node(&mut self, name: &str) -> Option<NodeId> {
        if let Some(known) = self.nodes.get(name) {
            return Some(known.clone());
        }
        let node = NodeId::parse(name)?;
        if self.nodes.len() >= 4096 {
            self.nodes.clear();
        }
        self.nodes.insert(name.into(), node.clone());
        Some(node)
    }
}

impl AsyncPushSender for Hearing {
    fn send(&self, info: PushInfo) -> Result<(), SendError> {
        let mut texts = info.data.iter();
        let Some(channel) = texts.next().and_then(reply::text) else {
            if info.kind == PushKind::Disconnection {
                self.end(Fault::Broken { reason: "Redis closed it".to_owned() });
            }
            return Ok(());
        };
        let tag = self.keys.tag_of(channel);
        match (info.kind, tag, texts.next()) {
            (PushKind::Subscribe, Some(tag), _) => {
                self.state.lock().followed.insert(tag.into());
            }
            (PushKind::Unsubscribe, Some(tag), _) => {
                self.state.lock().followed.remove(tag);
            }
            (PushKind::Message, Some(_), Some(Value::BulkString(told))) => {
                let taken = std::str::from_utf8(told).map_err(|_| Strange::Broken).and_then(|told| self.take(told));
                if let Err(why) = taken {
                    self.strange(channel, why);
                }
            }
            _ => {}
        }
        Ok(())
    }
}
