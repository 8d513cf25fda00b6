//! A running gateway from the command line, by its HTTP API: tell and ask (here), `look`, `bar`, `steer`. For people, or as JSON with
//! `--json`, a line for each entry.

mod bar;
mod list;
mod look;
mod steer;

use std::{io::Read, time::Duration};

use anyhow::{Context, Result, anyhow, ensure};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{
    Environment, Failure,
    api::{Api, At, Call},
    page,
};
use bar::{Ban, Kick, Revoke};
use look::{Agents, Connections, Rooms, Users};
use steer::{Drain, Reload};

/// What can be asked of a running gateway.
#[derive(Debug, Subcommand)]
pub(super) enum Operate {
    /// Publish an event to users, agents, rooms, roles or connections.
    Publish(Publish),
    /// Ask an agent, and print its reply.
    Request(Request),
    /// List the live connections.
    Connections(Connections),
    /// Show a user: its connections, limits and bans.
    Users(Users),
    /// List the agents that are online.
    Agents(Agents),
    /// List the rooms.
    Rooms(Rooms),
    /// List bans, lay one, or lift one.
    Ban(Ban),
    /// Revoke a token, or all tokens of a user up to a time.
    Revoke(Revoke),
    /// Close a connection, or all of a user.
    Kick(Kick),
    /// Follow the audit: refusals and security events as they happen.
    Tail(Tail),
    /// Let the gateway leave: nobody new, and one connection after the other told to go; then its process ends.
    Drain(Drain),
    /// Have the gateway read its configuration again; a faulty one changes nothing.
    Reload(Reload),
}

/// Where the gateway is, and how its answers are printed.
#[derive(Debug, Args)]
pub(super) struct There {
    #[command(flatten)]
    at: At,
    /// Print JSON, a line for each entry.
    #[arg(long)]
    json: bool,
}

/// Publish an event. The gateway is called with the token in GATEWAY_TOKEN or the API key in GATEWAY_API_KEY.
#[derive(Debug, Args)]
pub(super) struct Publish {
    /// Whom it is for: user:ID, agent:ID, room:NAME, role:ROLE, endpoint:/PATH, connection:UUID. Several are told once.
    #[arg(long, value_name = "TARGET", required = true)]
    to: Vec<String>,
    /// The type of the event.
    #[arg(long = "type", value_name = "TYPE")]
    kind: String,
    /// What it says, as JSON; `-` reads it from standard input.
    #[arg(long, value_name = "JSON", default_value = "null")]
    payload: String,
    /// Its id, so that it is told once however often it is sent.
    #[arg(long, value_name = "UUID")]
    event_id: Option<String>,
    #[command(flatten)]
    there: There,
}

/// Ask an agent, and print its reply.
#[derive(Debug, Args)]
pub(super) struct Request {
    /// The agent.
    #[arg(value_name = "AGENT")]
    agent: String,
    /// The type of the message.
    #[arg(long = "type", value_name = "TYPE", default_value = "command")]
    kind: String,
    /// What it says, as JSON; `-` reads it from standard input.
    #[arg(long, value_name = "JSON", default_value = "null")]
    payload: String,
    /// How long each reply may take, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// Print progress as it comes.
    #[arg(long)]
    progress: bool,
    #[command(flatten)]
    there: There,
}

/// Follow the audit.
#[derive(Debug, Args)]
pub(super) struct Tail {
    /// Only this code, such as ROLE_MISMATCH.
    #[arg(long)]
    code: Option<String>,
    /// Only this user.
    #[arg(long)]
    user: Option<String>,
    /// Only this event, such as refused.
    #[arg(long)]
    event: Option<String>,
    #[command(flatten)]
    there: There,
}

impl Operate {
    pub(super) fn run(self, environment: Environment) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            match self {
                Self::Publish(order) => order.run(&environment).await,
                Self::Request(order) => order.run(&environment).await,
                Self::Connections(order) => order.run(&environment).await,
                Self::Users(order) => order.run(&environment).await,
                Self::Agents(order) => order.run(&environment).await,
                Self::Rooms(order) => order.run(&environment).await,
                Self::Ban(order) => order.run(&environment).await,
                Self::Revoke(order) => order.run(&environment).await,
                Self::Kick(order) => order.run(&environment).await,
                Self::Tail(order) => order.run(&environment).await,
                Self::Drain(order) => order.run(&environment).await,
                Self::Reload(order) => order.run(&environment).await,
            }
        })?;
        Ok(())
    }
}

impl There {
    fn api(&self, environment: &Environment) -> Result<Api> {
        Api::at(&self.at, environment)
    }

    /// Prints one answer: as JSON, or what `tell` makes of it.
    fn print(&self, answer: &Value, tell: impl FnOnce(&Value) -> String) -> Result<()> {
        let text = if self.json { answer.to_string() } else { page::printable(&tell(answer)).into_owned() };
        Ok(page::print(&format!("{text}\n"))?)
    }
}

impl Publish {
    async fn run(self, environment: &Environment) -> Result<()> {
        let mut body = json!({ "to": self.to, "type": self.kind, "payload": written(&self.payload)? });
        put(&mut body, "eventId", self.event_id);
        let call = Call::new(Method::POST, &["api", "v1", "events"]).body(body);
        let answer = self.there.api(environment)?.answer(call).await?;
        self.there.print(&answer, |answer| {
            let again = if answer["duplicate"] == true { ", as it was before: nobody was told again" } else { "" };
            format!("put into {} outboxes{again} (event {})", answer["delivered"], text(answer, "eventId"))
        })
    }
}

impl Request {
    async fn run(self, environment: &Environment) -> Result<()> {
        let body =
            json!({ "type": self.kind, "payload": written(&self.payload)?, "timeout": format!("{}s", self.timeout) });
        let call = Call::new(Method::POST, &["api", "v1", "agents", &self.agent, "requests"]).body(body);
        let api = self.there.api(environment)?;
        let payload = |reply: &Value| reply["payload"].to_string();
        if !self.progress {
            let answer = api.answer(call.taking(Some(Duration::from_secs(self.timeout)))).await?;
            return self.there.print(&answer, payload);
        }
        // Each progress starts the time anew, so there is none for the whole.
        let call = call.header("accept", Some("application/x-ndjson")).taking(None);
        let mut ended = None;
        api.lines(call, |line| {
            if let Some(error) = line.get("error") {
                ended = Some(Err(anyhow!("{}", super::api::told(&json!({ "error": error })))));
                return Ok(false);
            }
            let is_last = line.get("reply").is_some();
            self.there.print(&line, |line| payload(if is_last { &line["reply"] } else { &line["progress"] }))?;
            if is_last {
                ended = Some(Ok(()));
            }
            Ok(!is_last)
        })
        .await?;
        ended.unwrap_or_else(|| Err(anyhow!("the gateway ended before the agent answered")))
    }
}

impl Tail {
    async fn run(self, environment: &Environment) -> Result<()> {
        let call = Call::new(Method::GET, &["api", "v1", "audit"])
            .with("follow", Some("true"))
            .with("code", self.code.as_ref())
            .with("user", self.user.as_ref())
            .with("event", self.event.as_ref())
            .taking(None);
        let api = self.there.api(environment)?;
        page::remark(&format!("following the audit of {}; stop with Ctrl-C", api.url()));
        api.lines(call, |record| {
            let words = ["time", "event", "code", "userId", "ip", "endpoint", "reason", "requestId"];
            let told = || words.iter().filter_map(|name| record[*name].as_str()).collect::<Vec<_>>().join("  ");
            let line = if self.there.json { record.to_string() } else { page::printable(&told()).into_owned() };
            Ok(page::offer(&format!("{line}\n"))?)
        })
        .await
    }
}

/// A payload: JSON on the command line, or on standard input.
fn written(text: &str) -> Result<Value> {
    const MOST: u64 = 1 << 20;
    if text != "-" {
        return serde_json::from_str(text).context("the payload is no JSON: a text needs its quotes, '\"like this\"'");
    }
    let mut read = String::new();
    std::io::stdin().take(MOST + 1).read_to_string(&mut read).context("standard input")?;
    ensure!(read.len() as u64 <= MOST, "a payload has at most {MOST} bytes");
    serde_json::from_str(&read).context("what came on standard input is no JSON")
}

fn put(body: &mut Value, name: &str, value: Option<impl Into<Value>>) {
    if let (Some(members), Some(value)) = (body.as_object_mut(), value) {
        Map::insert(members, name.into(), value.into());
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}
