//! The link of gateways that live in one process: what a single test needs of a cluster, and what tells the law that an
//! engine between machines has to keep.
//!
//! The law: everything happens on one board, under one lock, in one order. A node that takes its arrivals too slowly
//! loses posts and letters, and is told by [`Health::Away`] and [`Arrival::Back`] that it did; answers are never lost.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use gateway_cluster::local::{Rules, Switchboard};
//! use gateway_domain::{Now, Tick, Timestamp, link::{Act, Arrival, NodeId, Order, Ticket}, name::NodeName};
//!
//! let rules = Rules::new(|| Now { tick: Tick::ZERO, wall: Timestamp::from_seconds(1_800_000_000) });
//! let switchboard = Switchboard::new(rules);
//! let node = NodeId::new(&NodeName::unnamed(), uuid::Uuid::new_v4());
//! let (orders, mut arrivals) = switchboard.join(node.clone());
//! orders.send(Order { ticket: Ticket(1), act: Act::Leave }).await.unwrap();
//! assert!(matches!(arrivals.recv().await, Some(Arrival::Nodes(nodes)) if nodes == [node]));
//! # }
//! ```

mod board;
mod books;
mod desk;

use std::{sync::Arc, time::Duration};

use gateway_domain::{
    Now,
    link::{Arrival, Health, NodeId, Order},
};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use self::board::Board;
use crate::Ends;

/// What a switchboard keeps to.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Where it reads the clock.
    pub now: fn() -> Now,
    /// The most orders of a node that wait, and the most arrivals that wait twice over.
    pub queue: usize,
    /// How often a node is told that its loop is fine.
    pub probe: Duration,
}

impl Rules {
    /// The usual ones, on that clock.
    pub const fn new(now: fn() -> Now) -> Self {
        Self { now, queue: 4096, probe: Duration::from_secs(1) }
    }
}

/// Joins gateways of one process. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Switchboard {
    board: Arc<Mutex<Board>>,
    rules: Rules,
}

impl Switchboard {
    /// One that nobody has joined.
    pub fn new(rules: Rules) -> Self {
        Self { board: Arc::new(Mutex::new(Board::new(&rules))), rules }
    }

    /// Joins, as that node. Must be called on a runtime; the link ends with the sender of orders, and what hangs on the
    /// node stays until [`Switchboard::kill`], as with a node that says no more.
    pub fn join(&self, node: NodeId) -> Ends {
        let (orders, ordered) = mpsc::channel(self.rules.queue);
        let (arriving, arrivals) = mpsc::channel(self.rules.queue);
        let bell = self.board.lock().join(node.clone());
        tokio::spawn(serve(Arc::clone(&self.board), self.rules.clone(), node, Line { ordered, arriving, bell }));
        (orders, arrivals)
    }

    /// That node's lease ends: all that hangs on it is given back, and the others hear of it. Where the node still runs, it
    /// finds that out when it is healed.
    pub fn kill(&self, node: &NodeId) {
        self.board.lock().kill(node);
    }

    /// Cuts a node off: its orders are answered by [`Away`](gateway_domain::link::Answer::Away), and nothing of the others reaches it. Its lease holds.
    pub fn cut(&self, node: &NodeId) {
        self.board.lock().cut(node);
    }

    /// Joins a node again that was cut off: what it holds and follows stands again, and it is told [`Arrival::Back`].
    pub fn heal(&self, node: &NodeId) {
        self.board.lock().heal(node);
    }

    /// Forgets what rooms remember: each begins a new epoch, as after a failover that may have lost some.
    pub fn new_epoch(&self) {
        self.board.lock().new_epoch();
    }
}

/// The board's ends of what a house has.
struct Line {
    ordered: mpsc::Receiver<Order>,
    arriving: mpsc::Sender<Arrival>,
    bell: Arc<tokio::sync::Notify>,
}

/// Does what one node orders, and carries to it what the board has for it.
async fn serve(board: Arc<Mutex<Board>>, rules: Rules, node: NodeId, mut line: Line) {
    let mut probes = tokio::time::interval(rules.probe);
    probes.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        loop {
            let next = board.lock().next_for(&node);
            let Some(arrival) = next else { break };
            if line.arriving.send(arrival).await.is_err() {
                return;
            }
        }
        tokio::select! {
            biased;
            () = line.bell.notified() => {}
            _ = probes.tick() => board.lock().probe(&node),
            order = line.ordered.recv() => {
                let Some(Order { ticket, act }) = order else { return board.lock().end(&node) };
                let now = (rules.now)();
                let mut board = board.lock();
                let answer = board.perform(&node, ticket, act, now);
                board.tell(&node, Arrival::Answer(ticket, answer));
            }
        }
    }
}

/// What a node is told when it is cut off and when it is not.
const fn health(away: bool) -> Arrival {
    Arrival::Health(if away { Health::Away } else { Health::Up(Duration::ZERO) })
}

#[cfg(test)]
mod tests;
