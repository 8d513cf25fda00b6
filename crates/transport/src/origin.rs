//! Which pages may open a connection. A browser tells the page's origin and no page can lie about it, so a request
//! without one is no browser's and passes; one with an origin passes only where the list names it.

use gateway_domain::{Code, Refusal};
use http::{HeaderMap, header};

/// A list of origins, read once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OriginLaw(Vec<Entry>);

/// An entry that is no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{entry}` {why}")]
pub struct OriginFault {
    /// The entry.
    pub entry: String,
    /// What is wrong, and what to write.
    pub why: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    Any,
    /// The page came from this very host.
    Itself,
    Exact(Origin),
    /// Any name below this host, at a dot; not the host itself.
    Below(Origin),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    scheme: String,
    authority: Authority,
}

/// A host in lower case, and a port; none where the scheme has no usual one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Authority {
    host: String,
    port: Option<u16>,
}

impl OriginLaw {
    /// Reads a list: `https://app.example`, `https://app.example:8443`, `https://*.example.com`, `self`, `*`.
    pub fn parse(list: &[String]) -> Result<Self, OriginFault> {
        let entry = |text: &String| Entry::parse(text).map_err(|why| OriginFault { entry: text.clone(), why });
        list.iter().map(entry).collect::<Result<_, _>>().map(Self)
    }

    /// Whether nothing is on the list: then no page may come in.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a request's page may come in; `secure` says whether the request came over TLS.
    pub fn admits(&self, headers: &HeaderMap, secure: bool) -> Result<(), Refusal> {
        let mut lines = headers.get_all(header::ORIGIN).iter();
        let Some(line) = lines.next() else { return Ok(()) };
        let single = lines.next().is_none();
        // `null` is what a sandboxed frame of anybody's page says: it parses as no origin, and nothing admits it.
        let origin = line.to_str().ok().filter(|_| single).and_then(|text| Origin::parse(text).ok());
        match origin {
            Some(origin) if self.0.iter().any(|entry| entry.admits(&origin, headers, secure)) => Ok(()),
            _ => Err(Refusal::plain(Code::OriginNotAllowed)),
        }
    }
}

impl Entry {
    fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "*" => return Ok(Self::Any),
            "self" => return Ok(Self::Itself),
            "null" => return Err("can never be allowed: any page can make a frame whose origin is null"),
            _ => {}
        }
        let origin = Origin::parse(&text.replacen("://*.", "://", 1))?;
        if !text.contains("*") {
            return Ok(Self::Exact(origin));
        }
        // A wildcard over a whole top-level domain, or over addresses, is everybody.
        if !origin.authority.host.contains('.') || origin.authority.host.ends_with(|last: char| !last.is_alphabetic()) {
            return Err("has a wildcard that is too wide: write at least https://*.example.com");
        }
        Ok(Self::Below(origin))
    }

    fn admits(&self, origin: &Origin, headers: &HeaderMap, secure: bool) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(own) => own == origin,
            Self::Below(own) => {
                let below = origin.authority.host.strip_suffix(own.authority.host.as_str());
                own.scheme == origin.scheme
                    && own.authority.port == origin.authority.port
                    && below.and_then(|below| below.strip_suffix('.')).is_some_and(|name| !name.is_empty())
            }
            Self::Itself => {
                let scheme = if secure { "https" } else { "http" };
                let mut hosts = headers.get_all(header::HOST).iter();
                let host = hosts.next().filter(|_| hosts.next().is_none()).and_then(|host| host.to_str().ok());
                let host = host.and_then(|host| Authority::parse(host, scheme).ok());
                origin.scheme == scheme && host.as_ref() == Some(&origin.authority)
            }
        }
    }
}

impl Origin {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, authority) = text.split_once("://").ok_or("is not an origin: write https://app.example")?;
        let proper = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) || !scheme.bytes().all(proper) {
            return Err("has no proper scheme: write https://app.example");
        }
        let scheme = scheme.to_ascii_lowercase();
        let authority = Authority::parse(authority, &scheme)?;
        Ok(Self { scheme, authority })
    }
}

impl Authority {
    fn parse(text: &str, scheme: &str) -> Result<Self, &'static str> {
        if text.contains(['/', '?', '#']) {
            return Err("has a path: an origin is only scheme, host and port, without a slash at the end");
        }
        let host_ends = match text.strip_prefix('[') {
            Some(rest) => rest.find(']').map(|at| at + 2).ok_or("has a bracket left open")?,
            None => text.find(':').unwrap_or(text.len()),
        };
        let (host, port) = text.split_at_checked(host_ends).ok_or("has no host")?;
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse::<u16>().map_err(|_| "has no proper port")?)
            }
            _ => return Err("has no proper port"),
        };
        let usual = match scheme {
            "http" | "ws" => Some(80),
            "https" | "wss" => Some(443),
            _ => None,
        };
        Ok(Self { host: host_name(host)?, port: port.or(usual) })
    }
}

fn host_name(text: &str) -> Result<String, &'static str> {
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: std::net::Ipv6Addr = inner.parse().map_err(|_| "has no proper IPv6 address in its brackets")?;
        return Ok(format!("[{address}]"));
    }
    if text.is_empty() {
        return Err("has no host");
    }
    if !text.is_ascii() {
        return Err("has a host beyond ASCII: write it as browsers send it, in punycode (xn--...)");
    }
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
        return Err(
            "has a host with letters that no host has; a wildcard stands only first, as in https://*.example.com",
        );
    }
    Ok(text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn law(list: &[&str]) -> OriginLaw {
        OriginLaw::parse(&list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    fn passes(law: &OriginLaw, origins: &[&str], host: &str, secure: bool) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_str(host).unwrap());
        for origin in origins {
            headers.append("origin", HeaderValue::from_bytes(origin.as_bytes()).unwrap());
        }
        let judged = law.admits(&headers, secure);
        assert!(judged.as_ref().err().is_none_or(|refusal| refusal.code == Code::OriginNotAllowed));
        judged.is_ok()
    }

    fn page(law: &OriginLaw, origin: &str) -> bool {
        passes(law, &[origin], "gateway.example", true)
    }

    #[test]
    fn a_request_without_an_origin_passes_and_an_empty_list_refuses_every_page() {
        assert!(passes(&OriginLaw::default(), &[], "gateway.example", true));
        assert!(!page(&OriginLaw::default(), "https://gateway.example"));
        assert!(OriginLaw::default().is_empty() && !law(&["*"]).is_empty());
    }

    #[test]
    fn scheme_host_and_port_must_be_the_same() {
        let list = law(&[
            "https://app.example",
            "http://localhost:3000",
            "https://Big.example:443",
            "https://[2001:db8:0::1]",
        ]);
        for origin in [
            "https://app.example",
            "https://APP.example:443",
            "http://localhost:3000",
            "https://big.example",
            "https://[2001:db8::1]",
        ] {
            assert!(page(&list, origin), "{origin}");
        }
        for origin in [
            "http://app.example",
            "https://app.example:8443",
            "https://app.example.evil.example",
            "https://evilapp.example",
            "https://app.example/",
            "https://user@app.example",
            "http://localhost",
            "null",
            "",
            "app.example",
            "https://",
            "https://app.example ",
            "https://app.example, https://app.example",
            "https://app.exämple",
            "://",
            "https://app.example.",
        ] {
            assert!(!page(&list, origin), "{origin}");
        }
    }

    #[test]
    fn several_origins_are_refused_and_null_is_never_admitted() {
        let any = law(&["*"]);
        assert!(page(&any, "https://whoever.example") && page(&any, "capacitor://localhost"));
        assert!(!passes(&any, &["https://a.example", "https://a.example"], "gateway.example", true));
        assert!(!page(&any, "null") && !page(&any, "NULL"));
    }

    #[test]
    fn a_wildcard_stands_at_a_dot() {
        let list = law(&["https://*.example.com"]);
        for origin in ["https://a.example.com", "https://a.b.example.com"] {
            assert!(page(&list, origin), "{origin}");
        }
        for origin in [
            "https://example.com",
            "https://evilexample.com",
            "https://.example.com",
            "http://a.example.com",
            "https://a.example.com:8443",
            "https://a.example.com.evil.example",
        ] {
            assert!(!page(&list, origin), "{origin}");
        }
    }

    #[test]
    fn self_is_the_host_that_was_asked() {
        let list = law(&["self"]);
        assert!(passes(&list, &["https://gateway.example"], "gateway.example:443", true));
        assert!(passes(&list, &["http://gateway.example:8080"], "Gateway.example:8080", false));
        assert!(!passes(&list, &["http://gateway.example"], "gateway.example", true));
        assert!(!passes(&list, &["https://gateway.example"], "gateway.example:8443", true));
        assert!(!passes(&list, &["https://evil.example"], "gateway.example", true));
        let mut twice = HeaderMap::new();
        twice.insert("origin", HeaderValue::from_static("http://b.example"));
        twice.append("host", HeaderValue::from_static("b.example"));
        assert!(list.admits(&twice, false).is_ok());
        twice.append("host", HeaderValue::from_static("b.example"));
        assert!(list.admits(&twice, false).is_err());
    }

    #[test]
    fn an_entry_that_is_no_origin_is_a_fault_with_a_remedy() {
        for (entry, word) in [
            ("null", "never"),
            ("app.example", "https://"),
            ("https://app.example/", "slash"),
            ("https://app.example/x", "path"),
            ("https://", "host"),
            ("https://a b", "letters"),
            ("https://app.exämple", "punycode"),
            ("https://a.example:x", "port"),
            ("https://a.example:99999", "port"),
            ("https://*.com", "wide"),
            ("https://*", "letters"),
            ("https://a.*.example", "letters"),
            ("https://*.10.0.0.1", "wide"),
            ("1ttps://a.example", "scheme"),
            ("https://[::1", "bracket"),
            ("https://[x]", "IPv6"),
            ("https://[::1]x", "port"),
            ("https://*.*.example", "letters"),
        ] {
            let fault = OriginLaw::parse(&[entry.to_owned()]).unwrap_err();
            assert!(fault.to_string().contains(word) && fault.to_string().contains(entry), "{fault}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,60}", host in "[ -~]{0,30}") {
            let _ = OriginLaw::parse(std::slice::from_ref(&text));
            if HeaderValue::from_bytes(text.as_bytes()).is_ok() {
                passes(&law(&["self", "https://*.example.com"]), &[&text], &host, true);
            }
        }

        #[test]
        fn only_names_below_the_wildcard_pass(name in "[a-z.]{0,20}") {
            let passed = page(&law(&["https://*.example.com"]), &format!("https://{name}example.com"));
            prop_assert_eq!(passed, name.len() > 1 && name.ends_with('.'));
        }
    }
}
