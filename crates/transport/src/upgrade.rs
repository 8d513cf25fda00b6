//! The form of a WebSocket request, strictly (RFC 6455, 4.2.1): what is not exactly one is not upgraded.

use std::fmt;

use gateway_domain::{Code, Refusal};
use http::{HeaderMap, HeaderName, Method, Version, header};

/// Subprotocols that a client may offer.
const MOST_OFFERED: usize = 16;

/// A well-formed request for a WebSocket.
#[derive(Clone, PartialEq, Eq)]
pub struct Upgrade {
    /// The answer to the client's key: `Sec-WebSocket-Accept`.
    #[cfg(feature = "net")]
    pub accept: http::HeaderValue,
    /// The subprotocols that the client offers, in its order. One of them may be a credential.
    pub offered: Vec<Box<str>>,
}

/// Judges the form of a request. `UPGRADE_REQUIRED` where no WebSocket was asked for, or not version 13 (the answer
/// then names the version); `BAD_UPGRADE`, with what is wrong, where one was asked for badly.
pub fn examine(method: &Method, version: Version, headers: &HeaderMap) -> Result<Upgrade, Refusal> {
    if !has_token(headers, &header::UPGRADE, "websocket") {
        return Err(Refusal::plain(Code::UpgradeRequired));
    }
    if method != Method::GET {
        return Err(bad("the method must be GET"));
    }
    if version != Version::HTTP_11 {
        return Err(bad("the version of HTTP must be 1.1"));
    }
    if !has_token(headers, &header::CONNECTION, "upgrade") {
        return Err(bad("the header Connection must name Upgrade"));
    }
    if headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get_all(header::CONTENT_LENGTH).iter().any(|length| length != "0")
    {
        return Err(bad("the request must have no body"));
    }
    match only(headers, &header::SEC_WEBSOCKET_VERSION) {
        Some(b"13") => {}
        Some(_) => return Err(Refusal::new(Code::UpgradeRequired, "only version 13 of WebSocket is spoken here")),
        None => return Err(bad("there must be exactly one header Sec-WebSocket-Version")),
    }
    let key = only(headers, &header::SEC_WEBSOCKET_KEY)
        .ok_or_else(|| bad("there must be exactly one header Sec-WebSocket-Key"))?;
    if !is_key(key) {
        return Err(bad("the header Sec-WebSocket-Key must be 16 bytes in base64"));
    }
    Ok(Upgrade {
        #[cfg(feature = "net")]
        accept: accept(key)?,
        offered: offered(headers)?.into_iter().map(Into::into).collect(),
    })
}

#[cfg(feature = "net")]
impl Upgrade {
    /// The head of the answer that completes the handshake, with the subprotocol that was selected.
    pub fn response(&self, selected: Option<&str>) -> http::response::Builder {
        let head = http::Response::builder()
            .status(http::StatusCode::SWITCHING_PROTOCOLS)
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_ACCEPT, self.accept.clone());
        match selected {
            Some(name) => head.header(header::SEC_WEBSOCKET_PROTOCOL, name),
            None => head,
        }
    }
}

#[cfg(feature = "net")]
fn accept(key: &[u8]) -> Result<http::HeaderValue, Refusal> {
    let answer = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key);
    http::HeaderValue::from_str(&answer).map_err(|_| Refusal::plain(Code::Internal))
}

impl fmt::Debug for Upgrade {
    // What is offered may be a credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade").field("offered", &self.offered.len()).finish_non_exhaustive()
    }
}

/// The subprotocols that a request offers: each a token of HTTP, none twice.
pub(crate) fn offered(headers: &HeaderMap) -> Result<Vec<&str>, Refusal> {
    let mut names = Vec::new();
    for line in headers.get_all(header::SEC_WEBSOCKET_PROTOCOL) {
        let line = line.to_str().map_err(|_| bad("a subprotocol must be a token of HTTP"))?;
        for name in line.split(',').map(trimmed).filter(|name| !name.is_empty()) {
            if !name.bytes().all(is_token_byte) {
                return Err(bad("a subprotocol must be a token of HTTP"));
            }
            if names.len() == MOST_OFFERED {
                return Err(bad("at most 16 subprotocols may be offered"));
            }
            if names.contains(&name) {
                return Err(bad("a subprotocol is offered twice"));
            }
            names.push(name);
        }
    }
    Ok(names)
}

fn bad(message: &'static str) -> Refusal {
    Refusal::new(Code::BadUpgrade, message)
}

/// Whether a list of tokens, over all of its lines, has that one.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .any(|part| trimmed(part).eq_ignore_ascii_case(token))
}

/// The value of a header that is there exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next()?;
    lines.next().is_none().then_some(first.as_bytes())
}

fn is_key(key: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == 24 && key.strip_suffix(b"==").is_some_and(|digits| digits.iter().all(is_digit))
}

fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    const PROPER: [(&str, &str); 4] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    /// The proper request with another value of one header, or without it, or with one more.
    fn changed(name: &'static str, value: Option<&str>) -> HeaderMap {
        let mut map = headers(&PROPER);
        map.remove(name);
        if let Some(value) = value {
            map.insert(name, HeaderValue::from_str(value).unwrap());
        }
        map
    }

    fn judged(headers: &HeaderMap) -> Result<Upgrade, (Code, String)> {
        examine(&Method::GET, Version::HTTP_11, headers).map_err(|refusal| (refusal.code, refusal.message.into_owned()))
    }

    #[test]
    fn a_proper_request_is_taken() {
        let upgrade = judged(&headers(&PROPER)).unwrap();
        assert!(upgrade.offered.is_empty());
        #[cfg(feature = "net")]
        {
            assert_eq!(upgrade.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
            let response = upgrade.response(Some("gateway.v1")).body(()).unwrap();
            assert_eq!(response.status(), 101);
            assert_eq!(response.headers()["sec-websocket-protocol"], "gateway.v1");
            assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
            assert!(!upgrade.response(None).body(()).unwrap().headers().contains_key("sec-websocket-protocol"));
        }
    }

    #[test]
    fn a_request_that_asks_for_no_websocket_is_told_to() {
        for map in [HeaderMap::new(), changed("upgrade", None), changed("upgrade", Some("h2c"))] {
            assert_eq!(judged(&map).unwrap_err().0, Code::UpgradeRequired);
        }
        for version in ["8", "12", "14", "013", ""] {
            let map = changed("sec-websocket-version", Some(version));
            assert_eq!(judged(&map).unwrap_err().0, Code::UpgradeRequired, "{version}");
        }
    }

    #[test]
    fn a_bad_request_is_told_what_is_wrong() {
        let refused = |map: &HeaderMap, what: &str| {
            let (code, message) = judged(map).unwrap_err();
            assert_eq!(code, Code::BadUpgrade);
            assert!(message.contains(what), "{message} has no {what}");
        };
        refused(&changed("connection", None), "Connection");
        refused(&changed("connection", Some("close")), "Connection");
        refused(&changed("sec-websocket-version", None), "Version");
        refused(&changed("sec-websocket-key", None), "Key");
        for key in [
            "",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ===",
            "dGhlIHNhbXBsZSBub25jZ===",
            "_-hlIHNhbXBsZSBub25jZQ==",
        ] {
            refused(&changed("sec-websocket-key", Some(key)), "base64");
        }
        refused(&changed("content-length", Some("1")), "body");
        refused(&changed("transfer-encoding", Some("chunked")), "body");
        assert!(judged(&changed("content-length", Some("0"))).is_ok());
        for name in ["sec-websocket-key", "sec-websocket-version"] {
            let mut twice = headers(&PROPER);
            let value = twice.get(name).unwrap().clone();
            twice.append(name, value);
            refused(&twice, "exactly one");
        }
        let post = examine(&Method::POST, Version::HTTP_11, &headers(&PROPER)).unwrap_err();
        assert!(post.message.contains("GET"));
        for version in [Version::HTTP_10, Version::HTTP_2] {
            let old = examine(&Method::GET, version, &headers(&PROPER)).unwrap_err();
            assert_eq!((old.code, old.message.contains("1.1")), (Code::BadUpgrade, true));
        }
    }

    #[test]
    fn subprotocols_are_read_over_several_lines_and_bounded() {
        let mut map = changed("sec-websocket-protocol", Some("gateway.v1, , bearer.a.b.c"));
        map.append("sec-websocket-protocol", HeaderValue::from_static("other"));
        let upgrade = judged(&map).unwrap();
        assert_eq!(upgrade.offered, ["gateway.v1".into(), "bearer.a.b.c".into(), "other".into()]);
        assert!(!format!("{upgrade:?}").contains("a.b.c"));
        let many: Vec<_> = (0..17).map(|n| format!("p{n}")).collect();
        for value in ["a, a", "a b", "a;b", &many.join(",")] {
            let (code, _) = judged(&changed("sec-websocket-protocol", Some(value))).unwrap_err();
            assert_eq!(code, Code::BadUpgrade, "{value}");
        }
        map.append("sec-websocket-protocol", HeaderValue::from_bytes(b"\xff").unwrap());
        assert_eq!(judged(&map).unwrap_err().0, Code::BadUpgrade);
    }

    proptest! {
        #[test]
        fn no_headers_panic(lines in proptest::collection::vec((0usize..6, proptest::collection::vec(32u8..=255, 0..40)), 0..8)) {
            let names = ["connection", "upgrade", "sec-websocket-version", "sec-websocket-key", "sec-websocket-protocol", "content-length"];
            let mut map = headers(&PROPER);
            for (name, value) in lines {
                if let (Some(name), Ok(value)) = (names.get(name), HeaderValue::from_bytes(&value)) {
                    map.append(*name, value);
                }
            }
            let _ = judged(&map);
        }
    }
}
