//! Keys of an identity provider: pairs for every algorithm, the forms in which their public halves are handed out, and
//! tokens whose header and claims are whatever a test writes.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use gateway_auth::{Algorithm as Ours, generate};
use jsonwebtoken::{Algorithm, EncodingKey, crypto, jwk::Jwk};
use serde_json::{Value, json};

use crate::tokens::Claims;

/// A pair of keys with a name.
#[derive(Clone)]
pub struct KeyPair {
    /// The name that its tokens carry.
    pub kid: String,
    /// How it signs.
    pub algorithm: Algorithm,
    /// The public half in PEM.
    pub public: String,
    signing: EncodingKey,
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyPair").field("kid", &self.kid).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl KeyPair {
    /// A new pair.
    pub fn new(kid: &str, algorithm: Algorithm) -> Self {
        let ours: Ours = name(algorithm).parse().unwrap();
        let generated = generate(ours).unwrap();
        let private = generated.private.as_bytes();
        let signing = match algorithm {
            Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_pem(private),
            Algorithm::EdDSA => EncodingKey::from_ed_pem(private),
            _ => EncodingKey::from_rsa_pem(private),
        };
        let public = generated.public.expect("a pair");
        Self { kid: kid.to_owned(), algorithm, public, signing: signing.unwrap() }
    }

    /// The same pair, signing by another algorithm of its family.
    #[must_use]
    pub fn signing_by(&self, algorithm: Algorithm) -> Self {
        Self { algorithm, ..self.clone() }
    }

    /// The same pair under another name.
    #[must_use]
    pub fn called(&self, kid: &str) -> Self {
        Self { kid: kid.to_owned(), ..self.clone() }
    }

    /// A token by this pair.
    pub fn sign(&self, claims: &Claims) -> String {
        claims.sign_with(self.algorithm, Some(&self.kid), &self.signing)
    }

    /// The public half as a JWK.
    pub fn jwk(&self) -> Value {
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&self.signing, self.algorithm).unwrap()).unwrap();
        jwk["kid"] = json!(self.kid);
        jwk["alg"] = json!(name(self.algorithm));
        jwk["use"] = json!("sig");
        jwk
    }
}

/// A set of public halves.
pub fn jwks<'a>(pairs: impl IntoIterator<Item = &'a KeyPair>) -> Value {
    json!({ "keys": pairs.into_iter().map(KeyPair::jwk).collect::<Vec<_>>() })
}

/// How an algorithm is written.
pub fn name(algorithm: Algorithm) -> String {
    serde_json::to_value(algorithm).unwrap().as_str().expect("a name").to_owned()
}

/// A token with that very header, signed by HMAC with a secret, whatever the header says.
pub fn hs256(header: &Value, claims: &Claims, secret: &[u8]) -> String {
    let message = unsigned(header, claims);
    let signature = crypto::sign(message.as_bytes(), &EncodingKey::from_secret(secret), Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

/// The first two parts of a token.
pub fn unsigned(header: &Value, claims: &Claims) -> String {
    let part = |value: String| URL_SAFE_NO_PAD.encode(value);
    format!("{}.{}", part(header.to_string()), part(Value::Object(claims.0.clone()).to_string()))
}
