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
        let origin = of_its_own(headers.get(header::ORIGIN)?);
        Some(Box::new(Self { origin, host: headers.get(header::HOST).map(of_its_own), secure }))
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

/// The same value in memory of its own: that of a request is a slice of all that was read of its connection, and whoever
/// keeps it keeps that whole buffer.
pub(crate) fn of_its_own(value: &HeaderValue) -> HeaderValue {
    // What is a value already always makes one.
    let mut own = HeaderValue::from_bytes(value.as_bytes()).unwrap_or_else(|_| HeaderValue::from_static(""));
    own.set_sensitive(value.is_sensitive());
    own
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn a_page_keeps_nothing_of_the_buffer_that_its_request_was_read_into() {
        let read = Bytes::from(vec![b'x'; 8 << 10]);
        let mut headers = HeaderMap::new();
        for name in [header::ORIGIN, header::HOST] {
            headers.insert(name, HeaderValue::from_maybe_shared(read.slice(..9)).unwrap());
        }
        let page = Page::of(&headers, true).unwrap();
        assert!(!read.is_unique());
        drop(headers);
        assert!(read.is_unique(), "the page holds on to 8 KiB");
        assert_eq!((page.origin.as_bytes(), page.host.unwrap().as_bytes()), (&b"xxxxxxxxx"[..], &b"xxxxxxxxx"[..]));
    }

    #[test]
    fn a_value_stays_as_secret_as_it_was() {
        let mut value = HeaderValue::from_bytes(b"\xe9t\xe9").unwrap();
        value.set_sensitive(true);
        let own = of_its_own(&value);
        assert!(own.is_sensitive() && own == value);
    }
}
