//! JSON Web Keys. A set gives public keys only: secrets, private halves, keys for another use, and keys whose own
//! words contradict them are dropped, each counted; an entry never widens what the configuration allows.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use crate::{
    algorithm::{Algorithm, Family},
    json,
    key::{Grants, Key, KeyFault, LONGEST_KEY_ID, secret_key},
    pem,
    verifier::Material,
};

/// What a set gave.
#[derive(Debug)]
pub(crate) struct KeySet {
    pub(crate) keys: Vec<Key>,
    /// Entries that are of no use here.
    pub(crate) dropped: usize,
}

/// The bounds of a set.
pub(crate) struct SetBounds<'a> {
    pub(crate) issuer: Option<&'a Arc<str>>,
    pub(crate) grants: &'a Arc<Grants>,
    pub(crate) algorithms: &'a [Algorithm],
    pub(crate) max_keys: usize,
    pub(crate) max_bytes: usize,
}

/// Reads a set. More keys or bytes than allowed refuse the whole of it: a part could miss the one that matters.
pub(crate) fn set(bytes: &[u8], bounds: &SetBounds<'_>) -> Result<KeySet, KeyFault> {
    if bytes.len() > bounds.max_bytes {
        return Err(KeyFault::Set("it is larger than allowed"));
    }
    let members = json::object(bytes).map_err(|_| KeyFault::Set("it is not a JSON object"))?;
    let Some(Value::Array(entries)) = members.get("keys") else {
        return Err(KeyFault::Set("it has no list `keys`"));
    };
    if entries.len() > bounds.max_keys {
        return Err(KeyFault::Set("it has more keys than allowed"));
    }
    let keys: Vec<Key> = entries.iter().filter_map(|entry| entry_key(entry.as_object()?, bounds)).collect();
    Ok(KeySet { dropped: entries.len() - keys.len(), keys })
}

fn entry_key(entry: &Map<String, Value>, bounds: &SetBounds<'_>) -> Option<Key> {
    let kid = match entry.get("kid") {
        None => None,
        Some(Value::String(kid)) if (1..=LONGEST_KEY_ID).contains(&kid.len()) => Some(Arc::from(kid.as_str())),
        Some(_) => return None,
    };
    let material = verifying(entry).ok().filter(|material| material.family != Family::Secret)?;
    let said = said_algorithm(entry)?;
    let algorithms = bounds
        .algorithms
        .iter()
        .copied()
        .filter(|algorithm| algorithm.family() == material.family && said.is_none_or(|said| said == *algorithm));
    let key = Key::of_set(kid, bounds.issuer.cloned(), bounds.grants.clone(), algorithms, &material).ok()?;
    Algorithm::asymmetric().any(|algorithm| key.serves(algorithm)).then_some(key)
}

/// The entry's own `alg`: `Some(None)` where it has none, `None` where it is not one of ours.
fn said_algorithm(entry: &Map<String, Value>) -> Option<Option<Algorithm>> {
    match entry.get("alg") {
        None => Some(None),
        Some(Value::String(name)) => name.parse().ok().map(Some),
        Some(_) => None,
    }
}

/// Reads one key for one algorithm, from the operator's own hand: here a secret is in its place.
pub(crate) fn single(bytes: &[u8], algorithm: Algorithm) -> Result<Material, KeyFault> {
    let entry = json::object(bytes).map_err(|_| KeyFault::Jwk("it is not a JSON object"))?;
    if said_algorithm(&entry).is_none_or(|said| said.is_some_and(|said| said != algorithm)) {
        return Err(KeyFault::Jwk("its `alg` is another than the configured one"));
    }
    let material = verifying(&entry)?;
    let (wanted, found) = (algorithm.family(), material.family);
    if found == wanted { Ok(material) } else { Err(KeyFault::Family { wanted, found }) }
}

/// The key of an entry that is meant for checking signatures.
fn verifying(entry: &Map<String, Value>) -> Result<Material, KeyFault> {
    if entry.contains_key("d") {
        return Err(KeyFault::PrivateGiven);
    }
    if entry.get("use").is_some_and(|word| word != "sig") {
        return Err(KeyFault::Jwk("its `use` is not `sig`"));
    }
    let may_verify = |operations: &Value| {
        operations.as_array().is_some_and(|list| list.iter().any(|operation| operation == "verify"))
    };
    if !entry.get("key_ops").is_none_or(may_verify) {
        return Err(KeyFault::Jwk("its `key_ops` do not have `verify`"));
    }
    let text = |name: &str| entry.get(name).and_then(Value::as_str);
    let part = |name: &str| {
        let text = text(name).ok_or(KeyFault::Jwk("a part of it is missing"))?;
        URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyFault::Jwk("a part of it is not base64url"))
    };
    match (text("kty"), text("crv")) {
        (Some("oct"), None) => secret_key(&part("k")?),
        (Some("RSA"), None) => {
            pem::rsa_from_numbers(&part("n")?, &part("e")?).map(|bytes| Material::new(Family::Rsa, bytes))
        }
        (Some("EC"), Some("P-256")) => point(Family::P256, &part("x")?, &part("y")?, 32),
        (Some("EC"), Some("P-384")) => point(Family::P384, &part("x")?, &part("y")?, 48),
        (Some("OKP"), Some("Ed25519")) => {
            let x = part("x")?;
            if x.len() != 32 {
                return Err(KeyFault::Jwk("a coordinate has not the length of its curve"));
            }
            pem::checked(Family::Ed25519, &x).map(|bytes| Material::new(Family::Ed25519, bytes))
        }
        _ => Err(KeyFault::Jwk("its `kty` and `crv` are of no use here")),
    }
}

fn point(family: Family, x: &[u8], y: &[u8], width: usize) -> Result<Material, KeyFault> {
    if x.len() != width || y.len() != width {
        return Err(KeyFault::Jwk("a coordinate has not the length of its curve"));
    }
    pem::checked(family, &[&[4], x, y].concat()).map(|bytes| Material::new(family, bytes))
}
