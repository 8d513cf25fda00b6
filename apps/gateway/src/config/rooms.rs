//! The rooms: how many, what they remember, and who may subscribe.

use gateway_domain::{Permission, PlanName, Role};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{Count, Described, Label, Limit, Period, Size};

/// What messages are heard in by several. What `user:ID` gets is a room, too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rooms {
    /// How many there may be. One more takes the place of one without members.
    pub max: Limit<Count>,
    /// How many bytes the histories of all rooms have together. Those of the quietest rooms go first.
    pub history_budget: Size,
    /// What holds for every room, where no rule says otherwise.
    pub default: RoomDefaults,
    /// Who may subscribe.
    pub rules: Vec<RoomRule>,
}

impl Default for Rooms {
    fn default() -> Self {
        Self {
            max: Limit::At(Count::new(100_000)),
            history_budget: Size::mib(64),
            default: RoomDefaults::default(),
            rules: Vec::new(),
        }
    }
}

/// What holds for a room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RoomDefaults {
    /// What it remembers, so that whoever was away for a moment can catch up.
    pub history: Limit<RoomHistory>,
    /// In rooms of at most so many members, each is told who else subscribed, comes and goes.
    pub presence: Limit<Count>,
}

impl Default for RoomDefaults {
    fn default() -> Self {
        Self { history: Limit::At(RoomHistory::default()), presence: Limit::At(Count::new(100)) }
    }
}

/// How far a room remembers; all three hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RoomHistory {
    /// So many messages.
    pub messages: Count,
    /// No older than this.
    pub age: Period,
    /// So many bytes.
    pub bytes: Size,
}

impl Default for RoomHistory {
    fn default() -> Self {
        Self { messages: Count::new(100), age: Period::seconds(300), bytes: Size::mib(1) }
    }
}

/// In order: the first that matches the name of a room decides; none: nobody may subscribe to it. Where the file has
/// any, exactly those exist; where it has none, those that ship do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoomRule {
    /// The rooms: a text, in which `{name}` stands for anything, such as `"agent:{id}"`.
    #[serde(rename = "match")]
    pub pattern: Label,
    /// Whoever fits any of these entries may subscribe; none: nobody.
    #[serde(default)]
    pub join: Vec<Join>,
    /// What such a room remembers; what is absent is as in `rooms.default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<Limit<RuleHistory>>,
    /// In how large a room members are told of one another; absent: as in `rooms.default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence: Option<Limit<Count>>,
}

/// All keys of an entry must hold; an entry without keys fits everybody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// It was admitted as this role.
    #[schemars(with = "Option<Described<Role>>")]
    pub role: Option<Role>,
    /// It has this permission.
    #[schemars(with = "Option<Described<Permission>>")]
    pub permission: Option<Permission>,
    /// It is this user; may hold a `{name}` of `match`.
    pub user: Option<Label>,
    /// It is this agent; may hold a `{name}` of `match`.
    pub agent: Option<Label>,
    /// This plan limits it.
    #[schemars(with = "Option<Described<PlanName>>")]
    pub plan: Option<PlanName>,
}

/// How far the rooms of a rule remember; what is absent is as in `rooms.default`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleHistory {
    /// So many messages.
    pub messages: Option<Count>,
    /// No older than this.
    pub age: Option<Period>,
    /// So many bytes.
    pub bytes: Option<Size>,
}
