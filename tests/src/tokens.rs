//! Tokens as an identity provider would sign them, and as nobody should.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Map, Value, json};

/// The shared secret of the gateways under test.
pub const SECRET: &str = "a-secret-of-at-least-thirty-two-bytes!";

/// The claims of a token: whole and valid, unless a test takes something away.
#[derive(Clone, Debug)]
pub struct Claims(pub Map<String, Value>);

/// Seconds since 1970.
#[allow(clippy::disallowed_methods, reason = "an identity provider has a clock of its own")]
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

impl Claims {
    /// A user with one role, for an hour.
    pub fn of(user: &str, role: &str) -> Self {
        let claims = json!({ "sub": user, "roles": [role], "iat": now(), "exp": now() + 3600 });
        Self(claims.as_object().unwrap().clone())
    }

    /// With a claim set.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    /// Without a claim.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    /// Expiring that many seconds from now.
    #[must_use]
    pub fn expiring_in(self, seconds: i64) -> Self {
        self.with("exp", now() + seconds)
    }

    /// Signed with the shared secret, by key id `main`.
    pub fn sign(&self) -> String {
        self.sign_with(Algorithm::HS256, Some("main"), &EncodingKey::from_secret(SECRET.as_bytes()))
    }

    /// Signed with that key.
    pub fn sign_with(&self, algorithm: Algorithm, kid: Option<&str>, key: &EncodingKey) -> String {
        let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
        encode(&header, &self.0, key).unwrap()
    }
}

/// A token of a user with one role, signed with the shared secret.
pub fn token(user: &str, role: &str) -> String {
    Claims::of(user, role).sign()
}
