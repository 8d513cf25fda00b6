//! Questions to all nodes, and their answers: as many as come in time, and the names of those that did not answer.

use std::{sync::Arc, time::Duration};

use gateway_domain::{
    ConnectionId, RequestId,
    link::{Answer, Hearer, NodeId},
};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::{
    cluster::{Found, Letter, Link, Offer, Question},
    hub::Hub,
};

/// So long all nodes have to answer.
pub(crate) const GATHERING: Duration = Duration::from_secs(1);
/// No more nodes than that are waited for.
const MOST_NODES: usize = 256;

/// Where answers go.
#[derive(Debug)]
pub(super) struct Gathering(mpsc::Sender<(NodeId, Said)>);

/// What a node says.
#[derive(Debug)]
pub(super) enum Said {
    Found(Box<Found>),
    Offers(Vec<Offer>),
    Done,
}

/// What all nodes say.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// Of each that answered.
    pub(crate) found: Vec<(NodeId, Found)>,
    /// Those that did not.
    #[cfg_attr(not(feature = "net"), allow(dead_code, reason = "the HTTP API alone asks for it"))]
    pub(crate) missing: Vec<String>,
}

/// Answers that are awaited: nobody waits any more when this goes.
pub(super) struct Awaiting {
    hub: Arc<Hub>,
    asked: RequestId,
    answers: mpsc::Receiver<(NodeId, Said)>,
}

impl Drop for Awaiting {
    fn drop(&mut self) {
        self.hub.books.lock().linked.gathers.remove(&self.asked);
    }
}

impl Awaiting {
    /// The first answer, where one comes in time.
    pub(super) async fn first(mut self, patience: Duration) -> Option<(NodeId, Said)> {
        tokio::time::timeout(patience, self.answers.recv()).await.ok().flatten()
    }

    /// As many answers, or those that come in time.
    pub(super) async fn all(mut self, count: usize, patience: Duration) -> Vec<(NodeId, Said)> {
        let mut answers = Vec::new();
        let gathering = async {
            while answers.len() < count
                && let Some(answer) = self.answers.recv().await
            {
                answers.push(answer);
            }
        };
        let _ = tokio::time::timeout(patience, gathering).await;
        answers
    }
}

impl Hub {
    /// Whoever answers to that name is heard by this.
    pub(super) fn awaits(self: &Arc<Self>, asked: RequestId, most: usize) -> Awaiting {
        let (tells, answers) = mpsc::channel(most.max(1));
        self.books.lock().linked.gathers.insert(asked, Gathering(tells));
        Awaiting { hub: Arc::clone(self), asked, answers }
    }

    /// A node has answered.
    pub(super) fn answers(&self, asked: RequestId, from: NodeId, said: Said) {
        let books = self.books.lock();
        if let Some(Gathering(tells)) = books.linked.gathers.get(&asked) {
            // An answer too many is no answer.
            let _ = tells.try_send((from, said));
        }
    }

    /// Asks all nodes, this one too. Without any others that can be reached, none is there.
    pub(crate) async fn gather(self: &Arc<Self>, link: &Arc<Link>, question: Question) -> Gathered {
        let asked = RequestId::new(Uuid::new_v4());
        let nodes = link.nodes();
        let awaiting = self.awaits(asked, MOST_NODES);
        let letter = Letter::Gather { asked, question: Box::new(question) };
        let told = match link.tell_all(Hearer::All, &letter).answer().await {
            Answer::Told { nodes } => nodes as usize,
            _ => 0,
        };
        let answers = awaiting.all(told.min(MOST_NODES), GATHERING).await;
        let found = answers.into_iter().filter_map(|(node, said)| match said {
            Said::Found(found) => Some((node, *found)),
            Said::Offers(_) | Said::Done => None,
        });
        let found: Vec<_> = found.collect();
        let missing = nodes.iter().filter(|node| found.iter().all(|(other, _)| other != *node));
        Gathered { missing: missing.map(|node| node.name().to_owned()).collect(), found }
    }
}

/// An offer to be asked, and where.
pub(super) type Offered = (NodeId, ConnectionId, usize);
