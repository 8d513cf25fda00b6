//! The configuration while the gateway runs: it is read again when a signal, a call or a change of a file wants it, one
//! wish after the other. What is faulty changes nothing and says why; what is sound is put in the place of what holds,
//! but for what needs a restart, which is told by name.

mod files;

use std::sync::Arc;

use anyhow::Result;
use gateway_domain::RequestId;
use gateway_server::{
    House,
    audit::{Event, Subject},
    clock,
    helm::{ReloadWish, Reloaded, Unsound},
    refusal::Fault as Told,
};
use serde_json::Value;
use tokio::{signal::unix::Signal, sync::mpsc};

use crate::{
    compose,
    config::{self, Config, Fault, Faults, Loaded, Place, Secrets, Sources, difference::differences},
    logging::Log,
};
pub use files::Files;

/// Who has the configuration read again.
pub struct Steersman {
    /// What it is made from.
    pub sources: Sources,
    /// The house that stands.
    pub house: Arc<House>,
    /// The configuration that is in force.
    pub loaded: Loaded,
    /// Its secrets.
    pub secrets: Secrets,
    /// Its files, as they were when it was read.
    pub files: Files,
    /// The debug log.
    pub log: Log,
}

impl Steersman {
    /// Fulfils wishes, obeys the signal and watches the files, for as long as it is polled.
    pub async fn steer(mut self, mut wishes: mpsc::Receiver<ReloadWish>, mut hangup: Signal) {
        let watches = self.loaded.config.server.watch;
        loop {
            let (by, answer) = tokio::select! {
                wish = wishes.recv() => match wish {
                    Some(wish) => ("a call", Some(wish.answer)),
                    None => return,
                },
                _ = hangup.recv() => ("SIGHUP", None),
                () = self.files.changed(), if watches => ("a change of a file", None),
            };
            self.files.look();
            // It reads files and judges thousands: others have their own threads meanwhile.
            let outcome = tokio::task::block_in_place(|| self.reload(by));
            self.files.follow(&self.loaded);
            if let Some(answer) = answer {
                let _ = answer.send(outcome);
            }
        }
    }

    fn reload(&mut self, by: &str) -> Result<Reloaded, Unsound> {
        let outcome = self.try_reload();
        self.house.metrics.reloaded(outcome.is_ok());
        let said = match &outcome {
            Ok(reloaded) => told(reloaded),
            Err(faults) => format!("the configuration is faulty, and what was in force stays in force: {faults}"),
        };
        match &outcome {
            Ok(_) => tracing::info!("{said} (by {by})"),
            Err(_) => tracing::error!("{said} (by {by})"),
        }
        let about = Subject::new(RequestId::new(uuid::Uuid::new_v4()));
        self.house.audit.event(Event::Reload, &about, format!("by {by}: {said}"), clock::now());
        outcome.map_err(|faults| Unsound(faults.iter().map(of_api).collect()))
    }

    /// Everything that may fail comes before anything is changed.
    fn try_reload(&mut self) -> Result<Reloaded, Faults> {
        let wanted = config::load(self.sources.clone())?;
        let secrets = wanted.resolve(&self.sources.env)?;
        compose::usable(&wanted, &secrets)?;
        let before = &self.loaded.config;
        let in_force = wanted.in_force_after(before);
        let needs_restart = keys(&in_force.config, &wanted.config);
        let mut changed = keys(before, &in_force.config);
        changed.extend(files::exchanged(&self.loaded, &self.secrets, &in_force, &secrets));
        let heir = compose::heir(&self.house, (before, &self.secrets), (&in_force, &secrets))
            .map_err(|error| unusable(&in_force, &error))?;
        let (house, closed) = heir.enter(&self.house).map_err(|error| unusable(&in_force, &error))?;
        self.house = house;
        self.log.filter(&in_force.config.server.log);
        self.loaded = in_force;
        self.secrets = secrets;
        Ok(Reloaded { changed, needs_restart, closed })
    }
}

/// The keys in which two configurations differ.
fn keys(before: &Config, after: &Config) -> Vec<String> {
    differences(&as_json(before), &as_json(after)).into_iter().map(|difference| difference.key).collect()
}

/// A configuration as JSON. No secret is in it: it says where those are.
pub fn as_json(config: &Config) -> Value {
    serde_json::to_value(config).unwrap_or_default()
}

/// What a reload came to, in a line.
pub fn told(reloaded: &Reloaded) -> String {
    let Reloaded { changed, needs_restart, closed } = reloaded;
    let mut said = match changed.as_slice() {
        [] => "the configuration was read again: nothing is new".to_owned(),
        keys => format!("a new configuration is in force: {}", keys.join(", ")),
    };
    if *closed > 0 {
        said += &format!("; {closed} connections are admitted no more");
    }
    if !needs_restart.is_empty() {
        said += &format!("; not in force before a restart: {}", needs_restart.join(", "));
    }
    said
}

/// What shows only when a sound configuration is put to use: a file that cannot be opened, say.
fn unusable(loaded: &Loaded, error: &anyhow::Error) -> Faults {
    let place = loaded.origin.clone().map_or(Place::Shipped, |file| Place::File { file, line: 1, column: 1 });
    let remedy = "What was in force stays in force".to_owned();
    Faults::one(Fault { place, key: String::new(), what: format!("{error:#}"), remedy })
}

fn of_api(fault: &Fault) -> Told {
    let message = format!("{}. {}", fault.what.trim_end_matches('.'), fault.remedy);
    let path = match fault.key.as_str() {
        "" => fault.place.to_string(),
        key => key.to_owned(),
    };
    Told { path, message: message.trim_end().to_owned() }
}
