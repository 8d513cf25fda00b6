//! The secrets: who may read them, how strong and how old they are, and whether one does the work of two. None of them
//! is printed, nor anything that could be told of it from outside.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    time::UNIX_EPOCH,
};

use gateway_auth::Algorithm;
use gateway_domain::Timestamp;

use super::{certificate, finding::Report};
use crate::config::{Config, Key, KeyMaterial, KeySource, Secrets};

const DAY: i64 = 86_400;
/// A key that is older should have been exchanged.
const OLD: i64 = 365 * DAY;
/// Random bytes of this length repeat themselves less than that; a text that somebody typed does not.
const DISTINCT: usize = 12;
/// A certificate that ends sooner should have been renewed.
const SOON: i64 = 14 * DAY;

/// Looks at the files, the keys and the certificate.
pub(super) fn look(config: &Config, secrets: Option<&Secrets>, now: Timestamp, report: &mut Report) {
    let files = files(config);
    for (key, file, is_secret) in &files {
        rights(key, file, *is_secret, report);
        age(key, file, now, report);
    }
    if let Some(secrets) = secrets {
        strength(config, secrets, report);
        if let Some(tls) = &secrets.tls {
            validity(&tls.certificates, now, report);
        }
    }
}

/// Every file with something secret in it, and those whose change would open the door.
fn files(config: &Config) -> Vec<(String, &Path, bool)> {
    let mut files = Vec::new();
    for (at, key) in config.auth.keys.iter().enumerate() {
        let name = |name: &str| format!("auth.keys[{at}].{name}");
        match key.source() {
            Some(KeySource::SecretFile(file)) => files.push((name("secret_file"), file.as_path(), true)),
            Some(KeySource::PublicKeyFile(file)) => files.push((name("public_key_file"), file.as_path(), false)),
            Some(KeySource::JwksFile(file)) => files.push((name("jwks_file"), file.as_path(), false)),
            Some(KeySource::SecretEnv(_) | KeySource::JwksUrl(_)) | None => {}
        }
        files.extend(key.private_key_file.iter().map(|file| (name("private_key_file"), file.as_path(), true)));
    }
    for (at, hook) in config.webhooks.iter().enumerate() {
        let named = [("secret_file", &hook.secret_file), ("previous_secret_file", &hook.previous_secret_file)];
        for (name, file) in named {
            files.extend(file.iter().map(|file| (format!("webhooks[{at}].{name}"), file.as_path(), true)));
        }
    }
    let redis = config.cluster.password_file.iter();
    files.extend(redis.map(|file| ("cluster.password_file".into(), file.as_path(), true)));
    let sentinels = config.cluster.sentinel.iter().filter_map(|sentinel| sentinel.password_file.as_ref());
    files.extend(sentinels.map(|file| ("cluster.sentinel.password_file".into(), file.as_path(), true)));
    if let Some(tls) = &config.server.tls {
        files.push(("server.tls.key_file".into(), tls.key_file.as_path(), true));
    }
    files
}

fn rights(key: &str, file: &Path, is_secret: bool, report: &mut Report) {
    // A file that is not there is a fault of the configuration, and told as such.
    let Ok(here) = fs::metadata(file) else { return };
    let (mode, shown) = (here.permissions().mode() & 0o777, file.display());
    let own = format!("chmod {} {shown}", if is_secret { "600" } else { "644" });
    if mode & 0o022 != 0 {
        let what = format!(
            "{key}: {shown} can be written by others (mode {mode:04o}), who could put a key of their own there"
        );
        report.change("secrets", what, own);
    } else if is_secret && mode & 0o004 != 0 {
        report.change("secrets", format!("{key}: {shown} can be read by everybody (mode {mode:04o})"), own);
    } else if is_secret {
        report.fine("secrets", format!("{key}: {shown} is not for everybody (mode {mode:04o})"));
    }
    let folder = file.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    if let Ok(around) = fs::metadata(folder)
        && around.mode() & 0o002 != 0
        && around.mode() & 0o1000 == 0
    {
        let what =
            format!("{key}: everybody may write to {}, and put another file in the place of {shown}", folder.display());
        report.change("secrets", what, format!("chmod o-w {}", folder.display()));
    }
}

fn age(key: &str, file: &Path, now: Timestamp, report: &mut Report) {
    let written = fs::metadata(file).and_then(|here| here.modified()).ok();
    let Some(written) = written.and_then(|written| written.duration_since(UNIX_EPOCH).ok()) else { return };
    let seconds = now.millis() / 1000 - i64::try_from(written.as_secs()).unwrap_or(i64::MAX);
    if seconds > OLD && !key.starts_with("server.") {
        let what = format!("{key}: {} is {} days old", file.display(), seconds / DAY);
        report.note("secrets", what, "Exchange it: docs/operations.md, \"Rotating keys\", says how without a gap");
    }
}

fn strength(config: &Config, secrets: &Secrets, report: &mut Report) {
    let mut shared: BTreeMap<&[u8], String> = BTreeMap::new();
    let keys = config.auth.keys.iter().zip(&secrets.keys).enumerate();
    let of_keys = keys.filter_map(|(at, (key, material))| match material {
        KeyMaterial::Secret(secret) => Some((format!("auth.keys[{at}]"), secret.expose(), least(key))),
        KeyMaterial::KeyPair { .. } | KeyMaterial::JwksFile(_) | KeyMaterial::JwksUrl(_) => None,
    });
    let hooks = secrets.webhooks.iter().enumerate();
    let of_hooks = hooks.map(|(at, hook)| (format!("webhooks[{at}]"), hook.current.expose(), 32));
    for (name, secret, least) in of_keys.chain(of_hooks) {
        let distinct = secret.iter().collect::<std::collections::BTreeSet<_>>().len();
        let make = "Make one with: gateway keys generate --algorithm HS256 --out FILE";
        if distinct < DISTINCT {
            report.change("keys", format!("{name}: the secret repeats a few characters, and can be guessed"), make);
        } else if secret.len() < least {
            let what = format!("{name}: the secret is shorter than the hash of its algorithm ({least} bytes)");
            report.note("keys", what, "Make a longer one with gateway keys generate, for that algorithm");
        } else {
            report.fine("keys", format!("{name}: the secret is long enough"));
        }
        if let Some(other) = shared.insert(secret, name.clone()) {
            let what =
                format!("{name} and {other} have the same secret: whoever knows the one can speak for the other");
            report.change("keys", what, make);
        }
    }
}

/// As many bytes as the hash has.
fn least(key: &Key) -> usize {
    match key.algorithm {
        Some(Algorithm::Hs512) => 64,
        Some(Algorithm::Hs384) => 48,
        _ => 32,
    }
}

fn validity(certificates: &[u8], now: Timestamp, report: &mut Report) {
    let Some(until) = certificate::until(certificates) else { return };
    let left = (until.millis() - now.millis()) / 1000;
    let what = format!("server.tls: the certificate is good until {until}");
    if left <= 0 {
        report.change("certificate", what, "Renew it: no client accepts it now");
    } else if left < SOON {
        report.note("certificate", what, "Renew it, and let the gateway read it");
    } else {
        report.fine("certificate", what);
    }
}
