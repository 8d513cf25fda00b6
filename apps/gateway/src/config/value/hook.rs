//! The name of a webhook: what routes, events, metrics and the audit call it.

use std::fmt;

use super::{Scalar, Unfit, Value, through_serde};

/// Letters, digits, `-`, `_` and `.`, at most 64 of them: it stands in targets and in metrics.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HookName(Box<str>);

impl HookName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HookName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Value for HookName {
    const KIND: &'static str = "name of a webhook";
    const WANTED: &'static str = "1 to 64 letters, digits, `-`, `_` or `.`, such as \"backend\"";

    fn read(scalar: Scalar<'_>) -> Result<Self, Unfit> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        match scalar {
            Scalar::Text(text) if (1..=64).contains(&text.len()) && text.bytes().all(plain) => Ok(Self(text.into())),
            _ => Err(Unfit::not::<Self>(scalar)),
        }
    }
}

through_serde!(HookName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_stand_in_a_target_and_in_a_metric() {
        for text in ["backend", "a-1_b.c", &"x".repeat(64)] {
            assert_eq!(HookName::read(Scalar::Text(text)).unwrap().as_str(), text);
        }
        for text in ["", "a b", "a:b", "a?b", "\u{e9}", &"x".repeat(65)] {
            assert!(HookName::read(Scalar::Text(text)).is_err(), "{text}");
        }
    }
}
