//! What there is besides the routes and rules, so that a name in them which nothing has is noticed.

use std::collections::{BTreeMap, BTreeSet};

use crate::{flaw::Flaw, name::Role};

/// What routes and rules may refer to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The roles that may turn up; none: any (an endpoint admits everybody).
    pub roles: Option<BTreeSet<Role>>,
    /// The paths of the endpoints, and whether the messages there are routed.
    pub endpoints: BTreeMap<Box<str>, bool>,
    /// The names of the webhooks, and whether they take messages.
    pub webhooks: BTreeMap<Box<str>, bool>,
    /// Whether the connections of some endpoint are agents.
    pub agents: bool,
}

impl Surroundings {
    pub(crate) fn check_role(&self, role: &Role) -> Result<(), Flaw> {
        match &self.roles {
            Some(roles) if !roles.contains(role) => {
                Err(Flaw::unknown("role", role.as_str(), roles.iter().map(Role::as_str)))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn check_endpoint(&self, path: &str) -> Result<(), Flaw> {
        match self.endpoints.get(path) {
            Some(true) => Ok(()),
            Some(false) => Err(Flaw::new(
                format!("the endpoint `{path}` returns what it gets: nothing is routed there"),
                "set its `handler` to \"routes\", or name another endpoint",
            )),
            None => Err(Flaw::unknown("endpoint", path, self.endpoints.keys().map(|path| &**path))),
        }
    }

    pub(crate) fn check_webhook(&self, name: &str) -> Result<(), Flaw> {
        match self.webhooks.get(name) {
            Some(true) => Ok(()),
            Some(false) => Err(Flaw::new(
                format!("the webhook `{name}` takes no messages"),
                "add \"message\" to its `events`, or name another webhook",
            )),
            None => Err(Flaw::unknown("webhook", name, self.webhooks.keys().map(|name| &**name))),
        }
    }

    pub(crate) fn check_agents(&self) -> Result<(), Flaw> {
        if self.agents {
            Ok(())
        } else {
            Err(Flaw::new(
                "no endpoint has agents, so `agent:` reaches nobody",
                "set `agents = true` at the endpoint where agents connect, or send to `user:ID`",
            ))
        }
    }
}
