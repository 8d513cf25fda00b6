//! What each role may do: through which doors it comes, what it may send to whom, which rooms it may follow.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow};
use gateway_domain::Role;
use serde::Serialize;

use crate::{
    cli::page::Page,
    config::{Config, Endpoint, Handler, Join, Loaded, RoomRule, Route, nearest, value::Label},
};

/// Every role that the configuration knows.
#[derive(Debug, Serialize)]
pub(super) struct Overview {
    roles: Vec<Powers>,
}

/// What one role may do.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Powers {
    /// `None`: whoever has another role, or none.
    role: Option<Role>,
    endpoints: Vec<String>,
    sends: Vec<Way>,
    rooms: Vec<Entry>,
}

/// What may be sent, and where it goes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Way {
    route: usize,
    types: Vec<String>,
    to: Vec<String>,
    /// From these endpoints alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    at: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    permission: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_timeout: Option<String>,
    priority: bool,
    #[serde(rename = "as", skip_serializing_if = "Option::is_none")]
    renamed: Option<String>,
}

/// Which rooms may be followed, and what must hold beside the role.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(rename = "match")]
    pattern: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    permission: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
}

/// What every role may do, or one.
pub(super) fn of(loaded: &Loaded, only: Option<&Role>) -> Result<Overview> {
    let config = &loaded.config;
    let known = roles(config);
    let doors = doors(config);
    let open = routed(&doors).any(|endpoint| endpoint.roles.is_empty());
    let roles: Vec<Option<&Role>> = match only {
        None => known.iter().map(|role| Some(*role)).chain(open.then_some(None)).collect(),
        Some(role) if open || known.contains(role) => vec![Some(role)],
        Some(role) => {
            let names = || known.iter().map(|role| role.as_str());
            let remedy = match nearest(role.as_str(), names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are: {}", names().collect::<Vec<_>>().join(", ")),
            };
            return Err(anyhow!("no endpoint lets anybody in as `{role}`; {remedy}"));
        }
    };
    Ok(Overview { roles: roles.into_iter().map(|role| powers(config, &doors, role)).collect() })
}

fn doors(config: &Config) -> Vec<Endpoint> {
    config.doors().into_iter().map(|(_, endpoint)| endpoint).collect()
}

fn routed(doors: &[Endpoint]) -> impl Iterator<Item = &Endpoint> {
    doors.iter().filter(|endpoint| endpoint.handler == Handler::Routes)
}

/// The roles that endpoints are for, and, where anybody may come in, those that routes and rules speak of.
fn roles(config: &Config) -> BTreeSet<&Role> {
    let namespaces = config.socketio.namespaces.iter().flat_map(|namespace| &namespace.roles);
    let mut roles: BTreeSet<&Role> =
        config.endpoints.iter().flat_map(|endpoint| &endpoint.roles).chain(namespaces).collect();
    roles.extend(config.rooms.rules.iter().flat_map(|rule| &rule.join).filter_map(|join| join.role.as_ref()));
    roles
}

fn powers(config: &Config, all: &[Endpoint], role: Option<&Role>) -> Powers {
    let lets_in =
        |endpoint: &&Endpoint| endpoint.roles.is_empty() || role.is_some_and(|role| endpoint.roles.contains(role));
    let doors: Vec<&str> = routed(all).filter(lets_in).map(|endpoint| endpoint.path.as_str()).collect();
    let rooms = config.rooms.rules.iter().flat_map(|rule| rule.join.iter().map(move |join| (rule, join)));
    Powers {
        role: role.cloned(),
        endpoints: all.iter().filter(lets_in).map(|endpoint| endpoint.path.to_string()).collect(),
        sends: config.routes.iter().enumerate().filter_map(|(at, route)| way(at, route, role, &doors)).collect(),
        rooms: rooms
            .filter(|(_, join)| join.role.as_ref().is_none_or(|wanted| Some(wanted) == role) && !doors.is_empty())
            .map(|(rule, join)| entry(rule, join))
            .collect(),
    }
}

/// A route, where it is open to that role.
fn way(number: usize, route: &Route, role: Option<&Role>, doors: &[&str]) -> Option<Way> {
    let named =
        route.from.iter().any(|from| from.as_str() == "*" || role.is_some_and(|role| from.as_str() == role.as_str()));
    let paths = route.from.iter().filter_map(|from| from.as_str().strip_prefix("endpoint:"));
    let at: Vec<String> = paths.filter(|path| doors.contains(path)).map(str::to_owned).collect();
    if doors.is_empty() || !named && at.is_empty() {
        return None;
    }
    let texts = |texts: &[Label]| texts.iter().map(ToString::to_string).collect();
    Some(Way {
        route: number,
        types: texts(&route.types),
        to: texts(&route.to),
        at: if named { Vec::new() } else { at },
        permission: route.permission.as_ref().map(ToString::to_string),
        reply_timeout: route.reply_timeout.map(|wait| wait.to_string()),
        priority: route.priority,
        renamed: route.renamed.as_ref().map(ToString::to_string),
    })
}

fn entry(rule: &RoomRule, join: &Join) -> Entry {
    Entry {
        pattern: rule.pattern.to_string(),
        permission: join.permission.as_ref().map(ToString::to_string),
        user: join.user.as_ref().map(ToString::to_string),
        agent: join.agent.as_ref().map(ToString::to_string),
        plan: join.plan.as_ref().map(ToString::to_string),
    }
}

impl Overview {
    /// For people.
    pub(super) fn write(&self, page: &mut Page) {
        for (at, powers) in self.roles.iter().enumerate() {
            if at > 0 {
                page.line("");
            }
            powers.write(page);
        }
    }
}

impl Powers {
    fn write(&self, page: &mut Page) {
        match &self.role {
            Some(role) => page.row("role", role),
            None => page.row("role", "any other, or none"),
        }
        rows(page, "comes in at", &self.endpoints, "nowhere");
        rows(page, "may send", &self.sends.iter().map(Way::sentence).collect::<Vec<_>>(), "nothing");
        rows(page, "may follow", &self.rooms.iter().map(Entry::sentence).collect::<Vec<_>>(), "no room");
    }
}

/// A name, and its values one below another.
fn rows(page: &mut Page, name: &str, values: &[String], none: &str) {
    if values.is_empty() {
        return page.row(name, none);
    }
    for (at, value) in values.iter().enumerate() {
        page.row(if at == 0 { name } else { "" }, value);
    }
}

impl Way {
    fn sentence(&self) -> String {
        let Self { route, types, to, at, permission, reply_timeout, priority, renamed } = self;
        let details = [
            (!at.is_empty()).then(|| format!("only at {}", at.join(", "))),
            permission.as_ref().map(|permission| format!("with the permission {permission}")),
            reply_timeout.as_ref().map(|wait| format!("answered within {wait}")),
            renamed.as_ref().map(|kind| format!("sent on as {kind}")),
            priority.then(|| "goes through over the limit".to_owned()),
            Some(format!("routes[{route}]")),
        ];
        let details = details.into_iter().flatten().collect::<Vec<_>>().join("; ");
        format!("{} -> {} ({details})", types.join(", "), to.join(", "))
    }
}

impl Entry {
    fn sentence(&self) -> String {
        let Self { pattern, permission, user, agent, plan } = self;
        let wanted = [
            permission.as_ref().map(|permission| format!("with the permission {permission}")),
            user.as_ref().map(|user| format!("as the user {user}")),
            agent.as_ref().map(|agent| format!("as the agent {agent}")),
            plan.as_ref().map(|plan| format!("on the plan {plan}")),
        ];
        let wanted: Vec<_> = wanted.into_iter().flatten().collect();
        if wanted.is_empty() { pattern.clone() } else { format!("{pattern} ({})", wanted.join(", ")) }
    }
}
