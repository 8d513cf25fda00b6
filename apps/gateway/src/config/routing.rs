//! The configuration of routes, rooms and names in the words of the domain.

use std::collections::BTreeSet;

use gateway_domain::{
    history::HistoryBounds,
    pending::PendingBounds,
    rooms::RoomsBounds,
    route::{RouteFault, RouteSpec, Routes, Surroundings},
    rules::{JoinSpec, RoomLaw, RoomRules, RuleFault, RuleSpec},
    template::RoomTemplate,
    vocabulary::{Vocabulary, VocabularySpec},
};

use super::{
    Config, Endpoint, Handler, HookEvent, Limits, RoomHistory, RoomRule, Rooms, Route, RuleHistory,
    fault::Places,
    value::{Count, Label, Limit},
};

/// What was never loaded can have faults in its routes, rules and names; what was loaded has none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unsound(String);

impl Unsound {
    fn of<F: ToString>(faults: Vec<F>) -> Self {
        Self(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }
}

impl Config {
    /// The routes.
    ///
    /// # Errors
    /// None in a configuration that was loaded.
    pub fn routes(&self) -> Result<Routes, Unsound> {
        routes(&self.routes, &surroundings(self)).map_err(Unsound::of)
    }

    /// Who may subscribe to which rooms, and what holds there.
    ///
    /// # Errors
    /// None in a configuration that was loaded.
    pub fn room_rules(&self) -> Result<RoomRules, Unsound> {
        rules(&self.rooms.rules, &self.rooms, &surroundings(self)).map_err(Unsound::of)
    }
}

/// What routes and rules are held against: who can turn up, and what can be meant.
pub fn surroundings(config: &Config) -> Surroundings {
    // Whoever connects where messages come back unchanged neither sends nor receives anything that is routed.
    let doors: Vec<Endpoint> = config.doors().into_iter().map(|(_, endpoint)| endpoint).collect();
    let routed = || doors.iter().filter(|endpoint| endpoint.handler == Handler::Routes);
    let anybody = routed().any(|endpoint| endpoint.roles.is_empty());
    Surroundings {
        roles: (!anybody).then(|| routed().flat_map(|endpoint| endpoint.roles.iter().cloned()).collect()),
        endpoints: doors
            .iter()
            .map(|endpoint| (endpoint.path.as_str().into(), endpoint.handler == Handler::Routes))
            .collect(),
        webhooks: config
            .webhooks
            .iter()
            .map(|hook| (hook.name.as_str().into(), hook.events.contains(&HookEvent::Message)))
            .collect(),
        agents: routed().any(|endpoint| endpoint.agents),
    }
}

/// Compiles routes.
pub(super) fn routes(routes: &[Route], around: &Surroundings) -> Result<Routes, Vec<RouteFault>> {
    Routes::compile(&routes.iter().map(Route::spec).collect::<Vec<_>>(), around)
}

/// Compiles rules.
pub(super) fn rules(rules: &[RoomRule], rooms: &Rooms, around: &Surroundings) -> Result<RoomRules, Vec<RuleFault>> {
    RoomRules::compile(&rules.iter().map(|rule| rule.spec(rooms)).collect::<Vec<_>>(), rooms.law(), around)
}

/// Takes out what ships and what the endpoints of the file have no use for: nobody wrote it, so it is nobody's fault.
pub(super) fn fit(config: &mut Config, places: &Places) {
    let around = surroundings(config);
    if !places.gave("routes") {
        let faulty = |list: &[Route]| routes(list, &around).err().unwrap_or_default().iter().map(|f| f.route).collect();
        retain(&mut config.routes, faulty);
    }
    if !places.gave("rooms.rules") {
        let rooms = config.rooms.clone();
        let faults = |list: &[RoomRule]| rules(list, &rooms, &around).err().unwrap_or_default();
        retain(&mut config.rooms.rules, |list| faults(list).iter().map(|fault| fault.rule).collect());
    }
}

/// Takes out what is faulty, until nothing is.
fn retain<T>(list: &mut Vec<T>, faulty: impl Fn(&[T]) -> BTreeSet<usize>) {
    loop {
        let (faulty, before) = (faulty(list), list.len());
        let mut numbers = 0..;
        list.retain(|_| numbers.next().is_some_and(|at| !faulty.contains(&at)));
        if list.len() == before {
            return;
        }
    }
}

impl Route {
    /// As the domain has it.
    pub fn spec(&self) -> RouteSpec {
        RouteSpec {
            from: texts(&self.from),
            types: texts(&self.types),
            permission: self.permission.clone(),
            to: texts(&self.to),
            reply_timeout: self.reply_timeout.map(|period| period.get()),
            priority: self.priority,
            correlate: self.correlate.as_ref().map(ToString::to_string),
            progress: texts(&self.progress),
            answers: texts(&self.answers),
            renamed: self.renamed.as_ref().map(ToString::to_string),
        }
    }
}

impl RoomRule {
    /// As the domain has it; `rooms` has what the rule leaves open.
    pub fn spec(&self, rooms: &Rooms) -> RuleSpec {
        RuleSpec {
            pattern: self.pattern.to_string(),
            join: self
                .join
                .iter()
                .map(|join| JoinSpec {
                    role: join.role.clone(),
                    permission: join.permission.clone(),
                    user: join.user.as_ref().map(ToString::to_string),
                    agent: join.agent.as_ref().map(ToString::to_string),
                    plan: join.plan.clone(),
                })
                .collect(),
            history: self.history.map(|history| history.get().map(|own| own.over(rooms.default.history).bounds())),
            presence: self.presence.map(|presence| presence.get().map(number)),
        }
    }
}

impl RuleHistory {
    /// With what is absent filled in.
    pub fn over(self, default: Limit<RoomHistory>) -> RoomHistory {
        let default = default.get().copied().unwrap_or_default();
        RoomHistory {
            messages: self.messages.unwrap_or(default.messages),
            age: self.age.unwrap_or(default.age),
            bytes: self.bytes.unwrap_or(default.bytes),
        }
    }
}

impl RoomHistory {
    /// As the domain has it.
    pub fn bounds(self) -> HistoryBounds {
        HistoryBounds { messages: number(&self.messages), age: self.age.get(), bytes: self.bytes.bytes() }
    }
}

impl Rooms {
    /// What holds for a room of which no rule says anything.
    pub fn law(&self) -> RoomLaw {
        RoomLaw {
            history: self.default.history.get().map(|history| history.bounds()),
            presence: self.default.presence.get().map(number),
        }
    }

    /// How much all rooms may hold.
    pub fn bounds(&self) -> RoomsBounds {
        RoomsBounds { rooms: most(self.max), history_bytes: self.history_budget.bytes() }
    }
}

impl Limits {
    /// How many requests may be open.
    pub fn pending(&self) -> PendingBounds {
        PendingBounds { in_all: most(self.requests), of_asker: most(self.requests_per_connection) }
    }

    /// How many rooms a connection may be in.
    pub fn rooms_of_connection(&self) -> usize {
        most(self.rooms_per_connection)
    }
}

impl Endpoint {
    /// What clients call things here, as it is written.
    pub(super) fn vocabulary_spec(&self) -> VocabularySpec {
        let text = |name: &Option<Label>| name.as_ref().map(ToString::to_string);
        VocabularySpec {
            names: self.names.iter().map(|(own, theirs)| (own.clone(), theirs.to_string())).collect(),
            id: text(&self.envelope.id),
            payload: text(&self.envelope.payload),
            reply_to: text(&self.envelope.reply_to),
        }
    }

    /// What clients call things here.
    ///
    /// # Errors
    /// None in a configuration that was loaded.
    pub fn vocabulary(&self) -> Result<Vocabulary, Unsound> {
        Vocabulary::compile(&self.vocabulary_spec()).map_err(Unsound::of)
    }

    /// The rooms that a connection here is put into by itself.
    ///
    /// # Errors
    /// None in a configuration that was loaded.
    pub fn joined(&self) -> Result<Vec<RoomTemplate>, Unsound> {
        let rooms = self.join.iter().map(|room| RoomTemplate::parse(room.as_str()));
        rooms.collect::<Result<_, _>>().map_err(|flaw| Unsound::of(vec![flaw]))
    }
}

fn texts(texts: &[Label]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

fn number(count: &Count) -> usize {
    count.get() as usize
}

/// The number that a limit comes to.
fn most(limit: Limit<Count>) -> usize {
    limit.get().map_or(usize::MAX, number)
}
