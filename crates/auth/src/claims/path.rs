//! Where a claim stands: `sub`, `realm_access.roles`, or the first that is there of several. A name with dots of its
//! own is found as it is written; so is a name that is an address, such as `https://id.example/roles`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::SerializeSeq as _};
use serde_json::{Map, Value};

/// One place of a claim, or several of which the first that is there counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath {
    first: Box<str>,
    others: Box<[Box<str>]>,
}

/// Where an agent's id comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentSource {
    /// From the token.
    Claim(ClaimPath),
    /// From a parameter of the query, which the server reads.
    Query(Box<str>),
}

/// Not a place of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a claim, such as `sub` or `realm_access.roles`, nor a list of such names")]
pub struct NotAPath;

impl ClaimPath {
    /// The first that is there, of these.
    pub fn first_of<S: Into<Box<str>>>(paths: impl IntoIterator<Item = S>) -> Result<Self, NotAPath> {
        let mut paths = paths.into_iter().map(|path| {
            let path: Box<str> = path.into();
            let fits = path.len() <= 256 && segments(&path).all(|segment| !segment.is_empty());
            if fits { Ok(path) } else { Err(NotAPath) }
        });
        let first = paths.next().ok_or(NotAPath)??;
        Ok(Self { first, others: paths.collect::<Result<_, _>>()? })
    }

    pub(crate) fn one(path: &str) -> Self {
        Self { first: path.into(), others: Box::default() }
    }

    pub(crate) fn either(path: &str, other: &str) -> Self {
        Self { first: path.into(), others: Box::new([other.into()]) }
    }

    /// Every place, in order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.first).chain(self.others.iter().map(|path| &**path))
    }

    /// The claim, where it is there; `null` is not.
    pub fn find<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        self.paths().find_map(|path| found(path, claims).filter(|value| !value.is_null()))
    }

    /// Writes a claim where the first path says; not where something else already is.
    pub(crate) fn place(&self, claims: &mut Map<String, Value>, value: Value) -> Result<(), NotAPath> {
        let mut names = segments(&self.first).peekable();
        let mut here = claims;
        while let Some(name) = names.next() {
            if names.peek().is_none() {
                return if here.contains_key(name) {
                    Err(NotAPath)
                } else {
                    here.insert(name.to_owned(), value);
                    Ok(())
                };
            }
            let inner = here.entry(name.to_owned()).or_insert_with(|| Value::Object(Map::new()));
            here = inner.as_object_mut().ok_or(NotAPath)?;
        }
        Err(NotAPath)
    }
}

fn found<'a>(path: &str, claims: &'a Map<String, Value>) -> Option<&'a Value> {
    claims.get(path).or_else(|| {
        let mut names = segments(path);
        let first = claims.get(names.next()?)?;
        names.try_fold(first, |value, name| value.as_object()?.get(name))
    })
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    // An address has dots that part nothing.
    let whole = path.contains("://");
    path.split(move |c| c == '.' && !whole)
}

impl FromStr for ClaimPath {
    type Err = NotAPath;

    fn from_str(text: &str) -> Result<Self, NotAPath> {
        Self::first_of([text])
    }
}

impl FromStr for AgentSource {
    type Err = NotAPath;

    fn from_str(text: &str) -> Result<Self, NotAPath> {
        match text.strip_prefix("query:") {
            Some("") => Err(NotAPath),
            Some(name) => Ok(Self::Query(name.into())),
            None => text.parse().map(Self::Claim),
        }
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first)?;
        self.others.iter().try_for_each(|path| write!(f, " or {path}"))
    }
}

impl Serialize for ClaimPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.others.is_empty() {
            return serializer.serialize_str(&self.first);
        }
        let mut list = serializer.serialize_seq(Some(1 + self.others.len()))?;
        self.paths().try_for_each(|path| list.serialize_element(path))?;
        list.end()
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl<'de> Deserialize<'de> for ClaimPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match OneOrMore::deserialize(deserializer)? {
            OneOrMore::One(path) => Self::first_of([path]),
            OneOrMore::More(paths) => Self::first_of(paths),
        }
        .map_err(D::Error::custom)
    }
}

impl Serialize for AgentSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Claim(path) => path.serialize(serializer),
            Self::Query(name) => serializer.collect_str(&format_args!("query:{name}")),
        }
    }
}

impl<'de> Deserialize<'de> for AgentSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match OneOrMore::deserialize(deserializer)? {
            OneOrMore::One(path) => path.parse(),
            OneOrMore::More(paths) => ClaimPath::first_of(paths).map(Self::Claim),
        }
        .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::ClaimNames;
    use serde_json::json;

    fn find(path: &str, claims: &Value) -> Option<Value> {
        path.parse::<ClaimPath>().unwrap().find(claims.as_object().unwrap()).cloned()
    }

    #[test]
    fn a_claim_is_found_by_its_path() {
        let claims = json!({"a": {"b": {"c": 1}}, "x.y": 2, "https://id.example/roles": 3, "n": null, "s": "t"});
        assert_eq!(find("a.b.c", &claims), Some(json!(1)));
        assert_eq!(find("x.y", &claims), Some(json!(2)));
        assert_eq!(find("https://id.example/roles", &claims), Some(json!(3)));
        for path in ["n", "a.x", "s.t", "a.b.c.d", "b"] {
            assert_eq!(find(path, &claims), None, "{path}");
        }
        let either = ClaimPath::first_of(["n", "s", "x.y"]).unwrap();
        assert_eq!(either.find(claims.as_object().unwrap()), Some(&json!("t")));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in ["", ".", "a.", ".a", "a..b"] {
            assert_eq!(text.parse::<ClaimPath>(), Err(NotAPath), "{text}");
        }
        assert_eq!(ClaimPath::first_of(Vec::<String>::new()), Err(NotAPath));
        assert_eq!(ClaimPath::first_of(["a", ""]), Err(NotAPath));
    }

    #[test]
    fn a_claim_is_written_where_it_will_be_read() {
        let mut claims = Map::new();
        for (path, value) in [("a.b", json!(1)), ("a.c", json!(2)), ("https://x.y/z", json!(3))] {
            path.parse::<ClaimPath>().unwrap().place(&mut claims, value).unwrap();
        }
        assert_eq!(Value::Object(claims.clone()), json!({"a": {"b": 1, "c": 2}, "https://x.y/z": 3}));
        for path in ["a", "a.b", "a.b.c"] {
            assert_eq!(path.parse::<ClaimPath>().unwrap().place(&mut claims, json!(0)), Err(NotAPath), "{path}");
        }
    }

    #[test]
    fn names_are_read_from_a_configuration_and_written() {
        let names: ClaimNames =
            serde_json::from_value(json!({"user": "uid", "roles": ["a.b", "c"], "agent": "query:agentId"})).unwrap();
        assert_eq!(names.roles.to_string(), "a.b or c");
        assert_eq!(names.agent, AgentSource::Query("agentId".into()));
        assert_eq!(names.plan, ClaimNames::default().plan);
        let written = serde_json::to_value(&names).unwrap();
        assert_eq!(written["agent"], "query:agentId");
        assert_eq!(serde_json::from_value::<ClaimNames>(written).unwrap(), names);
        let several: AgentSource = serde_json::from_value(json!(["device", "sub"])).unwrap();
        assert_eq!(serde_json::to_value(&several).unwrap(), json!(["device", "sub"]));
        for wrong in
            [json!({"user": ""}), json!({"user": []}), json!({"user": 1}), json!({"usr": "x"}), json!({"agent": []})]
        {
            assert!(serde_json::from_value::<ClaimNames>(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
