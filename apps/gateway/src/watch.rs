//! Sees that a key file changed, and puts the new keys in the place of the old ones, those that sign among them:
//! rotation without a restart. A file that cannot be used changes nothing, and is said once.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use gateway_server::{House, clock};

use crate::{
    cli::Environment,
    compose,
    config::{KeyMaterial, KeySource, Loaded},
};

const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Watches the files of the keys for as long as it is polled.
pub async fn keys(loaded: Loaded, environment: Environment, house: Arc<House>) {
    let mut seen = stamps(&loaded);
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    loop {
        ticks.tick().await;
        let now = stamps(&loaded);
        if now == seen {
            continue;
        }
        seen = now;
        match replace(&loaded, &environment, &house) {
            Ok(()) => tracing::info!("the key files changed: the new keys are in force"),
            Err(error) => tracing::error!("the key files changed, and the old keys stay in force: {error:#}"),
        }
    }
}

fn replace(loaded: &Loaded, environment: &Environment, house: &House) -> anyhow::Result<()> {
    let ring = house.gate.authenticator.keys();
    let secrets = loaded.resolve(environment)?;
    let auth = &loaded.config.auth;
    // Everything is read before anything is replaced.
    let (keys, sets) = (compose::keys(auth, &secrets)?, compose::sets(auth, &secrets)?);
    let issuer = compose::own_issuer(auth, &secrets)?;
    for (set, material) in sets.iter().zip(secrets.keys.iter().filter(|material| is_set(material))) {
        if let KeyMaterial::JwksFile(bytes) = material {
            ring.replace_set(&set.name, bytes, clock::now())?;
        }
    }
    // What is signed from now on must be verified already.
    ring.replace_local(keys)?;
    if let (Some(issuing), Some(issuer)) = (&house.issuing, issuer) {
        issuing.replace(issuer);
    }
    Ok(())
}

const fn is_set(material: &KeyMaterial) -> bool {
    matches!(material, KeyMaterial::JwksFile(_) | KeyMaterial::JwksUrl(_))
}

type Stamp = (PathBuf, Option<(SystemTime, u64)>);

/// The files behind the keys, each with its time and size.
fn stamps(loaded: &Loaded) -> Vec<Stamp> {
    let files = loaded.config.auth.keys.iter().flat_map(|key| {
        let verifies = match key.source() {
            Some(KeySource::SecretFile(path) | KeySource::PublicKeyFile(path) | KeySource::JwksFile(path)) => {
                Some(path)
            }
            Some(KeySource::SecretEnv(_) | KeySource::JwksUrl(_)) | None => None,
        };
        verifies.into_iter().chain(&key.private_key_file).map(|path| path.as_path().to_path_buf())
    });
    files
        .map(|path| {
            let stamp = std::fs::metadata(&path).ok().and_then(|file| Some((file.modified().ok()?, file.len())));
            (path, stamp)
        })
        .collect()
}
