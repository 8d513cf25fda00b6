//! The routes: which message goes where.

use gateway_domain::Permission;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{Described, Label, Period, Texts};

/// In order: the first that fits a message decides where it goes. Where the file has any, exactly those exist; where it
/// has none, those that ship do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Who sends: a role, `"endpoint:/ws"`, or `"*"` for anybody.
    #[serde(default = "Texts::any")]
    pub from: Texts,
    /// The types of message: exact, or a beginning and one `*` at its end. Upper and lower case differ.
    pub types: Vec<Label>,
    /// What the sender must be permitted to do.
    #[schemars(with = "Option<Described<Permission>>")]
    pub permission: Option<Permission>,
    /// Where it goes: `"user:ID"`, `"agent:ID"`, `"connection:ID"`, `"room:NAME"`, `"role:NAME"`, `"endpoint:PATH"`,
    /// `"sender"`, `"subscribe:ROOM"`. `"user:ID?role=ROLE"` narrows. What is in braces is put in: `{sender.userId}`
    /// (or `agentId`, `connectionId`, `role`, `plan`, `claims.PATH`), `{payload.PATH}`, `{message.NAME}`.
    pub to: Texts,
    /// How long the sender waits for an answer; makes it a request.
    pub reply_timeout: Option<Period>,
    /// Whether it goes through while its sender is over the limit of messages.
    #[serde(default)]
    pub priority: bool,
    /// The place in the payload that a request and its answers share, such as `"payload.commandId"`, for clients that
    /// know no `id` and `replyTo`.
    pub correlate: Option<Label>,
    /// The types that are progress: they are passed on, and the wait starts again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub progress: Vec<Label>,
    /// The types that are the answer; they keep their own type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Label>,
    /// The type that it is sent on under; absent: its own.
    #[serde(rename = "as")]
    pub renamed: Option<Label>,
}
