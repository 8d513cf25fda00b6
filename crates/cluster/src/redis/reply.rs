//! Reading what Redis answers. What is not as it should be is nothing, and whoever asked says so.

use redis::Value;

/// A number.
pub(crate) fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        _ => text(value)?.parse().ok(),
    }
}

/// A text.
pub(crate) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text),
        Value::Okay => Some("OK"),
        _ => None,
    }
}

/// A list.
pub(crate) fn list(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(list) | Value::Set(list) => Some(list),
        Value::Nil => Some(&[]),
        _ => None,
    }
}

/// A list of texts; what is none is left out.
pub(crate) fn texts(value: &Value) -> impl Iterator<Item = &str> {
    list(value).unwrap_or_default().iter().filter_map(text)
}

/// Texts two by two, whether they come as a list, as a list of pairs, or as a map.
pub(crate) fn pairs(value: &Value) -> Vec<(&str, &str)> {
    let both = |(key, value)| Some((text(key)?, text(value)?));
    match value {
        Value::Map(map) => map.iter().filter_map(|(key, value)| both((key, value))).collect(),
        Value::Array(list) if matches!(list.first(), Some(Value::Array(_))) => list
            .iter()
            .filter_map(|pair| match pair {
                Value::Array(pair) => both((pair.first()?, pair.get(1)?)),
                _ => None,
            })
            .collect(),
        Value::Array(list) => list.chunks_exact(2).filter_map(|pair| both((pair.first()?, pair.get(1)?))).collect(),
        _ => Vec::new(),
    }
}

/// What a script answers: its first word, and the rest.
pub(crate) fn told(value: &Value) -> Option<(&str, &[Value])> {
    let (first, rest) = list(value)?.split_first()?;
    Some((text(first)?, rest))
}
