//! What a receiver of webhooks does with a request before it believes it. The page on webhooks shows it; a test here
//! runs it.

use std::collections::VecDeque;

use aws_lc_rs::hmac;
use serde_json::Value;

/// How far the clocks may be apart, in seconds.
const TOLERANCE: u64 = 300;
/// So many events are known again: more than can come within the tolerance.
const MOST_KNOWN: usize = 100_000;

/// What a request is.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// An event to act on. Answer with 2xx when that is done.
    New(Value),
    /// One that was acted on already. Answer with 2xx.
    Again,
    /// Not the gateway's, or too old. Answer with 401.
    Forged,
}

/// Knows the secrets, and the latest events.
pub struct Verifier {
    secrets: Vec<hmac::Key>,
    known: VecDeque<String>,
}

impl Verifier {
    /// The secret that holds, and while it is exchanged the other one, too.
    pub fn new(secrets: &[&str]) -> Self {
        let key = |secret: &&str| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        Self { secrets: secrets.iter().map(key).collect(), known: VecDeque::new() }
    }

    /// Judges the header `gateway-signature` and the body as it came, before anything has parsed it; `now` in seconds
    /// since 1970.
    pub fn judge(&mut self, signature: &str, body: &[u8], now: u64) -> Verdict {
        if !self.is_the_gateways(signature, body, now) {
            return Verdict::Forged;
        }
        let Ok(event) = serde_json::from_slice::<Value>(body) else { return Verdict::Forged };
        let id = event["id"].as_str().unwrap_or_default().to_owned();
        if self.known.contains(&id) {
            return Verdict::Again;
        }
        if self.known.len() == MOST_KNOWN {
            self.known.pop_front();
        }
        self.known.push_back(id);
        Verdict::New(event)
    }

    fn is_the_gateways(&self, signature: &str, body: &[u8], now: u64) -> bool {
        let parts = || signature.split(',').filter_map(|part| part.split_once('='));
        let Some((_, time)) = parts().find(|(name, _)| *name == "t") else { return false };
        if !time.parse::<u64>().is_ok_and(|time| time.abs_diff(now) <= TOLERANCE) {
            return false;
        }
        let sealed = [time.as_bytes(), b".", body].concat();
        let given: Vec<_> = parts().filter(|(name, _)| *name == "v1").filter_map(|(_, hex)| bytes(hex)).collect();
        // `verify` takes the same time wherever the difference is.
        self.secrets.iter().any(|key| given.iter().any(|tag| hmac::verify(key, &sealed, tag).is_ok()))
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let both = |[high, low]: &[u8; 2]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok();
    pairs.iter().map(both).collect::<Option<_>>().filter(|_| rest.is_empty())
}
