//! Tokens that were verified, for callers that send theirs with every call. Nothing is believed that was not verified
//! here in full; of the token itself only an HMAC is kept, under a key that lives and dies with this process.
//!
//! What is remembered never outlives its reasons: the key that verified the token must still be the ring's choice for
//! it (a key that was replaced, dropped, read anew or has grown too old is another), and the token's time must not be
//! over. Whatever is in doubt is verified again, and it is that check which refuses. Bans and revocations are no matter
//! of this room: whoever is told of a principal asks the ledger, each time.

use std::{collections::HashMap, fmt, sync::Arc};

use aws_lc_rs::{
    hmac,
    rand::{SecureRandom as _, SystemRandom},
};
use gateway_domain::{Now, Principal, Timestamp, Token};
use parking_lot::Mutex;

use crate::{
    algorithm::Algorithm,
    jws::Wanted,
    key::{Key, KeyFault},
    keyring::Keyring,
};

/// So many of each half. A full young half becomes the old one, and what was old is forgotten.
const MOST: usize = 256;

type Mark = [u8; 32];

/// Verified tokens, the latest.
pub(crate) struct Remembered {
    marks: Option<hmac::Key>,
    halves: Mutex<Halves>,
}

#[derive(Default)]
struct Halves {
    young: HashMap<Mark, Arc<Proof>>,
    old: HashMap<Mark, Arc<Proof>>,
}

/// What a token proved, and by which key.
pub(crate) struct Proof {
    pub(crate) key: Arc<Key>,
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Option<Arc<str>>,
    pub(crate) verified: Timestamp,
    pub(crate) principal: Arc<Principal>,
}

impl Remembered {
    /// Nothing yet. Where there is no randomness, nothing is ever remembered.
    pub(crate) fn new() -> Self {
        Self { marks: secret().ok(), halves: Mutex::default() }
    }

    /// The mark under which a token is kept.
    pub(crate) fn mark(&self, token: &Token) -> Option<Mark> {
        let tag = hmac::sign(self.marks.as_ref()?, token.expose().as_bytes());
        tag.as_ref().try_into().ok()
    }

    /// Whom that token proved, where all that it rested on still stands.
    pub(crate) fn recall(&self, mark: &Mark, keys: &Keyring, now: Now) -> Option<Arc<Principal>> {
        let proof = self.halves.lock().find(mark)?;
        proof.holds(keys, now).then(|| Arc::clone(&proof.principal))
    }

    /// Keeps what was just verified.
    pub(crate) fn keep(&self, mark: Mark, proof: Proof) {
        self.halves.lock().keep(mark, Arc::new(proof));
    }
}

impl Proof {
    fn holds(&self, keys: &Keyring, now: Now) -> bool {
        // A clock that was set back may make a token one of the future.
        let in_time = now.wall >= self.verified && now.wall < self.principal.expires_at;
        let wanted =
            Wanted { algorithm: self.algorithm, kid: self.kid.clone(), issuer: self.principal.issuer.as_deref() };
        in_time && keys.find(&wanted, now).keys.iter().any(|key| Arc::ptr_eq(key, &self.key))
    }
}

impl Halves {
    fn find(&mut self, mark: &Mark) -> Option<Arc<Proof>> {
        if let Some(proof) = self.young.get(mark) {
            return Some(Arc::clone(proof));
        }
        let proof = self.old.remove(mark)?;
        self.keep(*mark, Arc::clone(&proof));
        Some(proof)
    }

    fn keep(&mut self, mark: Mark, proof: Arc<Proof>) {
        if self.young.len() >= MOST {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(mark, proof);
    }
}

fn secret() -> Result<hmac::Key, KeyFault> {
    let mut secret = [0; 32];
    SystemRandom::new().fill(&mut secret).map_err(|_| KeyFault::Library)?;
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &secret))
}

impl fmt::Debug for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let halves = self.halves.lock();
        f.debug_struct("Remembered").field("tokens", &(halves.young.len() + halves.old.len())).finish_non_exhaustive()
    }
}
