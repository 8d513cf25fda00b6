//! The sense of rooms: rules that can match, members that can be there, memories that fit.

use gateway_domain::{route::Surroundings, rules::RuleFault};

use super::{
    super::{
        Config, routing,
        value::{Limit, Size},
    },
    Complaints, sentence,
};

pub(super) fn check(config: &Config, around: &Surroundings, complaints: &mut Complaints) {
    let rooms = &config.rooms;
    for fault in routing::rules(&rooms.rules, rooms, around).err().unwrap_or_default() {
        complaints.fault(line(&fault), &fault.what, sentence(&fault.remedy));
    }
    if let Limit::At(history) = &rooms.default.history {
        memory(history.bytes, rooms.history_budget, "rooms.default.history.bytes", complaints);
    }
    for (at, rule) in rooms.rules.iter().enumerate() {
        if let Some(bytes) = rule.history.as_ref().and_then(Limit::get).and_then(|history| history.bytes) {
            memory(bytes, rooms.history_budget, &format!("rooms.rules[{at}].history.bytes"), complaints);
        }
    }
}

/// A room must not be allowed more than all rooms together.
fn memory(bytes: Size, budget: Size, line: &str, complaints: &mut Complaints) {
    if bytes > budget {
        let what = format!("a room may remember {bytes}, and all rooms together {budget} (rooms.history_budget)");
        complaints.warn(line, what, "Make it smaller, or the budget larger");
    }
}

/// The key that a fault is of.
fn line(fault: &RuleFault) -> String {
    let rule = format!("rooms.rules[{}]", fault.rule);
    match (fault.field, fault.entry) {
        ("", _) => rule,
        ("match" | "pattern", _) => format!("{rule}.match"),
        ("join", Some(entry)) => format!("{rule}.join[{entry}]"),
        // A key of an entry of `join`.
        (name, Some(entry)) => format!("{rule}.join[{entry}].{name}"),
        (name, None) => format!("{rule}.{name}"),
    }
}
