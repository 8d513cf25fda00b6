//! Requests of those who hold no connection: a call of the HTTP API asks, and waits for what comes.
//!
//! A call is an asker like any other, with a name of its own among the connections. Letting go of it is the asker's
//! end: whoever was asked is told that nobody waits any more.

use std::{sync::Arc, time::Duration};

use gateway_domain::{ConnectionId, Now, Refusal, RequestId, target::Target, trace::Trace};
use gateway_transport::Text;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::{Asker, Hub, books::Books};

/// So much progress waits for a caller; more is let go, for the next says more.
const MOST_PROGRESS: usize = 64;

/// A request under way.
#[derive(Debug)]
pub struct Calling {
    hub: Arc<Hub>,
    asker: ConnectionId,
    /// Replies with more to come, as an asker reads them.
    pub progress: mpsc::Receiver<Text>,
    /// How it ends.
    pub end: oneshot::Receiver<Ended>,
}

/// How a request ended.
#[derive(Debug)]
pub enum Ended {
    /// By its last reply, as an asker reads it.
    Replied(Text),
    /// By one of the errors of requests.
    Refused(Refusal),
}

/// Where what comes for a call goes.
#[derive(Debug)]
pub(super) struct Line {
    progress: mpsc::Sender<Text>,
    end: oneshot::Sender<Ended>,
}

impl Hub {
    /// Asks one of those who are meant, for somebody who holds no connection. `text` makes what is read, of the asker's
    /// name and the request's.
    pub async fn call(
        self: &Arc<Self>,
        targets: &[Target],
        timeout: Duration,
        trace: Option<Trace>,
        text: impl FnOnce(ConnectionId, RequestId) -> String,
        now: Now,
    ) -> Result<Calling, Refusal> {
        let asker = ConnectionId::new(Uuid::new_v4());
        let (progress, hears_progress) = mpsc::channel(MOST_PROGRESS);
        let (end, hears_end) = oneshot::channel();
        self.books.lock().calls.insert(asker, Line { progress, end });
        // From here on, letting go of it takes the line away again.
        let calling = Calling { hub: Arc::clone(self), asker, progress: hears_progress, end: hears_end };
        let id = RequestId::new(Uuid::new_v4());
        let text = text(asker, id);
        let asking = Asker { asker, asker_id: None, targets: targets.to_vec(), timeout, correlation: None, trace };
        self.ask_abroad(asking, id, text, now).await?;
        Ok(calling)
    }
}

impl Books {
    /// Passes a reply on to a call; with nothing more to come, that is its end.
    pub(super) fn answer_call(&mut self, asker: ConnectionId, text: Text, more: bool) {
        if more {
            if let Some(line) = self.calls.get(&asker) {
                let _ = line.progress.try_send(text);
            }
        } else {
            self.end_call(asker, Ended::Replied(text));
        }
    }

    pub(super) fn end_call(&mut self, asker: ConnectionId, ended: Ended) {
        if let Some(line) = self.calls.remove(&asker) {
            // Whoever called may have gone away.
            let _ = line.end.send(ended);
        }
    }
}

impl Drop for Calling {
    fn drop(&mut self) {
        let mut books = self.hub.books.lock();
        books.calls.remove(&self.asker);
        for request in books.pending.leave(self.asker).orphaned {
            self.hub.tell_orphaned(&books, &request);
        }
    }
}
