//! Where a request may carry its token. The sources are asked in order; the first that has one is judged, and no
//! other is ever looked at. An empty one is none.

use std::{fmt, str::FromStr};

use gateway_domain::{Detail, Refusal, Token};
use http::{HeaderMap, header};

use crate::{query::Query, upgrade};

/// A place for a token in a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TokenSource {
    /// The query parameter `token`.
    Query,
    /// `Authorization: Bearer`.
    Header,
    /// A subprotocol `bearer.<token>` that is offered beside the real one: all that a browser can set.
    Subprotocol,
    /// A cookie of that name. Browsers send it along from any page: it needs an Origin list.
    Cookie(Box<str>),
}

/// Not a token source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not one of query, header, subprotocol, cookie:NAME")]
pub struct NotASource;

/// The sources that are asked, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSources(Vec<TokenSource>);

impl Default for TokenSources {
    fn default() -> Self {
        Self(vec![TokenSource::Query, TokenSource::Header])
    }
}

impl TokenSources {
    /// These, in this order.
    pub fn new(sources: Vec<TokenSource>) -> Self {
        Self(sources)
    }

    /// Which they are.
    pub fn as_slice(&self) -> &[TokenSource] {
        &self.0
    }

    /// The token of the first source that has one; nothing where none has. What a source has, but not in the proper
    /// form, is refused: it is never passed over for the next.
    pub fn find(&self, query: &Query, headers: &HeaderMap) -> Result<Option<(Token, TokenSource)>, Refusal> {
        for source in &self.0 {
            if let Some(text) = source.text(query, headers)?.filter(|text| !text.is_empty()) {
                return Ok(Some((Token::new(text), source.clone())));
            }
        }
        Ok(None)
    }
}

impl TokenSource {
    fn text<'a>(&self, query: &'a Query, headers: &'a HeaderMap) -> Result<Option<&'a str>, Refusal> {
        match self {
            Self::Query => query.get("token"),
            Self::Header => bearer_text(headers),
            Self::Subprotocol => {
                let tokens = upgrade::offered(headers)?.into_iter().filter_map(|name| name.strip_prefix("bearer."));
                at_most_one(tokens, "several tokens are offered as subprotocols")
            }
            Self::Cookie(name) => at_most_one(
                cookies(headers).filter(|(own, _)| *own == &**name).map(|(_, value)| value),
                "the cookie is repeated",
            ),
        }
    }
}

/// The bearer token of the header Authorization; one that is there in another form is refused.
pub fn bearer(headers: &HeaderMap) -> Result<Option<Token>, Refusal> {
    Ok(bearer_text(headers)?.filter(|text| !text.is_empty()).map(Token::new))
}

fn bearer_text(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut lines = headers.get_all(header::AUTHORIZATION).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err(malformed("there are several Authorization headers"));
    }
    let text = line.to_str().map_err(|_| malformed("the Authorization header is not plain text"))?.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(malformed("the Authorization header must be the word Bearer, a space and the token"));
    }
    let token = token.trim_matches(' ');
    if token.bytes().any(|byte| matches!(byte, b' ' | b'\t' | b',')) {
        return Err(malformed("the Authorization header must hold one token and nothing else"));
    }
    Ok(Some(token))
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        let value = value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(value);
        Some((name, value))
    })
}

/// Two are refused: which one is meant is not for the gateway to guess, nor for whoever planted the other to choose.
fn at_most_one<'a>(
    mut tokens: impl Iterator<Item = &'a str>,
    several: &'static str,
) -> Result<Option<&'a str>, Refusal> {
    let first = tokens.next();
    if tokens.next().is_some() { Err(malformed(several)) } else { Ok(first) }
}

fn malformed(message: &'static str) -> Refusal {
    Refusal::invalid_token(Detail::Malformed, message)
}

impl FromStr for TokenSource {
    type Err = NotASource;

    fn from_str(text: &str) -> Result<Self, NotASource> {
        match text {
            "query" => Ok(Self::Query),
            "header" => Ok(Self::Header),
            "subprotocol" => Ok(Self::Subprotocol),
            _ => {
                let name = text.strip_prefix("cookie:").filter(|name| {
                    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && !b"=;,\"".contains(&byte))
                });
                name.map(|name| Self::Cookie(name.into())).ok_or(NotASource)
            }
        }
    }
}

impl fmt::Display for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query => f.write_str("query"),
            Self::Header => f.write_str("header"),
            Self::Subprotocol => f.write_str("subprotocol"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_domain::Code;
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn sources(list: &[&str]) -> TokenSources {
        TokenSources::new(list.iter().map(|text| text.parse().unwrap()).collect())
    }

    fn found(
        sources: &TokenSources,
        query: &str,
        lines: &[(&'static str, &str)],
    ) -> Result<Option<(String, String)>, Refusal> {
        let found = sources.find(&Query::parse(query).unwrap(), &headers(lines))?;
        Ok(found.map(|(token, source)| (token.expose().to_owned(), source.to_string())))
    }

    fn in_header(value: &str) -> Result<Option<String>, Refusal> {
        Ok(found(&TokenSources::default(), "", &[("authorization", value)])?.map(|(token, _)| token))
    }

    #[test]
    fn the_query_wins_and_the_header_is_never_parsed() {
        let both = found(&TokenSources::default(), "token=q", &[("authorization", "nonsense")]).unwrap();
        assert_eq!(both, Some(("q".into(), "query".into())));
        let empty = found(&TokenSources::default(), "token=", &[("authorization", "Bearer h")]).unwrap();
        assert_eq!(empty, Some(("h".into(), "header".into())));
        assert_eq!(found(&TokenSources::default(), "", &[]).unwrap(), None);
        let other_way =
            found(&sources(&["header", "query"]), "token=a&token=b", &[("authorization", "Bearer h")]).unwrap();
        assert_eq!(other_way, Some(("h".into(), "header".into())));
    }

    #[test]
    fn a_repeated_query_parameter_is_a_bad_request() {
        let refusal = found(&TokenSources::default(), "token=a&token=a", &[]).unwrap_err();
        assert_eq!(refusal.code, Code::InvalidRequest);
    }

    #[test]
    fn the_scheme_is_read_in_any_case_and_with_any_number_of_spaces() {
        for value in ["Bearer abc", "bearer abc", "BEARER    abc", " Bearer abc "] {
            assert_eq!(in_header(value).unwrap().as_deref(), Some("abc"), "{value}");
        }
        for value in ["", " ", "Bearer", "Bearer   "] {
            assert_eq!(in_header(value).unwrap(), None, "{value}");
        }
    }

    #[test]
    fn another_scheme_or_none_is_malformed() {
        for value in ["abc.def.ghi", "Basic abc", "Bearerabc", "Bearer a b", "Bearer a,b", "Bearer\tabc"] {
            let refusal = in_header(value).unwrap_err();
            assert_eq!((refusal.code, refusal.detail), (Code::TokenInvalid, Some(Detail::Malformed)), "{value}");
            assert!(!refusal.message.contains("abc"), "a refusal never repeats what was sent");
        }
        let twice = [("authorization", "Bearer a"), ("authorization", "Bearer a")];
        assert_eq!(found(&TokenSources::default(), "", &twice).unwrap_err().detail, Some(Detail::Malformed));
        let mut raw = HeaderMap::new();
        raw.insert("authorization", HeaderValue::from_bytes(b"Bearer \xff").unwrap());
        assert!(TokenSources::default().find(&Query::default(), &raw).is_err());
    }

    #[test]
    fn further_sources_are_asked_only_where_they_are_on() {
        let offered = [("sec-websocket-protocol", "gateway.v1, bearer.a.b.c"), ("cookie", "x=1; session=\"s\"; y=2")];
        assert_eq!(found(&TokenSources::default(), "", &offered).unwrap(), None);
        let all = sources(&["query", "header", "subprotocol", "cookie:session"]);
        assert_eq!(found(&all, "", &offered).unwrap(), Some(("a.b.c".into(), "subprotocol".into())));
        assert_eq!(found(&all, "", &offered[1..]).unwrap(), Some(("s".into(), "cookie:session".into())));
        assert_eq!(found(&all, "", &[("cookie", "session=; Session=z")]).unwrap(), None);
        assert_eq!(found(&all, "", &[("sec-websocket-protocol", "bearer.")]).unwrap(), None);
        for lines in [[("sec-websocket-protocol", "bearer.a, bearer.b")], [("cookie", "session=a; session=b")]] {
            assert_eq!(found(&all, "", &lines).unwrap_err().detail, Some(Detail::Malformed));
        }
    }

    #[test]
    fn sources_are_read_as_they_are_written() {
        for text in ["query", "header", "subprotocol", "cookie:__Host-session"] {
            assert_eq!(text.parse::<TokenSource>().unwrap().to_string(), text);
        }
        for text in ["", "Query", "cookie", "cookie:", "cookie:a b", "cookie:a=b"] {
            assert_eq!(text.parse::<TokenSource>(), Err(NotASource), "{text}");
        }
        assert_eq!(TokenSources::default().as_slice(), [TokenSource::Query, TokenSource::Header]);
    }

    proptest! {
        #[test]
        fn no_header_panics(value in proptest::collection::vec(32u8..=255, 0..60), which in 0usize..3) {
            let all = sources(&["header", "subprotocol", "cookie:session"]);
            let mut map = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                map.insert(["authorization", "sec-websocket-protocol", "cookie"][which], value);
            }
            let _ = all.find(&Query::default(), &map);
        }
    }
}
