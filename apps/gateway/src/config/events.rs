//! The events that backends publish: what they have to look like, by their type.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{EventType, FilePath};

/// The events that backends publish.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Events {
    /// Whether an event of a type without a schema is refused.
    pub strict: bool,
    /// What the payload of a type has to look like: a file of JSON Schema 2020-12, whole in itself, such as
    /// `{ "dashboard:summaryUpdated" = "schemas/summary.json" }`. At most 1,000 files of at most 1 MiB.
    #[schemars(with = "BTreeMap<String, FilePath>", extend("x-names" = "event type"))]
    pub schemas: BTreeMap<EventType, FilePath>,
}
