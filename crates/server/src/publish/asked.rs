//! One question once, at whichever gateway it comes again: the first to write its key down asks, the others wait for its answer.

use std::{sync::Arc, time::Duration};

use gateway_auth::api_key;
use gateway_domain::{
    Code, Now, Refusal,
    link::{Act, Answer, Book, Expected},
};
use serde::{Deserialize, Serialize};

use super::asking::{Backend, Outcome, Question};
use crate::cluster::Link;

/// So long a key is known again.
const REMEMBERED: Duration = Duration::from_secs(300);
/// How often an answer is asked for that another gateway has not given yet: soon at first, and then less often.
const ASK_SOON: Duration = Duration::from_millis(50);
const ASK_LATER: Duration = Duration::from_millis(500);

/// What is written down of a question.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    /// Of what is asked: something else under the same key is a contradiction.
    digest: String,
    /// The gateway that asks.
    node: String,
    /// How it ended, once it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<End>,
}

/// How a question ended, for whoever waits at another gateway.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum End {
    Replied(String),
    Refused { code: String, message: String },
}

/// Whose a question is to ask.
pub(super) enum Turn {
    /// Ours; how it ends is to be written down.
    Ours(Claimed),
    /// It was asked elsewhere, and ended so.
    Ended(Outcome),
    /// Something else was asked under that key.
    Contradicted,
    /// Nobody can say now: it is known again at this gateway alone.
    Unknown,
}

/// A key that was written down for the first time.
pub(super) struct Claimed {
    link: Arc<Link>,
    key: String,
    digest: String,
    now: Now,
}

/// Writes a key down, or waits for how that ends which was written.
pub(super) async fn turn(link: &Arc<Link>, backend: &Backend, key: &str, question: &Question, now: Now) -> Turn {
    let Question { agent, kind, payload, timeout, .. } = question;
    let payload = payload.as_deref().map_or("", |payload| payload.get());
    let digest = hashed(&format!("{agent}\n{kind}\n{}\n{payload}", timeout.as_millis()));
    // A key is its caller's own, and of any form.
    let key = format!("asked:{}", hashed(&format!("{}\n{key}", backend.user)));
    let claimed = Claimed { link: Arc::clone(link), key, digest, now };
    let mut waited = Duration::ZERO;
    let mut found = match claimed.write(None, Some(Expected::Absent)).await {
        Answer::Written(Ok(())) => return Turn::Ours(claimed),
        Answer::Written(Err(found)) => found,
        _ => return Turn::Unknown,
    };
    while waited < REMEMBERED {
        match found.as_deref().and_then(|found| serde_json::from_str::<Note>(found).ok()) {
            Some(note) if note.digest != claimed.digest => return Turn::Contradicted,
            Some(Note { end: Some(end), .. }) => return Turn::Ended(end.into()),
            Some(Note { node, .. }) if !link.nodes().iter().any(|here| here.as_str() == node) => {
                let why = "the gateway that asked is gone, and nobody knows what was answered";
                return Turn::Ended(Outcome::Refused(Refusal::new(Code::TargetLost, why)));
            }
            Some(_) => {
                let pause = if waited < Duration::from_secs(1) { ASK_SOON } else { ASK_LATER };
                tokio::time::sleep(pause).await;
                waited += pause;
            }
            // Nobody was asked after all: whoever comes now may find somebody.
            None => match claimed.write(None, Some(Expected::Absent)).await {
                Answer::Written(Ok(())) => return Turn::Ours(claimed),
                Answer::Written(Err(Some(other))) => {
                    found = Some(other);
                    continue;
                }
                _ => return Turn::Unknown,
            },
        }
        found = match link.ask(Act::Read { book: Book::Once, key: claimed.key.clone() }).answer().await {
            Answer::Read(found) => found,
            _ => return Turn::Unknown,
        };
    }
    Turn::Ended(Outcome::Refused(Refusal::plain(Code::ReplyTimeout)))
}

impl Claimed {
    async fn write(&self, end: Option<End>, expected: Option<Expected>) -> Answer {
        let note = Note { digest: self.digest.clone(), node: self.link.node().as_str().to_owned(), end };
        self.put(serde_json::to_string(&note).ok(), expected).await
    }

    async fn put(&self, value: Option<String>, expected: Option<Expected>) -> Answer {
        let until = Some(self.now.wall + REMEMBERED);
        self.link.ask(Act::Write { book: Book::Once, key: self.key.clone(), value, until, expected }).answer().await
    }

    /// Writes down how it ended.
    pub(super) async fn ends(self, outcome: &Outcome) {
        drop(self.write(Some(outcome.into()), None).await);
    }

    /// Nobody was asked: it may be tried again.
    pub(super) async fn strikes(self) {
        drop(self.put(None, None).await);
    }
}

impl From<&Outcome> for End {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Replied(text) => Self::Replied(text.as_str().to_owned()),
            Outcome::Refused(refusal) => {
                Self::Refused { code: refusal.code.name().to_owned(), message: refusal.message.to_string() }
            }
        }
    }
}

impl From<End> for Outcome {
    fn from(end: End) -> Self {
        match end {
            End::Replied(text) => Self::Replied(text.into()),
            End::Refused { code, message } => {
                // What a newer release calls by a name of its own ended all the same.
                Self::Refused(Refusal::new(Code::by_name(&code).unwrap_or(Code::TargetLost), message))
            }
        }
    }
}

fn hashed(text: &str) -> String {
    api_key::hash_text(&api_key::hash(text))
}
