//! The section about several gateways that act as one: where they meet, and what holds while they cannot.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{FilePath, Label, Period, RedisHost, RedisUrl};

/// Several gateways that act as one, by a Redis or Valkey at which they meet. Absent: this gateway stands alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cluster {
    /// Where it is, and which of its databases: `rediss://` is by TLS. Absent, and without `sentinel`: a single node.
    pub redis: Option<RedisUrl>,
    /// Those who know which of several is the master; `redis` then says the database, and whether it is by TLS.
    pub sentinel: Option<Sentinel>,
    /// As whom, where not as its default user.
    pub username: Option<Label>,
    /// The file that holds the password, where there is one.
    pub password_file: Option<FilePath>,
    /// The certificates of those who may vouch for it, in PEM; absent: those that the system trusts.
    pub ca_file: Option<FilePath>,
    /// How long what hangs on a node stands without its being heard of: seats, presence, agents.
    pub lease: Period,
    /// What holds while the others cannot be reached.
    pub when_away: WhenAway,
    /// What all keys and channels begin with: several clusters may share a Redis under different ones.
    pub prefix: Label,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            redis: None,
            sentinel: None,
            username: None,
            password_file: None,
            ca_file: None,
            lease: Period::seconds(10),
            when_away: WhenAway::FailOpenLocal,
            prefix: Label::gateway(),
        }
    }
}

impl Cluster {
    /// Whether this gateway is to be one of several.
    pub const fn is_on(&self) -> bool {
        self.redis.is_some() || self.sentinel.is_some()
    }
}

/// Those who know which of several is the master.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sentinel {
    /// What they call it.
    pub master: Label,
    /// Where they are.
    pub nodes: Vec<RedisHost>,
    /// As whom they are asked, where not as their default user.
    pub username: Option<Label>,
    /// The file that holds their password, where they want one: that of the Redis is not shown to them.
    pub password_file: Option<FilePath>,
}

/// What holds while the others cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenAway {
    /// The node goes on alone: its own limits are in force, and what is said reaches those who are here.
    FailOpenLocal,
    /// What needs the others is refused: connections and requests are turned away, and publishers are told.
    FailClosed,
}
