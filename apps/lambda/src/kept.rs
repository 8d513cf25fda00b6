//! A connection as the table keeps it between two events: all that a message needs to be judged as if the connection had
//! been served by one task all along. The token is not among it; what it proved is.

use std::{collections::BTreeSet, sync::Arc};

use gateway_domain::{
    AgentId, ConnectionId, Permission, PlanName, Principal, Role, Timestamp, UserId,
    plan::{OwnLimits, Rate},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// The longest that API Gateway keeps a connection.
pub const LONGEST_LIFE: std::time::Duration = std::time::Duration::from_secs(2 * 3600);

/// A connection, as others find it: in a room, or as an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: ConnectionId,
    /// What API Gateway calls it,
    pub wire: String,
    /// and where.
    pub stage: String,
    /// Whose it is.
    pub user: UserId,
    /// The role that it was admitted as.
    pub role: Option<Role>,
    /// The path of its endpoint.
    pub door: String,
    /// From when on nothing is delivered to it, where its endpoint closes on expiry.
    pub until: Option<Timestamp>,
    /// When it is over whatever happens.
    pub ends: Timestamp,
}

/// A connection, whole.
#[derive(Clone, Debug)]
pub struct Kept {
    /// As others find it.
    pub member: Member,
    /// Who it is.
    pub principal: Principal,
    /// Since when.
    pub connected_at: Timestamp,
    /// When its token was verified.
    pub authenticated_at: Timestamp,
    /// Where from.
    pub address: Option<std::net::IpAddr>,
    /// What the client calls itself.
    pub user_agent: Option<String>,
    /// The agent whose one connection it is.
    pub agent: Option<AgentId>,
    /// Its mark among the seats of its user.
    pub seat: String,
    /// The rooms that it was put into.
    pub rooms: BTreeSet<String>,
    /// The rooms that it asked for.
    pub asked: BTreeSet<String>,
    /// The deadline of which it was warned.
    pub warned: Option<Timestamp>,
    /// Whether it was told that its two hours end.
    pub told_of_end: bool,
}

/// The id of a connection, from what API Gateway calls it and where: the same at every event, and nothing has to be
/// looked up for it.
pub fn id_of(stage: &str, wire: &str) -> ConnectionId {
    let hash = gateway_auth::api_key::hash(&format!("{stage}\n{wire}"));
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(hash).for_each(|(own, hashed)| *own = hashed);
    ConnectionId::new(uuid::Builder::from_random_bytes(bytes).into_uuid())
}

/// A principal in the form in which it is kept.
#[derive(Serialize, Deserialize)]
struct Proven {
    user: UserId,
    agent: Option<AgentId>,
    issuer: Option<String>,
    key: String,
    roles: Vec<Role>,
    permissions: Vec<Permission>,
    plan: Option<PlanName>,
    connections: Option<u32>,
    rate: Option<WrittenRate>,
    burst: Option<WrittenRate>,
    token_id: Option<String>,
    issued_at: Option<i64>,
    expires_at: i64,
    claims: Map<String, Value>,
}

/// A rate: so many, in so many milliseconds.
#[derive(Serialize, Deserialize)]
struct WrittenRate(std::num::NonZeroU32, u64);

impl From<Rate> for WrittenRate {
    fn from(rate: Rate) -> Self {
        Self(rate.count, u64::try_from(rate.period.as_millis()).unwrap_or(u64::MAX))
    }
}

impl From<WrittenRate> for Rate {
    fn from(WrittenRate(count, millis): WrittenRate) -> Self {
        Self::new(count, std::time::Duration::from_millis(millis))
    }
}

/// A principal, written down.
pub fn write(principal: &Principal) -> String {
    let Principal {
        user,
        agent,
        issuer,
        key,
        roles,
        permissions,
        plan,
        own_limits: OwnLimits { connections, rate, burst },
        token_id,
        issued_at,
        expires_at,
        claims,
    } = principal.clone();
    let proven = Proven {
        user,
        agent,
        issuer: issuer.as_deref().map(Into::into),
        key: key.as_ref().into(),
        roles,
        permissions,
        plan,
        connections,
        rate: rate.map(Into::into),
        burst: burst.map(Into::into),
        token_id: token_id.as_deref().map(Into::into),
        issued_at: issued_at.map(Timestamp::millis),
        expires_at: expires_at.millis(),
        claims: Map::clone(&claims),
    };
    // Names, numbers and what was JSON before: it always has a JSON form.
    serde_json::to_string(&proven).unwrap_or_default()
}

/// A principal, read again.
pub fn read(text: &str) -> Result<Principal, serde_json::Error> {
    let proven: Proven = serde_json::from_str(text)?;
    Ok(Principal {
        user: proven.user,
        agent: proven.agent,
        issuer: proven.issuer.map(Into::into),
        key: proven.key.into(),
        roles: proven.roles,
        permissions: proven.permissions,
        plan: proven.plan,
        own_limits: OwnLimits {
            connections: proven.connections,
            rate: proven.rate.map(Into::into),
            burst: proven.burst.map(Into::into),
        },
        token_id: proven.token_id.map(Into::into),
        issued_at: proven.issued_at.map(Timestamp::from_millis),
        expires_at: Timestamp::from_millis(proven.expires_at),
        claims: Arc::new(proven.claims),
    })
}

/// A UUID that is kept as text.
pub(crate) fn uuid_in(text: &str) -> Option<Uuid> {
    Uuid::parse_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_principal_is_the_same_after_it_was_kept() {
        let claims = json!({"sub": "ann", "org": {"id": 7}});
        let principal = Principal {
            user: "ann".parse().unwrap(),
            agent: Some("press-7".parse().unwrap()),
            issuer: Some("https://id.example".into()),
            key: "main".into(),
            roles: vec!["dashboard".parse().unwrap()],
            permissions: vec!["command.execute".parse().unwrap()],
            plan: Some("free".parse().unwrap()),
            own_limits: OwnLimits {
                connections: Some(2),
                rate: Some("50/m".parse().unwrap()),
                burst: Some("5/s".parse().unwrap()),
            },
            token_id: Some("t-1".into()),
            issued_at: Some(Timestamp::from_millis(1_700_000_000_123)),
            expires_at: Timestamp::from_millis(1_800_000_000_456),
            claims: Arc::new(claims.as_object().cloned().unwrap()),
        };
        assert_eq!(read(&write(&principal)).unwrap(), principal);
        assert!(read("{}").is_err());
    }

    #[test]
    fn an_id_is_of_one_connection_of_one_stage() {
        assert_eq!(id_of("prod", "abc="), id_of("prod", "abc="));
        assert_ne!(id_of("prod", "abc="), id_of("test", "abc="));
        assert_ne!(id_of("prod", "abc="), id_of("prod", "abd="));
    }
}
