//! The sense of routes: each can match, and means somebody who can be there.

use gateway_domain::route::{RouteFault, Surroundings};

use super::{
    super::{Config, routing},
    Complaints, sentence,
};

pub(super) fn check(config: &Config, around: &Surroundings, complaints: &mut Complaints) {
    for fault in routing::routes(&config.routes, around).err().unwrap_or_default() {
        complaints.fault(line(config, &fault), &fault.what, sentence(&fault.remedy));
    }
}

/// The key that a fault is of.
fn line(config: &Config, fault: &RouteFault) -> String {
    let name = if fault.field == "renamed" { "as" } else { fault.field };
    // One text stands without brackets.
    let single = config.routes.get(fault.route).is_some_and(|route| match name {
        "from" => route.from.len() == 1,
        "to" => route.to.len() == 1,
        _ => false,
    });
    let route = format!("routes[{}]", fault.route);
    match fault.entry {
        _ if name.is_empty() => route,
        Some(entry) if !single => format!("{route}.{name}[{entry}]"),
        Some(_) | None => format!("{route}.{name}"),
    }
}
