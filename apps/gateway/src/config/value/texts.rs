//! A text, or a list of texts: written the way that is shorter.

use std::{fmt, ops::Deref};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Label, Scalar, Unfit, Value};

/// One text, or several; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Texts(Vec<Label>);

impl Texts {
    /// The one that stands for anything.
    pub(in crate::config) fn any() -> Self {
        Self(vec![Label("*".into())])
    }
}

impl Deref for Texts {
    type Target = [Label];

    fn deref(&self) -> &[Label] {
        &self.0
    }
}

impl Value for Texts {
    const KIND: &'static str = "text, or a list of texts";
    const WANTED: &'static str = "a text of 1 to 256 bytes without control characters, or a list of such texts";

    fn read(scalar: Scalar<'_>) -> Result<Self, Unfit> {
        Label::read(scalar).map(|text| Self(vec![text])).map_err(|_| Unfit::not::<Self>(scalar))
    }
}

struct OneOrMany;

impl<'de> de::Visitor<'de> for OneOrMany {
    type Value = Texts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Texts::WANTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Texts, E> {
        Texts::read(Scalar::Text(text)).map_err(E::custom)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Texts, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = list.next_element()? {
            texts.push(text);
        }
        if texts.is_empty() { Err(de::Error::custom("the list is empty")) } else { Ok(Texts(texts)) }
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrMany)
    }
}

impl Serialize for Texts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [only] => only.serialize(serializer),
            several => serializer.collect_seq(several),
        }
    }
}

impl schemars::JsonSchema for Texts {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        Self::KIND.into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "x-kind": Self::KIND, "x-wanted": Self::WANTED, "x-many": Label::KIND })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_is_written_without_brackets() {
        for (text, count) in [("\"a\"", 1), ("[\"a\",\"b\"]", 2)] {
            let texts: Texts = serde_json::from_str(text).unwrap();
            assert_eq!((texts.len(), serde_json::to_string(&texts).unwrap().as_str()), (count, text));
        }
        assert_eq!(serde_json::from_str::<Texts>("[\"a\"]").unwrap(), Texts::read(Scalar::Text("a")).unwrap());
        assert_eq!(Texts::any().first().map(Label::as_str), Some("*"));
        for (text, words) in
            [("[]", "the list is empty"), ("1", "a list of such texts"), ("{}", "a list of such texts")]
        {
            let fault = serde_json::from_str::<Texts>(text).unwrap_err().to_string();
            assert!(fault.contains(words), "{text}: {fault}");
        }
    }
}
