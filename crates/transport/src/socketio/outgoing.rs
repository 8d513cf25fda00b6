//! What a server says of its own accord. Everything is written as the message of Engine.IO that carries it, which is the
//! same text on a WebSocket and in a polled payload: it is made once, whoever reads it. What the gateway's messages are
//! in a namespace, and with them admissions and answers, is written where vocabularies are
//! (`gateway_domain::vocabulary`).

use serde::Serialize;
use serde_json::value::RawValue;

/// A packet to a client. None has attachments.
#[derive(Clone, Copy)]
pub enum Outgoing<'a> {
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
    /// The client is put out of the namespace. It does not come back by itself.
    Disconnect,
}

#[derive(Serialize)]
struct Refused<'a> {
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}

impl Outgoing<'_> {
    /// The packet in that namespace, as a text message of Engine.IO. The namespace has no comma.
    pub fn to_message(&self, namespace: &str) -> String {
        let mut text = String::from("4");
        text.push(match self {
            Self::Disconnect => '1',
            Self::Event { .. } => '2',
            Self::ConnectError { .. } => '4',
        });
        if namespace != "/" {
            text.push_str(namespace);
            text.push(',');
        }
        match self {
            Self::Disconnect => {}
            Self::Event { name, argument } => {
                // One list around a text that is escaped and JSON that is whole.
                text.extend(["[", &json(name), ",", argument.get(), "]"]);
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
