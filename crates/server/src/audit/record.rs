//! One line of the audit.

use gateway_domain::{Code, ConnectionId, Detail, Now, Refusal, RequestId, Timestamp, UserId, trace::TraceId};
use gateway_transport::address::ClientAddress;
use schemars::JsonSchema;
use serde::Serialize;

use crate::words;

/// The most of a user agent that is kept.
pub(super) const MOST_USER_AGENT: usize = 256;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[schemars(rename = "AuditEvent")]
pub enum Event {
    /// A handshake or a call was refused.
    #[serde(rename = "refused")]
    Refused,
    /// A connection began.
    #[serde(rename = "connected")]
    Connected,
    /// A connection ended.
    #[serde(rename = "disconnected")]
    Disconnected,
    /// A live connection took a new token.
    #[serde(rename = "token.refreshed")]
    TokenRefreshed,
    /// A live connection offered a token that was not taken.
    #[serde(rename = "token.refused")]
    TokenRefused,
    /// Tokens were issued.
    #[serde(rename = "token.issued")]
    TokenIssued,
    /// A spent refresh token came again, and its family ended.
    #[serde(rename = "token.reused")]
    TokenReused,
    /// A message was refused: its sender may not say it, or answers what it was not asked.
    #[serde(rename = "message.refused")]
    MessageRefused,
    /// Somebody went over the limit of messages.
    #[serde(rename = "limit.violated")]
    LimitViolated,
    /// A token named a plan that nobody knows.
    #[serde(rename = "plan.unknown")]
    PlanUnknown,
    /// A ban was laid.
    #[serde(rename = "ban.laid")]
    BanLaid,
    /// A ban was lifted.
    #[serde(rename = "ban.lifted")]
    BanLifted,
    /// Tokens were revoked.
    #[serde(rename = "revoked")]
    Revoked,
    /// An administrator closed connections.
    #[serde(rename = "kicked")]
    Kicked,
    /// A webhook was not told of an event.
    #[serde(rename = "webhook.failed")]
    WebhookFailed,
    /// A webhook failed too often, and is not tried for a while.
    #[serde(rename = "webhook.circuit_open")]
    WebhookCircuitOpen,
    /// A webhook takes events again.
    #[serde(rename = "webhook.circuit_closed")]
    WebhookCircuitClosed,
    /// The node began to leave.
    #[serde(rename = "drain")]
    Drain,
    /// The configuration was read again, and is in force or faulty.
    #[serde(rename = "reload")]
    Reload,
    /// The other gateways are not reached.
    #[serde(rename = "cluster.away")]
    ClusterAway,
    /// They are reached again.
    #[serde(rename = "cluster.back")]
    ClusterBack,
    /// The gateway began or ended its work.
    #[serde(rename = "gateway")]
    Gateway,
}

impl Event {
    /// The name in the stream.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::TokenRefreshed => "token.refreshed",
            Self::TokenRefused => "token.refused",
            Self::TokenIssued => "token.issued",
            Self::TokenReused => "token.reused",
            Self::MessageRefused => "message.refused",
            Self::LimitViolated => "limit.violated",
            Self::PlanUnknown => "plan.unknown",
            Self::BanLaid => "ban.laid",
            Self::BanLifted => "ban.lifted",
            Self::Revoked => "revoked",
            Self::Kicked => "kicked",
            Self::WebhookFailed => "webhook.failed",
            Self::WebhookCircuitOpen => "webhook.circuit_open",
            Self::WebhookCircuitClosed => "webhook.circuit_closed",
            Self::Drain => "drain",
            Self::Reload => "reload",
            Self::ClusterAway => "cluster.away",
            Self::ClusterBack => "cluster.back",
            Self::Gateway => "gateway",
        }
    }
}

/// Whom or what a record is about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The handshake or call.
    pub request_id: RequestId,
    /// The user, if known.
    pub user: Option<&'a UserId>,
    /// Where it came from.
    pub address: Option<&'a ClientAddress>,
    /// The door; a path without its query.
    pub endpoint: Option<&'a str>,
    /// Whether that is a path of the client's own making, so that a flood over many of them is one flood.
    pub elsewhere: bool,
    /// What the client calls itself.
    pub user_agent: Option<&'a str>,
    /// The connection, where there is one.
    pub connection: Option<ConnectionId>,
    /// The trace of whoever called or spoke, where it named one.
    pub trace: Option<TraceId>,
}

impl Subject<'_> {
    /// A subject of which only the id is known.
    pub const fn new(request_id: RequestId) -> Self {
        Self {
            request_id,
            user: None,
            address: None,
            endpoint: None,
            elsewhere: false,
            user_agent: None,
            connection: None,
            trace: None,
        }
    }
}

/// One line.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "AuditRecord")]
pub struct Record {
    /// When.
    #[schemars(with = "words::Time")]
    pub time: Timestamp,
    /// What.
    pub event: Event,
    /// Which code of the table.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "words::CodeName")]
    pub code: Option<Code>,
    /// In what way, for an invalid token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "words::DetailName")]
    pub detail: Option<Detail>,
    /// Why, for the operator.
    pub reason: String,
    /// The handshake or call, as the client was told.
    #[schemars(with = "words::Request")]
    pub request_id: RequestId,
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "words::User")]
    pub user_id: Option<UserId>,
    /// Where from, in as much detail as the operator wants.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub ip: Option<String>,
    /// The door.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub endpoint: Option<Box<str>>,
    /// What the client calls itself, cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub user_agent: Option<Box<str>>,
    /// The connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "words::Connection")]
    pub connection_id: Option<ConnectionId>,
    /// The trace that the call or the message belongs to, where its sender named one in `traceparent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "words::TraceName")]
    pub trace_id: Option<TraceId>,
    /// How many refusals were folded into this line.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub count: Option<u64>,
    /// When the last of them was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "words::Time")]
    pub until: Option<Timestamp>,
}

impl Record {
    pub(super) fn new(
        event: Event,
        refusal: Option<&Refusal>,
        subject: &Subject<'_>,
        ip: Option<String>,
        reason: String,
        now: Now,
    ) -> Self {
        Self {
            time: now.wall,
            event,
            code: refusal.map(|refusal| refusal.code),
            detail: refusal.and_then(|refusal| refusal.detail),
            reason,
            request_id: subject.request_id,
            user_id: subject.user.or(refusal.and_then(|refusal| refusal.user.as_ref())).cloned(),
            ip,
            endpoint: subject.endpoint.map(|path| cut(path).into()),
            user_agent: subject.user_agent.map(|name| cut(name).into()),
            connection_id: subject.connection,
            trace_id: subject.trace,
            count: None,
            until: None,
        }
    }
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MOST_USER_AGENT)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_user_agent_is_cut_at_a_character() {
        assert_eq!(cut(&"x".repeat(300)).len(), 256);
        assert_eq!(cut(&format!("{}é", "x".repeat(255))).len(), 255);
        assert_eq!(cut("short"), "short");
    }

    #[test]
    fn an_event_is_named_as_it_is_written() {
        for event in [
            Event::Refused,
            Event::Connected,
            Event::Disconnected,
            Event::TokenRefreshed,
            Event::TokenRefused,
            Event::TokenIssued,
            Event::TokenReused,
            Event::MessageRefused,
            Event::LimitViolated,
            Event::PlanUnknown,
            Event::BanLaid,
            Event::BanLifted,
            Event::Revoked,
            Event::Kicked,
            Event::WebhookFailed,
            Event::WebhookCircuitOpen,
            Event::WebhookCircuitClosed,
            Event::Drain,
            Event::Reload,
            Event::Gateway,
        ] {
            assert_eq!(serde_json::to_string(&event).unwrap(), format!("\"{}\"", event.name()));
        }
    }
}
