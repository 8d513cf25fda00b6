//! Who a verified token says is there.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::{
    name::{AgentId, Permission, PlanName, Role, UserId},
    plan::OwnLimits,
    time::Timestamp,
};

/// What a connection knows of its user: all of it from a token that was verified.
#[derive(Clone, Debug, PartialEq)]
pub struct Principal {
    /// Whom the token speaks for; with the key's prefix, where it has one.
    pub user: UserId,
    /// The agent that it is, where it is one.
    pub agent: Option<AgentId>,
    /// Who issued the token, where it says so.
    pub issuer: Option<Arc<str>>,
    /// Which key verified it: its `kid`, or its name in the configuration.
    pub key: Arc<str>,
    /// What the user is; never more than the key may grant.
    pub roles: Vec<Role>,
    /// What the user may do.
    pub permissions: Vec<Permission>,
    /// Which limits hold, where the token names them.
    pub plan: Option<PlanName>,
    /// Tighter limits of the token's own.
    pub own_limits: OwnLimits,
    /// The token's own id (`jti`).
    pub token_id: Option<Arc<str>>,
    /// When it was issued (`iat`).
    pub issued_at: Option<Timestamp>,
    /// The one deadline: `exp` and the leeway that the operator gave it.
    pub expires_at: Timestamp,
    /// Every claim, as it was signed.
    pub claims: Arc<Map<String, Value>>,
}

impl Principal {
    /// The first of these roles that the user has: the one it is admitted as.
    pub fn first_role_of<'a>(&self, wanted: &'a [Role]) -> Option<&'a Role> {
        wanted.iter().find(|role| self.roles.contains(role))
    }

    /// Whether the user has that role.
    pub fn is(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own.as_str() == role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_the_endpoint_decides_the_role() {
        let role = |name: &str| name.parse::<Role>().unwrap();
        let principal = Principal {
            user: "ann".parse().unwrap(),
            agent: None,
            issuer: None,
            key: "main".into(),
            roles: vec![role("viewer"), role("dashboard")],
            permissions: Vec::new(),
            plan: None,
            own_limits: OwnLimits::default(),
            token_id: None,
            issued_at: None,
            expires_at: Timestamp::from_seconds(0),
            claims: Arc::default(),
        };
        let wanted = [role("admin"), role("dashboard"), role("viewer")];
        assert_eq!(principal.first_role_of(&wanted), Some(&role("dashboard")));
        assert_eq!(principal.first_role_of(&[role("agent")]), None);
        assert!(principal.is("viewer") && !principal.is("agent"));
    }
}
