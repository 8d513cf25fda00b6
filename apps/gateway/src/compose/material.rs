//! Whether what the configuration names can be put to use: a key of another kind than its algorithm, a certificate
//! without its key. That shows only when it is tried. Every fault at once, each with its place and its remedy.

use std::sync::Arc;

use gateway_auth::FetchFault;
#[cfg(feature = "net")]
use gateway_transport::TlsMaterial;

use super::{keys, own_issuer};
use crate::config::{Fault, Faults, Key, KeyMaterial, Loaded, Secrets};

/// Tries all of it.
pub fn usable(loaded: &Loaded, secrets: &Secrets) -> Result<(), Faults> {
    let auth = &loaded.config.auth;
    let mut faults = Vec::new();
    let mut fault = |key: String, what: String, remedy: String| {
        faults.push(Fault { place: loaded.place_of(&key), key, what, remedy });
    };
    for (index, (key, material)) in auth.keys.iter().zip(&secrets.keys).enumerate() {
        if let Err(error) = keys::key(key, index, material) {
            fault(format!("auth.keys[{index}].{}", source(key, material)), format!("{error:#}"), pair_for(key));
        }
    }
    if let Err(error) = own_issuer(auth, secrets) {
        let remedy = "Name a key that has a secret, or a private_key_file that fits its algorithm";
        fault("auth.issuer.key".into(), format!("{error:#}"), remedy.into());
    }
    #[cfg(feature = "net")]
    if let Some(tls) = &secrets.tls
        && let Err(error) = TlsMaterial::from_pem(&tls.certificates, tls.key.expose())
    {
        let remedy = "Give the certificate chain, the server's own first, and its private key, both in PEM";
        fault("server.tls".into(), error.to_string(), remedy.into());
    }
    // What the keys are together is of interest once each of them is sound.
    if faults.is_empty() {
        let never = Arc::new(|_| -> std::pin::Pin<Box<dyn Future<Output = _> + Send>> {
            Box::pin(async { Err(FetchFault("nothing is fetched for a check".into())) })
        });
        if let Err(error) = keys::keyring(auth, secrets, never) {
            let remedy = "Give each key its own kid, or its own issuer and user_prefix";
            let key = "auth.keys".to_owned();
            faults.push(Fault { place: loaded.place_of(&key), key, what: format!("{error:#}"), remedy: remedy.into() });
        }
    }
    Faults::gather(faults)
}

/// The key of the configuration behind the material.
fn source(key: &Key, material: &KeyMaterial) -> &'static str {
    match material {
        KeyMaterial::Secret(_) if key.secret_env.is_some() => "secret_env",
        KeyMaterial::Secret(_) => "secret_file",
        KeyMaterial::KeyPair { .. } => "public_key_file",
        KeyMaterial::JwksFile(_) => "jwks_file",
        KeyMaterial::JwksUrl(_) => "jwks_url",
    }
}

fn pair_for(key: &Key) -> String {
    let algorithm = key.algorithm.map_or("ES256", |algorithm| algorithm.name());
    format!("Make one that fits with: gateway keys generate --algorithm {algorithm}, or name the algorithm of this one")
}
