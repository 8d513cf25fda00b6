//! How an event travels: a POST with a seal over its time and its body. Whoever carries it is handed in.

use std::{borrow::Cow, fmt, pin::Pin, sync::Arc};

use bytes::Bytes;
use gateway_auth::Seal;
use gateway_domain::{Timestamp, trace::TRACEPARENT};

use super::happening::Happening;
use crate::trace;

/// Posts a parcel and tells the status of the answer. Whoever gives it owns the client: https but for this machine, no
/// redirects, no proxies, a bounded answer. It is dropped where it takes too long.
pub type Carry = Arc<dyn Fn(Parcel) -> Pin<Box<dyn Future<Output = Result<u16, NoAnswer>> + Send>> + Send + Sync>;

/// Why there was no answer, in words for the operator, without the address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoAnswer(pub Cow<'static, str>);

/// Where a hook is. Its query is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Arc<str>);

impl Address {
    /// An address that has been checked.
    pub fn new(url: &str) -> Self {
        Self(url.into())
    }

    /// All of it, for whoever connects.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.split('?').next().unwrap_or_default())
    }
}

/// What is posted.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// Where to.
    pub to: Address,
    /// Its own headers, beside those of any POST.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: Bytes,
}

impl Parcel {
    /// A parcel for one attempt: the seal has the time of the attempt, so that a receiver can refuse what is old.
    pub(super) fn new(to: &Address, seals: &[Seal], happening: &Happening, now: Timestamp) -> Self {
        let seconds = now.millis().div_euclid(1000).to_string();
        let mut signature = format!("t={seconds}");
        for seal in seals {
            signature.push_str(",v1=");
            signature.push_str(&seal.over(&[seconds.as_bytes(), b".", &happening.body]));
        }
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("gateway-event", happening.kind.name().to_owned()),
            ("gateway-event-id", happening.id.to_string()),
            ("gateway-signature", signature),
        ];
        // Each attempt is a span of its own.
        headers.extend(happening.trace.map(|trace| (TRACEPARENT, trace::next(trace).to_string())));
        Self { to: to.clone(), headers, body: happening.body.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::happening::Kind, *};
    use crate::clock;

    #[test]
    fn a_parcel_is_sealed_by_every_secret_over_its_time_and_body() {
        let now = clock::now();
        let happening = Happening::new(Kind::Message, "h", None, None, Some("1"), now);
        let seals = [Seal::new(b"current"), Seal::new(b"previous")];
        let at = Timestamp::from_millis(1_800_000_000_999);
        let parcel = Parcel::new(&Address::new("https://x.example/hook?key=k"), &seals, &happening, at);
        let over = |seal: &Seal| seal.over(&[b"1800000000.", &happening.body]);
        let wanted = format!("t=1800000000,v1={},v1={}", over(&seals[0]), over(&seals[1]));
        assert_eq!(parcel.headers[3], ("gateway-signature", wanted));
        assert_eq!(parcel.headers[2].1, happening.id.to_string());
        assert_eq!(format!("{:?}", parcel.to), "https://x.example/hook", "the query may hold a secret");
    }
}
