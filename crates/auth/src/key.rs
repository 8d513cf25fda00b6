//! One key that verifies tokens. Which algorithm it serves is said beside it, never by a token; a key that does not
//! fit its algorithm, or is too weak for it, cannot be made.

use std::{fmt, sync::Arc};

use gateway_domain::Role;

use crate::{
    algorithm::{Algorithm, Family},
    jwk, pem,
    signing::SigningKey,
    verifier::{Material, Verifier},
};

/// What the configuration says of a key.
#[derive(Clone, Debug)]
pub struct KeySpec {
    /// The id by which tokens name it.
    pub kid: Option<Arc<str>>,
    /// What the audit calls it where it has no `kid`.
    pub name: Arc<str>,
    /// The one algorithm that it serves.
    pub algorithm: Algorithm,
    /// The issuer whose tokens it verifies; then no other's.
    pub issuer: Option<Arc<str>>,
    /// What is put before the user id and the agent id of its tokens.
    pub user_prefix: Option<Arc<str>>,
    /// All the roles that it may grant; a token's other roles are dropped. None: no bound.
    pub roles: Option<Vec<Role>>,
    /// The key itself.
    pub material: KeyMaterial,
}

/// A key as it was read.
#[derive(Clone)]
pub enum KeyMaterial {
    /// The shared secret of an HMAC, at least 32 bytes.
    Secret(Vec<u8>),
    /// A public key in PEM.
    PublicPem(Vec<u8>),
    /// A public key, or a secret, as a JSON Web Key.
    Jwk(Vec<u8>),
}

impl fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret(_) => "Secret(***)",
            Self::PublicPem(_) => "PublicPem(..)",
            Self::Jwk(_) => "Jwk(***)",
        })
    }
}

/// A key that was checked, with all that goes with the tokens that it verifies.
#[derive(Clone)]
pub struct Key {
    pub(crate) kid: Option<Arc<str>>,
    pub(crate) issuer: Option<Arc<str>>,
    pub(crate) grants: Arc<Grants>,
    /// One for each algorithm that it serves.
    verifiers: Box<[Verifier]>,
}

/// What the tokens of a key may say.
#[derive(Debug)]
pub(crate) struct Grants {
    pub(crate) name: Arc<str>,
    pub(crate) user_prefix: Option<Arc<str>>,
    pub(crate) roles: RoleBound,
}

/// Which of a token's roles count.
#[derive(Debug)]
pub(crate) enum RoleBound {
    All,
    Only(Vec<Role>),
    /// For keys from elsewhere, of which the configuration says nothing.
    AllButPowers,
}

/// What is wrong with a key, a set of keys, or a ring of them. It never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// No PEM block.
    #[error("not a PEM text with a key in it")]
    NotPem,
    /// A block under a passphrase.
    #[error("the key is under a passphrase: store it without one, readable by the gateway only")]
    Encrypted,
    /// A certificate instead of a key.
    #[error("a certificate, where a public key is wanted: `openssl x509 -pubkey -noout` takes it out")]
    Certificate,
    /// A private key where the public one belongs.
    #[error(
        "a private key, where the public one is wanted: `openssl pkey -pubout` makes it, and this one should stay with the issuer"
    )]
    PrivateGiven,
    /// A public key where the private one belongs.
    #[error("not a private key in PKCS #8 (BEGIN PRIVATE KEY): `openssl pkcs8 -topk8 -nocrypt` makes one")]
    NotPkcs8,
    /// A key of another kind than the algorithm needs.
    #[error("the algorithm needs {wanted}, and this is {found}")]
    Family {
        /// What the algorithm needs.
        wanted: Family,
        /// What was given.
        found: Family,
    },
    /// A shared secret for an algorithm with public keys, or the reverse.
    #[error("{0} needs {family}, given as such", family = .0.family())]
    Material(Algorithm),
    /// A secret that can be guessed.
    #[error("the secret has {0} bytes: at least 32 are wanted")]
    ShortSecret(usize),
    /// A PEM text as a shared secret: whoever has the public key could sign.
    #[error("the secret is a PEM text: a key pair needs an RS, PS, ES or EdDSA algorithm")]
    PemAsSecret,
    /// An RSA key of a size that is not taken.
    #[error("an RSA key of {0} bits: 2048 to 8192 are taken")]
    RsaSize(usize),
    /// The key cannot be read, or contradicts itself.
    #[error("the key cannot be read, or is no valid key")]
    Unreadable,
    /// Not a JSON Web Key.
    #[error("not a JSON Web Key that this gateway can use: {0}")]
    Jwk(&'static str),
    /// Not a set of JSON Web Keys.
    #[error("not a set of JSON Web Keys: {0}")]
    Set(&'static str),
    /// A key id that no token could carry.
    #[error("a key id has 1 to 256 bytes")]
    KeyId,
    /// Nothing could ever be verified.
    #[error("there is no key: nothing could be verified")]
    NoKeys,
    /// Two keys of one issuer with one id.
    #[error("two keys have the id `{0}`")]
    DuplicateKeyId(Arc<str>),
    /// Users of two issuers could be taken for each other.
    #[error("several issuers: each key needs a `user_prefix`, and no prefix may begin another issuer's (see `{0}`)")]
    UserPrefix(Arc<str>),
    /// No source of that name.
    #[error("there is no key set named `{0}` that is given by hand")]
    NoSuchSource(Arc<str>),
    /// Two claims would stand in one place.
    #[error("the claim `{0}` would be written twice, or into one that is no object")]
    ClaimsCollide(Box<str>),
    /// The random source, or the signature, failed.
    #[error("the cryptographic library failed")]
    Library,
}

/// The longest key id, in bytes.
pub(crate) const LONGEST_KEY_ID: usize = 256;
const SHORTEST_SECRET: usize = 32;

impl Key {
    /// Checks what the configuration says.
    pub fn new(spec: KeySpec) -> Result<Self, KeyFault> {
        if spec.kid.as_ref().is_some_and(|kid| kid.is_empty() || kid.len() > LONGEST_KEY_ID) {
            return Err(KeyFault::KeyId);
        }
        let algorithm = spec.algorithm;
        let family = algorithm.family();
        let material = match (&spec.material, family) {
            (KeyMaterial::Secret(secret), Family::Secret) => secret_key(secret)?,
            (KeyMaterial::PublicPem(text), family) if family != Family::Secret => {
                Material::new(family, pem::public_key(text, family)?)
            }
            (KeyMaterial::Jwk(json), _) => jwk::single(json, algorithm)?,
            _ => return Err(KeyFault::Material(algorithm)),
        };
        Ok(Self {
            kid: spec.kid,
            issuer: spec.issuer.clone(),
            grants: Arc::new(Grants {
                name: spec.name,
                user_prefix: spec.user_prefix.filter(|prefix| !prefix.is_empty()),
                roles: spec.roles.map_or(RoleBound::All, RoleBound::Only),
            }),
            verifiers: Box::new([Verifier::new(algorithm, &material)?]),
        })
    }

    /// The key that verifies what that one signs, of any issuer and with all roles. `name` is what the audit calls it
    /// where it has no `kid`.
    pub fn verifying(signing: &SigningKey, name: impl Into<Arc<str>>) -> Result<Self, KeyFault> {
        Self::new(KeySpec {
            kid: signing.kid().cloned(),
            name: name.into(),
            algorithm: signing.algorithm(),
            issuer: None,
            user_prefix: None,
            roles: None,
            material: signing.verifying_material(),
        })
    }

    /// A key out of a set, which may serve several algorithms of its family.
    pub(crate) fn of_set(
        kid: Option<Arc<str>>,
        issuer: Option<Arc<str>>,
        grants: Arc<Grants>,
        algorithms: impl Iterator<Item = Algorithm>,
        material: &Material,
    ) -> Result<Self, KeyFault> {
        let verifiers = algorithms.map(|algorithm| Verifier::new(algorithm, material)).collect::<Result<_, _>>()?;
        Ok(Self { kid, issuer, grants, verifiers })
    }

    /// The id by which tokens name it.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The issuer whose tokens it verifies.
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// What the audit calls it: its id, or its name in the configuration.
    pub fn label(&self) -> &Arc<str> {
        self.kid.as_ref().unwrap_or(&self.grants.name)
    }

    /// Whether it serves that algorithm.
    pub fn serves(&self, algorithm: Algorithm) -> bool {
        self.verifiers.iter().any(|verifier| verifier.algorithm == algorithm)
    }

    /// Whether the signature is this key's. An algorithm that the key does not serve is never tried.
    pub(crate) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let mut served = self.verifiers.iter();
        served.any(|verifier| verifier.algorithm == algorithm && verifier.verifies(message, signature))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("name", &self.label())
            .field("issuer", &self.issuer)
            .field("algorithms", &self.verifiers.iter().map(|verifier| verifier.algorithm).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// A shared secret that cannot be guessed.
pub(crate) fn secret_key(secret: &[u8]) -> Result<Material, KeyFault> {
    check_secret(secret).map(|()| Material::new(Family::Secret, secret.to_vec()))
}

/// Whether a secret can carry a signature.
pub(crate) fn check_secret(secret: &[u8]) -> Result<(), KeyFault> {
    if secret.trim_ascii_start().starts_with(b"-----BEGIN ") {
        Err(KeyFault::PemAsSecret)
    } else if secret.len() < SHORTEST_SECRET {
        Err(KeyFault::ShortSecret(secret.len()))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    #[test]
    fn an_algorithm_that_the_key_does_not_serve_is_never_tried() {
        let spec = KeySpec {
            kid: None,
            name: "main".into(),
            algorithm: Algorithm::Hs256,
            issuer: None,
            user_prefix: None,
            roles: None,
            material: KeyMaterial::Secret(vec![7; 32]),
        };
        let key = Key::new(spec).unwrap();
        for algorithm in Algorithm::ALL.iter().copied().filter(|algorithm| algorithm.family() == Family::Secret) {
            let signing = jsonwebtoken::EncodingKey::from_secret(&[7; 32]);
            let signature = jsonwebtoken::crypto::sign(b"x", &signing, algorithm.in_library()).unwrap();
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            assert_eq!(key.verifies(algorithm, b"x", &signature), algorithm == Algorithm::Hs256);
        }
    }
}
