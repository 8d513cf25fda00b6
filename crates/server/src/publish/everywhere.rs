//! One event once, at whichever gateway it comes again: the first to write its id down tells it, the others give its answer.

use std::{sync::Arc, time::Duration};

use gateway_auth::api_key;
use gateway_domain::{
    Code, EventId, Now, Refusal,
    link::{Act, Answer, Book, Expected},
};
use serde::{Deserialize, Serialize};

use super::{Draft, Published};
use crate::{cluster::Link, hub::Scope};

/// So long an id is known again.
const REMEMBERED: Duration = Duration::from_secs(300);
/// How often, and how long, an answer is asked for that another gateway has not given yet.
const ASK_EVERY: Duration = Duration::from_millis(50);
const ASK_FOR: u32 = 60;

/// What is written down of an event.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
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
    link: Arc<Link>,
    key: String,
    digest: String,
    now: Now,
}

/// Writes an id down, or finds what was written.
pub(super) async fn turn(link: &Arc<Link>, draft: &Draft, id: EventId, now: Now) -> Result<Turn, Refusal> {
    let (to, kind, payload) = draft.body();
    let to: Vec<_> = to.iter().map(ToString::to_string).collect();
    let digest = api_key::hash_text(&api_key::hash(&format!("{to:?}\n{kind}\n{payload}")));
    let claimed = Claimed { link: Arc::clone(link), key: format!("event:{id}"), digest, now };
    let mut found = match claimed.write(None, Some(Expected::Absent)).await {
        Answer::Written(Ok(())) => return Ok(Turn::Ours(claimed)),
        Answer::Written(Err(found)) => found,
        _ => return Ok(Turn::Unknown),
    };
    for _ in 0..ASK_FOR {
        let note = found.as_deref().and_then(|found| serde_json::from_str::<Note>(found).ok());
        match note {
            Some(note) if note.digest != claimed.digest => {
                let why = format!("the event {id} was published within the last minutes with another body");
                return Err(Refusal::new(Code::Conflict, why));
            }
            Some(Note { delivered: Some(delivered), .. }) => {
                return Ok(Turn::Told(Published { event_id: id, delivered, scope: Scope::Cluster, duplicate: true }));
            }
            // Whoever told it is still counting, or could not tell it after all.
            Some(_) => tokio::time::sleep(ASK_EVERY).await,
            None => return Ok(Turn::Unknown),
        }
        let read = Act::Read { book: Book::Once, key: claimed.key.clone() };
        found = match link.ask(read).answer().await {
            Answer::Read(found) => found,
            _ => return Ok(Turn::Unknown),
        };
    }
    // Its teller is gone, and nobody knows to how many it was told.
    Ok(Turn::Told(Published { event_id: id, delivered: 0, scope: Scope::Cluster, duplicate: true }))
}

impl Claimed {
    async fn write(&self, delivered: Option<usize>, expected: Option<Expected>) -> Answer {
        let note = Note { digest: self.digest.clone(), delivered };
        let value = serde_json::to_string(&note).ok();
        self.put(value, expected).await
    }

    async fn put(&self, value: Option<String>, expected: Option<Expected>) -> Answer {
        let until = Some(self.now.wall + REMEMBERED);
        self.link.ask(Act::Write { book: Book::Once, key: self.key.clone(), value, until, expected }).answer().await
    }

    /// Writes down what came of it; what was refused may be tried again.
    pub(super) async fn ends(self, published: &Result<Published, Refusal>) {
        match published {
            Ok(published) => drop(self.write(Some(published.delivered), None).await),
            Err(_) => drop(self.put(None, None).await),
        }
    }
}
