//! What a server says. Everything is written as the message of Engine.IO that carries it, which is the same text on a
//! WebSocket and in a polled payload: it is made once, whoever reads it.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::value::RawValue;

/// A packet to a client. None has attachments.
#[derive(Clone, Copy)]
pub enum Outgoing<'a> {
    /// The client is let in.
    Connect {
        /// What its connection is called.
        sid: &'a str,
    },
    /// The client is not let in.
    ConnectError {
        /// What the client's `error.message` says.
        message: &'a str,
        /// What the client's `error.data` says.
        data: Option<&'a RawValue>,
    },
    /// An event with one argument.
    Event {
        /// Its name.
        name: &'a str,
        /// Its argument.
        argument: &'a RawValue,
    },
    /// The answer to an event of the client, with one argument.
    Ack {
        /// The number that the event had.
        id: u64,
        /// The answer.
        argument: &'a RawValue,
    },
    /// The client is put out of the namespace. It does not come back by itself.
    Disconnect,
}

#[derive(Serialize)]
struct Refused<'a> {
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Admitted<'a> {
    sid: &'a str,
}

impl Outgoing<'_> {
    /// The packet in that namespace, as a text message of Engine.IO. The namespace has no comma.
    pub fn to_message(&self, namespace: &str) -> String {
        let mut text = String::from("4");
        text.push(match self {
            Self::Connect { .. } => '0',
            Self::Disconnect => '1',
            Self::Event { .. } => '2',
            Self::Ack { .. } => '3',
            Self::ConnectError { .. } => '4',
        });
        if namespace != "/" {
            text.push_str(namespace);
            text.push(',');
        }
        match self {
            Self::Connect { sid } => text.push_str(&json(&Admitted { sid })),
            Self::Disconnect => {}
            Self::Event { name, argument } => {
                // One list around a text that is escaped and JSON that is whole.
                text.extend(["[", &json(name), ",", argument.get(), "]"]);
            }
            Self::Ack { id, argument } => {
                let _ = write!(text, "{id}[{}]", argument.get());
            }
            Self::ConnectError { message, data } => text.push_str(&json(&Refused { message, data: *data })),
        }
        text
    }
}

/// Texts, and JSON that is whole already, always serialise.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
