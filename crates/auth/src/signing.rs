//! The key that signs, and the making of new keys. A private key never leaves this file but as the text that its
//! owner asked for; what others may have is given beside it.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rand,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
        Ed25519KeyPair, KeyPair as _, RsaKeyPair,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::EncodingKey;

use crate::{
    algorithm::{Algorithm, Family},
    key::{KeyFault, KeyMaterial, LONGEST_KEY_ID, check_secret},
    pem,
};

/// A signing key as it was read.
#[derive(Clone)]
pub enum SigningMaterial {
    /// The shared secret of an HMAC, at least 32 bytes.
    Secret(Vec<u8>),
    /// A private key in PEM: PKCS #8, or PKCS #1 for RSA.
    PrivatePem(Vec<u8>),
}

impl fmt::Debug for SigningMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret(_) => "Secret(***)",
            Self::PrivatePem(_) => "PrivatePem(***)",
        })
    }
}

/// A key that signs tokens, checked.
#[derive(Clone)]
pub struct SigningKey {
    kid: Option<Arc<str>>,
    algorithm: Algorithm,
    key: EncodingKey,
    verifying: KeyMaterial,
}

impl SigningKey {
    /// Checks a key, and that it fits its algorithm.
    pub fn new(kid: Option<Arc<str>>, algorithm: Algorithm, material: SigningMaterial) -> Result<Self, KeyFault> {
        if kid.as_ref().is_some_and(|kid| kid.is_empty() || kid.len() > LONGEST_KEY_ID) {
            return Err(KeyFault::KeyId);
        }
        let (key, verifying) = match (material, algorithm.family()) {
            (SigningMaterial::Secret(secret), Family::Secret) => {
                check_secret(&secret)?;
                (EncodingKey::from_secret(&secret), KeyMaterial::Secret(secret))
            }
            (SigningMaterial::PrivatePem(text), family) if family != Family::Secret => private_key(&text, family)?,
            _ => return Err(KeyFault::Material(algorithm)),
        };
        Ok(Self { kid, algorithm, key, verifying })
    }

    /// The id that its tokens name.
    pub fn kid(&self) -> Option<&Arc<str>> {
        self.kid.as_ref()
    }

    /// The algorithm with which it signs.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// What verifies its signatures: the public half, or the same secret.
    pub fn verifying_material(&self) -> KeyMaterial {
        self.verifying.clone()
    }

    /// A signature in base64url.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<String, KeyFault> {
        jsonwebtoken::crypto::sign(message, &self.key, self.algorithm.in_library()).map_err(|_| KeyFault::Library)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

fn private_key(text: &[u8], wanted: Family) -> Result<(EncodingKey, KeyMaterial), KeyFault> {
    let pem::Block { label, der } = pem::block(text)?;
    let found = match label.as_str() {
        "RSA PRIVATE KEY" => Family::Rsa,
        "PRIVATE KEY" => private_family(&der).ok_or(KeyFault::Unreadable)?,
        "ENCRYPTED PRIVATE KEY" => return Err(KeyFault::Encrypted),
        _ => return Err(KeyFault::NotPkcs8),
    };
    if found != wanted {
        return Err(KeyFault::Family { wanted, found });
    }
    let (key, label, public) = match wanted {
        Family::Rsa => {
            let pair = RsaKeyPair::from_pkcs8(&der).or_else(|_| RsaKeyPair::from_der(&der));
            let pair = pair.map_err(|_| KeyFault::Unreadable)?;
            let public = pem::rsa(pair.public_key().as_ref())?;
            let key = EncodingKey::from_rsa_pem(text).map_err(|_| KeyFault::Unreadable)?;
            (key, "RSA PUBLIC KEY", public)
        }
        Family::Ed25519 => {
            let pair = Ed25519KeyPair::from_pkcs8(&der).map_err(|_| KeyFault::Unreadable)?;
            (EncodingKey::from_ed_der(&der), "PUBLIC KEY", pem::public_der(wanted, pair.public_key().as_ref()))
        }
        curve => {
            let signing = curve_signing(curve).ok_or(KeyFault::Unreadable)?;
            let pair = EcdsaKeyPair::from_pkcs8(signing, &der).map_err(|_| KeyFault::Unreadable)?;
            (EncodingKey::from_ec_der(&der), "PUBLIC KEY", pem::public_der(wanted, pair.public_key().as_ref()))
        }
    };
    Ok((key, KeyMaterial::PublicPem(pem::armoured(label, &public).into_bytes())))
}

fn curve_signing(family: Family) -> Option<&'static EcdsaSigningAlgorithm> {
    match family {
        Family::P256 => Some(&ECDSA_P256_SHA256_FIXED_SIGNING),
        Family::P384 => Some(&ECDSA_P384_SHA384_FIXED_SIGNING),
        Family::Secret | Family::Rsa | Family::Ed25519 => None,
    }
}

/// The kind of key that a PKCS #8 document says, in its first few bytes, that it holds.
fn private_family(der: &[u8]) -> Option<Family> {
    const NAMES: [(Family, &[u8]); 4] = [
        (Family::Rsa, b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"),
        (Family::P256, b"\x2a\x86\x48\xce\x3d\x03\x01\x07"),
        (Family::P384, b"\x2b\x81\x04\x00\x22"),
        (Family::Ed25519, b"\x2b\x65\x70"),
    ];
    let head = der.get(..der.len().min(36))?;
    let holds = |name: &[u8]| head.windows(name.len()).any(|window| window == name);
    NAMES.iter().find(|(_, name)| holds(name)).map(|(family, _)| *family)
}

/// A new key, as texts to be stored.
pub struct Generated {
    /// The secret, or the private key in PEM.
    pub private: String,
    /// The public key in PEM; none for a shared secret.
    pub public: Option<String>,
}

impl fmt::Debug for Generated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generated").field("private", &"***").field("public", &self.public).finish()
    }
}

/// Makes a new key for an algorithm: a secret as long as its hash, RSA with 3072 bits.
pub fn generate(algorithm: Algorithm) -> Result<Generated, KeyFault> {
    let library = |_| KeyFault::Library;
    let pair = |private: &[u8], public: &[u8]| Generated {
        private: pem::armoured("PRIVATE KEY", private),
        public: Some(pem::armoured("PUBLIC KEY", public)),
    };
    match algorithm.family() {
        Family::Secret => {
            let private = match algorithm {
                Algorithm::Hs384 => random_text::<48>(),
                Algorithm::Hs512 => random_text::<64>(),
                _ => random_text::<32>(),
            }?;
            Ok(Generated { private, public: None })
        }
        Family::Rsa => {
            let key = RsaKeyPair::generate(KeySize::Rsa3072).map_err(library)?;
            let private = AsDer::<Pkcs8V1Der<'_>>::as_der(&key).map_err(library)?;
            let public = AsDer::<PublicKeyX509Der<'_>>::as_der(key.public_key()).map_err(library)?;
            Ok(pair(private.as_ref(), public.as_ref()))
        }
        Family::Ed25519 => {
            let key = Ed25519KeyPair::generate().map_err(library)?;
            let private = key.to_pkcs8v1().map_err(library)?;
            Ok(pair(private.as_ref(), &pem::public_der(Family::Ed25519, key.public_key().as_ref())))
        }
        curve => {
            let key = EcdsaKeyPair::generate(curve_signing(curve).ok_or(KeyFault::Library)?).map_err(library)?;
            let private = key.to_pkcs8v1().map_err(library)?;
            Ok(pair(private.as_ref(), &pem::public_der(curve, key.public_key().as_ref())))
        }
    }
}

/// So many random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], KeyFault> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| KeyFault::Library)?;
    Ok(bytes)
}

/// So many random bytes, in base64url.
pub(crate) fn random_text<const N: usize>() -> Result<String, KeyFault> {
    random::<N>().map(|bytes| URL_SAFE_NO_PAD.encode(bytes))
}
