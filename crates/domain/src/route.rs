//! Routes: who may say what, and where it goes.
//!
//! The table is read from top to bottom, and the first route that matches by sender, type and placeholders decides. It
//! is compiled once, and whatever could never work is a fault then. The gateway's own types go by no route. A permission
//! is no part of the match: who lacks it is refused, and falls through to no other route.

mod compile;
mod correlation;
mod matching;
mod surroundings;

use std::{collections::HashMap, sync::Arc, time::Duration};

use crate::{
    envelope::{Message, is_reserved_type},
    name::Permission,
    sender::Sender,
    target::Target,
    template::TargetTemplate,
};
use correlation::Correlate;
pub use correlation::{Correlation, Scalar};
use matching::{Origin, Types};
pub use surroundings::Surroundings;

/// The longest time that a request may wait for a reply.
pub const LONGEST_REPLY_TIMEOUT: Duration = Duration::from_secs(3600);

/// A route as an operator writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteSpec {
    /// Roles, `*`, or `endpoint:/path`: any of them.
    pub from: Vec<String>,
    /// Types, or prefixes with one trailing `*`: any of them.
    pub types: Vec<String>,
    /// What the sender must be allowed to do.
    pub permission: Option<Permission>,
    /// Targets, with placeholders: all of them.
    pub to: Vec<String>,
    /// Makes it a request: how long its reply may take.
    pub reply_timeout: Option<Duration>,
    /// Whether it goes through where a sender is over its limits.
    pub priority: bool,
    /// Where requests and answers carry a correlation of their own: `payload.PATH`.
    pub correlate: Option<String>,
    /// The types of the answers after which more come.
    pub progress: Vec<String>,
    /// The types of the answers that end the request.
    pub answers: Vec<String>,
    /// The type under which it is sent on (`as`).
    pub renamed: Option<String>,
}

/// Something wrong with a route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {remedy}")]
pub struct RouteFault {
    /// Which one, from 0.
    pub route: usize,
    /// In which key of it, as the configuration calls it.
    pub field: &'static str,
    /// At which place in the list, from 0, where it is about one.
    pub entry: Option<usize>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// The table of routes.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    routes: Box<[Route]>,
    answers: HashMap<Box<str>, Vec<Answering>>,
    correlates: Vec<Correlate>,
}

/// One route.
#[derive(Clone, Debug)]
pub struct Route {
    index: usize,
    spec: RouteSpec,
    origins: Box<[Origin]>,
    kinds: Box<[Types]>,
    targets: Box<[TargetTemplate]>,
    correlate: Option<Correlate>,
}

#[derive(Clone, Debug)]
struct Answering {
    more: bool,
    correlate: Correlate,
}

/// A route that takes a message, and where it goes by it.
#[derive(Clone, Debug)]
pub struct Match<'r> {
    /// The route.
    pub route: &'r Route,
    /// Every target once, in the order of the route.
    pub targets: Vec<Target>,
    /// What its answers will carry; none where the route has no `correlate`, or the message has no such value (its
    /// answers then need a `replyTo`).
    pub correlation: Option<Correlation>,
}

/// A message that answers a request by its correlation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether more come after it.
    pub more: bool,
    /// Which request it means; none where what it carries cannot be read (it comes twice, or is no string and no whole
    /// number), so that it answers nothing.
    pub correlation: Option<Correlation>,
}

impl Routes {
    /// Checks and compiles; every fault at once, in the order of the routes.
    pub fn compile(specs: &[RouteSpec], around: &Surroundings) -> Result<Self, Vec<RouteFault>> {
        let routes = compile::routes(specs, around)?;
        let (mut answers, mut correlates) = (HashMap::<Box<str>, Vec<Answering>>::new(), Vec::<Correlate>::new());
        for route in &routes {
            let Some(correlate) = &route.correlate else { continue };
            if !correlates.iter().any(|known| known.path() == correlate.path()) {
                correlates.push(correlate.clone());
            }
            let progress = route.spec.progress.iter().map(|kind| (kind, true));
            for (kind, more) in progress.chain(route.spec.answers.iter().map(|kind| (kind, false))) {
                let known = answers.entry(kind.as_str().into()).or_default();
                if !known.iter().any(|other| other.correlate.path() == correlate.path()) {
                    known.push(Answering { more, correlate: correlate.clone() });
                }
            }
        }
        Ok(Self { routes: routes.into(), answers, correlates })
    }

    /// The first route that takes this message from this sender, and whose placeholders all have a value.
    pub fn find<'r>(&'r self, sender: &Sender<'_>, message: &Message<'_>) -> Option<Match<'r>> {
        if is_reserved_type(&message.kind) {
            return None;
        }
        self.routes.iter().filter(|route| route.takes(sender, &message.kind)).find_map(|route| {
            let targets = route.targets(sender, message)?;
            let correlation = route.correlate.as_ref().and_then(|correlate| correlate.read(message));
            Some(Match { route, targets, correlation })
        })
    }

    /// Whether some route would take that type from that sender, whatever the rest of the message.
    pub fn takes(&self, sender: &Sender<'_>, kind: &str) -> bool {
        !is_reserved_type(kind) && self.routes.iter().any(|route| route.takes(sender, kind))
    }

    /// What a message of that type answers by its correlation. Whether that was asked is another question.
    pub fn answer(&self, kind: &str, message: &Message<'_>) -> Option<Answer> {
        if self.answers.is_empty() {
            return None;
        }
        let answering = self.answers.get(kind)?;
        let readable = answering.iter().find_map(|answering| {
            Some(Answer { more: answering.more, correlation: Some(answering.correlate.read(message)?) })
        });
        // What cannot be read here may be read elsewhere, as another's answer: it must not go any other way.
        let is_there = || answering.iter().find(|answering| answering.correlate.is_there(message));
        readable.or_else(|| Some(Answer { more: is_there()?.more, correlation: None }))
    }

    /// Every correlation that a message carries, at whatever place some route looks for one.
    pub fn correlations(&self, message: &Message<'_>) -> impl Iterator<Item = Correlation> {
        self.correlates.iter().filter_map(|correlate| correlate.read(message))
    }

    /// Every route, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    /// Whether nothing is routed.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }
}

impl Route {
    /// Its place in the table, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// From whom, as it was written.
    pub fn from(&self) -> impl Iterator<Item = &str> {
        self.spec.from.iter().map(String::as_str)
    }

    /// Which types, as it was written.
    pub fn types(&self) -> impl Iterator<Item = &str> {
        self.spec.types.iter().map(String::as_str)
    }

    /// What the sender must be allowed to do.
    pub fn permission(&self) -> Option<&Permission> {
        self.spec.permission.as_ref()
    }

    /// Where to, as it was written.
    pub fn to(&self) -> impl Iterator<Item = &str> {
        self.targets.iter().map(TargetTemplate::as_str)
    }

    /// How long a reply may take, where it is a request.
    pub fn reply_timeout(&self) -> Option<Duration> {
        self.spec.reply_timeout
    }

    /// Whether it goes through where a sender is over its limits.
    pub fn is_priority(&self) -> bool {
        self.spec.priority
    }

    /// The type under which it is sent on.
    pub fn renamed(&self) -> Option<&str> {
        self.spec.renamed.as_deref()
    }

    /// Where its requests and their answers carry a correlation.
    pub fn correlate(&self) -> Option<&Arc<str>> {
        self.correlate.as_ref().map(Correlate::path)
    }

    /// The types of the answers after which more come.
    pub fn progress(&self) -> impl Iterator<Item = &str> {
        self.spec.progress.iter().map(String::as_str)
    }

    /// The types of the answers that end a request.
    pub fn answers(&self) -> impl Iterator<Item = &str> {
        self.spec.answers.iter().map(String::as_str)
    }

    /// Whether it takes that type from that sender.
    pub fn takes(&self, sender: &Sender<'_>, kind: &str) -> bool {
        self.kinds.iter().any(|types| types.takes(kind)) && self.origins.iter().any(|origin| origin.admits(sender))
    }

    fn targets(&self, sender: &Sender<'_>, message: &Message<'_>) -> Option<Vec<Target>> {
        let mut targets = Vec::with_capacity(self.targets.len());
        for template in &self.targets {
            let target = template.target(sender, message)?;
            // Two placeholders with one value are one receiver.
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
        Some(targets)
    }
}

#[cfg(test)]
mod tests;
