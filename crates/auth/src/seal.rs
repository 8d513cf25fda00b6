//! Seals what the gateway sends to others, so that they can tell that it is the gateway's: HMAC-SHA256, in hexadecimal.

use std::{fmt, fmt::Write as _};

use aws_lc_rs::hmac;

/// A secret that both sides share. It seals, and is never printed.
#[derive(Clone)]
pub struct Seal(hmac::Key);

impl Seal {
    /// Of a secret.
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The seal over these bytes, one part behind the other: 64 hexadecimal digits.
    pub fn over(&self, parts: &[&[u8]]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        parts.iter().for_each(|part| context.update(part));
        context.sign().as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The second test case of RFC 4231.
    #[test]
    fn a_seal_is_what_the_standard_says_however_it_is_cut() {
        let wanted = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let seal = Seal::new(b"Jefe");
        assert_eq!(seal.over(&[b"what do ya want for nothing?"]), wanted);
        assert_eq!(seal.over(&[b"what do ya ", b"", b"want for nothing?"]), wanted);
        assert_ne!(Seal::new(b"jefe").over(&[b"what do ya want for nothing?"]), wanted);
        assert_eq!(format!("{seal:?}"), "Seal(***)");
    }
}
