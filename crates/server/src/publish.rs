//! What a backend tells and asks, done once however often it is sent.
//!
//! A backend that did not hear our answer sends its event again, under the same id. Within five minutes it gets the
//! first answer again and nobody is told twice; the same id with another body is a contradiction, and refused. What an
//! event has to look like is said by the schema of its type.

mod asked;
mod asking;
mod everywhere;
mod once;
mod recent;
mod schemas;
pub mod written;

use std::sync::Arc;

use gateway_domain::{
    Code, EventId, Now, Refusal, RequestId, UserId,
    event::{Event, check_kind},
    target::Target,
    trace::Trace,
};
use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    hub::{self, Class, Hub, Post, Posted, Reach, Scope},
    refusal::Fault,
    webhook::Webhooks,
};
use asking::Kept;
pub use asking::{Backend, Outcome, Question};
use everywhere::Turn;
use recent::{Recent, Recollection};
pub use schemas::{SchemaFault, Schemas};

/// The most targets of one event.
pub const MOST_TARGETS: usize = 100;
/// Events that are known again; beyond so many the oldest are forgotten early.
const MOST_REMEMBERED: usize = 100_000;
/// Questions that are known again by their key.
const MOST_KEYS: usize = 1_000;

/// Into how many outboxes an event was put, once that is known.
type Told = watch::Receiver<Option<hub::Outcome>>;

/// Tells and asks for backends.
#[derive(Debug)]
pub struct Publisher {
    hub: Arc<Hub>,
    schemas: Schemas,
    recent: Arc<Mutex<Recent<EventId, Told>>>,
    asked: Arc<Mutex<Recent<(UserId, String), Kept>>>,
}

/// What a backend wants to be told.
#[derive(Debug)]
pub struct Draft {
    /// To whom.
    pub to: Vec<Target>,
    /// What it is.
    pub kind: String,
    /// What it says.
    pub payload: Box<RawValue>,
    /// The backend's own id of it, where it gave one.
    pub event_id: Option<EventId>,
    /// The trace that it belongs to.
    pub trace: Option<Trace>,
    /// The call that it came with.
    pub request: Option<RequestId>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// The event.
    pub event_id: EventId,
    /// Into how many outboxes and queues of webhooks it was put.
    pub delivered: usize,
    /// Whose these are.
    pub scope: Scope,
    /// Whether it had been published before, and nobody was told again.
    pub duplicate: bool,
}

impl Draft {
    /// What makes it another.
    fn body(&self) -> (&[Target], &str, &str) {
        (&self.to, &self.kind, self.payload.get())
    }

    /// What is wrong with it whatever is expected of its type, each with its place in the body.
    fn faults(&self, webhooks: &Webhooks) -> Vec<Fault> {
        let mut faults = Vec::new();
        if let Err(fault) = check_kind(&self.kind) {
            faults.push(Fault { path: "/type".into(), message: fault.to_string() });
        }
        if self.to.is_empty() || self.to.len() > MOST_TARGETS {
            faults.push(Fault { path: "/to".into(), message: format!("name 1 to {MOST_TARGETS} targets") });
        }
        for (at, target) in self.to.iter().enumerate() {
            let why = match target {
                Target::Sender => "a backend has no connection: name whom you mean",
                Target::Subscribe(_) => "nobody subscribes by an event: write `room:NAME`",
                Target::Webhook(name) if !webhooks.takes_messages(name) => {
                    "there is no such webhook that takes messages"
                }
                Target::User { .. }
                | Target::Agent(_)
                | Target::Connection(_)
                | Target::Room(_)
                | Target::Role(_)
                | Target::Endpoint(_)
                | Target::Webhook(_) => continue,
            };
            faults.push(Fault { path: format!("/to/{at}"), message: why.into() });
        }
        faults
    }
}

fn published(event_id: EventId, outcome: hub::Outcome, duplicate: bool) -> Result<Published, Refusal> {
    let Reach { count: delivered, scope } = outcome.map_err(|refusal| *refusal)?;
    Ok(Published { event_id, delivered, scope, duplicate })
}

impl Publisher {
    /// Publishes into that house what fits its schemas.
    pub fn new(hub: Arc<Hub>, schemas: Schemas) -> Self {
        Self {
            hub,
            schemas,
            recent: Arc::new(Mutex::new(Recent::new(MOST_REMEMBERED))),
            asked: Arc::new(Mutex::new(Recent::new(MOST_KEYS))),
        }
    }

    /// The same, with other schemas: what was published is known to both.
    pub fn with(&self, schemas: Schemas) -> Self {
        let (recent, asked) = (Arc::clone(&self.recent), Arc::clone(&self.asked));
        Self { hub: Arc::clone(&self.hub), schemas, recent, asked }
    }

    /// What is wrong with a draft whatever is expected of its type, each with its place in the body.
    pub fn faults(&self, draft: &Draft) -> Vec<Fault> {
        draft.faults(self.hub.webhooks())
    }

    /// What of a draft does not fit the schema of its type, each with its place in the body.
    pub fn mismatches(&self, draft: &Draft) -> Vec<Fault> {
        self.schemas.check(&draft.kind, &draft.payload)
    }

    /// Tells a draft that has no faults and no mismatches. The answer comes when everybody has been told who is here.
    pub async fn publish(&self, draft: &Draft, now: Now) -> Result<Published, Refusal> {
        let Some(event_id) = draft.event_id else {
            let event_id = EventId::new(Uuid::new_v4());
            let outcome = match self.tell(draft, event_id, now)? {
                Posted::Done(count) => self.alone(count),
                // Whoever carries it around ends with the process, and so does this.
                Posted::Underway(told) => told.await.unwrap_or_else(|_| self.alone(0)),
            };
            return published(event_id, outcome, false);
        };
        let turn = match self.hub.link() {
            Some(link) => everywhere::turn(link, draft, event_id, now).await?,
            None => Turn::Unknown,
        };
        match turn {
            Turn::Told(published) => Ok(published),
            Turn::Unknown => self.publish_once(draft, event_id, now).await,
            Turn::Ours(claimed) => {
                let published = self.publish_once(draft, event_id, now).await;
                claimed.ends(&published).await;
                published
            }
        }
    }

    /// Tells it once at this gateway.
    async fn publish_once(&self, draft: &Draft, event_id: EventId, now: Now) -> Result<Published, Refusal> {
        let (mut told, duplicate) = self.once(draft, event_id, now)?;
        let outcome = told.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        published(event_id, outcome.unwrap_or_else(|| self.alone(0)), duplicate)
    }

    /// What was told at once.
    fn alone(&self, count: usize) -> hub::Outcome {
        let scope = if self.hub.link().is_some() { Scope::Cluster } else { Scope::Node };
        Ok(Reach { count, scope })
    }

    /// Tells it, or finds where it is being told.
    fn once(&self, draft: &Draft, id: EventId, now: Now) -> Result<(Told, bool), Refusal> {
        let mut recent = self.recent.lock();
        match recent.recall(&id, &draft.body(), now.tick) {
            Recollection::Same(told) => return Ok((told, true)),
            Recollection::Other => {
                let why = format!("the event {id} was published within the last minutes with another body");
                return Err(Refusal::new(Code::Conflict, why));
            }
            Recollection::New => {}
        }
        let posted = self.tell(draft, id, now)?;
        let (tells, told) = watch::channel(None);
        recent.keep(id, &draft.body(), told.clone(), now.tick);
        drop(recent);
        match posted {
            Posted::Done(count) => {
                tells.send_replace(Some(self.alone(count)));
            }
            // A caller that goes away meanwhile takes the answer of the others not along.
            Posted::Underway(count) => {
                let (lost, recent) = (self.alone(0), Arc::clone(&self.recent));
                tokio::spawn(async move {
                    let outcome = count.await.unwrap_or(lost);
                    if outcome.is_err() {
                        // Nobody was told: whoever sends it again may have more luck.
                        recent.lock().strike(&id);
                    }
                    tells.send_replace(Some(outcome));
                });
            }
        }
        Ok((told, false))
    }

    fn tell(&self, draft: &Draft, event_id: EventId, now: Now) -> Result<Posted, Refusal> {
        let event = Event { event_id, kind: &draft.kind, timestamp: now.wall, payload: &draft.payload };
        let text = event
            .to_text()
            .map_err(|fault| Refusal::plain(Code::Internal).because(format!("an event has no JSON form: {fault}")))?;
        let (targets, trace, request) = (&draft.to, draft.trace, draft.request);
        self.hub.post(Post { counted: true, trace, request, ..Post::new(text, targets, Class::Event) }, now)
    }

    /// Forgets what is too long ago.
    pub fn sweep(&self, now: Now) {
        self.recent.lock().forget(now.tick);
        self.asked.lock().forget(now.tick);
    }
}
