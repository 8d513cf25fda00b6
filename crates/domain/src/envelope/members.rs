//! The members of one JSON object in their order: each name once, at most [`MOST_MEMBERS`] of them, values untouched.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{MOST_MEMBERS, MessageFault};

/// A name, unescaped, and its value as it was written.
pub(crate) type Member<'a> = (Cow<'a, str>, &'a RawValue);

/// Reads the members of an object.
pub(crate) fn members(text: &str) -> Result<Vec<Member<'_>>, MessageFault> {
    let members: Members<'_> =
        serde_json::from_str(text).map_err(|fault| MessageFault::Form(format!("not a JSON object: {fault}")))?;
    if members.too_many {
        return Err(MessageFault::TooManyMembers);
    }
    match members.repeated {
        Some(name) => Err(MessageFault::Repeated(name)),
        None => Ok(members.list),
    }
}

/// The one member of that name of a text that is no message, where it is a string: so the fault can be told to whoever
/// knows its message by that.
pub(crate) fn lone_text<'a>(text: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let members: Members<'a> = serde_json::from_str(text).ok()?;
    let mut named = members.list.into_iter().filter(|(own, _)| own == name);
    let (_, value) = named.next().filter(|_| members.repeated.as_deref() != Some(name))?;
    string(value)
}

/// A JSON string, borrowed where it has no escapes.
pub(crate) fn string(value: &RawValue) -> Option<Cow<'_, str>> {
    let inside = value.get().strip_prefix('"')?.strip_suffix('"')?;
    if inside.contains('\\') {
        serde_json::from_str::<String>(value.get()).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inside))
    }
}

/// Room is made at once for as many members as messages as a rule have.
const USUAL: usize = 6;

/// What was found, and what must not be.
struct Members<'a> {
    list: Vec<Member<'a>>,
    repeated: Option<String>,
    too_many: bool,
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members<'de>, M::Error> {
        #[derive(Deserialize)]
        struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
        let mut members = Members { list: Vec::with_capacity(USUAL), repeated: None, too_many: false };
        while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
            // The rest is still read, so that what is no JSON is called that.
            if members.list.len() == MOST_MEMBERS {
                members.too_many = true;
            } else if members.list.iter().any(|(known, _)| *known == name) {
                members.repeated.get_or_insert_with(|| name.into_owned());
            } else {
                // So few names are sooner looked through than hashed.
                members.list.push((name, value));
            }
        }
        Ok(members)
    }
}
