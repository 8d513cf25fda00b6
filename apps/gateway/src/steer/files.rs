//! The files behind a configuration: when one of them changes, and what is new where no key is. They are looked at every two
//! seconds, by time and size: that sees a file that was renamed into its place, a link that leads elsewhere, as those of a
//! mounted ConfigMap do, and a change on a network file system, too.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use crate::config::{KeySource, Loaded, Secrets};

const LOOK_EVERY: Duration = Duration::from_secs(2);

type Stamp = (PathBuf, Option<(SystemTime, u64)>);

/// The files, and when each was written last.
#[derive(Debug)]
pub struct Files {
    paths: Vec<PathBuf>,
    seen: Vec<Stamp>,
}

impl Files {
    /// The files behind a configuration that was just read.
    pub fn of(loaded: &Loaded) -> Self {
        let paths = named(loaded);
        Self { seen: stamps(&paths), paths }
    }

    /// Watches the files of another configuration. Of those that it had already nothing is missed that happened since the
    /// last look.
    pub(super) fn follow(&mut self, loaded: &Loaded) {
        self.paths = named(loaded);
        let now = stamps(&self.paths);
        let known = |path: &PathBuf| self.seen.iter().find(|(other, _)| other == path).cloned();
        self.seen = now.into_iter().map(|stamp| known(&stamp.0).unwrap_or(stamp)).collect();
    }

    /// Looks at all of them.
    pub(super) fn look(&mut self) {
        self.seen = stamps(&self.paths);
    }

    /// Waits until one of them is another than before. May be dropped and called again.
    pub(super) async fn changed(&mut self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = stamps(&self.paths);
            if now != self.seen {
                self.seen = now;
                return;
            }
        }
    }
}

/// The file itself, and those that it names.
fn named(loaded: &Loaded) -> Vec<PathBuf> {
    let config = &loaded.config;
    let of_keys = config.auth.keys.iter().flat_map(|key| {
        let verifies = match key.source() {
            Some(KeySource::SecretFile(path) | KeySource::PublicKeyFile(path) | KeySource::JwksFile(path)) => {
                Some(path)
            }
            Some(KeySource::SecretEnv(_) | KeySource::JwksUrl(_)) | None => None,
        };
        verifies.into_iter().chain(&key.private_key_file)
    });
    let of_hooks = config.webhooks.iter().flat_map(|hook| hook.secret_file.iter().chain(&hook.previous_secret_file));
    let of_schemas = config.events.schemas.values();
    let all = of_keys.chain(of_hooks).chain(of_schemas).map(|path| path.as_path().to_path_buf());
    loaded.origin.iter().cloned().chain(all).collect()
}

fn stamps(paths: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |path: &PathBuf| {
        let written = std::fs::metadata(path).ok().and_then(|file| Some((file.modified().ok()?, file.len())));
        (path.clone(), written)
    };
    paths.iter().map(stamp).collect()
}

/// The keys whose files say something else, though they name the same files.
pub(super) fn exchanged(before: &Loaded, old: &Secrets, after: &Loaded, new: &Secrets) -> Vec<String> {
    let (was, is) = (&before.config, &after.config);
    let keys = was.auth.keys.iter().zip(&old.keys);
    let keys = keys.enumerate().filter_map(|(at, (key, material))| {
        let same = is.auth.keys.iter().position(|other| other == key)?;
        let name = key.kid.as_ref().map_or_else(|| at.to_string(), |kid| kid.as_str().to_owned());
        (new.keys.get(same) != Some(material)).then(|| format!("auth.keys[{name}] (its file)"))
    });
    let hooks = was.webhooks.iter().zip(&old.webhooks).filter_map(|(hook, secrets)| {
        let same = is.webhooks.iter().position(|other| other == hook)?;
        (new.webhooks.get(same) != Some(secrets)).then(|| format!("webhooks[{}] (its secret)", hook.name))
    });
    keys.chain(hooks).collect()
}
