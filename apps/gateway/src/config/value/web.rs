//! What the web side speaks of: origins, and the addresses of key sets and of webhooks.

use std::{fmt, net::IpAddr};

use reqwest::Url;

use super::{Scalar, Unfit, Value, through_serde};

/// Who may open a connection from a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The page was served from the gateway's own scheme, host and port.
    Own,
    /// Any page.
    Any,
    /// This scheme, host and port: `https://app.example`, or `https://*.example` for every name below.
    At(Box<str>),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Own => "self",
            Self::Any => "*",
            Self::At(origin) => origin,
        })
    }
}

impl Value for Origin {
    const KIND: &'static str = "origin";
    const WANTED: &'static str =
        "scheme, host and port as a browser sends them, such as \"https://app.example\", or \"self\", or \"*\"";

    fn read(scalar: Scalar<'_>) -> Result<Self, Unfit> {
        let remedy = || format!("Write {}", Self::WANTED);
        let unfit = |why: &str| Err(Unfit::new(format!("`{scalar}` is not a valid origin: {why}"), remedy()));
        let Scalar::Text(text) = scalar else { return Err(Unfit::not::<Self>(scalar)) };
        match text {
            "self" => return Ok(Self::Own),
            "*" => return Ok(Self::Any),
            "null" => return unfit("`null` is what any sandboxed page sends, so it is never admitted"),
            _ => {}
        }
        let Some((scheme, authority)) = text.split_once("://") else { return unfit("it has no scheme") };
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
        if !scheme.starts_with(|first: char| first.is_ascii_lowercase()) || !scheme.bytes().all(plain) {
            return unfit("its scheme is none that a browser sends");
        }
        if authority.contains(['/', '?', '#', '@']) {
            return unfit("it has more than scheme, host and port");
        }
        // A wildcard stands for whole labels at the front, and for nothing else.
        let name = authority.strip_prefix("*.").unwrap_or(authority);
        if name.contains('*') {
            return unfit("a wildcard stands only in front, before a dot: `https://*.example.com`");
        }
        // Apps in a shell of their own have schemes of their own; their hosts are spelled like those of the web.
        let url = Url::parse(&format!("https://{name}")).ok();
        let Some(host) = url.as_ref().and_then(Url::host_str) else { return unfit("its host or port is malformed") };
        if name.len() != authority.len() && (host.parse::<IpAddr>().is_ok() || host.starts_with('[')) {
            return unfit("an address has no names below it");
        }
        let written = name.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
        if written.map_or(name, |(host, _)| host) != host {
            return unfit("a browser sends the host in lower case, and in its encoded form");
        }
        Ok(Self::At(text.into()))
    }
}

/// Where a key set is fetched from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwksUrl(Box<str>);

impl JwksUrl {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JwksUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Value for JwksUrl {
    const KIND: &'static str = "https address";
    const WANTED: &'static str = "an address such as \"https://id.example/.well-known/jwks.json\"";

    fn read(scalar: Scalar<'_>) -> Result<Self, Unfit> {
        safe_address::<Self>(scalar, "keys that come over plain http can be exchanged on the way")
            .map(|text| Self(text.into()))
    }
}

/// Where a webhook is. Its query may hold what only the receiver should know: it is never logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookUrl(Box<str>);

impl HookUrl {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Value for HookUrl {
    const KIND: &'static str = "https address of a webhook";
    const WANTED: &'static str = "an address such as \"https://backend.example/hook\"";

    fn read(scalar: Scalar<'_>) -> Result<Self, Unfit> {
        safe_address::<Self>(scalar, "whoever is on the way of plain http reads along").map(|text| Self(text.into()))
    }
}

/// An address that the gateway itself may ask: https, or http on this machine. What stands there may hold a password:
/// it is not repeated.
fn safe_address<'a, T: Value>(scalar: Scalar<'a>, why_not_plain: &str) -> Result<&'a str, Unfit> {
    let unfit = |what: &str| Unfit::new(what, format!("Write {}", T::WANTED));
    let Scalar::Text(text) = scalar else { return Err(Unfit::not::<T>(scalar)) };
    let url = Url::parse(text).map_err(|_| unfit("this is not an absolute web address"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(unfit("the address holds credentials, which would end up in logs"));
    }
    if url.fragment().is_some() {
        return Err(unfit("the address has a fragment (`#...`), which no server ever sees"));
    }
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let loopback = host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback());
    match url.scheme() {
        "https" => Ok(text),
        "http" if loopback => Ok(text),
        "http" => Err(unfit(why_not_plain)),
        _ => Err(unfit("the address is neither https nor, on this machine, http")),
    }
}

through_serde!(Origin, JwksUrl, HookUrl);

#[cfg(test)]
mod tests {
    use super::*;

    fn why<T: Value>(text: &str) -> String {
        T::read(Scalar::Text(text)).err().map(|unfit| unfit.what).unwrap_or_default()
    }

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        for text in [
            "self",
            "*",
            "https://app.example",
            "http://localhost:3000",
            "https://*.example.com",
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
            "capacitor://localhost",
            "chrome-extension://abcdefghijklmnop",
        ] {
            assert_eq!(Origin::read(Scalar::Text(text)).unwrap().to_string(), text);
        }
        for (text, words) in [
            ("app.example", "no scheme"),
            ("null", "never admitted"),
            ("://app.example", "its scheme is none"),
            ("HTTPS://app.example", "its scheme is none"),
            ("ht tp://app.example", "its scheme is none"),
            ("https://app.example/", "more than scheme, host and port"),
            ("https://ann@app.example", "more than scheme, host and port"),
            ("https://app.*.example", "a wildcard stands only in front"),
            ("https://*app.example", "a wildcard stands only in front"),
            ("https://*.127.0.0.1", "no names below"),
            ("https://", "malformed"),
            ("https://app.example:port", "malformed"),
            ("https://App.example", "lower case"),
        ] {
            assert!(why::<Origin>(text).contains(words), "{text}: {}", why::<Origin>(text));
        }
    }

    #[test]
    fn keys_are_fetched_over_https_or_from_this_machine() {
        for text in [
            "https://id.example/jwks.json",
            "http://127.0.0.1:9000/jwks",
            "http://localhost:9000/jwks",
            "http://[::1]:9000/jwks",
        ] {
            assert_eq!(JwksUrl::read(Scalar::Text(text)).unwrap().as_str(), text);
        }
        for (text, words) in [
            ("http://id.example/jwks.json", "exchanged on the way"),
            ("http://localhost.example/jwks", "exchanged on the way"),
            ("ftp://127.0.0.1/jwks", "neither https"),
            ("https://ann:pw@id.example/jwks", "credentials"),
            ("https://id.example/jwks#x", "fragment"),
            ("jwks.json", "not an absolute web address"),
        ] {
            assert!(why::<JwksUrl>(text).contains(words), "{text}: {}", why::<JwksUrl>(text));
        }
        assert!(!why::<JwksUrl>("https://ann:hunter2@id.example/").contains("hunter2"));
    }
}
