//! Asking an agent for somebody who holds no connection; under a key of the caller's own, once.

use std::{sync::Arc, time::Duration};

use gateway_domain::{
    AgentId, Code, Now, Refusal, Role, UserId,
    envelope::Message,
    relay::{Origin, Relay},
    target::Target,
    trace::{TRACEPARENT, Trace},
};
use gateway_transport::Text;
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::{oneshot, watch};

use super::{
    Publisher,
    asked::{self, Turn},
    recent::Recollection,
};
use crate::hub::{Calling, Ended, Hub};

/// An answer that is larger goes to its first caller only.
const MOST_KEPT_BYTES: usize = 64 << 10;

/// What an agent is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// Which agent.
    pub agent: AgentId,
    /// The type of the message.
    pub kind: String,
    /// What it says.
    pub payload: Option<Box<RawValue>>,
    /// How long each reply may take.
    pub timeout: Duration,
    /// The trace that it belongs to.
    pub trace: Option<Trace>,
}

/// Who asks.
#[derive(Clone, Debug)]
pub struct Backend {
    /// Its user.
    pub user: UserId,
    /// What it may be here.
    pub role: Role,
}

/// How a question came to its end.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// By a reply, as an asker reads it.
    Replied(Text),
    /// By one of the errors of requests.
    Refused(Refusal),
}

/// What is kept of an outcome for whoever asks again; nothing, while the answer is awaited.
pub(super) type Kept = watch::Receiver<Option<Outcome>>;

impl Publisher {
    /// Asks, and tells what comes as it comes.
    pub async fn ask(&self, backend: &Backend, question: &Question, now: Now) -> Result<Calling, Refusal> {
        question.put(&self.hub, backend, now).await
    }

    /// Asks once under that key, whoever else calls with it, and though the first caller go away.
    pub async fn ask_once(
        &self,
        backend: &Backend,
        key: String,
        question: &Question,
        now: Now,
    ) -> Result<Outcome, Refusal> {
        let gone = || Refusal::plain(Code::Internal).because("whoever waited for the answer ended early");
        match self.begin_once(backend, key, question, now)? {
            Begun::Now(first) => first.await.map_err(|_| gone()),
            Begun::Before(mut kept) => {
                kept.wait_for(Option::is_some).await.ok().and_then(|kept| kept.clone()).ok_or_else(gone)
            }
        }
    }

    fn begin_once(&self, backend: &Backend, key: String, question: &Question, now: Now) -> Result<Begun, Refusal> {
        let mut asked = self.asked.lock();
        let name = (backend.user.clone(), key);
        let body = (&question.agent, &question.kind, question.payload.as_deref().map(RawValue::get), question.timeout);
        match asked.recall(&name, &body, now.tick) {
            Recollection::Same(kept) => return Ok(Begun::Before(kept)),
            Recollection::Other => return Err(contradiction()),
            Recollection::New => {}
        }
        let (answers, first) = oneshot::channel();
        let (keeps, kept) = watch::channel(None);
        asked.keep(name.clone(), &body, kept, now.tick);
        drop(asked);
        let (hub, backend, question) = (Arc::clone(&self.hub), backend.clone(), question.clone());
        let asked = Arc::clone(&self.asked);
        tokio::spawn(async move {
            let (outcome, is_known) = once(&hub, &backend, &name.1, &question, now).await;
            if !is_known {
                // Nobody was asked: whoever calls again may find somebody.
                asked.lock().strike(&name);
            }
            keeps.send_replace(Some(outcome.kept()));
            // The first caller may have gone away.
            let _ = answers.send(outcome);
        });
        Ok(Begun::Now(first))
    }
}

/// Asks, unless another gateway was asked the same under that key: how it ended, and whether that is known again.
async fn once(hub: &Arc<Hub>, backend: &Backend, key: &str, question: &Question, now: Now) -> (Outcome, bool) {
    let claimed = match hub.link() {
        None => None,
        Some(link) => match asked::turn(link, backend, key, question, now).await {
            Turn::Ours(claimed) => Some(claimed),
            Turn::Unknown => None,
            Turn::Ended(outcome) => return (outcome, true),
            Turn::Contradicted => return (Outcome::Refused(contradiction()), false),
        },
    };
    match question.put(hub, backend, now).await {
        Ok(calling) => {
            let outcome = calling.outcome().await;
            if let Some(claimed) = claimed {
                claimed.ends(&outcome.kept()).await;
            }
            (outcome, true)
        }
        Err(refusal) => {
            if let Some(claimed) = claimed {
                claimed.strikes().await;
            }
            (Outcome::Refused(refusal), false)
        }
    }
}

fn contradiction() -> Refusal {
    Refusal::new(Code::Conflict, "this Idempotency-Key came within the last minutes with another request")
}

impl Question {
    async fn put(&self, hub: &Arc<Hub>, backend: &Backend, now: Now) -> Result<Calling, Refusal> {
        let Self { agent, kind, payload, timeout, trace } = self;
        let text = |connection_id, request| {
            let trace = trace.and_then(|trace| to_raw_value(&trace.to_string()).ok());
            let message = Message {
                kind: kind.as_str().into(),
                id: None,
                payload: payload.as_deref(),
                ack: false,
                others: trace.iter().map(|trace| (TRACEPARENT.into(), &**trace)).collect(),
            };
            let Backend { user, role } = backend;
            let from = Origin { connection_id, user_id: user, agent_id: None, role: Some(role) }.to_json();
            Relay { message: &message, kind, from: &from, request_id: Some(request) }.to_text()
        };
        hub.call(&[Target::Agent(agent.clone())], *timeout, *trace, text, now).await
    }
}

enum Begun {
    Now(oneshot::Receiver<Outcome>),
    Before(Kept),
}

impl Outcome {
    fn kept(&self) -> Self {
        match self {
            Self::Replied(text) if text.len() > MOST_KEPT_BYTES => {
                let why = "this was answered, and the answer is too large to be kept";
                Self::Refused(Refusal::new(Code::Conflict, why))
            }
            outcome => outcome.clone(),
        }
    }
}

impl Calling {
    /// Waits for the end; what comes before is let go.
    pub async fn outcome(mut self) -> Outcome {
        loop {
            tokio::select! {
                biased;
                Some(_) = self.progress.recv() => {}
                end = &mut self.end => return end.into(),
            }
        }
    }
}

impl From<Result<Ended, oneshot::error::RecvError>> for Outcome {
    fn from(end: Result<Ended, oneshot::error::RecvError>) -> Self {
        match end {
            Ok(Ended::Replied(text)) => Self::Replied(text),
            Ok(Ended::Refused(refusal)) => Self::Refused(refusal),
            Err(_) => Self::Refused(Refusal::plain(Code::Internal).because("the request ended without a word")),
        }
    }
}
