//! Sees that a key file changed, and puts the new keys in the place of the old ones: rotation without a restart. A
//! file that cannot be used changes nothing, and is said once.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use gateway_auth::Keyring;
use gateway_server::clock;

use crate::{
    cli::Environment,
    compose,
    config::{KeyMaterial, KeySource, Loaded},
};

const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Watches the files of the keys for as long as it is polled.
pub async fn keys(loaded: Loaded, environment: Environment, ring: Arc<Keyring>) {
    let mut seen = stamps(&loaded);
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    loop {
        ticks.tick().await;
        let now = stamps(&loaded);
        if now == seen {
            continue;
        }
        seen = now;
        match replace(&loaded, &environment, &ring) {
            Ok(()) => tracing::info!("the key files changed: the new keys are in force"),
            Err(error) => tracing::error!("the key files changed, and the old keys stay in force: {error:#}"),
        }
    }
}

fn replace(loaded: &Loaded, environment: &Environment, ring: &Keyring) -> anyhow::Result<()> {
    let secrets = loaded.resolve(environment)?;
    let auth = &loaded.config.auth;
    // Everything is read before anything is replaced.
    let (keys, sets) = (compose::keys(auth, &secrets)?, compose::sets(auth, &secrets)?);
    for (set, material) in sets.iter().zip(secrets.keys.iter().filter(|material| is_set(material))) {
        if let KeyMaterial::JwksFile(bytes) = material {
            ring.replace_set(&set.name, bytes, clock::now())?;
        }
    }
    ring.replace_local(keys)?;
    Ok(())
}

const fn is_set(material: &KeyMaterial) -> bool {
    matches!(material, KeyMaterial::JwksFile(_) | KeyMaterial::JwksUrl(_))
}

type Stamp = (PathBuf, Option<(SystemTime, u64)>);

/// The files behind the keys, each with its time and size.
fn stamps(loaded: &Loaded) -> Vec<Stamp> {
    let files = loaded.config.auth.keys.iter().filter_map(|key| match key.source()? {
        KeySource::SecretFile(path) | KeySource::PublicKeyFile(path) | KeySource::JwksFile(path) => {
            Some(path.as_path().to_path_buf())
        }
        KeySource::SecretEnv(_) | KeySource::JwksUrl(_) => None,
    });
    files
        .map(|path| {
            let stamp = std::fs::metadata(&path).ok().and_then(|file| Some((file.modified().ok()?, file.len())));
            (path, stamp)
        })
        .collect()
}
