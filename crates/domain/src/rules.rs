//! Rules of the rooms: who may subscribe to what, and what each room remembers and tells.
//!
//! In order, the first rule whose pattern matches a room decides; where none does, nobody may subscribe.

mod compile;
mod pattern;

use crate::{
    history::HistoryBounds,
    name::{Permission, PlanName, Role, Room},
    route::Surroundings,
    sender::Sender,
};
use pattern::{Captures, Pattern, Wanted};

/// A rule as an operator writes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleSpec {
    /// For which rooms: `agent:{id}`.
    pub pattern: String,
    /// Who may subscribe: any of these; empty: nobody.
    pub join: Vec<JoinSpec>,
    /// What the room remembers; none: as by default; none in it: nothing.
    pub history: Option<Option<HistoryBounds>>,
    /// Up to how many members it tells who is there; none: as by default; none in it: never.
    pub presence: Option<Option<usize>>,
}

/// Who may subscribe: all of what is given must hold; where nothing is given, everybody may.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JoinSpec {
    /// Admitted as that.
    pub role: Option<Role>,
    /// Allowed to do that.
    pub permission: Option<Permission>,
    /// That user; names of the pattern in braces.
    pub user: Option<String>,
    /// That agent; names of the pattern in braces.
    pub agent: Option<String>,
    /// On that plan.
    pub plan: Option<PlanName>,
}

/// Something wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {remedy}")]
pub struct RuleFault {
    /// Which one, from 0.
    pub rule: usize,
    /// In which key of it, as the configuration calls it.
    pub field: &'static str,
    /// At which place in the list, from 0, where it is about one.
    pub entry: Option<usize>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// What a room remembers and tells.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub struct RoomLaw {
    /// How much it remembers; none: nothing.
    pub history: Option<HistoryBounds>,
    /// Presence is told in rooms of at most so many members; none: never.
    pub presence: Option<usize>,
}

/// The rules, in their order.
#[derive(Clone, Debug, Default)]
pub struct RoomRules {
    rules: Box<[RoomRule]>,
    defaults: RoomLaw,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct RoomRule {
    pattern: Pattern,
    entries: Box<[Entry]>,
    join: Box<[JoinSpec]>,
    law: RoomLaw,
}

/// A way in, with its names compiled.
#[derive(Clone, Debug)]
struct Entry {
    role: Option<Role>,
    permission: Option<Permission>,
    user: Option<Wanted>,
    agent: Option<Wanted>,
    plan: Option<PlanName>,
}

impl RoomRules {
    /// Checks and compiles; every fault at once, in the order of the rules.
    pub fn compile(specs: &[RuleSpec], defaults: RoomLaw, around: &Surroundings) -> Result<Self, Vec<RuleFault>> {
        Ok(Self { rules: compile::rules(specs, defaults, around)?.into(), defaults })
    }

    /// Whether the sender may subscribe to the room.
    pub fn may_join(&self, room: &Room, sender: &Sender<'_>) -> bool {
        self.rules
            .iter()
            .find_map(|rule| Some((rule, rule.pattern.matches(room.as_str())?)))
            .is_some_and(|(rule, captures)| rule.entries.iter().any(|entry| entry.admits(sender, &captures)))
    }

    /// What the room remembers and tells.
    pub fn law(&self, room: &Room) -> &RoomLaw {
        self.rule(room).map_or(&self.defaults, RoomRule::law)
    }

    /// The rule that decides for a room.
    pub fn rule(&self, room: &Room) -> Option<&RoomRule> {
        self.rules.iter().find(|rule| rule.pattern.matches(room.as_str()).is_some())
    }

    /// Every rule, in order.
    pub fn iter(&self) -> impl Iterator<Item = &RoomRule> {
        self.rules.iter()
    }

    /// What holds for the rooms that no rule is for.
    pub fn defaults(&self) -> &RoomLaw {
        &self.defaults
    }
}

impl RoomRule {
    /// For which rooms, as it was written.
    pub fn pattern(&self) -> &str {
        self.pattern.as_str()
    }

    /// Who may subscribe.
    pub fn join(&self) -> &[JoinSpec] {
        &self.join
    }

    /// What its rooms remember and tell.
    pub fn law(&self) -> &RoomLaw {
        &self.law
    }
}

impl Entry {
    fn admits(&self, sender: &Sender<'_>, captures: &Captures<'_, '_>) -> bool {
        let principal = sender.principal;
        let is = |wanted: &Option<Wanted>, own: Option<&str>| {
            wanted.as_ref().is_none_or(|wanted| own.is_some_and(|own| wanted.is(own, captures)))
        };
        self.role.as_ref().is_none_or(|role| sender.role == Some(role))
            && self.permission.as_ref().is_none_or(|permission| principal.permissions.contains(permission))
            && self.plan.as_ref().is_none_or(|plan| sender.plan == plan)
            && is(&self.user, Some(principal.user.as_str()))
            && is(&self.agent, principal.agent.as_ref().map(|agent| agent.as_str()))
    }
}

#[cfg(test)]
mod tests;
