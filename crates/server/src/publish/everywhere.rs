//! One event once, at whichever gateway it comes again: the first to write its id down tells it, the others give its answer.

use std::{sync::Arc, time::Duration};

use gateway_domain::{Code, EventId, Now, Refusal};
use serde::{Deserialize, Serialize};

use super::{
    Draft, Published,
    once::{self, First, Unknown},
};
use crate::{cluster::Link, hub::Scope};

/// How often, and how long, an answer is asked for that another gateway has not given yet.
const ASK_EVERY: Duration = Duration::from_millis(50);
const ASK_FOR: u32 = 60;

/// What is written down of an event.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    /// Of its body: another body under the same id is a contradiction.
    digest: String,
    /// To how many it was told, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delivered: Option<usize>,
}

/// Whose an event is to tell.
pub(super) enum Turn {
    /// Ours; what came of it is to be written down.
    Ours(Claimed),
    /// It was told before.
    Told(Published),
    /// Nobody can say now: it is known again at this gateway alone.
    Unknown,
}

/// An id that was written down for the first time.
pub(super) struct Claimed {
    note: once::Note,
    entry: Entry,
}

/// Writes an id down, or finds what was written.
pub(super) async fn turn(link: &Arc<Link>, draft: &Draft, id: EventId, now: Now) -> Result<Turn, Refusal> {
    let (to, kind, payload) = draft.body();
    let to: Vec<_> = to.iter().map(ToString::to_string).collect();
    let digest = once::digest(&format!("{to:?}\n{kind}\n{payload}"));
    let note = once::Note::new(link, format!("event:{id}"), now);
    let claimed = Claimed { note, entry: Entry { digest, delivered: None } };
    let known = |delivered| Published { event_id: id, delivered, scope: Scope::Cluster, duplicate: true };
    let mut found = match claimed.note.claim(&claimed.entry).await {
        Ok(First::Us) => return Ok(Turn::Ours(claimed)),
        Ok(First::Others(entry)) => entry,
        Err(Unknown) => return Ok(Turn::Unknown),
    };
    for _ in 0..ASK_FOR {
        if found.digest != claimed.entry.digest {
            let why = format!("the event {id} was published within the last minutes with another body");
            return Err(Refusal::new(Code::Conflict, why));
        }
        if let Some(delivered) = found.delivered {
            return Ok(Turn::Told(known(delivered)));
        }
        // Whoever told it is still counting, or could not tell it after all.
        tokio::time::sleep(ASK_EVERY).await;
        found = match claimed.note.read().await {
            Ok(Some(entry)) => entry,
            Ok(None) | Err(Unknown) => return Ok(Turn::Unknown),
        };
    }
    // Its teller is gone, and nobody knows to how many it was told.
    Ok(Turn::Told(known(0)))
}

impl Claimed {
    /// Writes down what came of it; what was refused may be tried again.
    pub(super) async fn ends(self, published: &Result<Published, Refusal>) {
        match published {
            Ok(published) => self.note.ends(&Entry { delivered: Some(published.delivered), ..self.entry }).await,
            Err(_) => self.note.strike().await,
        }
    }
}
