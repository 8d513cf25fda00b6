//! Limits that can be switched off: `"off"` is a word of its own, never a zero or a very large number.

use std::{fmt, marker::PhantomData};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, IntoDeserializer, Visitor, value::MapAccessDeserializer},
};

use super::{Count, Scalar, Unfit, Value, through_serde};

/// The word that switches a limit off.
const OFF: &str = "off";

/// A limit, or `"off"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit<T> {
    /// It holds.
    At(T),
    /// There is none.
    Off,
}

impl<T> Limit<T> {
    /// The limit, where there is one.
    pub const fn get(&self) -> Option<&T> {
        match self {
            Self::At(limit) => Some(limit),
            Self::Off => None,
        }
    }
}

impl<T: Serialize> Serialize for Limit<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::At(limit) => limit.serialize(serializer),
            Self::Off => serializer.serialize_str(OFF),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Limit<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LimitVisitor(PhantomData))
    }
}

struct LimitVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for LimitVisitor<T> {
    type Value = Limit<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a limit, or \"off\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Limit<T>, E> {
        if text == OFF { Ok(Limit::Off) } else { T::deserialize(text.into_deserializer()).map(Limit::At) }
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Limit<T>, E> {
        T::deserialize(number.into_deserializer()).map(Limit::At)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Limit<T>, E> {
        T::deserialize(number.into_deserializer()).map(Limit::At)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Limit<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Limit::At)
    }
}

impl<T: JsonSchema> JsonSchema for Limit<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Limit_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = T::json_schema(generator);
        schema.insert("x-off".into(), true.into());
        schema
    }
}

/// How many connections a node holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Connections {
    /// 90 % of the files that the process may open.
    #[default]
    Auto,
    /// So many.
    At(Count),
    /// As many as come.
    Off,
}

impl Connections {
    /// The number that holds where the process may open so many files; `None`: as many as come.
    pub fn in_force(self, open_files: u64) -> Option<u32> {
        match self {
            Self::Auto => Some(u32::try_from(open_files.saturating_mul(9) / 10).unwrap_or(u32::MAX).max(1)),
            Self::At(count) => Some(count.get()),
            Self::Off => None,
        }
    }
}

impl fmt::Display for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::At(count) => count.fmt(f),
            Self::Off => f.write_str(OFF),
        }
    }
}

impl Value for Connections {
    const KIND: &'static str = "number, \"auto\" or \"off\"";
    const WANTED: &'static str = "a whole number of at least 1, \"auto\" or \"off\"";

    fn read(scalar: Scalar<'_>) -> Result<Self, Unfit> {
        match scalar {
            Scalar::Text("auto") => Ok(Self::Auto),
            Scalar::Text(OFF) => Ok(Self::Off),
            other => Count::read(other).map(Self::At).map_err(|_| Unfit::not::<Self>(other)),
        }
    }
}

through_serde!(Connections);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::value::Rate;

    #[test]
    fn off_is_a_word_and_not_a_number() {
        assert_eq!(serde_json::from_str::<Limit<Count>>("\"off\"").unwrap(), Limit::Off);
        assert_eq!(serde_json::from_str::<Limit<Count>>("3").unwrap(), Limit::At(Count::new(3)));
        assert_eq!(serde_json::from_str::<Limit<Rate>>("\"20/s\"").unwrap().get(), Some(&Rate::new(20, 1)));
        for text in ["0", "-1", "\"none\"", "true", "null"] {
            assert!(serde_json::from_str::<Limit<Count>>(text).is_err(), "{text}");
        }
        assert_eq!(serde_json::to_string(&Limit::<Count>::Off).unwrap(), "\"off\"");
        assert_eq!(Limit::<Count>::Off.get(), None);
    }

    #[test]
    fn auto_is_nine_tenths_of_the_open_files() {
        assert_eq!(Connections::Auto.in_force(20_000), Some(18_000));
        assert_eq!(Connections::Auto.in_force(0), Some(1));
        assert_eq!(Connections::Auto.in_force(u64::MAX), Some(u32::MAX));
        assert_eq!(Connections::At(Count::new(7)).in_force(20_000), Some(7));
        assert_eq!(Connections::Off.in_force(20_000), None);
        for text in ["auto", "off", "12"] {
            assert_eq!(Connections::read(Scalar::Text(text)).unwrap().to_string(), text);
        }
    }
}
