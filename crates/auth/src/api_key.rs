//! API keys of backends: kept as SHA-256 only, compared in constant time, every one of them on every look.

use std::fmt;

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{SHA256, digest},
};
use gateway_domain::Token;

use crate::{issuer::Grant, key::KeyFault, signing::random_text};

/// More than any key of ours has; a longer text is none.
const LONGEST: usize = 1024;
/// What a key begins with, so that people and scanners know it when they see it.
const PREFIX: &str = "gwk_";

/// One key, and what it grants.
#[derive(Clone)]
pub struct ApiKey {
    /// Its name, which may be printed.
    pub id: Box<str>,
    /// The SHA-256 of the key.
    pub sha256: [u8; 32],
    /// Whom it speaks for.
    pub grant: Grant,
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("id", &self.id).field("grant", &self.grant).finish_non_exhaustive()
    }
}

/// All keys.
#[derive(Clone, Debug, Default)]
pub struct ApiKeys(Box<[ApiKey]>);

/// The texts of 64 hexadecimal digits that stand for a SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 in 64 hexadecimal digits")]
pub struct NotAHash;

impl ApiKeys {
    /// These keys. Names need not differ, hashes should: the first counts.
    pub fn new(keys: impl IntoIterator<Item = ApiKey>) -> Self {
        Self(keys.into_iter().collect())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key that was presented.
    pub fn find(&self, presented: &Token) -> Option<&ApiKey> {
        if presented.expose().len() > LONGEST {
            return None;
        }
        let hash = hash(presented.expose());
        let mut found = None;
        for key in &self.0 {
            if verify_slices_are_equal(&key.sha256, &hash).is_ok() {
                found = found.or(Some(key));
            }
        }
        found
    }
}

/// The hash under which a key is kept.
pub fn hash(key: &str) -> [u8; 32] {
    sha256(key.as_bytes())
}

/// A hash in hexadecimal digits, as the configuration has it.
pub fn hash_text(hash: &[u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a hash from the configuration.
pub fn parse_hash(text: &str) -> Result<[u8; 32], NotAHash> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect::<Option<_>>().ok_or(NotAHash)?;
    let bytes: Vec<u8> = digits.as_chunks::<2>().0.iter().map(|[high, low]| high << 4 | low).collect();
    if digits.len() != 64 { Err(NotAHash) } else { bytes.try_into().map_err(|_| NotAHash) }
}

/// Makes a new key, of 256 random bits.
pub fn generate() -> Result<Token, KeyFault> {
    Ok(Token::new(format!("{PREFIX}{}", random_text::<32>()?)))
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.iter_mut().zip(digest(&SHA256, bytes).as_ref()).for_each(|(to, from)| *to = *from);
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, text: &str) -> ApiKey {
        let grant =
            Grant { user: "backend".parse().unwrap(), roles: vec![], permissions: vec![], plan: None, agent: None };
        ApiKey { id: id.into(), sha256: hash(text), grant }
    }

    #[test]
    fn a_key_is_found_by_its_text_and_by_nothing_else() {
        let keys = ApiKeys::new([key("one", "first"), key("two", "second"), key("twin", "second")]);
        assert_eq!(&*keys.find(&Token::new("second")).unwrap().id, "two");
        for text in ["", "First", "first ", &hash_text(&hash("first")), &"x".repeat(2000)] {
            assert!(keys.find(&Token::new(text)).is_none());
        }
        assert!(!keys.is_empty() && ApiKeys::default().is_empty());
        assert!(ApiKeys::default().find(&Token::new("first")).is_none());
    }

    #[test]
    fn the_hash_is_sha_256_in_hexadecimal() {
        let text = hash_text(&hash("abc"));
        assert_eq!(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(parse_hash(&text.to_uppercase()), Ok(hash("abc")));
        for wrong in ["", "ba", &text[1..], &format!("{text}00"), &text.replace('b', "g"), &format!("{}é", &text[2..])]
        {
            assert_eq!(parse_hash(wrong), Err(NotAHash), "{wrong}");
        }
    }

    #[test]
    fn a_new_key_is_long_and_unlike_the_last_and_never_printed() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert_ne!(one, other);
        assert!(one.expose().starts_with("gwk_") && one.expose().len() == 47);
        let printed = format!("{:?}", ApiKeys::new([key("one", one.expose())]));
        assert!(printed.contains("one") && !printed.contains("sha256"), "{printed}");
    }
}
