//! Somebody who is made up: as a token would make them, at an endpoint of the configuration.

use std::sync::Arc;

use gateway_domain::{
    AgentId, ConnectionId, Permission, PlanName, Principal, Role, Timestamp, UserId, plan::OwnLimits, sender::Sender,
};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::reading::{Reading, Table};
use crate::config::{
    Config, Endpoint, Handler, below, nearest,
    value::{AgentSource, EndpointPath},
};

/// The keys of such a person.
pub(super) const KEYS: [&str; 8] = ["user", "role", "roles", "permissions", "plan", "agent", "endpoint", "claims"];

/// Who speaks, or wants to hear.
pub(super) struct Person {
    principal: Principal,
    role: Option<Role>,
    plan: PlanName,
    pub(super) endpoint: Endpoint,
}

impl Person {
    /// Reads one.
    pub(super) fn read(table: Table<'_>, config: &Config, reading: &mut Reading) -> Option<Self> {
        let user: UserId = match table.has("user") {
            true => reading.value(table, "user")?,
            false => UserId::parse("somebody").ok()?,
        };
        if table.has("role") && table.has("roles") {
            reading.fault(&below(table.key, "role"), "this has `role` and `roles`", "Keep one of them");
        }
        let roles: Vec<Role> =
            reading.values(table, "roles").or_else(|| reading.values(table, "role")).unwrap_or_default();
        let permissions: Vec<Permission> = reading.values(table, "permissions").unwrap_or_default();
        let plan: Option<PlanName> = reading.value(table, "plan");
        let agent: Option<AgentId> = reading.value(table, "agent");
        let claims: Map<String, Json> = reading.json(table, "claims").unwrap_or_default();
        if let Some(plan) = plan.as_ref().filter(|plan| !config.plans.contains_key(*plan)) {
            let known = || config.plans.keys().map(PlanName::as_str);
            reading.fault(
                &below(table.key, "plan"),
                format_args!("there is no plan `{plan}`"),
                meant(plan.as_str(), known),
            );
        }
        let endpoint = door(table, config, &roles, reading)?;
        // The same claim names both, unless the configuration says otherwise.
        let same = matches!(&config.auth.claims.agent, AgentSource::Claim(paths) if *paths == config.auth.claims.user);
        let agent = agent.or_else(|| same.then(|| AgentId::parse(user.as_str()).ok()).flatten());
        let role =
            if endpoint.roles.is_empty() { roles.first() } else { endpoint.roles.iter().find(|r| roles.contains(r)) };
        let role = role.cloned();
        let standing = plan.clone().or_else(|| endpoint.plan.clone());
        let principal = Principal {
            user,
            agent,
            issuer: None,
            key: "made up".into(),
            roles,
            permissions,
            plan,
            own_limits: OwnLimits::default(),
            token_id: None,
            issued_at: None,
            expires_at: Timestamp::from_seconds(i64::from(u32::MAX)),
            claims: Arc::new(claims),
        };
        Some(Self { principal, role, plan: standing.or_else(|| PlanName::parse("default").ok())?, endpoint })
    }

    /// As routes and rules see them.
    pub(super) fn sender(&self) -> Sender<'_> {
        Sender {
            principal: &self.principal,
            connection: ConnectionId::new(Uuid::nil()),
            role: self.role.as_ref(),
            plan: &self.plan,
            endpoint: self.endpoint.path.as_str(),
        }
    }

    pub(super) fn has(&self, permission: &Permission) -> bool {
        self.principal.permissions.contains(permission)
    }
}

/// The endpoint that the case names, or the first that lets such roles in.
fn door(table: Table<'_>, config: &Config, roles: &[Role], reading: &mut Reading) -> Option<Endpoint> {
    let doors: Vec<Endpoint> = config.doors().into_iter().map(|(_, endpoint)| endpoint).collect();
    let opens =
        |endpoint: &Endpoint| endpoint.roles.is_empty() || endpoint.roles.iter().any(|role| roles.contains(role));
    let key = below(table.key, "endpoint");
    if !table.has("endpoint") {
        let narrow = |endpoint: &&Endpoint| !endpoint.roles.is_empty();
        let routed = || doors.iter().filter(|endpoint| endpoint.handler == Handler::Routes && opens(endpoint));
        // A door for the role says more about a case than one for anybody.
        let found = routed().find(narrow).or_else(|| routed().next());
        if found.is_none() {
            let has = roles.iter().map(Role::as_str).collect::<Vec<_>>().join(", ");
            let what =
                format!("no endpoint lets somebody in with the roles: {}", if has.is_empty() { "none" } else { &has });
            reading.fault(&key, what, "Give roles that an endpoint is for, or name the endpoint");
        }
        return found.cloned();
    }
    let path: EndpointPath = reading.value(table, "endpoint")?;
    let Some(endpoint) = doors.iter().find(|endpoint| endpoint.path == path) else {
        let known = || doors.iter().map(|endpoint| endpoint.path.as_str());
        reading.fault(&key, format_args!("there is no endpoint `{path}`"), meant(path.as_str(), known));
        return None;
    };
    if endpoint.handler == Handler::Echo {
        reading.fault(
            &key,
            format_args!("`{path}` returns what it gets: nothing is routed there"),
            "Name another endpoint",
        );
        return None;
    }
    if !opens(endpoint) {
        let wanted = endpoint.roles.iter().map(Role::as_str).collect::<Vec<_>>().join(", ");
        let what = format!("nobody with these roles comes in at `{path}`, which is for: {wanted}");
        reading.fault(&key, what, "Give one of those roles, or name another endpoint");
        return None;
    }
    Some(endpoint.clone())
}

fn meant<'k, I: Iterator<Item = &'k str>>(name: &str, known: impl Fn() -> I) -> String {
    match nearest(name, known()) {
        Some(near) => format!("Did you mean `{near}`?"),
        None => format!("Name one of {}", known().collect::<Vec<_>>().join(", ")),
    }
}
