//! One question once, at whichever gateway it comes again: the first to write its key down asks, the others wait for its answer.
//!
//! The law: who asks is gone when the others have missed it for a while, and not when they do not know it yet: of a gateway that
//! has just come each hears with its own next beat.

use std::{sync::Arc, time::Duration};

use gateway_domain::{Code, Now, Refusal};
use serde::{Deserialize, Serialize};

use super::{
    asking::{Backend, Outcome, Question},
    once::{self, First, REMEMBERED, Unknown},
};
use crate::cluster::Link;

/// How often an answer is asked for that another gateway has not given yet: soon at first, and then less often.
const ASK_SOON: Duration = Duration::from_millis(50);
const ASK_LATER: Duration = Duration::from_millis(500);
/// Whoever is not among the gateways for so long is gone. They hear of each other every second.
const MISSED_FOR: Duration = Duration::from_secs(5);

/// What is written down of a question.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
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
    note: once::Note,
    entry: Entry,
}

/// Writes a key down, or waits for how that ends which was written.
pub(super) async fn turn(link: &Arc<Link>, backend: &Backend, key: &str, question: &Question, now: Now) -> Turn {
    let Question { agent, kind, payload, timeout, .. } = question;
    let payload = payload.as_deref().map_or("", |payload| payload.get());
    let digest = once::digest(&format!("{agent}\n{kind}\n{}\n{payload}", timeout.as_millis()));
    // A key is its caller's own, and of any form.
    let key = format!("asked:{}", once::digest(&format!("{}\n{key}", backend.user)));
    let entry = Entry { digest, node: link.node().as_str().to_owned(), end: None };
    let claimed = Claimed { note: once::Note::new(link, key, now), entry };
    claimed.turn(link).await.unwrap_or(Turn::Unknown)
}

impl Claimed {
    async fn turn(self, link: &Link) -> Result<Turn, Unknown> {
        let (mut waited, mut missed) = (Duration::ZERO, Duration::ZERO);
        let mut found = None;
        while waited < REMEMBERED {
            let Some(Entry { digest, node, end }) = found else {
                // Nobody was asked yet, or after all.
                match self.note.claim(&self.entry).await? {
                    First::Us => return Ok(Turn::Ours(self)),
                    First::Others(entry) => found = Some(entry),
                }
                continue;
            };
            if digest != self.entry.digest {
                return Ok(Turn::Contradicted);
            }
            if let Some(end) = end {
                return Ok(Turn::Ended(end.into()));
            }
            if missed >= MISSED_FOR {
                let why = "the gateway that asked is gone, and nobody knows what was answered";
                return Ok(Turn::Ended(Outcome::Refused(Refusal::new(Code::TargetLost, why))));
            }
            let pause = if waited < Duration::from_secs(1) { ASK_SOON } else { ASK_LATER };
            tokio::time::sleep(pause).await;
            waited += pause;
            let is_here = link.nodes().iter().any(|here| here.as_str() == node);
            missed = if is_here { Duration::ZERO } else { missed + pause };
            found = self.note.read().await?;
        }
        Ok(Turn::Ended(Outcome::Refused(Refusal::plain(Code::ReplyTimeout))))
    }

    /// Writes down how it ended.
    pub(super) async fn ends(self, outcome: &Outcome) {
        self.note.ends(&Entry { end: Some(outcome.into()), ..self.entry }).await;
    }

    /// Nobody was asked: it may be tried again.
    pub(super) async fn strikes(self) {
        self.note.strike().await;
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
