//! What keys and tokens are described by: algorithms, the places of tokens, the names of claims, hashes.

use std::{fmt, marker::PhantomData};

use gateway_auth::Algorithm;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Scalar, Unfit, Value, through_serde};

impl Value for Algorithm {
    const KIND: &'static str = "algorithm";
    const WANTED: &'static str = "one of \"HS256\", \"HS384\", \"HS512\", \"RS256\", \"RS384\", \"RS512\", \"PS256\", \"PS384\", \"PS512\", \"ES256\", \"ES384\", \"EdDSA\"";

    fn read(scalar: Scalar<'_>) -> Result<Self, Unfit> {
        match scalar {
            Scalar::Text(text) if text.eq_ignore_ascii_case("none") => Err(Unfit::new(
                format!("`{text}` would admit unsigned tokens, which nothing here ever does"),
                format!("Write {}", Self::WANTED),
            )),
            Scalar::Text(text) => text.parse().map_err(|_| Unfit::not::<Self>(scalar)),
            Scalar::Integer(_) | Scalar::Float(_) | Scalar::Boolean(_) => Err(Unfit::not::<Self>(scalar)),
        }
    }
}

/// Where a token may be in a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// The query parameter `token`.
    Query,
    /// `Authorization: Bearer`.
    Header,
    /// The offered subprotocol `bearer.<jwt>`.
    Subprotocol,
    /// The cookie of that name.
    Cookie(Box<str>),
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

impl Value for TokenSource {
    const KIND: &'static str = "token source";
    const WANTED: &'static str = "\"query\", \"header\", \"subprotocol\" or \"cookie:NAME\"";

    fn read(scalar: Scalar<'_>) -> Result<Self, Unfit> {
        let Scalar::Text(text) = scalar else { return Err(Unfit::not::<Self>(scalar)) };
        match text {
            "query" => Ok(Self::Query),
            "header" => Ok(Self::Header),
            "subprotocol" => Ok(Self::Subprotocol),
            _ => text
                .strip_prefix("cookie:")
                .filter(|name| is_cookie_name(name))
                .map(|name| Self::Cookie(name.into()))
                .ok_or_else(|| Unfit::not::<Self>(scalar)),
        }
    }
}

/// RFC 6265: a token of RFC 2616.
fn is_cookie_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (1..=128).contains(&name.len()) && name.bytes().all(plain)
}

/// The name of a claim; dots lead into nested claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath(Box<str>);

impl ClaimPath {
    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Value for ClaimPath {
    const KIND: &'static str = "claim";
    const WANTED: &'static str =
        "the name of a claim, such as \"sub\", with dots for nested ones: \"realm_access.roles\"";

    fn read(scalar: Scalar<'_>) -> Result<Self, Unfit> {
        match scalar {
            Scalar::Text(text) if super::is_label(text) && is_path(text) => Ok(Self(text.into())),
            _ => Err(Unfit::not::<Self>(scalar)),
        }
    }
}

/// Names between dots; a name that is an address has dots of its own.
fn is_path(text: &str) -> bool {
    text.contains("://") || text.split('.').all(|part| !part.is_empty())
}

/// One claim, or several of which the first that is there counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPaths(Vec<ClaimPath>);

impl ClaimPaths {
    /// The names that ship; each must be well-formed, which a test holds.
    pub(in crate::config) fn shipped(names: &[&str]) -> Self {
        Self(names.iter().map(|name| ClaimPath((*name).into())).collect())
    }

    /// In the order in which they are looked for.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &ClaimPath> {
        self.0.iter()
    }
}

impl Value for ClaimPaths {
    const KIND: &'static str = "claim, or a list of claims";
    const WANTED: &'static str = "the name of a claim, such as \"sub\", or a list: the first that is there counts";

    fn read(scalar: Scalar<'_>) -> Result<Self, Unfit> {
        ClaimPath::read(scalar).map(|path| Self(vec![path])).map_err(|_| Unfit::not::<Self>(scalar))
    }
}

/// What makes an agent's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentSource {
    /// A claim of the token.
    Claim(ClaimPaths),
    /// That query parameter; the id is then `USER/VALUE`, never the bare value.
    Query(Box<str>),
}

impl AgentSource {
    /// The user claim that ships.
    pub(in crate::config) fn sub() -> Self {
        Self::Claim(ClaimPaths::shipped(&["sub"]))
    }
}

impl Value for AgentSource {
    const KIND: &'static str = "claim, list of claims, or query:NAME";
    const WANTED: &'static str =
        "the name of a claim, such as \"sub\", a list of names, or a query parameter: \"query:agentId\"";

    fn read(scalar: Scalar<'_>) -> Result<Self, Unfit> {
        let Scalar::Text(text) = scalar else { return Err(Unfit::not::<Self>(scalar)) };
        match text.strip_prefix("query:") {
            Some("token") => Err(Unfit::new(
                "`token` is the query parameter of the token itself",
                "Choose another parameter, such as \"query:agentId\"",
            )),
            Some(name) if super::is_variable(name) => Ok(Self::Query(name.into())),
            Some(_) => Err(Unfit::not::<Self>(scalar)),
            None => ClaimPaths::read(scalar).map(Self::Claim).map_err(|_| Unfit::not::<Self>(scalar)),
        }
    }
}

/// Reads a name, or a list of names of which the first that is there counts.
struct OneOrMany<T>(PhantomData<T>);

impl<'de, T: Value + From<ClaimPaths>> de::Visitor<'de> for OneOrMany<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::WANTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::read(Scalar::Text(text)).map_err(E::custom)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<T, A::Error> {
        let mut paths = Vec::new();
        while let Some(path) = list.next_element()? {
            paths.push(path);
        }
        if paths.is_empty() {
            return Err(de::Error::custom("an empty list names no claim"));
        }
        Ok(ClaimPaths(paths).into())
    }
}

impl From<ClaimPaths> for AgentSource {
    fn from(paths: ClaimPaths) -> Self {
        Self::Claim(paths)
    }
}

impl Serialize for ClaimPaths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [only] => only.serialize(serializer),
            several => serializer.collect_seq(several),
        }
    }
}

impl Serialize for AgentSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Claim(paths) => paths.serialize(serializer),
            Self::Query(name) => serializer.collect_str(&format_args!("query:{name}")),
        }
    }
}

macro_rules! one_or_many {
    ($($kind:ty),*) => {$(
        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(OneOrMany(PhantomData))
            }
        }

        impl schemars::JsonSchema for $kind {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                Self::KIND.into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "x-kind": Self::KIND, "x-wanted": Self::WANTED, "x-many": ClaimPath::KIND })
            }
        }
    )*};
}

one_or_many!(ClaimPaths, AgentSource);

/// The hash of an API key. It is never shown whole.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// The hash.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sha256(***)")
    }
}

impl Value for Sha256 {
    const KIND: &'static str = "SHA-256 hash";
    const WANTED: &'static str = "64 hexadecimal digits, as `gateway keys hash` prints them";

    fn read(scalar: Scalar<'_>) -> Result<Self, Unfit> {
        // Somebody may have put the key itself here: a text is not repeated.
        let unfit = match scalar {
            Scalar::Text(_) => {
                Unfit::new("this is no SHA-256 hash in hexadecimal digits", format!("Write {}", Self::WANTED))
            }
            Scalar::Integer(_) | Scalar::Float(_) | Scalar::Boolean(_) => return Err(Unfit::not::<Self>(scalar)),
        };
        let Scalar::Text(text) = scalar else { return Err(unfit) };
        let mut hash = [0; 32];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != hash.len() || !rest.is_empty() {
            return Err(unfit);
        }
        for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
            let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let (Some(high), Some(low)) = (digit(*high), digit(*low)) else { return Err(unfit) };
            *byte = high << 4 | low;
        }
        Ok(Self(hash))
    }
}

through_serde!(TokenSource, ClaimPath, Sha256);

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Value>(text: &str) -> Result<T, Unfit> {
        T::read(Scalar::Text(text))
    }

    #[test]
    fn an_algorithm_is_one_that_signs() {
        for algorithm in Algorithm::ALL {
            assert_eq!(read::<Algorithm>(algorithm.name()).unwrap(), *algorithm);
            assert!(Algorithm::WANTED.contains(&format!("\"{algorithm}\"")), "{algorithm}");
        }
        for name in ["none", "None"] {
            assert!(read::<Algorithm>(name).unwrap_err().what.contains("unsigned"));
        }
        assert!(read::<Algorithm>("hs256").is_err());
    }

    #[test]
    fn token_sources_are_four() {
        for text in ["query", "header", "subprotocol", "cookie:session"] {
            assert_eq!(read::<TokenSource>(text).unwrap().to_string(), text);
        }
        for text in ["cookie", "cookie:", "cookie:a b", "cookie:a;b", "body"] {
            assert!(read::<TokenSource>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn claims_are_one_or_several() {
        let one: ClaimPaths = serde_json::from_str("\"sub\"").unwrap();
        assert_eq!(serde_json::to_string(&one).unwrap(), "\"sub\"");
        let two: ClaimPaths = serde_json::from_str("[\"roles\", \"realm_access.roles\"]").unwrap();
        assert_eq!(two.iter().map(ClaimPath::as_str).collect::<Vec<_>>(), ["roles", "realm_access.roles"]);
        assert_eq!(serde_json::to_string(&two).unwrap(), "[\"roles\",\"realm_access.roles\"]");
        for text in ["[]", "[1]", "\"a..b\"", "\".a\"", "\"\"", "7"] {
            assert!(serde_json::from_str::<ClaimPaths>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_agent_is_named_by_a_claim_or_by_the_query() {
        for text in ["\"sub\"", "\"agent.id\"", "\"query:agentId\"", "[\"agent\",\"sub\"]"] {
            let source: AgentSource = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&source).unwrap(), text);
        }
        assert!(serde_json::from_str::<AgentSource>("[]").is_err());
        assert_eq!(read::<AgentSource>("sub").unwrap(), AgentSource::sub());
        assert!(read::<AgentSource>("query:token").unwrap_err().what.contains("the token itself"));
        assert!(read::<AgentSource>("query:").is_err() && read::<AgentSource>("query:a&b").is_err());
    }

    #[test]
    fn a_hash_is_read_and_never_shown() {
        let text = "00ff".repeat(16);
        let hash = read::<Sha256>(&text).unwrap();
        assert_eq!(hash.bytes()[..4], [0, 255, 0, 255]);
        assert_eq!((hash.to_string(), format!("{hash:?}")), ("***".into(), "Sha256(***)".into()));
        for text in ["", "00ff", &"0".repeat(63), &"g".repeat(64), &"0".repeat(66), &"é".repeat(32)] {
            let unfit = read::<Sha256>(text).unwrap_err();
            assert!(text.len() < 4 || !unfit.to_string().contains(text), "{unfit}");
        }
    }
}
