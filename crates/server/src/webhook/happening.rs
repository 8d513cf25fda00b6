//! What a hook is told, written down once: the body of its request.

use std::sync::Arc;

use bytes::Bytes;
use gateway_domain::{AgentId, ConnectionId, EventId, Now, PlanName, RequestId, Role, Timestamp, UserId, trace::Trace};
use serde::{Deserialize, Serialize};

use crate::{
    audit::Subject,
    gate::Claim,
    hub::{Ending, Occupant},
};

/// What can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A connection began.
    Connect,
    /// A connection ended.
    Disconnect,
    /// A message or an event for the hook.
    Message,
}

impl Kind {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Disconnect => "disconnect",
            Self::Message => "message",
        }
    }
}

/// A connection, as a hook is told of it. Where it came from is for the audit, with its own law of how much of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Facts {
    pub(super) connection_id: ConnectionId,
    user_id: UserId,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    agent_id: Option<AgentId>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    role: Option<Role>,
    plan: PlanName,
    pub(super) endpoint: Box<str>,
    connected_at: Timestamp,
    request_id: RequestId,
    #[serde(skip)]
    trace: Option<Trace>,
}

/// How a connection ended, in the words of the metric of closed connections.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reason {
    by: &'static str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    close_code: Option<u16>,
}

/// One event on its way to a hook.
#[derive(Debug)]
pub(super) struct Happening {
    pub(super) id: EventId,
    pub(super) kind: Kind,
    pub(super) facts: Option<Arc<Facts>>,
    /// The trace of what is told, or of the handshake of whom it is told.
    pub(super) trace: Option<Trace>,
    pub(super) body: Bytes,
}

#[derive(Serialize)]
struct Body<'a> {
    id: EventId,
    event: Kind,
    time: Timestamp,
    webhook: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<&'a Facts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
}

impl Happening {
    /// Writes it down. A message is put in as it is: it is JSON that this gateway has written itself.
    pub(super) fn new(
        kind: Kind,
        webhook: &str,
        facts: Option<Arc<Facts>>,
        reason: Option<Reason>,
        message: Option<&str>,
        now: Now,
    ) -> Self {
        let id = EventId::new(uuid::Uuid::new_v4());
        let body = Body { id, event: kind, time: now.wall, webhook, connection: facts.as_deref(), reason };
        // It is made of names and times, and always has a JSON form.
        let mut text = serde_json::to_string(&body).unwrap_or_default();
        if let Some(message) = message {
            text.pop();
            text.reserve_exact(message.len() + 12);
            text.push_str(",\"message\":");
            text.push_str(message);
            text.push('}');
        }
        let trace = facts.as_ref().and_then(|facts| facts.trace);
        Self { id, kind, facts, trace, body: text.into() }
    }

    /// The same, where what is told belongs to a trace of its own.
    pub(super) fn of(self, trace: Option<Trace>) -> Self {
        Self { trace: trace.or(self.trace), ..self }
    }

    /// Whom it is about, for the audit.
    pub(super) fn subject(&self) -> Subject<'_> {
        let trace = self.trace.map(|trace| trace.id);
        let subject = match &self.facts {
            None => Subject::new(RequestId::new(self.id.uuid())),
            Some(facts) => Subject {
                user: Some(&facts.user_id),
                endpoint: Some(&facts.endpoint),
                connection: Some(facts.connection_id),
                ..Subject::new(facts.request_id)
            },
        };
        Subject { trace, ..subject }
    }
}

impl Facts {
    /// As it stands now.
    pub(super) fn of(here: &Occupant) -> Self {
        let (role, plan) = here.stands(|standing| (standing.role.clone(), standing.plan.name.clone()));
        Self {
            connection_id: here.id,
            user_id: here.user().clone(),
            agent_id: here.agent(),
            role,
            plan,
            endpoint: (*here.endpoint.path).into(),
            connected_at: here.connected_at,
            request_id: here.request_id,
            trace: here.trace(),
        }
    }
}

impl Facts {
    /// As it is about to stand.
    pub(super) fn of_claim(claim: &Claim<'_>, connection_id: ConnectionId, now: Timestamp) -> Self {
        let Claim { request_id, principal, role, plan, endpoint } = *claim;
        Self {
            connection_id,
            user_id: principal.user.clone(),
            agent_id: principal.agent.clone().filter(|_| endpoint.agents),
            role: role.cloned(),
            plan: plan.name.clone(),
            endpoint: (*endpoint.path).into(),
            connected_at: now,
            request_id,
            trace: None,
        }
    }
}

impl Reason {
    /// The process ended without a word, and the connection with it.
    pub(super) const NODE_LOST: Self = Self { by: "node", code: "node_lost", close_code: None };

    pub(super) const fn of(ending: &Ending) -> Self {
        match ending {
            Ending::Ours(refusal) => {
                Self { by: "gateway", code: refusal.code.name(), close_code: refusal.code.close_code() }
            }
            Ending::Peer(close_code) => Self { by: "peer", code: "closed", close_code: *close_code },
            Ending::Lost(_) => Self { by: "lost", code: "lost", close_code: None },
            Ending::Aborted => Self { by: "aborted", code: "aborted", close_code: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use gateway_domain::{Code, Refusal};
    use serde_json::{Value, json};

    use super::*;
    use crate::clock;

    fn read(happening: &Happening) -> Value {
        serde_json::from_slice(&happening.body).unwrap()
    }

    #[test]
    fn a_body_is_json_whatever_the_message_holds() {
        let now = clock::now();
        let message = r#"{"type":"x","payload":{"n":1.50,"s":"}\""}}"#;
        let told = Happening::new(Kind::Message, "a \"hook\"", None, None, Some(message), now);
        let body = read(&told);
        assert_eq!(body["message"], serde_json::from_str::<Value>(message).unwrap());
        assert!(String::from_utf8_lossy(&told.body).contains(r#""n":1.50"#), "byte for byte");
        assert_eq!((&body["webhook"], &body["event"]), (&json!("a \"hook\""), &json!("message")));
        assert_eq!(body["id"], json!(told.id));
        assert!(body.get("connection").is_none() && body.get("reason").is_none());
        let bare = Happening::new(Kind::Disconnect, "h", None, Some(Reason::NODE_LOST), None, now);
        assert_eq!(read(&bare)["reason"], json!({"by": "node", "code": "node_lost"}));
    }

    #[test]
    fn an_end_is_told_by_whom_and_why() {
        let of = |ending| serde_json::to_value(Reason::of(&ending)).unwrap();
        let ours = of(Ending::Ours(Refusal::plain(Code::HeartbeatTimeout)));
        assert_eq!(ours, json!({"by": "gateway", "code": "HEARTBEAT_TIMEOUT", "closeCode": 4012}));
        assert_eq!(of(Ending::Peer(Some(1000))), json!({"by": "peer", "code": "closed", "closeCode": 1000}));
        assert_eq!(of(Ending::Lost("reset".into())), json!({"by": "lost", "code": "lost"}));
        assert_eq!(of(Ending::Aborted), json!({"by": "aborted", "code": "aborted"}));
    }
}
