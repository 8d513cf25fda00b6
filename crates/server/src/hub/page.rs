//! The page that opened a connection, as its handshake told it: kept for when the list of pages changes.

use gateway_transport::OriginLaw;
use http::{HeaderMap, HeaderValue, header};

/// A page, and where it connected to.
#[derive(Debug)]
pub struct Page {
    origin: HeaderValue,
    host: Option<HeaderValue>,
    secure: bool,
}

impl Page {
    /// The page behind a handshake; nothing, where it was no browser's.
    pub fn of(headers: &HeaderMap, secure: bool) -> Option<Box<Self>> {
        let origin = headers.get(header::ORIGIN)?.clone();
        Some(Box::new(Self { origin, host: headers.get(header::HOST).cloned(), secure }))
    }

    /// Whether that list lets it in.
    pub(crate) fn passes(&self, law: &OriginLaw) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, self.origin.clone());
        if let Some(host) = &self.host {
            headers.insert(header::HOST, host.clone());
        }
        law.admits(&headers, self.secure).is_ok()
    }
}
