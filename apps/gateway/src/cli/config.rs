//! `gateway config`: whether it is sound, what is in force, and what can be written.

mod diff;

use std::path::Path;

use clap::Subcommand;

use super::{Environment, Failure, Where, check, page};
use crate::{
    compose,
    config::{self, DEFAULT_FILE, Loaded, Mode, Secrets, Sources},
};

/// Look at the configuration.
#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Name everything that is wrong with the configuration, each with its place and its remedy (exit code 2), or say
    /// "ok" and what is worth a second look.
    Check(Where),
    /// Print the policy in force, as TOML; no secret is ever in it.
    Show(Where),
    /// Say in which keys a configuration differs from the one that a running gateway has in force, or from another file, and
    /// which of them need a restart (exit code 1 where any differs).
    Diff(diff::Diff),
    /// Print every key with its type, its default and its meaning, and an example.
    Reference,
}

impl Config {
    pub(super) fn run(self, environment: Environment) -> Result<(), Failure> {
        match self {
            Self::Check(place) => judge(place, &environment),
            Self::Show(place) => show(place, environment),
            Self::Diff(diff) => diff.run(environment),
            Self::Reference => Ok(page::print(&config::reference())?),
        }
    }
}

/// The configuration that a command cannot do without, and its secrets. `without` says what to do where there is none.
pub(super) fn demanded(place: Where, environment: &Environment, without: &str) -> Result<(Loaded, Secrets), Failure> {
    is_wanted(&place, environment, without)?;
    let loaded = load(place, environment.clone(), Mode::Serve)?;
    let secrets = loaded.resolve(environment).map_err(|faults| Failure::Configuration(faults.to_string()))?;
    Ok((loaded, secrets))
}

/// The same as far as it can be read where its secrets are not: on a developer's machine, say.
pub(super) fn without_secrets(place: Where, environment: Environment, without: &str) -> Result<Loaded, Failure> {
    is_wanted(&place, &environment, without)?;
    load(place, environment, Mode::Look)
}

fn is_wanted(place: &Where, environment: &Environment, without: &str) -> Result<(), Failure> {
    if is_there(place, environment) {
        return Ok(());
    }
    let what = format!(
        "gateway: there is no configuration: {DEFAULT_FILE} is not in this folder, and no --config names one. {without}"
    );
    Err(Failure::Configuration(what))
}

fn judge(place: Where, environment: &Environment) -> Result<(), Failure> {
    let without = "`gateway config reference` prints every key, with an example file at its end.";
    let (loaded, secrets) = demanded(place, environment, without)?;
    compose::usable(&loaded, &secrets).map_err(|faults| Failure::Configuration(faults.to_string()))?;
    check::rooms(&loaded, &secrets, None).map_err(|fault| {
        let file = loaded.origin.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
        Failure::Configuration(format!("{}  {fault:#}", file.display()))
    })?;
    let warnings: String = loaded.warnings.iter().map(|warning| format!("warning: {warning}\n")).collect();
    Ok(page::print(&format!("ok\n{warnings}"))?)
}

/// The configuration as far as it can be read where its secrets are not, or, where there is none, that of dev mode.
pub(super) fn looked_at(place: Where, environment: Environment) -> Result<Loaded, Failure> {
    let mode = if is_there(&place, &environment) { Mode::Look } else { Mode::Dev };
    load(place, environment, mode)
}

/// The configuration, or, where there is none, that of dev mode.
pub(super) fn in_force(place: Where, environment: Environment) -> Result<Loaded, Failure> {
    let mode = if is_there(&place, &environment) { Mode::Serve } else { Mode::Dev };
    if mode == Mode::Dev {
        page::remark("No configuration: this is what dev mode has.");
    }
    load(place, environment, mode)
}

fn show(place: Where, environment: Environment) -> Result<(), Failure> {
    let loaded = in_force(place, environment)?;
    Ok(page::print(&loaded.show(Some(compose::open_files())))?)
}

fn load(place: Where, env: Environment, mode: Mode) -> Result<Loaded, Failure> {
    let sources = Sources { file: place.config, env, overrides: place.set, mode };
    config::load(sources).map_err(|faults| Failure::Configuration(faults.to_string()))
}

/// Whether anything is configured at all, as `gateway serve` sees it.
fn is_there(place: &Where, environment: &Environment) -> bool {
    place.config.is_some()
        || Path::new(DEFAULT_FILE).exists()
        || environment.iter().any(|(name, _)| name.starts_with("GATEWAY__"))
}
