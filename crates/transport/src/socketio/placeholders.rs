//! The places of attachments in JSON: `{"_placeholder":true,"num":N}`, and nothing else in that object. There is one
//! for each attachment, and each number is there once: whoever reads it takes neither a wrong place nor one twice.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::Fault;

const MARK: &str = "_placeholder";
const NUMBER: &str = "num";

/// Whether the places fit so many attachments.
pub(super) fn check(list: &[&RawValue], attachments: usize) -> Result<(), Fault> {
    let mut places = Places { found: vec![false; attachments] };
    for json in list {
        let mut deserializer = serde_json::Deserializer::from_str(json.get());
        Walk(&mut places).deserialize(&mut deserializer).map_err(|_| Fault::Placeholders)?;
    }
    if places.found.iter().all(|found| *found) { Ok(()) } else { Err(Fault::Placeholders) }
}

/// Which numbers have been seen. Their count is bounded by the limit of the packet.
struct Places {
    found: Vec<bool>,
}

impl Places {
    /// False where there is no such attachment, or where it has a place already.
    fn take(&mut self, number: u64) -> bool {
        let place = usize::try_from(number).ok().and_then(|number| self.found.get_mut(number));
        place.is_some_and(|found| !std::mem::replace(found, true))
    }
}

/// Goes through one value. It recurses no deeper than the packet may be nested.
struct Walk<'p>(&'p mut Places);

/// What an object may turn out to be.
enum Value {
    True,
    Number(u64),
    Other,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(if value { Value::True } else { Value::Other })
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        while sequence.next_element_seed(Walk(self.0))?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Value, M::Error> {
        #[derive(Deserialize)]
        struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
        let (mut members, mut is_marked, mut number) = (0usize, false, None);
        while let Some(Name(name)) = map.next_key::<Name<'de>>()? {
            members += 1;
            match (&*name, map.next_value_seed(Walk(self.0))?) {
                (MARK, Value::True) => is_marked = true,
                (NUMBER, Value::Number(value)) => number = Some(value),
                _ => {}
            }
        }
        if !is_marked {
            return Ok(Value::Other);
        }
        // Two members, of which one is the mark and one the number.
        let fits = members == 2 && number.is_some_and(|number| self.0.take(number));
        if fits { Ok(Value::Other) } else { Err(M::Error::custom("a place that fits no attachment")) }
    }
}
