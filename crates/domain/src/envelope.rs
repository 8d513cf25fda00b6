//! What clients and the gateway say to each other: one JSON object a message, its payload relayed byte for byte.
//!
//! A message is read once. Members that only the gateway may set are dropped, members of the client's own are
//! kept as they are, and a member that comes twice, however it is escaped, makes the message invalid: two readers
//! of one message must never see two things.

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// The most members a message may have.
pub const MOST_MEMBERS: usize = 64;
const MOST_ID_BYTES: usize = 128;

/// A message of a client.
#[derive(Debug)]
pub struct Message<'a> {
    /// What it is.
    pub kind: Cow<'a, str>,
    /// The client's own id of it.
    pub id: Option<Cow<'a, str>>,
    /// What it says, as it was written.
    pub payload: Option<&'a RawValue>,
    /// Whether the client wants to know into how many outboxes it was put.
    pub ack: bool,
    /// The members of the client's own, as they were written.
    pub others: Vec<(Cow<'a, str>, &'a RawValue)>,
}

/// Why a text is no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageFault {
    /// Not a JSON object, or one of the members that the gateway reads has another form.
    #[error("{0}")]
    Form(String),
    /// A member that comes twice.
    #[error("the member `{0}` comes twice")]
    Repeated(String),
    /// No type.
    #[error("a message needs a `type`: a string that is not empty")]
    NoType,
    /// An id that is empty or too long.
    #[error("`id` is a string of 1 to 128 bytes")]
    Id,
    /// More members than a message may have.
    #[error("a message has at most {MOST_MEMBERS} members")]
    TooManyMembers,
}

/// Members that only the gateway sets; what a client sends under these names is dropped.
pub const RESERVED_MEMBERS: [&str; 5] = ["from", "requestId", "eventId", "room", "offset"];

/// Whether a type is the gateway's own, so that it is never routed.
pub fn is_reserved_type(kind: &str) -> bool {
    const TYPES: [&str; 13] = [
        "connection_ready",
        "ping",
        "pong",
        "ack",
        "reply",
        "cancel",
        "error",
        "subscribe",
        "subscribed",
        "unsubscribe",
        "unsubscribed",
        "agent.online",
        "agent.offline",
    ];
    TYPES.contains(&kind) || kind.starts_with("auth.") || kind.starts_with("presence.")
}

impl<'a> Message<'a> {
    /// Reads a message.
    pub fn parse(text: &'a str) -> Result<Self, MessageFault> {
        let members: Members<'a> =
            serde_json::from_str(text).map_err(|fault| MessageFault::Form(format!("not a JSON object: {fault}")))?;
        if members.too_many {
            return Err(MessageFault::TooManyMembers);
        }
        if let Some(name) = members.repeated {
            return Err(MessageFault::Repeated(name));
        }
        Self::from_members(members.list)
    }

    fn from_members(members: Vec<(Cow<'a, str>, &'a RawValue)>) -> Result<Self, MessageFault> {
        let (mut kind, mut id, mut payload, mut ack, mut others) = (None, None, None, false, Vec::new());
        for (name, value) in members {
            match &*name {
                "type" => kind = Some(string(value).ok_or(MessageFault::NoType)?),
                "id" => {
                    id = Some(
                        string(value).filter(|id| (1..=MOST_ID_BYTES).contains(&id.len())).ok_or(MessageFault::Id)?,
                    )
                }
                "payload" => payload = Some(value),
                "ack" => {
                    ack = serde_json::from_str(value.get())
                        .map_err(|_| MessageFault::Form("`ack` is true or false".into()))?
                }
                reserved if RESERVED_MEMBERS.contains(&reserved) => {}
                _ => others.push((name, value)),
            }
        }
        let kind = kind.filter(|kind| !kind.is_empty()).ok_or(MessageFault::NoType)?;
        Ok(Self { kind, id, payload, ack, others })
    }

    /// The payload read as `T`; a payload that is not there reads as null.
    pub fn payload_as<T: Deserialize<'a>>(&self) -> Result<T, MessageFault> {
        serde_json::from_str(self.payload.map_or("null", RawValue::get))
            .map_err(|fault| MessageFault::Form(format!("the payload of `{}`: {fault}", self.kind)))
    }
}

/// A JSON string, borrowed where it has no escapes.
fn string(value: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Text<'_>>(value.get()).ok().map(|text| text.0)
}

/// The members of an object in their order, and what must not be.
struct Members<'a> {
    list: Vec<(Cow<'a, str>, &'a RawValue)>,
    repeated: Option<String>,
    too_many: bool,
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members<'de>, M::Error> {
                #[derive(Deserialize, PartialEq, Eq, Hash, Clone)]
                struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
                let mut members = Members { list: Vec::new(), repeated: None, too_many: false };
                let mut seen = HashSet::new();
                while let Some((name, value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    // The rest is still read, so that what is no JSON is called that.
                    if members.list.len() == MOST_MEMBERS {
                        members.too_many = true;
                    } else if seen.insert(name.0.clone()) {
                        members.list.push((name.0, value));
                    } else {
                        members.repeated.get_or_insert_with(|| name.0.into_owned());
                    }
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Reader)
    }
}

/// A message of the gateway itself. What the gateway says never has `from`.
#[derive(Debug, Serialize)]
pub struct Notice<'a, P> {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// The id of the message that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    /// What it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<P>,
}

impl<P: Serialize> Notice<'_, P> {
    /// The text on the wire.
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fault(text: &str) -> MessageFault {
        Message::parse(text).unwrap_err()
    }

    #[test]
    fn a_message_keeps_its_payload_and_its_own_members_byte_for_byte() {
        let text = r#"{"type":"command","id":"7","payload": {"b":1.0,"a":[ ]},"ack":true,"mine":{"x" : 1}}"#;
        let message = Message::parse(text).unwrap();
        assert_eq!((&*message.kind, message.id.as_deref(), message.ack), ("command", Some("7"), true));
        assert_eq!(message.payload.unwrap().get(), r#"{"b":1.0,"a":[ ]}"#);
        assert_eq!((&*message.others[0].0, message.others[0].1.get()), ("mine", r#"{"x" : 1}"#));
    }

    #[test]
    fn what_only_the_gateway_sets_is_dropped() {
        let text =
            r#"{"type":"x","from":{"userId":"root"},"requestId":1,"\u0065ventId":2,"room":"r","offset":9,"own":1}"#;
        let message = Message::parse(text).unwrap();
        assert_eq!(message.others.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["own"]);
    }

    #[test]
    fn a_member_that_comes_twice_is_refused_however_it_is_escaped() {
        assert_eq!(fault(r#"{"type":"a","type":"b"}"#), MessageFault::Repeated("type".into()));
        assert_eq!(fault(r#"{"type":"a","\u0074ype":"b"}"#), MessageFault::Repeated("type".into()));
        assert_eq!(fault(r#"{"type":"a","from":1,"fro\u006d":2}"#), MessageFault::Repeated("from".into()));
    }

    #[test]
    fn what_has_not_the_form_is_told_why() {
        for text in ["", "[]", "1", "\"x\"", "{", r#"{"type":"x"} x"#, r#"{"type":"x","ack":1}"#, "null"] {
            assert!(matches!(fault(text), MessageFault::Form(_)), "{text}");
        }
        for text in ["{}", r#"{"type":""}"#, r#"{"type":1}"#] {
            assert_eq!(fault(text), MessageFault::NoType, "{text}");
        }
        let long = format!(r#"{{"type":"x","id":"{}"}}"#, "i".repeat(129));
        for text in [r#"{"type":"x","id":""}"#, r#"{"type":"x","id":7}"#, &long] {
            assert_eq!(fault(text), MessageFault::Id, "{text}");
        }
        let many: Vec<_> = (0..MOST_MEMBERS).map(|n| format!(r#""m{n}":0"#)).collect();
        assert_eq!(fault(&format!(r#"{{"type":"x",{}}}"#, many.join(","))), MessageFault::TooManyMembers);
    }

    #[test]
    fn depth_alone_breaks_nothing() {
        let deep = format!(r#"{{"type":"x","payload":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        let message = Message::parse(&deep);
        assert!(message.is_err() || message.unwrap().payload.is_some());
    }

    #[test]
    fn a_payload_is_read_as_what_it_should_be() {
        let message = Message::parse(r#"{"type":"x","payload":{"token":"t\u0031"}}"#).unwrap();
        #[derive(Deserialize)]
        struct Payload {
            token: String,
        }
        assert_eq!(message.payload_as::<Payload>().unwrap().token, "t1");
        assert!(message.payload_as::<u8>().unwrap_err().to_string().starts_with("the payload of `x`"));
        assert_eq!(Message::parse(r#"{"type":"x"}"#).unwrap().payload_as::<Option<u8>>().unwrap(), None);
    }

    #[test]
    fn reserved_types_are_known() {
        for kind in ["ping", "auth.refresh", "auth.x", "presence.joined", "agent.online", "connection_ready"] {
            assert!(is_reserved_type(kind), "{kind}");
        }
        for kind in ["command", "PING", "agent.status", "authx", "event"] {
            assert!(!is_reserved_type(kind), "{kind}");
        }
    }

    #[test]
    fn a_notice_has_what_it_needs_and_no_more() {
        let notice = Notice { kind: "pong", id: None, payload: None::<()> };
        assert_eq!(notice.to_text().unwrap(), r#"{"type":"pong"}"#);
        let notice = Notice { kind: "pong", id: Some("7"), payload: Some([1]) };
        assert_eq!(notice.to_text().unwrap(), r#"{"type":"pong","id":"7","payload":[1]}"#);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,200}") {
            let _ = Message::parse(&text);
        }

        #[test]
        fn what_serde_json_wrote_is_read_back(kind in "[a-z\\\\\"é]{1,20}", id in "[^\\p{C}]{1,20}", payload in any::<i64>()) {
            let text = serde_json::json!({"type": kind, "id": id, "payload": payload}).to_string();
            match Message::parse(&text) {
                Ok(message) => {
                    prop_assert_eq!(&*message.kind, kind);
                    prop_assert_eq!(message.id.as_deref(), Some(&*id));
                    prop_assert_eq!(message.payload_as::<i64>().unwrap(), payload);
                }
                Err(fault) => { prop_assert_eq!(fault, MessageFault::Id); prop_assert!(id.len() > 128); }
            }
        }
    }
}
