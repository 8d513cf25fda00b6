//! Steering a running gateway: it leaves, or reads its configuration again.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use gateway_server::helm::Reloaded;
use reqwest::Method;
use serde_json::Value;

use super::{Environment, There, page};
use crate::{
    cli::api::{Api, Call},
    steer::told,
};

const LOOK_EVERY: Duration = Duration::from_millis(500);
/// What a process needs beyond its drain to write its books and end.
const LAST_STEPS: Duration = Duration::from_secs(30);

/// Let the gateway leave. Called again it changes nothing.
#[derive(Debug, Args)]
pub(in crate::cli) struct Drain {
    /// Wait until it has ended.
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    there: There,
}

impl Drain {
    pub(super) async fn run(self, environment: &Environment) -> Result<()> {
        let api = self.there.api(environment)?;
        let answer = api.answer(Call::new(Method::POST, &["api", "v1", "drain"])).await?;
        let seconds = |name: &str| answer[name].as_u64().unwrap_or_default();
        self.there.print(&answer, |answer| {
            format!(
                "leaving: {} connections are told to go within {} s; it ends when they are gone, at the latest after {} s",
                answer["connections"],
                seconds("windowSeconds"),
                seconds("timeoutSeconds")
            )
        })?;
        if self.wait {
            gone(&api, Duration::from_secs(seconds("timeoutSeconds")) + LAST_STEPS).await?;
            page::remark("it has ended");
        }
        Ok(())
    }
}

/// Have the gateway read its configuration again: the file that it was started with. Exit code 1 where that is faulty, and
/// all that is wrong with it on standard error.
#[derive(Debug, Args)]
pub(in crate::cli) struct Reload {
    #[command(flatten)]
    there: There,
}

impl Reload {
    pub(super) async fn run(self, environment: &Environment) -> Result<()> {
        let api = self.there.api(environment)?;
        let answer = api.answer(Call::new(Method::POST, &["api", "v1", "reload"])).await?;
        self.there.print(&answer, |answer| {
            let keys =
                |name: &str| answer[name].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
            let closed = answer["closed"].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
            told(&Reloaded {
                changed: keys("changed").collect(),
                needs_restart: keys("needsRestart").collect(),
                closed,
            })
        })
    }
}

/// Waits until nobody answers there any more.
async fn gone(api: &Api, patience: Duration) -> Result<()> {
    let asking = async {
        loop {
            match api.ask(Call::new(Method::GET, &["readyz"])).await {
                // Another took its place: the one that was asked has ended.
                Ok((status, answer)) if status.is_success() && answer["status"] != "draining" => return,
                Ok(_) => tokio::time::sleep(LOOK_EVERY).await,
                Err(_) => return,
            }
        }
    };
    if tokio::time::timeout(patience, asking).await.is_err() {
        bail!("it still answers after {} s", patience.as_secs());
    }
    Ok(())
}
