//! Who is not to be there: bans, revocations, and ends.

use anyhow::{Result, anyhow};
use clap::Args;
use reqwest::Method;
use serde_json::json;

use super::{
    There,
    list::{Column, List},
    put,
};
use crate::cli::{Environment, api::Call};

/// List the bans; with an address or a user, lay one, or lift it.
#[derive(Debug, Args)]
pub(in crate::cli) struct Ban {
    /// The user.
    #[arg(long, conflicts_with = "address")]
    user: Option<String>,
    /// The address, or the block of addresses.
    #[arg(long)]
    address: Option<String>,
    /// When it ends, such as 2030-01-01T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Why; for operators only.
    #[arg(long)]
    reason: Option<String>,
    /// Only say how many connections it would meet.
    #[arg(long)]
    dry_run: bool,
    /// Lay it though it meets a trusted proxy or this machine.
    #[arg(long)]
    force: bool,
    /// Lift it.
    #[arg(long, conflicts_with_all = ["until", "reason", "dry_run", "force"])]
    lift: bool,
    #[command(flatten)]
    there: There,
}

/// Revoke a token, or all tokens of a user up to a time; live connections end at once.
#[derive(Debug, Args)]
pub(in crate::cli) struct Revoke {
    /// The token's own id, its `jti`.
    #[arg(long, required_unless_present = "user", conflicts_with_all = ["user", "before"])]
    jti: Option<String>,
    /// The user whose tokens are revoked.
    #[arg(long)]
    user: Option<String>,
    /// Those issued before this time [default: now].
    #[arg(long, value_name = "TIME")]
    before: Option<String>,
    /// When the revocation can be forgotten.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    #[command(flatten)]
    there: There,
}

/// Close a connection, or all of a user.
#[derive(Debug, Args)]
pub(in crate::cli) struct Kick {
    /// The connection.
    #[arg(long, value_name = "UUID", required_unless_present = "user", conflicts_with = "user")]
    connection: Option<String>,
    /// The user.
    #[arg(long)]
    user: Option<String>,
    #[command(flatten)]
    there: There,
}

impl Ban {
    pub(super) async fn run(self, environment: &Environment) -> Result<()> {
        let api = self.there.api(environment)?;
        let path = ["api", "v1", "bans"];
        let mut body = json!({});
        put(&mut body, "user", self.user);
        put(&mut body, "address", self.address);
        if body == json!({}) {
            let columns = [
                Column("user", "user"),
                Column("address", "address"),
                Column("until", "until"),
                Column("why", "reason"),
            ];
            return List::new("bans", &columns).print(&api, || Call::new(Method::GET, &path), self.there.json).await;
        }
        if self.lift {
            let answer = api.answer(Call::new(Method::DELETE, &path).body(body)).await?;
            return self.there.print(&answer, |_| "lifted".into());
        }
        put(&mut body, "until", self.until);
        put(&mut body, "reason", self.reason);
        put(&mut body, "dryRun", self.dry_run.then_some(true));
        put(&mut body, "force", self.force.then_some(true));
        let answer = api.answer(Call::new(Method::PUT, &path).body(body)).await?;
        self.there.print(&answer, |answer| match answer["dryRun"] == true {
            true => format!("it would end {} connections", answer["matches"]),
            false => format!("laid; {} connections ended", answer["matches"]),
        })
    }
}

impl Revoke {
    pub(super) async fn run(self, environment: &Environment) -> Result<()> {
        let mut body = json!({});
        put(&mut body, "jti", self.jti);
        put(&mut body, "user", self.user);
        put(&mut body, "before", self.before);
        put(&mut body, "until", self.until);
        let call = Call::new(Method::POST, &["api", "v1", "revocations"]).body(body);
        let answer = self.there.api(environment)?.answer(call).await?;
        self.there.print(&answer, |answer| format!("revoked; {} connections ended", answer["matches"]))
    }
}

impl Kick {
    pub(super) async fn run(self, environment: &Environment) -> Result<()> {
        let call = match (&self.connection, &self.user) {
            (Some(id), _) => Call::new(Method::DELETE, &["api", "v1", "connections", id]),
            (None, Some(user)) => Call::new(Method::POST, &["api", "v1", "users", user, "disconnect"]),
            (None, None) => return Err(anyhow!("name a --connection or a --user")),
        };
        let answer = self.there.api(environment)?.answer(call).await?;
        self.there.print(&answer, |answer| format!("{} connections ended", answer["disconnected"]))
    }
}
