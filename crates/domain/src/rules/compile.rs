//! Rules checked before they are used: whatever could never hold is told, all of it at once.

use super::{Entry, JoinSpec, Pattern, RoomLaw, RoomRule, RuleFault, RuleSpec, Wanted};
use crate::{flaw::Flaw, route::Surroundings};

/// The rules, or every fault of theirs.
pub(super) fn rules(
    specs: &[RuleSpec],
    defaults: RoomLaw,
    around: &Surroundings,
) -> Result<Vec<RoomRule>, Vec<RuleFault>> {
    let mut faults = Vec::new();
    let mut patterns: Vec<(usize, Pattern)> = Vec::new();
    let mut rules = Vec::with_capacity(specs.len());
    for (rule, spec) in specs.iter().enumerate() {
        let mut fault = |field, entry, flaw: Flaw| {
            faults.push(RuleFault { rule, field, entry, what: flaw.what, remedy: flaw.remedy });
        };
        let pattern = Pattern::parse(&spec.pattern).map_err(|flaw| fault("match", None, flaw)).ok();
        let earlier = pattern.as_ref().and_then(|pattern| patterns.iter().find(|(_, wide)| wide.covers(pattern)));
        if let Some((number, wide)) = earlier {
            let what = format!("rule {} (`{}`) decides for all of these rooms before", number + 1, wide.as_str());
            fault("match", None, Flaw::new(what, format!("put this rule before rule {}, or take it out", number + 1)));
        }
        let mut entries = Vec::with_capacity(spec.join.len());
        for (index, join) in spec.join.iter().enumerate() {
            if spec.join.iter().take(index).any(|other| other == join) {
                fault("join", Some(index), Flaw::new("this entry comes twice", "take one of them out"));
            }
            match entry(join, pattern.as_ref(), around) {
                Ok(entry) => entries.push(entry),
                Err(flaws) => flaws.into_iter().for_each(|flaw| fault("join", Some(index), flaw)),
            }
        }
        let Some(pattern) = pattern else { continue };
        let law = RoomLaw {
            history: spec.history.unwrap_or(defaults.history),
            presence: spec.presence.unwrap_or(defaults.presence),
        };
        patterns.push((rule, pattern.clone()));
        rules.push(RoomRule { pattern, entries: entries.into(), join: spec.join.clone().into(), law });
    }
    if faults.is_empty() { Ok(rules) } else { Err(faults) }
}

fn entry(join: &JoinSpec, pattern: Option<&Pattern>, around: &Surroundings) -> Result<Entry, Vec<Flaw>> {
    let mut flaws = Vec::new();
    let mut wanted = |text: &Option<String>| {
        text.as_deref().and_then(|text| Wanted::parse(text, pattern).map_err(|flaw| flaws.push(flaw)).ok())
    };
    let (user, agent) = (wanted(&join.user), wanted(&join.agent));
    flaws.extend(join.role.as_ref().and_then(|role| around.check_role(role).err()));
    if flaws.is_empty() {
        let (role, permission, plan) = (join.role.clone(), join.permission.clone(), join.plan.clone());
        Ok(Entry { role, permission, user, agent, plan })
    } else {
        Err(flaws)
    }
}
