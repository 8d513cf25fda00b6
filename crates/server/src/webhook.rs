//! Backends are told what happens: who came, who went and why, and the messages that are meant for them, each as a
//! sealed HTTP request.
//!
//! What is told is written down once (`happening`) and joins the lane of its connection (`lanes`), so that of one
//! connection everything is told in order, one at a time; other connections do not wait for it. The queue of a hook is
//! bounded, and nobody waits for a hook: what finds no room is dropped, a quarter being kept for who comes and goes. A
//! `pump` carries it, three times at most (`carrier` is how); after too many in vain the circuit is open for a while
//! (`breaker`). Every event has exactly one fate, which is counted (`counts`); `hook` holds all of this together. The
//! `roll` knows across a crash who was here.

mod breaker;
mod carrier;
mod counts;
mod happening;
mod hook;
mod lanes;
mod pump;
mod roll;

use std::{path::Path, sync::Arc, time::Duration};

use gateway_domain::{Now, target::Target, trace::Trace};
use tokio::task::JoinSet;

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
use roll::Roll;

/// How long a house that closes waits for what is still to be told.
const PATIENCE_AT_THE_END: Duration = Duration::from_secs(10);

/// All hooks.
#[derive(Debug, Default)]
pub struct Webhooks {
    hooks: Vec<Arc<Hook>>,
}

impl Webhooks {
    /// Hooks by these rules. Where there is a state file, the connections that a crash took are read from beside it, and
    /// told when the hooks run.
    pub fn open(
        rules: Vec<HookRules>,
        state: Option<&Path>,
        carry: &Carry,
        audit: &Arc<Audit>,
        metrics: &Metrics,
    ) -> Result<Self, JournalFault> {
        let is_kept = rules.iter().any(|rules| rules.events.contains(&Kind::Disconnect));
        let (roll, left) = match state.filter(|_| is_kept) {
            None => (None, Vec::new()),
            Some(file) => {
                let mut beside = file.to_owned().into_os_string();
                beside.push(".webhooks");
                let (roll, left) = Roll::open(beside.into())?;
                (Some(Arc::new(roll)), left)
            }
        };
        let hook = |rules: HookRules| {
            let counts = metrics.webhooks().of(&rules.name);
            Arc::new(Hook::new(rules, Arc::clone(carry), roll.clone(), Arc::clone(audit), counts))
        };
        let webhooks = Self { hooks: rules.into_iter().map(hook).collect() };
        for (name, facts) in left {
            match (webhooks.hook(&name), &roll) {
                (Some(hook), _) => hook.inherit(facts),
                // Nobody is there any more who could be told.
                (None, Some(roll)) => roll.gone(&name, facts.connection_id),
                (None, None) => {}
            }
        }
        Ok(webhooks)
    }

    /// Whether there is a hook of that name that takes messages.
    pub fn takes_messages(&self, name: &str) -> bool {
        self.hook(name).is_some_and(|hook| hook.rules.events.contains(&Kind::Message))
    }

    /// A connection began.
    pub(crate) fn connected(&self, here: &Occupant, now: Now) {
        if !self.hooks.is_empty() {
            let facts = Arc::new(Facts::of(here));
            self.hooks.iter().for_each(|hook| hook.connected(&facts, now));
        }
    }

    /// A connection ended.
    pub(crate) fn disconnected(&self, here: &Occupant, ending: &Ending, now: Now) {
        if !self.hooks.is_empty() {
            let (facts, reason) = (Arc::new(Facts::of(here)), Reason::of(ending));
            self.hooks.iter().for_each(|hook| hook.disconnected(&facts, reason, now));
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
        for hook in &self.hooks {
            pumps.spawn(Arc::clone(hook).run());
        }
        while pumps.join_next().await.is_some() {}
        std::future::pending().await
    }

    /// Waits a bounded time until everything is told, then lets go what is left.
    pub async fn drain(&self) {
        let all = async {
            for hook in &self.hooks {
                hook.is_empty().await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE_AT_THE_END, all).await;
        self.hooks.iter().for_each(|hook| hook.close(clock::now()));
    }

    fn hook(&self, name: &str) -> Option<&Arc<Hook>> {
        self.hooks.iter().find(|hook| *hook.rules.name == *name)
    }
}
