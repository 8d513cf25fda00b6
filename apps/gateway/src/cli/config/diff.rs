//! `gateway config diff`: what a reload, or a restart, would change.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::{Environment, Failure, Where, page, without_secrets};
use crate::{
    cli::api::{Api, At, Call},
    config::{
        Config,
        difference::{Difference, differences},
    },
    steer::as_json,
};

/// Compare a configuration with the one in force. The gateway is called with the token in GATEWAY_TOKEN or the API key in
/// GATEWAY_API_KEY, of the role `admin`; with --against none is called.
#[derive(Debug, Args)]
pub(in crate::cli) struct Diff {
    #[command(flatten)]
    place: Where,
    /// Another file, instead of a gateway.
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    #[command(flatten)]
    at: At,
}

impl Diff {
    pub(super) fn run(self, environment: Environment) -> Result<(), Failure> {
        let without = "Name the one that is to be compared.";
        let before = match self.against {
            Some(file) => {
                let place = Where { config: Some(file), set: self.place.set.clone() };
                without_secrets(place, environment.clone(), without)?.config
            }
            None => in_force(&self.at, &environment)?,
        };
        let after = without_secrets(self.place, environment, without)?.config;
        let (written, taken_up) = (as_json(&after), as_json(&before.taking_up(&after)));
        let needs_restart: Vec<_> = differences(&taken_up, &written).into_iter().map(|each| each.key).collect();
        let all = differences(&as_json(&before), &written);
        let lines = all.iter().map(|difference| line(difference, needs_restart.contains(&difference.key)));
        page::print(&lines.collect::<String>())?;
        if !all.is_empty() {
            return Err(Failure::No);
        }
        page::remark("they are the same");
        Ok(())
    }
}

/// What the gateway has in force.
fn in_force(at: &At, environment: &Environment) -> Result<Config> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let api = Api::at(at, environment)?;
    let answer = runtime.block_on(api.answer(Call::new(Method::GET, &["api", "v1", "config"])))?;
    serde_json::from_value(answer).context("the gateway has a configuration of another version than this program")
}

/// One difference, in a line.
fn line(Difference { key, before, after }: &Difference, needs_restart: bool) -> String {
    let note = if needs_restart { "  (needs a restart)" } else { "" };
    let text = |value: &Value| value.to_string();
    let line = match (before.as_ref().map(text), after.as_ref().map(text)) {
        (Some(before), Some(after)) => format!("~ {key}: {before} -> {after}{note}"),
        (None, Some(after)) => format!("+ {key}: {after}{note}"),
        (Some(before), None) => format!("- {key}: {before}{note}"),
        (None, None) => String::new(),
    };
    format!("{}\n", page::printable(&line))
}
