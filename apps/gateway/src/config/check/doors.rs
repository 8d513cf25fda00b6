//! The sense of endpoints and plans: doors that are apart, that somebody can come through, and that only those can.

use gateway_domain::PlanName;

use super::{
    super::{
        Config, Endpoint, OnExpiry,
        shape::nearest,
        value::{Origin, TokenSource},
    },
    Complaints, repeated,
};

pub(super) fn check(config: &Config, complaints: &mut Complaints) {
    let doors = config.doors();
    if doors.is_empty() {
        complaints.warn(
            "endpoints",
            "there is no endpoint, so that nobody can connect",
            "Remove the empty list, or add [[endpoints]]",
        );
    }
    paths(config, complaints);
    namespaces(config, complaints);
    for (line, endpoint) in &doors {
        one(config, endpoint, line, complaints);
    }
    cookies(config, &doors, complaints);
    for (at, key) in config.api_keys.iter().enumerate() {
        plan(config, key.plan.as_ref(), &format!("api_keys[{at}].plan"), complaints);
    }
}

fn paths(config: &Config, complaints: &mut Complaints) {
    for (again, endpoint) in config.endpoints.iter().enumerate() {
        let earlier = || config.endpoints.iter().take(again).map(|other| &other.path);
        let line = format!("endpoints[{again}].path");
        if let Some(first) = earlier().position(|path| *path == endpoint.path) {
            let what = format!("endpoints[{first}] has this path, too");
            complaints.fault(line, what, "Give each endpoint a path of its own");
        } else if let Some((first, path)) = earlier().enumerate().find(|(_, path)| path.collides(&endpoint.path)) {
            let what = format!("a request could mean this path and `{path}` of endpoints[{first}]");
            complaints.fault(line, what, "Tell them apart by a word before the parameter");
        }
    }
}

fn namespaces(config: &Config, complaints: &mut Complaints) {
    let socketio = &config.socketio;
    for (at, namespace) in socketio.namespaces.iter().enumerate() {
        let line = format!("socketio.namespaces[{at}].path");
        let path = &namespace.path;
        if let Some(first) = socketio.namespaces.iter().take(at).position(|other| other.path == *path) {
            let what = format!("socketio.namespaces[{first}] has this path, too");
            complaints.fault(line, what, "Give each namespace a path of its own");
        } else if let Some(same) = config.endpoints.iter().position(|endpoint| endpoint.path == *path) {
            let what = format!("endpoints[{same}] has this path, and a route could mean either");
            complaints.fault(line, what, "Give each a path of its own");
        } else if path.is_pattern() || path.as_str().contains(',') {
            let what = format!("`{path}` cannot be the name of a namespace");
            complaints.fault(line, what, "Write a name without parameters and commas, such as \"/dashboard\"");
        }
    }
    let mut endpoints = config.endpoints.iter().enumerate();
    if !socketio.namespaces.is_empty()
        && let Some((at, endpoint)) = endpoints.find(|(_, endpoint)| socketio.path.collides(&endpoint.path))
    {
        let what = format!("Socket.IO is at this path, too (socketio.path), and goes before `{}`", endpoint.path);
        complaints.fault(format!("endpoints[{at}].path"), what, "Choose another path for one of them");
    }
}

fn one(config: &Config, endpoint: &Endpoint, line: &str, complaints: &mut Complaints) {
    for (at, role) in endpoint.roles.iter().enumerate() {
        if !config.auth.keys.is_empty() && !config.auth.keys.iter().any(|key| key.grants(role)) {
            let what = format!("no key grants the role `{role}`, so that nobody comes in by it");
            complaints.warn(format!("{line}.roles[{at}]"), what, "Add it to `roles` of a key in [[auth.keys]]");
        }
    }
    for (again, _) in repeated(&endpoint.roles) {
        complaints.warn(format!("{line}.roles[{again}]"), "this role is listed twice", "Remove one");
    }
    if endpoint.agents && !endpoint.origins.is_empty() {
        let what = "pages in a browser may connect as agents here";
        complaints.warn(format!("{line}.origins"), what, "Remove the list, unless your agents are web pages");
    }
    plan(config, endpoint.plan.as_ref(), &format!("{line}.plan"), complaints);
    let issued = config.auth.issuer.as_ref().map(|issuer| issuer.access_ttl);
    if let (OnExpiry::Close, Some(warning), Some(ttl)) = (endpoint.on_expiry, endpoint.expiry_warning.get(), issued)
        && *warning >= ttl
    {
        let what = format!(
            "the warning comes {warning} ahead, and a token issued here lives {ttl}: every connection is warned at once"
        );
        complaints.warn(format!("{line}.expiry_warning"), what, "Make it shorter than auth.issuer.access_ttl");
    }
}

fn plan(config: &Config, name: Option<&PlanName>, line: &str, complaints: &mut Complaints) {
    let Some(name) = name.filter(|name| !config.plans.contains_key(*name)) else { return };
    let known = config.plans.keys().map(PlanName::as_str);
    let remedy = match nearest(name.as_str(), known.clone()) {
        Some(near) => format!("Did you mean `{near}`?"),
        None => format!("Add [plans.{name}], or name one of {}", known.collect::<Vec<_>>().join(", ")),
    };
    complaints.fault(line, format!("there is no plan `{name}`"), remedy);
}

/// A browser sends its cookies with whatever page asks it to: only the list of origins tells good pages from bad.
fn cookies(config: &Config, doors: &[(String, Endpoint)], complaints: &mut Complaints) {
    let cookie = config.auth.token_sources.iter().position(|source| matches!(source, TokenSource::Cookie(_)));
    let Some(at) = cookie else { return };
    for (line, endpoint) in doors {
        if let Some(entry) = endpoint.origins.iter().position(|origin| *origin == Origin::Any) {
            let what = "with tokens in cookies, any page could connect in the name of whoever looks at it";
            let key = format!("{line}.origins[{entry}]");
            complaints.fault(key, what, "List the pages: origins = [\"https://app.example\"]");
        }
    }
    if doors.iter().all(|(_, endpoint)| endpoint.origins.is_empty()) {
        let what = "cookies come from browsers, and no endpoint lists the pages that may connect";
        let key = format!("auth.token_sources[{at}]");
        complaints.fault(key, what, "Add origins = [\"https://app.example\"] to the endpoints that browsers use");
    }
}
