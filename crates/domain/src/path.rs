//! A dotted path to one value in JSON, read out of the text without building anything beside it.
//!
//! A member on the way that comes twice counts as absent: whoever reads the payload behind us may take the other
//! one, and a message must never go where one of them says and act on what the other says.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, value::RawValue};

use crate::route::Scalar;

/// The most steps that a path has.
pub const MOST_STEPS: usize = 16;
const MOST_BYTES: usize = 256;

/// Why a text is no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// Nothing before, between or behind the dots.
    #[error("a step of the path is empty")]
    EmptyStep,
    /// Deeper than a path may go.
    #[error("the path has more than {MOST_STEPS} steps")]
    TooDeep,
    /// More text than a path may have.
    #[error("the path is longer than {MOST_BYTES} bytes")]
    TooLong,
}

/// Where a value is: names of members, and numbers for places in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    text: Box<str>,
    steps: Box<[Step]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    name: Box<str>,
    place: Option<usize>,
}

/// A value that a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A string, borrowed where it has no escapes.
    Text(Cow<'a, str>),
    /// A whole number of 64 bits, with or without a sign.
    Integer(i128),
}

impl<'a> Found<'a> {
    /// A string or a whole number that stands on its own.
    pub fn whole(json: &'a RawValue) -> Option<Self> {
        Walk(&[]).read(json)
    }

    /// The value on its own.
    pub fn into_scalar(self) -> Scalar {
        match self {
            Self::Text(text) => Scalar::Text(text.into()),
            Self::Integer(number) => Scalar::Integer(number),
        }
    }
}

impl Path {
    /// Reads `a.b.0`.
    pub fn parse(text: &str) -> Result<Self, PathFault> {
        if text.len() > MOST_BYTES {
            return Err(PathFault::TooLong);
        }
        let steps: Vec<_> = text.split('.').map(Step::new).collect();
        if steps.iter().any(|step| step.name.is_empty()) {
            Err(PathFault::EmptyStep)
        } else if steps.len() > MOST_STEPS {
            Err(PathFault::TooDeep)
        } else {
            Ok(Self { text: text.into(), steps: steps.into() })
        }
    }

    /// The string or whole number at this path; none where there is nothing, or something else.
    pub fn find<'a>(&self, json: &'a RawValue) -> Option<Found<'a>> {
        Walk(&self.steps).read(json)
    }

    /// Whether there is anything at this path, be it several times, or what [`Self::find`] does not take; `null` is
    /// nothing. No step of it may lead through a list.
    pub fn leads_somewhere(&self, json: &RawValue) -> bool {
        leads(&self.steps, json)
    }

    /// The same among claims. As everywhere with claims, a name that is there as it is written comes before a path.
    pub fn find_claim<'a>(&self, claims: &'a Map<String, Value>) -> Option<Found<'a>> {
        let value = claims.get(&*self.text).or_else(|| {
            let (first, rest) = self.steps.split_first()?;
            rest.iter().try_fold(claims.get(&*first.name)?, |value, step| match value {
                Value::Object(members) => members.get(&*step.name),
                Value::Array(list) => list.get(step.place?),
                _ => None,
            })
        })?;
        match value {
            Value::String(text) => Some(Found::Text(Cow::Borrowed(text))),
            Value::Number(number) => {
                number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from)).map(Found::Integer)
            }
            _ => None,
        }
    }

    /// Whether a step of it is a number, so that it may lead through a list.
    pub fn has_places(&self) -> bool {
        self.steps.iter().any(|step| step.place.is_some())
    }
}

fn leads(steps: &[Step], json: &RawValue) -> bool {
    let Some((step, rest)) = steps.split_first() else { return json.get() != "null" };
    let mut json = serde_json::Deserializer::from_str(json.get());
    let found = json.deserialize_map(Namesakes(&step.name)).unwrap_or_default();
    found.iter().any(|value| leads(rest, value))
}

/// Every member of that name, in an object.
struct Namesakes<'p>(&'p str);

impl<'de> Visitor<'de> for Namesakes<'_> {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut found = Vec::new();
        while let Some(name) = map.next_key_seed(Name)? {
            if *name == *self.0 {
                found.push(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Step {
    fn new(name: &str) -> Self {
        let place = name.parse().ok().filter(|place: &usize| place.to_string() == name);
        Self { name: name.into(), place }
    }
}

/// The steps that are still to go.
#[derive(Clone, Copy)]
struct Walk<'p>(&'p [Step]);

impl Walk<'_> {
    fn read<'a>(self, json: &'a RawValue) -> Option<Found<'a>> {
        self.deserialize(&mut serde_json::Deserializer::from_str(json.get())).ok().flatten()
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Option<Found<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Option<Found<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let (mut found, mut met) = (None, false);
        while let Some(name) = map.next_key_seed(Name)? {
            match self.0.split_first() {
                Some((step, rest)) if *name == *step.name => {
                    // Once for all: what comes a second time takes back what came first.
                    found = map.next_value_seed(Walk(rest))?.filter(|_| !met);
                    met = true;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
        let mut found = None;
        if let Some((Step { place: Some(place), .. }, rest)) = self.0.split_first() {
            for _ in 0..*place {
                if seq.next_element::<IgnoredAny>()?.is_none() {
                    return Ok(None);
                }
            }
            found = seq.next_element_seed(Walk(rest))?.flatten();
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(self.0.is_empty().then_some(Found::Text(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(self.0.is_empty().then(|| Found::Text(Cow::Owned(text.to_owned()))))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(self.0.is_empty().then_some(Found::Integer(number.into())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(self.0.is_empty().then_some(Found::Integer(number.into())))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// The name of a member, borrowed where it has no escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests;
