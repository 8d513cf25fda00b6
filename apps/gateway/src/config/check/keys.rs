//! The sense of keys: one source each, an algorithm that fits it, users that cannot speak for one another's.

use gateway_auth::algorithm::Family;

use super::{
    super::{Config, Key, KeySource, value::Label},
    Complaints, repeated,
};

pub(super) fn check(config: &Config, complaints: &mut Complaints) {
    let auth = &config.auth;
    if auth.keys.is_empty() {
        complaints.fault(
            "auth.keys",
            "there is no key, so that no token can be verified",
            "Add [[auth.keys]] with kid = \"main\", algorithm = \"HS256\", secret_file = \"secret.txt\", and create the file with: gateway keys generate --algorithm HS256 > secret.txt",
        );
    }
    for (at, key) in auth.keys.iter().enumerate() {
        one(key, &format!("auth.keys[{at}]"), complaints);
    }
    let names: Vec<_> =
        auth.keys.iter().filter_map(|key| key.kid.as_ref().map(|kid| (kid, key.issuer.as_ref()))).collect();
    let numbers: Vec<_> = auth.keys.iter().enumerate().filter(|(_, key)| key.kid.is_some()).map(|(at, _)| at).collect();
    for (again, first) in repeated(&names) {
        let (Some(again), Some(first)) = (numbers.get(again), numbers.get(first)) else { continue };
        let what = format!("auth.keys[{first}] has this kid and this issuer, too");
        complaints.fault(format!("auth.keys[{again}].kid"), what, "Give each key of an issuer a kid of its own");
    }
    if auth.token_sources.is_empty() {
        let what = "a token is looked for nowhere, so that nobody comes in";
        complaints.fault("auth.token_sources", what, "Name at least one, such as [\"query\", \"header\"]");
    }
    for (again, _) in repeated(&auth.token_sources) {
        complaints.warn(format!("auth.token_sources[{again}]"), "this source is listed twice", "Remove one");
    }
    prefixes(config, complaints);
    issuer(config, complaints);
    api_keys(config, complaints);
    if auth.exp_leeway.get().as_secs() > 300 {
        let what = format!("tokens live {} longer than they say", auth.exp_leeway);
        complaints.warn("auth.exp_leeway", what, "It is meant for clocks that differ by seconds");
    }
}

fn one(key: &Key, line: &str, complaints: &mut Complaints) {
    let sources = key.sources();
    let (name, source) = match sources.as_slice() {
        [] => {
            let remedy = "Add one of secret_file, secret_env, public_key_file, jwks_file, jwks_url";
            return complaints.fault(line, "this key has no source", remedy);
        }
        [one] => *one,
        [_, (second, _), ..] => {
            let names: Vec<_> = sources.iter().map(|(name, _)| *name).collect();
            let what = format!("this key has several sources: {}", names.join(", "));
            return complaints.fault(
                format!("{line}.{second}"),
                what,
                "Keep one; a second key is a second [[auth.keys]]",
            );
        }
    };
    match source {
        KeySource::SecretFile(_) | KeySource::SecretEnv(_) => single(key, line, name, true, complaints),
        KeySource::PublicKeyFile(_) => single(key, line, name, false, complaints),
        KeySource::JwksFile(_) | KeySource::JwksUrl(_) => set(key, line, complaints),
    }
    if key.private_key_file.is_some() && !matches!(source, KeySource::PublicKeyFile(_)) {
        let what = format!("a private key does not go with {name}");
        complaints.fault(format!("{line}.private_key_file"), what, "It goes with public_key_file");
    }
}

fn single(key: &Key, line: &str, name: &str, is_shared: bool, complaints: &mut Complaints) {
    let fitting = if is_shared {
        "\"HS256\", \"HS384\" or \"HS512\""
    } else {
        "one of key pairs, such as \"RS256\", \"ES256\" or \"EdDSA\""
    };
    match key.algorithm {
        None => {
            let what = "this key has no algorithm, and a token must not choose it";
            complaints.fault(format!("{line}.algorithm"), what, format!("Set it to {fitting}"));
        }
        Some(algorithm) if (algorithm.family() == Family::Secret) != is_shared => {
            let what = format!("{algorithm} does not go with {name}");
            complaints.fault(format!("{line}.algorithm"), what, format!("Set it to {fitting}, or name another source"));
        }
        Some(_) => {}
    }
    if !key.algorithms.is_empty() {
        let what = "a single key has one algorithm; a list is for key sets";
        complaints.fault(format!("{line}.algorithms"), what, "Use `algorithm`");
    }
}

fn set(key: &Key, line: &str, complaints: &mut Complaints) {
    if key.algorithm.is_some() && !key.algorithms.is_empty() {
        let what = "this set has `algorithm` and `algorithms`";
        complaints.fault(format!("{line}.algorithm"), what, "Keep `algorithms`");
    }
    if let Some(shared) = key.set_algorithms().into_iter().find(|algorithm| algorithm.family() == Family::Secret) {
        let name = if key.algorithms.is_empty() { "algorithm" } else { "algorithms" };
        let what = format!("{shared} needs a shared secret, and a key set is public");
        complaints.fault(format!("{line}.{name}"), what, "Use algorithms of key pairs, such as \"RS256\" or \"ES256\"");
    }
    if key.max_stale < key.refresh {
        let what = format!("a set that is fetched every {} is too old after {} already", key.refresh, key.max_stale);
        complaints.fault(format!("{line}.max_stale"), what, "Make it longer than `refresh`");
    }
}

/// Two issuers number their users as they like: without prefixes a user of one could speak for a user of the other.
fn prefixes(config: &Config, complaints: &mut Complaints) {
    let keys = &config.auth.keys;
    let mut issuers: Vec<_> = keys.iter().filter_map(|key| key.issuer.as_ref()).collect();
    issuers.sort();
    issuers.dedup();
    if issuers.len() < 2 {
        let unnamed = keys.iter().position(|key| key.issuer.is_none());
        if let (Some(at), [issuer]) = (unnamed, issuers.as_slice())
            && keys.iter().any(|key| key.user_prefix.is_none())
        {
            let what =
                format!("this key takes tokens of any issuer beside those of `{issuer}`, and their users are one");
            complaints.warn(format!("auth.keys[{at}]"), what, "Give each key an issuer, and a user_prefix");
        }
        return;
    }
    for (at, key) in keys.iter().enumerate() {
        let line = format!("auth.keys[{at}]");
        let Some(prefix) = &key.user_prefix else {
            let what = "there are several issuers, and a user of one could speak for a user of another";
            complaints.fault(line, what, "Give each key a user_prefix of its issuer, such as user_prefix = \"id:\"");
            continue;
        };
        let earlier = keys.iter().take(at).filter(|other| other.issuer != key.issuer);
        let starts = |a: &Label, b: &Label| a.as_str().starts_with(b.as_str());
        if let Some(other) =
            earlier.filter_map(|other| other.user_prefix.as_ref()).find(|o| starts(o, prefix) || starts(prefix, o))
        {
            let what = format!("`{prefix}` and `{other}`, of another issuer, can make the same user id");
            complaints.fault(format!("{line}.user_prefix"), what, "Use prefixes of which none begins with the other");
        }
    }
}

fn issuer(config: &Config, complaints: &mut Complaints) {
    let Some(issuer) = &config.auth.issuer else { return };
    let mut named = config.auth.keys.iter().enumerate().filter(|(_, key)| key.kid.as_ref() == Some(&issuer.key));
    match (named.next(), named.next()) {
        (None, _) => {
            let kids: Vec<_> =
                config.auth.keys.iter().filter_map(|key| key.kid.as_ref()).map(|kid| format!("`{kid}`")).collect();
            let known = if kids.is_empty() {
                "No key has a kid".to_owned()
            } else {
                format!("Name one of {}", kids.join(", "))
            };
            complaints.fault("auth.issuer.key", format!("there is no key with the kid `{}`", issuer.key), known);
        }
        (Some((at, key)), None) if !key.can_sign() => {
            let what = format!("`{}` (auth.keys[{at}]) can verify, but not sign", issuer.key);
            complaints.fault("auth.issuer.key", what, "Name a key with a secret, or add private_key_file to this one");
        }
        (Some(_), None) => {}
        (Some((first, _)), Some((second, _))) => {
            let what = format!("auth.keys[{first}] and auth.keys[{second}] are both called `{}`", issuer.key);
            complaints.fault("auth.issuer.key", what, "Give the key that signs a kid of its own");
        }
    }
    if issuer.refresh_ttl <= issuer.access_ttl {
        let what =
            format!("a refresh token ({}) must outlive an access token ({})", issuer.refresh_ttl, issuer.access_ttl);
        complaints.fault("auth.issuer.refresh_ttl", what, "Make it longer, such as \"7d\"");
    }
}

fn api_keys(config: &Config, complaints: &mut Complaints) {
    let keys = &config.api_keys;
    for (at, key) in keys.iter().enumerate() {
        let line = format!("api_keys[{at}]");
        match (&key.sha256, &key.key_env) {
            (None, None) => {
                complaints.fault(
                    &line,
                    "this API key is no key",
                    "Add sha256, as `gateway keys hash` prints it, or key_env",
                );
            }
            (Some(_), Some(_)) => complaints.fault(&line, "this API key has sha256 and key_env", "Keep one of them"),
            (Some(_), None) | (None, Some(_)) => {}
        }
    }
    let ids: Vec<_> = keys.iter().map(|key| &key.id).collect();
    for (again, first) in repeated(&ids) {
        let what = format!("api_keys[{first}] has this id, too");
        complaints.fault(format!("api_keys[{again}].id"), what, "Give each API key an id of its own");
    }
    let hashes: Vec<_> = keys.iter().enumerate().filter_map(|(at, key)| Some((at, key.sha256?))).collect();
    let bare: Vec<_> = hashes.iter().map(|(_, hash)| hash).collect();
    for (again, first) in repeated(&bare) {
        let (Some((again, _)), Some((first, _))) = (hashes.get(again), hashes.get(first)) else { continue };
        let what = format!("this is the key of api_keys[{first}], too");
        complaints.fault(format!("api_keys[{again}].sha256"), what, "Give each user a key of its own");
    }
    let signing = config
        .auth
        .issuer
        .as_ref()
        .and_then(|issuer| config.auth.keys.iter().find(|key| key.kid.as_ref() == Some(&issuer.key)));
    for (at, key) in keys.iter().enumerate() {
        let lost = signing.and_then(|signing| key.roles.iter().find(|role| !signing.grants(role)));
        if let Some(role) = lost {
            let what = format!("tokens for this key lose the role `{role}`: the key that signs them may not grant it");
            complaints.warn(
                format!("api_keys[{at}].roles"),
                what,
                "Add the role to `roles` of that key, if they should have it",
            );
        }
    }
}
