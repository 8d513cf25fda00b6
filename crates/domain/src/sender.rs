//! Who says something, as routes and rules see it.

use crate::{
    name::{ConnectionId, PlanName, Role},
    principal::Principal,
};

/// Whoever says or asks something.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// Who it is.
    pub principal: &'a Principal,
    /// By which connection.
    pub connection: ConnectionId,
    /// As what it was admitted; none where the endpoint admits everybody and names no role.
    pub role: Option<&'a Role>,
    /// Whose limits hold for it.
    pub plan: &'a PlanName,
    /// The path of its endpoint, as it is configured.
    pub endpoint: &'a str,
}

#[cfg(test)]
pub(crate) mod fixture {
    //! Senders for tests.

    use super::*;
    use crate::{plan::OwnLimits, time::Timestamp};
    use uuid::Uuid;

    /// Somebody who owns what a [`Sender`] borrows.
    pub(crate) struct Somebody {
        pub(crate) principal: Principal,
        pub(crate) role: Option<Role>,
        pub(crate) plan: PlanName,
        pub(crate) endpoint: String,
    }

    impl Somebody {
        pub(crate) const CONNECTION: ConnectionId = ConnectionId::new(Uuid::from_u128(7));

        pub(crate) fn new(user: &str, role: &str, endpoint: &str) -> Self {
            let role: Option<Role> = (!role.is_empty()).then(|| role.parse().unwrap());
            let principal = Principal {
                user: user.parse().unwrap(),
                agent: None,
                issuer: None,
                key: "main".into(),
                roles: role.iter().cloned().collect(),
                permissions: Vec::new(),
                plan: None,
                own_limits: OwnLimits::default(),
                token_id: None,
                issued_at: None,
                expires_at: Timestamp::from_seconds(0),
                claims: Default::default(),
            };
            Self { principal, role, plan: "free".parse().unwrap(), endpoint: endpoint.into() }
        }

        pub(crate) fn agent(mut self, agent: &str) -> Self {
            self.principal.agent = Some(agent.parse().unwrap());
            self
        }

        pub(crate) fn permission(mut self, permission: &str) -> Self {
            self.principal.permissions.push(permission.parse().unwrap());
            self
        }

        pub(crate) fn claims(mut self, claims: serde_json::Value) -> Self {
            self.principal.claims = std::sync::Arc::new(claims.as_object().unwrap().clone());
            self
        }

        pub(crate) fn sender(&self) -> Sender<'_> {
            Sender {
                principal: &self.principal,
                connection: Self::CONNECTION,
                role: self.role.as_ref(),
                plan: &self.plan,
                endpoint: &self.endpoint,
            }
        }
    }
}
