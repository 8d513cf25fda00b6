//! A key made ready for its algorithm. What of a check does not depend on the token is done once, when the key is read:
//! the pads of an HMAC are hashed, a public key is parsed.

use std::fmt;

use aws_lc_rs::{hmac, signature as public};

use crate::{
    algorithm::{Algorithm, Family},
    key::KeyFault,
};

/// The bytes of a key that were checked: a secret, RSA in PKCS #1, an uncompressed point, or a bare Ed25519 key.
#[derive(Clone)]
pub(crate) struct Material {
    pub(crate) family: Family,
    bytes: Vec<u8>,
}

/// One key for one algorithm.
#[derive(Clone)]
pub(crate) struct Verifier {
    pub(crate) algorithm: Algorithm,
    ready: Ready,
}

#[derive(Clone)]
enum Ready {
    Secret(Box<hmac::Key>),
    Public(public::ParsedPublicKey),
}

impl Material {
    pub(crate) const fn new(family: Family, bytes: Vec<u8>) -> Self {
        Self { family, bytes }
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Material").field("family", &self.family).finish_non_exhaustive()
    }
}

impl Verifier {
    /// Makes the key ready, where it is of the algorithm's family.
    pub(crate) fn new(algorithm: Algorithm, material: &Material) -> Result<Self, KeyFault> {
        let (wanted, found) = (algorithm.family(), material.family);
        if wanted != found {
            return Err(KeyFault::Family { wanted, found });
        }
        let secret = |hash| Ok(Ready::Secret(Box::new(hmac::Key::new(hash, &material.bytes))));
        let parsed = |law| {
            let key = public::ParsedPublicKey::new(law, &material.bytes);
            key.map(Ready::Public).map_err(|_| KeyFault::Unreadable)
        };
        let ready = match algorithm {
            Algorithm::Hs256 => secret(hmac::HMAC_SHA256),
            Algorithm::Hs384 => secret(hmac::HMAC_SHA384),
            Algorithm::Hs512 => secret(hmac::HMAC_SHA512),
            Algorithm::Rs256 => parsed(&public::RSA_PKCS1_2048_8192_SHA256),
            Algorithm::Rs384 => parsed(&public::RSA_PKCS1_2048_8192_SHA384),
            Algorithm::Rs512 => parsed(&public::RSA_PKCS1_2048_8192_SHA512),
            Algorithm::Ps256 => parsed(&public::RSA_PSS_2048_8192_SHA256),
            Algorithm::Ps384 => parsed(&public::RSA_PSS_2048_8192_SHA384),
            Algorithm::Ps512 => parsed(&public::RSA_PSS_2048_8192_SHA512),
            Algorithm::Es256 => parsed(&public::ECDSA_P256_SHA256_FIXED),
            Algorithm::Es384 => parsed(&public::ECDSA_P384_SHA384_FIXED),
            Algorithm::EdDsa => parsed(&public::ED25519),
        };
        Ok(Self { algorithm, ready: ready? })
    }

    /// Whether the signature is this key's; secrets are compared in constant time.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.ready {
            Ready::Secret(key) => hmac::verify(key, message, signature).is_ok(),
            Ready::Public(key) => key.verify_sig(message, signature).is_ok(),
        }
    }
}
