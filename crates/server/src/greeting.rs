//! `connection_ready`: the first thing that a client hears, and all that it needs to know.

use gateway_domain::{
    AgentId, ConnectionId, Now, PlanName, Role, Timestamp, UserId, envelope::Notice, name::Permission, plan::Messages,
};
use serde::Serialize;

use crate::hub::Occupant;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Greeting<'a> {
    protocol: u8,
    connection_id: ConnectionId,
    user_id: &'a UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<&'a AgentId>,
    roles: &'a [Role],
    role: Option<&'a Role>,
    plan: &'a PlanName,
    permissions: &'a [Permission],
    expires_at: Timestamp,
    heartbeat_seconds: Option<u64>,
    limits: Limits,
    server_time: Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Limits {
    connections: Option<u32>,
    messages: Messages,
    message_bytes: usize,
}

/// The greeting, as it is said to whoever has just come in.
pub fn text(occupant: &Occupant, now: Now) -> String {
    occupant.stands(|standing| {
        let principal = &standing.principal;
        let payload = Greeting {
            protocol: 1,
            connection_id: occupant.id,
            user_id: &principal.user,
            agent_id: principal.agent.as_ref(),
            roles: &principal.roles,
            role: standing.role.as_ref(),
            plan: &standing.plan.name,
            permissions: &principal.permissions,
            expires_at: principal.expires_at,
            heartbeat_seconds: occupant.endpoint.session.heartbeat.map(|interval| interval.as_secs().max(1)),
            limits: Limits {
                connections: standing.plan.connections,
                messages: standing.plan.messages,
                message_bytes: occupant.endpoint.max_message,
            },
            server_time: now.wall,
        };
        Notice { kind: "connection_ready", id: None, payload: Some(payload) }.to_text().unwrap_or_default()
    })
}
