//! What is there: connections, users, agents and rooms.

use anyhow::Result;
use clap::Args;
use reqwest::Method;

use super::{
    There,
    list::{Column, List},
    text,
};
use crate::cli::{Environment, api::Call};

/// List the live connections.
#[derive(Debug, Args)]
pub(in crate::cli) struct Connections {
    /// Those of this user.
    #[arg(long)]
    user: Option<String>,
    /// Those of users with this role.
    #[arg(long)]
    role: Option<String>,
    /// Those at this endpoint.
    #[arg(long, value_name = "PATH")]
    endpoint: Option<String>,
    #[command(flatten)]
    there: There,
}

/// Show a user.
#[derive(Debug, Args)]
pub(in crate::cli) struct Users {
    /// The user.
    #[arg(value_name = "USER")]
    user: String,
    #[command(flatten)]
    there: There,
}

/// List the agents that are online.
#[derive(Debug, Args)]
pub(in crate::cli) struct Agents {
    /// Those of this user.
    #[arg(long)]
    user: Option<String>,
    #[command(flatten)]
    there: There,
}

/// List the rooms.
#[derive(Debug, Args)]
pub(in crate::cli) struct Rooms {
    /// Those whose names begin like this.
    #[arg(long)]
    prefix: Option<String>,
    #[command(flatten)]
    there: There,
}

impl Connections {
    pub(super) async fn run(self, environment: &Environment) -> Result<()> {
        let list = List::new(
            "connections",
            &[
                Column("connection", "connectionId"),
                Column("user", "userId"),
                Column("role", "role"),
                Column("endpoint", "endpoint"),
                Column("from", "ip"),
                Column("since", "connectedAt"),
            ],
        );
        let call = || {
            Call::new(Method::GET, &["api", "v1", "connections"])
                .with("user", self.user.as_ref())
                .with("role", self.role.as_ref())
                .with("endpoint", self.endpoint.as_ref())
        };
        list.print(&self.there.api(environment)?, call, self.there.json).await
    }
}

impl Users {
    pub(super) async fn run(self, environment: &Environment) -> Result<()> {
        let call = Call::new(Method::GET, &["api", "v1", "users", &self.user]);
        let answer = self.there.api(environment)?.answer(call).await?;
        self.there.print(&answer, |user| {
            let connections = user["connections"].as_array().map_or(0, Vec::len);
            let banned = if user["banned"] == true { ", banned" } else { "" };
            let penalty =
                user["penaltySeconds"].as_f64().map_or_else(String::new, |left| format!(", silenced {left} s"));
            let id = text(user, "userId");
            format!("{id}: {connections} connections, {} violations{penalty}{banned}", user["violations"])
        })
    }
}

impl Agents {
    pub(super) async fn run(self, environment: &Environment) -> Result<()> {
        let list = List::new(
            "agents",
            &[
                Column("agent", "agentId"),
                Column("user", "userId"),
                Column("endpoint", "endpoint"),
                Column("since", "connectedAt"),
                Column("last seen", "lastSeen"),
                Column("asked", "openRequests"),
            ],
        );
        let call = || Call::new(Method::GET, &["api", "v1", "agents"]).with("user", self.user.as_ref());
        list.print(&self.there.api(environment)?, call, self.there.json).await
    }
}

impl Rooms {
    pub(super) async fn run(self, environment: &Environment) -> Result<()> {
        let list = List::new(
            "rooms",
            &[
                Column("room", "room"),
                Column("connections", "connections"),
                Column("offset", "offset"),
                Column("bytes", "historyBytes"),
            ],
        );
        let call = || Call::new(Method::GET, &["api", "v1", "rooms"]).with("prefix", self.prefix.as_ref());
        list.print(&self.there.api(environment)?, call, self.there.json).await
    }
}
