//! The type of an event.

use std::fmt;

use gateway_domain::event::{KindFault, check_kind};

use super::{Scalar, Unfit, Value, through_serde};

/// The type of an event that a backend publishes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventType(Box<str>);

impl EventType {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Value for EventType {
    const KIND: &'static str = "event type";
    const WANTED: &'static str = "a type of your own, such as \"dashboard:summaryUpdated\"";

    fn read(scalar: Scalar<'_>) -> Result<Self, Unfit> {
        let Scalar::Text(text) = scalar else { return Err(Unfit::not::<Self>(scalar)) };
        let what = match check_kind(text) {
            Ok(()) => return Ok(Self(text.into())),
            Err(KindFault::Name(fault)) => format!("the event type {fault}"),
            Err(KindFault::Reserved) => format!("`{scalar}` is a word of the gateway's own, and no event has it"),
        };
        Err(Unfit::new(what, format!("Write {}", Self::WANTED)))
    }
}

through_serde!(EventType);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateways_own_words_and_what_is_no_name_are_refused() {
        for (text, word) in [
            ("auth.refreshed", "`auth.refreshed` is a word of the gateway's own"),
            ("", "the event type is empty"),
            ("a\nb", "the event type has"),
            (&"x".repeat(129), "the event type"),
        ] {
            let unfit = EventType::read(Scalar::Text(text)).unwrap_err();
            assert!(unfit.what.starts_with(word) && unfit.remedy.contains("dashboard:"), "{unfit}");
        }
        assert_eq!(EventType::read(Scalar::Text("dashboard:x")).unwrap().to_string(), "dashboard:x");
    }
}
