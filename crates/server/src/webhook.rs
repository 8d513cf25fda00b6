//! Backends are told what happens: who came, who went and why, and the messages that are meant for them, each as a
//! sealed HTTP request.
//!
//! What is told is written down once (`happening`) and joins the lane of its connection (`lanes`), so that of one
//! connection everything is told in order, one at a time; other connections do not wait for it. The queue of a hook is
//! bounded, and nobody waits for a hook: what finds no room is dropped, a quarter being kept for who comes and goes. A
//! `pump` carries it, three times at most (`carrier` is how); after too many in vain the circuit is open for a while
//! (`breaker`). Every event has exactly one fate, which is counted (`counts`); `hook` holds all of this together. The
//! `roll` knows across a crash who was here; the `workshop` makes hooks. Where several gateways act as one, those who are left
//! tell of the connections of a node that is lost (`shared`).

mod breaker;
mod carrier;
mod counts;
mod happening;
mod hook;
mod lanes;
mod pump;
mod roll;
mod shared;
mod workshop;

use std::{path::Path, sync::Arc, time::Duration};

use gateway_domain::{ConnectionId, Now, target::Target, trace::Trace};
use parking_lot::RwLock;
use tokio::{sync::Notify, task::JoinSet};

use crate::{
    audit::Audit,
    clock,
    hub::{Ending, Occupant},
    journal::JournalFault,
    metrics::Metrics,
};
pub use breaker::BreakerRules;
pub use carrier::{Address, Carry, NoAnswer, Parcel};
pub(crate) use counts::Counts;
pub use happening::Kind;
use happening::{Facts, Reason};
use hook::Hook;
pub use hook::HookRules;
pub use lanes::QueueBounds;
pub use pump::{LONGEST_TIMEOUT, WINDOW};
use roll::Left;
use shared::Unclaimed;
use workshop::Workshop;

/// How long a house that closes waits for what is still to be told.
const PATIENCE_AT_THE_END: Duration = Duration::from_secs(10);

/// All hooks.
#[derive(Debug, Default)]
pub struct Webhooks {
    hooks: RwLock<Arc<[Arc<Hook>]>>,
    workshop: Option<Workshop>,
    unclaimed: Unclaimed,
    /// Rings when there are others.
    changed: Notify,
}

/// A hook of another configuration.
#[derive(Clone, Debug)]
pub enum Heir {
    /// The one that has this name, as it is.
    Same(Arc<str>),
    /// One by these rules. Another that has the name carries what it was told already, and is told nothing more.
    New(HookRules),
}

impl Webhooks {
    /// Hooks by these rules. Where there is a state file, the connections that a crash took are read from beside it, and
    /// told when the hooks run; where other gateways may have told of them, not before they were asked.
    pub fn open(
        rules: Vec<HookRules>,
        state: Option<&Path>,
        carry: &Carry,
        audit: &Arc<Audit>,
        metrics: &Metrics,
        has_others: bool,
    ) -> Result<Self, JournalFault> {
        let place = state.map(|file| {
            let mut beside = file.to_owned().into_os_string();
            beside.push(".webhooks");
            beside.into()
        });
        let workshop = Workshop::new(Arc::clone(carry), Arc::clone(audit), metrics.webhooks().clone(), place);
        let left = workshop.open_roll(&rules)?;
        let hooks = rules.into_iter().map(|rules| workshop.hook(rules)).collect();
        let unclaimed = Unclaimed::new(has_others);
        let webhooks = Self { hooks: RwLock::new(hooks), workshop: Some(workshop), unclaimed, changed: Notify::new() };
        webhooks.inherit(left);
        Ok(webhooks)
    }

    /// Puts other hooks in the place of these, all at once; after a fault these stay.
    pub fn adopt(&self, heirs: Vec<Heir>) -> Result<(), JournalFault> {
        let Some(workshop) = &self.workshop else { return Ok(()) };
        let rules = heirs.iter().filter_map(|heir| match heir {
            Heir::New(rules) => Some(rules),
            Heir::Same(_) => None,
        });
        let left = workshop.open_roll(rules)?;
        let before = self.hooks();
        let hooks: Arc<[Arc<Hook>]> = heirs
            .into_iter()
            .filter_map(|heir| match heir {
                Heir::New(rules) => Some(workshop.hook(rules)),
                Heir::Same(name) => before.iter().find(|hook| hook.rules.name == name).cloned(),
            })
            .collect();
        *self.hooks.write() = Arc::clone(&hooks);
        let is_over = |hook: &&Arc<Hook>| !hooks.iter().any(|other| Arc::ptr_eq(other, hook));
        before.iter().filter(is_over).for_each(|hook| hook.retire());
        self.inherit(left);
        self.changed.notify_one();
        Ok(())
    }

    /// Hands over those whom a process before this one left.
    fn inherit(&self, left: Vec<Left>) {
        self.unclaimed.keep(left).into_iter().for_each(|left| self.inherit_one(left));
    }

    fn inherit_one(&self, (name, facts): Left) {
        match self.hook(&name) {
            Some(hook) => hook.inherit(facts),
            None => self.strike(&name, facts.connection_id),
        }
    }

    /// Nobody has to be told of it any more.
    fn strike(&self, name: &Arc<str>, connection: ConnectionId) {
        if let Some(roll) = self.workshop.as_ref().and_then(Workshop::roll) {
            roll.gone(name, connection);
        }
    }

    fn hooks(&self) -> Arc<[Arc<Hook>]> {
        Arc::clone(&self.hooks.read())
    }

    /// Whether there is a hook of that name that takes messages.
    pub fn takes_messages(&self, name: &str) -> bool {
        self.hook(name).is_some_and(|hook| hook.rules.events.contains(&Kind::Message))
    }

    /// A connection began.
    pub(crate) fn connected(&self, here: &Occupant, now: Now) {
        let hooks = self.hooks();
        if !hooks.is_empty() {
            let facts = Arc::new(Facts::of(here));
            hooks.iter().for_each(|hook| hook.connected(&facts, now));
        }
    }

    /// A connection ended.
    pub(crate) fn disconnected(&self, here: &Occupant, ending: &Ending, now: Now) {
        let hooks = self.hooks();
        if !hooks.is_empty() {
            let (facts, reason) = (Arc::new(Facts::of(here)), Reason::of(ending));
            hooks.iter().for_each(|hook| hook.disconnected(&facts, reason, now));
        }
    }

    /// Something is said to whomever the targets mean: into how many queues of hooks it was put.
    pub(crate) fn hear(
        &self,
        targets: &[Target],
        message: &str,
        trace: Option<Trace>,
        sender: Option<&Occupant>,
        now: Now,
    ) -> usize {
        let mut told: Vec<&str> = Vec::new();
        let mut count = 0;
        let mut facts = None;
        for target in targets {
            let Target::Webhook(name) = target else { continue };
            if told.contains(&&**name) || !self.takes_messages(name) {
                continue;
            }
            told.push(name);
            let Some(hook) = self.hook(name) else { continue };
            let facts = facts.get_or_insert_with(|| sender.map(|here| Arc::new(Facts::of(here))));
            count += usize::from(hook.hears(message, facts.clone(), trace, now));
        }
        count
    }

    /// Carries for as long as it is polled.
    pub async fn run(&self) {
        let mut pumps = JoinSet::new();
        let mut running: Vec<Arc<Hook>> = Vec::new();
        loop {
            running.retain(|hook| !hook.is_over());
            for hook in self.hooks().iter() {
                if !running.iter().any(|other| Arc::ptr_eq(other, hook)) {
                    running.push(Arc::clone(hook));
                    pumps.spawn(Arc::clone(hook).run());
                }
            }
            tokio::select! {
                () = self.changed.notified() => {}
                Some(_) = pumps.join_next() => {}
            }
        }
    }

    /// Waits a bounded time until everything is told, then lets go what is left.
    pub async fn drain(&self) {
        let hooks = self.hooks();
        let all = async {
            for hook in hooks.iter() {
                hook.is_empty().await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE_AT_THE_END, all).await;
        self.close();
    }

    /// Lets go what is left at once.
    pub fn close(&self) {
        self.hooks().iter().for_each(|hook| hook.close(clock::now()));
    }

    fn hook(&self, name: &str) -> Option<Arc<Hook>> {
        self.hooks.read().iter().find(|hook| *hook.rules.name == *name).cloned()
    }
}
