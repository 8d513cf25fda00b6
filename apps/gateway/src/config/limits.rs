//! The sections about how much: plans by user, limits by node and address, bans.

use gateway_domain::{PlanName, Timestamp, UserId, network::Network, plan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{Connections, Count, Described, Label, Limit, Period, Rate, Size};

/// A token may carry tighter limits of its own, never wider ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// How many connections at once.
    pub connections: Limit<Count>,
    /// What happens to one more.
    pub on_connection_limit: OnConnectionLimit,
    /// How many messages: two quotas, and both must admit.
    pub messages: Limit<Messages>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            connections: Limit::At(Count::new(10)),
            on_connection_limit: OnConnectionLimit::EvictStale,
            messages: Limit::At(Messages::default()),
        }
    }
}

impl Plan {
    /// As the domain has it.
    pub fn named(&self, name: &PlanName) -> plan::Plan {
        let messages = self.messages.get();
        plan::Plan {
            name: name.clone(),
            connections: self.connections.get().map(|count| count.get()),
            on_connection_limit: match self.on_connection_limit {
                OnConnectionLimit::EvictStale => plan::OnConnectionLimit::EvictStale,
                OnConnectionLimit::RejectNew => plan::OnConnectionLimit::RejectNew,
                OnConnectionLimit::EvictOldest => plan::OnConnectionLimit::EvictOldest,
            },
            messages: plan::Messages {
                rate: messages.and_then(|messages| messages.rate.get()).map(|rate| **rate),
                burst: messages.and_then(|messages| messages.burst.get()).map(|rate| **rate),
            },
        }
    }
}

/// Two quotas of messages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Messages {
    /// In the long run.
    pub rate: Limit<Rate>,
    /// In a burst.
    pub burst: Limit<Rate>,
}

impl Default for Messages {
    fn default() -> Self {
        Self { rate: Limit::At(Rate::new(100, 60)), burst: Limit::At(Rate::new(20, 1)) }
    }
}

/// What happens to the handshake that finds every seat taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnConnectionLimit {
    /// It is refused, and the user's silent connections are checked, so that a retry may get in.
    #[default]
    EvictStale,
    /// It is refused.
    RejectNew,
    /// The user's oldest connection makes room.
    EvictOldest,
}

/// The limits of this node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// How many connections this node holds; `"auto"` is 90 % of the files that it may open.
    pub connections: Connections,
    /// How often an address may try to come in, whatever it brings; a v6 address counts by its /64.
    pub handshakes_per_ip: Limit<Handshakes>,
    /// How often a user may come in.
    pub handshakes_per_user: Limit<Handshakes>,
    /// How long a handshake may take, from the connection to the answer.
    pub handshake_timeout: Period,
    /// How long the headers of a request may take.
    pub header_timeout: Period,
    /// How many sockets may be open before they are authenticated.
    pub unauthenticated: Count,
    /// How many of them from one address; those of trusted proxies are not counted.
    pub unauthenticated_per_address: Count,
    /// Bans an address by itself after so many refusals.
    pub auto_ban: Limit<AutoBan>,
    /// How many rooms a connection may be in.
    pub rooms_per_connection: Limit<Count>,
    /// What may wait to be sent to a connection.
    pub outbox: Outbox,
    /// How many of its requests a connection may have open.
    pub requests_per_connection: Limit<Count>,
    /// How many requests may be open in all.
    pub requests: Limit<Count>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: Connections::Auto,
            handshakes_per_ip: Limit::At(Handshakes { rate: Rate::new(20, 1), burst: Count::new(100) }),
            handshakes_per_user: Limit::At(Handshakes { rate: Rate::new(5, 1), burst: Count::new(20) }),
            handshake_timeout: Period::seconds(10),
            header_timeout: Period::seconds(5),
            unauthenticated: Count::new(1_024),
            unauthenticated_per_address: Count::new(256),
            auto_ban: Limit::Off,
            rooms_per_connection: Limit::At(Count::new(100)),
            outbox: Outbox::default(),
            requests_per_connection: Limit::At(Count::new(256)),
            requests: Limit::At(Count::new(100_000)),
        }
    }
}

/// What may wait for a client that reads more slowly than it is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Outbox {
    /// So many messages.
    pub messages: Count,
    /// So many bytes.
    pub bytes: Size,
    /// What happens where it is full.
    pub when_full: WhenFull,
}

impl Default for Outbox {
    fn default() -> Self {
        Self { messages: Count::new(1_024), bytes: Size::mib(4), when_full: WhenFull::Close }
    }
}

/// What happens where an outbox is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// The connection is closed with 4010.
    #[default]
    Close,
    /// The oldest events make room; nothing else is ever dropped.
    DropOldest,
}

/// A rate, and how many may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Handshakes {
    /// In the long run.
    pub rate: Rate,
    /// How many at once: a number, not a rate.
    pub burst: Count,
}

/// When an address is banned by itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AutoBan {
    /// So many refusals...
    pub violations: Count,
    /// ...within this time...
    pub within: Period,
    /// ...ban the address for this long.
    pub duration: Period,
}

/// Each is of an address, of a block of addresses, or of a user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ban {
    /// The address or block; or `user`.
    #[schemars(with = "Option<Described<Network>>")]
    pub address: Option<Network>,
    /// The user; or `address`.
    #[schemars(with = "Option<Described<UserId>>")]
    pub user: Option<UserId>,
    /// When it ends; absent: never.
    #[schemars(with = "Option<Described<Timestamp>>")]
    pub until: Option<Timestamp>,
    /// Why; for operators, never shown to whoever is banned.
    pub reason: Option<Label>,
}
