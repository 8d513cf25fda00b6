//! A connection, as the API tells of it.

use std::time::Duration;

use gateway_domain::{
    AgentId, ConnectionId, Now, Permission, PlanName, RequestId, Role, Timestamp, UserId, name::NodeName, plan::Rate,
    session::OnExpiry,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    house::House,
    hub::{Occupant, Transport},
    words,
};

pub(super) const EXAMPLE: &str = r#"{
  "connectionId": "3f0c2b57-9f0e-4c7e-8a51-6f1f6f5f0a6e", "requestId": "6b3b8168-e479-47a9-97d7-3cf85d128fe4",
  "node": "gateway-1", "userId": "ann", "agentId": null, "issuer": "https://id.example", "roles": ["dashboard"],
  "role": "dashboard", "permissions": ["command.execute"], "plan": "professional",
  "limits": {"connections": 25, "messages": {"rate": "1000/m", "burst": "100/s"}, "messageBytes": 1048576},
  "usage": {"connections": 1, "violations": 0, "penaltySeconds": null},
  "endpoint": "/ws/dashboard", "transport": "websocket", "ip": "203.0.113.7", "userAgent": "Mozilla/5.0",
  "connectedAt": "2030-01-01T00:00:00.000Z", "authenticatedAt": "2030-01-01T00:00:00.000Z",
  "expiresAt": "2030-01-01T00:15:00.000Z", "keptPastExpiry": false, "lastActivityAt": "2030-01-01T00:00:25.000Z",
  "messagesIn": 3, "messagesOut": 12, "bytesIn": 210, "bytesOut": 4096
}"#;

/// One live connection.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Connection {
    #[schemars(with = "words::Connection")]
    connection_id: ConnectionId,
    /// The handshake that made it.
    #[schemars(with = "words::Request")]
    request_id: RequestId,
    /// Which gateway holds it.
    #[schemars(with = "words::Node")]
    node: NodeName,
    #[schemars(with = "words::User")]
    user_id: UserId,
    /// The agent that it is, where its token names one.
    #[schemars(with = "Option<words::Agent>")]
    agent_id: Option<AgentId>,
    /// Who issued its token, where it says so.
    issuer: Option<String>,
    #[schemars(with = "Vec<words::Role>")]
    roles: Vec<Role>,
    /// The role that it was admitted as.
    #[schemars(with = "Option<words::Role>")]
    role: Option<Role>,
    #[schemars(with = "Vec<words::Permission>")]
    permissions: Vec<Permission>,
    #[schemars(with = "words::Plan")]
    plan: PlanName,
    limits: Limits,
    usage: Usage,
    /// The path of the endpoint, as the configuration has it.
    endpoint: String,
    transport: Transport,
    /// Where from.
    ip: String,
    /// What the client calls itself.
    user_agent: Option<String>,
    #[schemars(with = "words::Time")]
    connected_at: Timestamp,
    /// When its token was verified: at the handshake, or at a refresh.
    #[schemars(with = "words::Time")]
    authenticated_at: Timestamp,
    /// When its token ends.
    #[schemars(with = "words::Time")]
    expires_at: Timestamp,
    /// Whether it stays when its token ends.
    kept_past_expiry: bool,
    /// When anything at all was last heard of it.
    #[schemars(with = "words::Time")]
    last_activity_at: Timestamp,
    messages_in: u64,
    messages_out: u64,
    bytes_in: u64,
    bytes_out: u64,
}

/// What holds for a user; null is off.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ConnectionLimits")]
struct Limits {
    /// How many connections at once.
    connections: Option<u32>,
    messages: Messages,
    /// How many bytes a message may have.
    message_bytes: usize,
}

/// Two quotas of messages; both must admit.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MessageQuotas")]
struct Messages {
    /// In the long run.
    #[schemars(with = "Option<words::Rate>")]
    rate: Option<Rate>,
    /// In a burst.
    #[schemars(with = "Option<words::Rate>")]
    burst: Option<Rate>,
}

/// What of it is used.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ConnectionUsage")]
struct Usage {
    /// The user's connections.
    connections: usize,
    /// How many violations of the quotas are remembered.
    violations: u32,
    /// How long its messages are still refused for them.
    penalty_seconds: Option<u64>,
}

/// All that is known of a connection.
pub(super) fn described(house: &House, here: &Occupant, now: Now) -> Connection {
    let standing = here.standing();
    let principal = &standing.principal;
    let [messages_in, messages_out, bytes_in, bytes_out] = here.traffic.counts();
    let (violations, penalty) = standing.account.standing(now);
    let quotas = standing.plan.messages;
    Connection {
        connection_id: here.id,
        request_id: here.request_id,
        node: house.node.clone(),
        user_id: principal.user.clone(),
        agent_id: principal.agent.clone(),
        issuer: principal.issuer.as_deref().map(str::to_owned),
        roles: principal.roles.clone(),
        role: standing.role.clone(),
        permissions: principal.permissions.clone(),
        plan: standing.plan.name.clone(),
        limits: Limits {
            connections: standing.plan.connections,
            messages: Messages { rate: quotas.rate, burst: quotas.burst },
            message_bytes: here.endpoint.max_message,
        },
        usage: Usage {
            connections: house.hub.of_user(here.user()).len(),
            violations,
            penalty_seconds: penalty.map(in_seconds),
        },
        endpoint: here.endpoint.path.to_string(),
        transport: here.transport(),
        ip: here.address.to_string(),
        user_agent: here.user_agent.as_deref().map(str::to_owned),
        connected_at: here.connected_at,
        authenticated_at: standing.authenticated_at,
        expires_at: principal.expires_at,
        kept_past_expiry: here.endpoint.session.on_expiry == OnExpiry::Keep,
        last_activity_at: here.traffic.last_heard(now),
        messages_in,
        messages_out,
        bytes_in,
        bytes_out,
    }
}

/// Whole seconds, rounded up.
pub(super) fn in_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
