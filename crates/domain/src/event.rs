//! What a backend tells: an event with an id, a type, a time and a payload, and nothing else.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    envelope::is_reserved_type,
    name::{EventId, NameFault},
    time::Timestamp,
};

/// The most bytes of a type.
pub const MOST_KIND_BYTES: usize = 128;

/// One event, as every receiver reads it.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event<'a> {
    /// Its own id: the same event again is known by it.
    pub event_id: EventId,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// When it was published.
    pub timestamp: Timestamp,
    /// What it says, as it was written.
    pub payload: &'a RawValue,
}

/// Why a type is none of an event's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KindFault {
    /// It is no name.
    #[error("the type {0}")]
    Name(NameFault),
    /// It is the gateway's own.
    #[error("is a word of the gateway's own: choose another type")]
    Reserved,
}

impl Event<'_> {
    /// The text that receivers get.
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

/// Whether a text can be the type of an event.
pub fn check_kind(kind: &str) -> Result<(), KindFault> {
    if kind.is_empty() {
        Err(KindFault::Name(NameFault::Empty))
    } else if kind.len() > MOST_KIND_BYTES {
        Err(KindFault::Name(NameFault::TooLong(MOST_KIND_BYTES)))
    } else if kind.chars().any(char::is_control) {
        Err(KindFault::Name(NameFault::Control))
    } else if is_reserved_type(kind) {
        Err(KindFault::Reserved)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn an_event_has_four_members_and_its_payload_is_untouched() {
        let payload: &RawValue = serde_json::from_str(r#"{ "b" : 1.0, "a":[] }"#).unwrap();
        let event_id = EventId::new(Uuid::nil());
        let event = Event { event_id, kind: "dashboard:x", timestamp: Timestamp::from_seconds(0), payload };
        assert_eq!(
            event.to_text().unwrap(),
            r#"{"eventId":"00000000-0000-0000-0000-000000000000","type":"dashboard:x","timestamp":"1970-01-01T00:00:00.000Z","payload":{ "b" : 1.0, "a":[] }}"#
        );
    }

    #[test]
    fn the_gateways_own_words_are_no_types_of_events() {
        assert_eq!(check_kind("dashboard:summaryUpdated"), Ok(()));
        assert_eq!(check_kind(""), Err(KindFault::Name(NameFault::Empty)));
        assert_eq!(check_kind(&"x".repeat(129)), Err(KindFault::Name(NameFault::TooLong(128))));
        assert_eq!(check_kind("a\nb"), Err(KindFault::Name(NameFault::Control)));
        for own in ["error", "agent.online", "auth.x", "presence.left"] {
            assert_eq!(check_kind(own), Err(KindFault::Reserved), "{own}");
        }
    }
}
