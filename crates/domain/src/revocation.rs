//! Revocations: single tokens by their id, or all of a user's up to a time. The gate asks at every handshake
//! and refresh; whoever lays one closes the live connections that it meets.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::{
    name::UserId,
    principal::Principal,
    time::{Now, Timestamp},
};

/// What is revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Which tokens.
    #[serde(flatten)]
    pub subject: RevokedSubject,
    /// When it may be forgotten, since every token that it meets is over by then; none for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Which tokens a revocation meets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RevokedSubject {
    /// The token of that id.
    Token {
        /// The `jti` claim.
        jti: String,
    },
    /// A user's tokens that were issued no later than a time. A token that does not say when it was issued is
    /// met, too.
    User {
        /// Whose.
        user: UserId,
        /// Issued up to this moment, itself included: token times are whole seconds, so a token of the same
        /// second cannot prove that it came after.
        before: Timestamp,
    },
}

impl Revocation {
    /// Whether it meets this token.
    pub fn meets(&self, principal: &Principal) -> bool {
        match &self.subject {
            RevokedSubject::Token { jti } => principal.token_id.as_deref() == Some(jti),
            RevokedSubject::User { user, before } => principal.user == *user && not_after(principal, *before),
        }
    }

    fn remembered(&self, now: Now) -> bool {
        self.until.is_none_or(|until| now.wall < until)
    }
}

fn not_after(principal: &Principal, before: Timestamp) -> bool {
    principal.issued_at.is_none_or(|issued| issued <= before)
}

/// Every place is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are {0} revocations, as many as can be: give them an `until`, or revoke users instead of tokens")]
pub struct TooManyRevocations(pub usize);

/// All revocations.
#[derive(Clone, Debug, Default)]
pub struct Revocations {
    tokens: HashMap<String, Revocation>,
    users: HashMap<UserId, Revocation>,
}

impl Revocations {
    /// The most revocations that are kept.
    pub const MOST: usize = 1_000_000;

    /// Lays a revocation. For a user the later moment wins, so that none is ever taken back by another.
    pub fn put(&mut self, revocation: Revocation) -> Result<(), TooManyRevocations> {
        if self.len() >= Self::MOST && !self.knows(&revocation.subject) {
            return Err(TooManyRevocations(Self::MOST));
        }
        match &revocation.subject {
            RevokedSubject::Token { jti } => {
                self.tokens.insert(jti.clone(), revocation);
            }
            RevokedSubject::User { user, before } => {
                let earlier = self.users.get(user).and_then(|known| match known.subject {
                    RevokedSubject::User { before: known, .. } => Some(known > *before),
                    RevokedSubject::Token { .. } => None,
                });
                if earlier != Some(true) {
                    self.users.insert(user.clone(), revocation);
                }
            }
        }
        Ok(())
    }

    fn knows(&self, subject: &RevokedSubject) -> bool {
        match subject {
            RevokedSubject::Token { jti } => self.tokens.contains_key(jti),
            RevokedSubject::User { user, .. } => self.users.contains_key(user),
        }
    }

    /// The revocation that meets this token.
    pub fn on(&self, principal: &Principal, now: Now) -> Option<&Revocation> {
        let of_token = principal.token_id.as_deref().and_then(|jti| self.tokens.get(jti));
        let of_user = self.users.get(&principal.user).filter(|revocation| revocation.meets(principal));
        of_token.into_iter().chain(of_user).find(|revocation| revocation.remembered(now))
    }

    /// Forgets what meets no living token any more.
    pub fn sweep(&mut self, now: Now) {
        self.tokens.retain(|_, revocation| revocation.remembered(now));
        self.users.retain(|_, revocation| revocation.remembered(now));
    }

    /// Every revocation, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Revocation> {
        self.tokens.values().chain(self.users.values())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.tokens.len() + self.users.len()
    }

    /// Whether nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plan::OwnLimits, time::Tick};
    use std::sync::Arc;

    fn at(seconds: i64) -> Now {
        Now { tick: Tick::ZERO, wall: Timestamp::from_seconds(seconds) }
    }

    fn token(user: &str, jti: Option<&str>, issued: Option<i64>) -> Principal {
        Principal {
            user: user.parse().unwrap(),
            agent: None,
            issuer: None,
            key: "main".into(),
            roles: Vec::new(),
            permissions: Vec::new(),
            plan: None,
            own_limits: OwnLimits::default(),
            token_id: jti.map(Into::into),
            issued_at: issued.map(Timestamp::from_seconds),
            expires_at: Timestamp::from_seconds(1_000),
            claims: Arc::default(),
        }
    }

    fn of_user(user: &str, before: i64) -> Revocation {
        let subject = RevokedSubject::User { user: user.parse().unwrap(), before: Timestamp::from_seconds(before) };
        Revocation { subject, until: None }
    }

    #[test]
    fn a_token_is_revoked_by_its_id() {
        let mut revocations = Revocations::default();
        revocations.put(serde_json::from_str(r#"{"jti":"t1","until":"1970-01-01T00:01:00Z"}"#).unwrap()).unwrap();
        assert!(revocations.on(&token("ann", Some("t1"), None), at(59)).is_some());
        assert!(revocations.on(&token("ann", Some("t2"), None), at(59)).is_none());
        assert!(revocations.on(&token("ann", None, None), at(59)).is_none());
        assert!(revocations.on(&token("ann", Some("t1"), None), at(60)).is_none(), "forgotten");
        revocations.sweep(at(60));
        assert!(revocations.is_empty());
    }

    #[test]
    fn a_users_tokens_are_revoked_up_to_a_time() {
        let mut revocations = Revocations::default();
        revocations.put(of_user("ann", 100)).unwrap();
        assert!(revocations.on(&token("ann", None, Some(99)), at(0)).is_some());
        assert!(revocations.on(&token("ann", None, Some(100)), at(0)).is_some(), "the same second is met");
        assert!(revocations.on(&token("ann", None, Some(101)), at(0)).is_none());
        assert!(
            revocations.on(&token("ann", None, None), at(0)).is_some(),
            "no `iat`: it cannot prove that it is newer"
        );
        assert!(revocations.on(&token("bob", None, Some(1)), at(0)).is_none());
        revocations.sweep(at(1_000_000));
        assert_eq!(revocations.iter().count(), 1, "without `until` it is kept");
    }

    #[test]
    fn an_earlier_moment_takes_nothing_back() {
        let mut revocations = Revocations::default();
        revocations.put(of_user("ann", 100)).unwrap();
        revocations.put(of_user("ann", 50)).unwrap();
        assert!(revocations.on(&token("ann", None, Some(75)), at(0)).is_some());
        revocations.put(of_user("ann", 200)).unwrap();
        assert!(revocations.on(&token("ann", None, Some(150)), at(0)).is_some());
        assert_eq!(revocations.len(), 1);
    }

    #[test]
    fn a_record_reads_back_as_it_was_written() {
        for revocation in [of_user("ann", 100), serde_json::from_str(r#"{"jti":"t1"}"#).unwrap()] {
            let json = serde_json::to_string(&revocation).unwrap();
            assert_eq!(serde_json::from_str::<Revocation>(&json).unwrap(), revocation, "{json}");
        }
    }

    #[test]
    fn the_table_is_bounded() {
        let mut revocations = Revocations::default();
        for n in 0..Revocations::MOST {
            let subject = RevokedSubject::Token { jti: n.to_string() };
            revocations.put(Revocation { subject, until: None }).unwrap();
        }
        assert_eq!(revocations.put(of_user("ann", 1)), Err(TooManyRevocations(Revocations::MOST)));
        let known = RevokedSubject::Token { jti: "7".into() };
        assert_eq!(revocations.put(Revocation { subject: known, until: None }), Ok(()));
    }
}
