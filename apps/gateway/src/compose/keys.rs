//! Keys: from what the configuration names to what verifies and signs.

use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use gateway_auth::{
    AgentSource, ClaimNames, ClaimPath, Fetch, Issuer, IssuerRules, JwksOrigin, JwksSource, Key, KeyMaterial, KeySpec,
    Keyring, SigningKey, SigningMaterial,
};

use crate::config::{self, Auth, Secrets, value};

/// The ring of all keys.
pub fn keyring(auth: &Auth, secrets: &Secrets, fetch: Fetch) -> Result<Keyring> {
    Ok(Keyring::new(keys(auth, secrets)?, sets(auth, secrets)?, fetch)?)
}

/// The keys that are given one by one.
pub fn keys(auth: &Auth, secrets: &Secrets) -> Result<Vec<Key>> {
    let given = auth.keys.iter().zip(&secrets.keys).enumerate();
    let keys = given.filter_map(|(index, (key, material))| self::key(key, index, material).transpose());
    keys.collect()
}

/// One key; nothing where it is a set.
pub(super) fn key(key: &config::Key, index: usize, material: &config::KeyMaterial) -> Result<Option<Key>> {
    let material = match material {
        config::KeyMaterial::Secret(secret) => KeyMaterial::Secret(secret.expose().to_vec()),
        config::KeyMaterial::KeyPair { public, .. } => public_key(public),
        config::KeyMaterial::JwksFile(_) | config::KeyMaterial::JwksUrl(_) => return Ok(None),
    };
    let algorithm = key.algorithm.ok_or_else(|| anyhow!("the key has no algorithm"))?;
    let spec = KeySpec {
        kid: key.kid.as_ref().map(|kid| kid.as_str().into()),
        name: name_of(key, index),
        algorithm,
        issuer: key.issuer.as_ref().map(|issuer| issuer.as_str().into()),
        user_prefix: key.user_prefix.as_ref().map(|prefix| prefix.as_str().into()),
        roles: key.roles.clone(),
        material,
    };
    Ok(Some(Key::new(spec)?))
}

/// The sets of keys.
pub fn sets(auth: &Auth, secrets: &Secrets) -> Result<Vec<JwksSource>> {
    let mut sets = Vec::new();
    for (index, (key, material)) in auth.keys.iter().zip(&secrets.keys).enumerate() {
        let origin = match material {
            config::KeyMaterial::JwksFile(bytes) => JwksOrigin::Given(bytes.to_vec()),
            config::KeyMaterial::JwksUrl(url) => JwksOrigin::Url(url.as_str().into()),
            config::KeyMaterial::Secret(_) | config::KeyMaterial::KeyPair { .. } => continue,
        };
        let mut source = JwksSource::new(name_of(key, index), origin);
        source.issuer = key.issuer.as_ref().map(|issuer| issuer.as_str().into());
        source.user_prefix = key.user_prefix.as_ref().map(|prefix| prefix.as_str().into());
        source.roles.clone_from(&key.roles);
        let algorithms = key.set_algorithms();
        if !algorithms.is_empty() {
            source.algorithms = algorithms;
        }
        source.refresh_every = key.refresh.get();
        source.max_stale = key.max_stale.get();
        sets.push(source);
    }
    Ok(sets)
}

/// The key of that id that can sign, or the only one; and the issuer that its tokens name.
pub fn signing_key(auth: &Auth, secrets: &Secrets, kid: Option<&str>) -> Result<(SigningKey, Option<Arc<str>>)> {
    let fits = |key: &config::Key| kid.is_none_or(|kid| key.kid.as_ref().is_some_and(|own| own.as_str() == kid));
    let mut able = auth.keys.iter().zip(&secrets.keys).filter(|(key, _)| key.can_sign() && fits(key));
    let Some((key, material)) = able.next() else {
        bail!("no key of the configuration can sign: one needs a secret, or a private_key_file");
    };
    if able.next().is_some() {
        bail!("several keys of the configuration can sign: name one by its kid");
    }
    let algorithm = key.algorithm.ok_or_else(|| anyhow!("the key has no algorithm"))?;
    let material = match material {
        config::KeyMaterial::Secret(secret) => SigningMaterial::Secret(secret.expose().to_vec()),
        config::KeyMaterial::KeyPair { private: Some(private), .. } => {
            SigningMaterial::PrivatePem(private.expose().to_vec())
        }
        config::KeyMaterial::KeyPair { private: None, .. }
        | config::KeyMaterial::JwksFile(_)
        | config::KeyMaterial::JwksUrl(_) => bail!("the key has no private half"),
    };
    let kid = key.kid.as_ref().map(|kid| Arc::from(kid.as_str()));
    let issuer = key.issuer.as_ref().map(|issuer| Arc::from(issuer.as_str()));
    Ok((SigningKey::new(kid, algorithm, material)?, issuer))
}

/// Which claims mean what.
pub(super) fn claim_names(auth: &Auth) -> Result<ClaimNames> {
    let path = |paths: &value::ClaimPaths| ClaimPath::first_of(paths.iter().map(|path| path.as_str()));
    let names = &auth.claims;
    Ok(ClaimNames {
        user: path(&names.user)?,
        roles: path(&names.roles)?,
        plan: path(&names.plan)?,
        permissions: path(&names.permissions)?,
        agent: match &names.agent {
            value::AgentSource::Claim(paths) => AgentSource::Claim(path(paths)?),
            value::AgentSource::Query(name) => AgentSource::Query(name.clone()),
        },
        limits: path(&names.limits)?,
    })
}

fn public_key(bytes: &[u8]) -> KeyMaterial {
    if bytes.trim_ascii_start().starts_with(b"{") {
        KeyMaterial::Jwk(bytes.to_vec())
    } else {
        KeyMaterial::PublicPem(bytes.to_vec())
    }
}

/// What the audit calls a key that has no id.
fn name_of(key: &config::Key, index: usize) -> Arc<str> {
    key.kid.as_ref().map_or_else(|| format!("auth.keys[{index}]").into(), |kid| kid.as_str().into())
}

/// Who signs here, where this gateway issues anything.
pub fn own_issuer(auth: &config::Auth, secrets: &Secrets) -> Result<Option<Issuer>> {
    let Some(own) = &auth.issuer else { return Ok(None) };
    let (key, issued_as) = signing_key(auth, secrets, Some(own.key.as_str()))?;
    issuer(auth, key, issued_as).map(Some)
}

/// Who signs with that key, in the form that the authenticator of this configuration takes.
pub fn issuer(auth: &config::Auth, key: SigningKey, issued_as: Option<Arc<str>>) -> Result<Issuer> {
    let usual = IssuerRules::default();
    let rules = IssuerRules {
        issuer: issued_as,
        audience: auth.audience.iter().map(|name| name.as_str().into()).collect(),
        access_ttl: auth.issuer.as_ref().map_or(usual.access_ttl, |issuer| issuer.access_ttl.get()),
        claims: claim_names(auth)?,
    };
    Ok(Issuer::new(key, rules)?)
}
