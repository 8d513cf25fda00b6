//! What is said on the wire, protocol by protocol: a scenario asks here, and does not know which it is.
//!
//! Another protocol is another variant: how it asks to come in, how its conversation opens, how a message is written.

use clap::ValueEnum;
use serde::Serialize;

use crate::{scenario::Scenario, wire};

/// What the clients of a gateway speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tongue {
    /// The gateway's own protocol
    Native,
    /// Socket.IO, by WebSocket from the beginning
    #[value(name = "socketio")]
    SocketIo,
}

impl Tongue {
    /// What can be measured by it.
    pub fn scenarios(self) -> &'static [Scenario] {
        match self {
            Self::Native => Scenario::value_variants(),
            Self::SocketIo => self.usual(),
        }
    }

    /// What is measured where nothing is named: all that needs no other program.
    pub fn usual(self) -> &'static [Scenario] {
        match self {
            Self::Native => &[
                Scenario::Handshake,
                Scenario::Idle,
                Scenario::Fanout,
                Scenario::Echo,
                Scenario::Command,
                Scenario::Targeted,
                Scenario::Churn,
                Scenario::Storm,
                Scenario::Leave,
                Scenario::Growth,
                Scenario::Slow,
            ],
            Self::SocketIo => {
                &[Scenario::Handshake, Scenario::Idle, Scenario::Fanout, Scenario::Echo, Scenario::Targeted]
            }
        }
    }
}

/// A protocol that a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The gateway's own: JSON messages after a greeting.
    Native,
    /// Packets of Socket.IO 5 in packets of Engine.IO 4, in the namespace of dashboards.
    SocketIo,
    /// Bare messages without any greeting: the floor, and endpoints that echo.
    Bare,
    /// No WebSocket at all: requests and answers.
    Http,
}

/// What the beginning of a conversation has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// It goes on.
    Wait,
    /// It is the client's turn to show its token.
    Show,
    /// The client is in.
    Ready,
    /// The client is not let in.
    Refused,
}

/// The namespace of dashboards, as packets name it.
const NAMESPACE: &str = "/dashboard,";

impl Protocol {
    /// Whether the server speaks first.
    pub fn greets(self) -> bool {
        match self {
            Self::Native | Self::SocketIo => true,
            Self::Bare | Self::Http => false,
        }
    }

    /// What a message before the client is in means.
    pub fn opening(self, text: &[u8]) -> Opening {
        match self {
            Self::Native if wire::find(text, b"\"connection_ready\"").is_none() => Opening::Wait,
            Self::SocketIo if text.starts_with(b"0{") => Opening::Show,
            Self::SocketIo if text.starts_with(b"44/dashboard,") => Opening::Refused,
            Self::SocketIo if !text.starts_with(b"40/dashboard,") => Opening::Wait,
            Self::Native | Self::SocketIo | Self::Bare | Self::Http => Opening::Ready,
        }
    }

    /// What shows a token when its turn has come, framed; nothing, where it was in the request.
    pub fn credentials(self, token: &str) -> Vec<u8> {
        match self {
            Self::SocketIo => text(&format!(r#"40{NAMESPACE}{{"token":"{token}"}}"#)),
            Self::Native | Self::Bare | Self::Http => Vec::new(),
        }
    }

    /// The answer, framed, to a message that only asks whether the client is there.
    pub fn pulse(self, message: &[u8]) -> Option<Vec<u8>> {
        (self == Self::SocketIo && message == b"2").then(|| text("3"))
    }

    /// The request that asks to come in.
    pub fn request(self, path: &str, token: &str) -> String {
        let query = match self {
            Self::SocketIo => "?EIO=4&transport=websocket".to_owned(),
            _ if token.is_empty() => String::new(),
            _ => format!("?token={token}"),
        };
        format!(
            "GET {path}{query} HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: {}\r\n\r\n",
            wire::KEY
        )
    }

    /// A message, framed: its type, its id where it has one, its payload.
    pub fn message(self, kind: &str, id: Option<&str>, payload: &str) -> Vec<u8> {
        let words = match (self, id) {
            (Self::SocketIo, id) => format!(r#"42{NAMESPACE}{}["{kind}",{payload}]"#, id.unwrap_or_default()),
            (Self::Native, Some(id)) => format!(r#"{{"type":"{kind}","id":"{id}","payload":{payload}}}"#),
            (Self::Native, None) => format!(r#"{{"type":"{kind}","payload":{payload}}}"#),
            (Self::Bare | Self::Http, _) => payload.to_owned(),
        };
        text(&words)
    }

    /// A message that is to come back, framed: in Socket.IO, one whose callback is given the same.
    pub fn echo(self, number: u64, payload: &str) -> Vec<u8> {
        match self {
            Self::SocketIo => self.message("ping", Some(&number.to_string()), payload),
            Self::Native | Self::Bare | Self::Http => self.message("echo", None, payload),
        }
    }

    /// Asks for a room, framed; nothing, where all are in one.
    pub fn subscribe(self, room: &str) -> Option<Vec<u8>> {
        let payload = format!(r#"{{"room":"{room}"}}"#);
        match self {
            Self::Native => Some(self.message("subscribe", None, &payload)),
            Self::SocketIo => Some(self.message("subscribe", Some("1"), &payload)),
            Self::Bare | Self::Http => None,
        }
    }

    /// Whether a message says that the room was joined.
    pub fn is_subscribed(self, message: &[u8]) -> bool {
        match self {
            Self::Native => message.starts_with(br#"{"type":"subscribed""#),
            Self::SocketIo => message.starts_with(br#"43/dashboard,1[{"ok":true"#),
            Self::Bare | Self::Http => false,
        }
    }

    /// The answer to a request, framed.
    pub fn reply(self, request: &[u8], payload: &str) -> Option<Vec<u8>> {
        let words = match self {
            Self::Native => {
                let id = member(request, b"\"requestId\":\"")?;
                format!(r#"{{"type":"reply","replyTo":"{id}","payload":{payload}}}"#)
            }
            // Dashboards command, they are not commanded.
            Self::SocketIo => return None,
            Self::Bare | Self::Http => payload.to_owned(),
        };
        Some(text(&words))
    }
}

fn text(words: &str) -> Vec<u8> {
    wire::client_frame(wire::TEXT, words.as_bytes())
}

/// The text behind a mark, up to the next quote.
fn member<'a>(text: &'a [u8], mark: &[u8]) -> Option<&'a str> {
    let start = wire::find(text, mark)? + mark.len();
    let rest = text.get(start..)?;
    let end = rest.iter().position(|byte| *byte == b'"')?;
    str::from_utf8(rest.get(..end)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_native_client_is_in_when_it_was_greeted() {
        assert_eq!(Protocol::Native.opening(br#"{"type":"auth.expiring"}"#), Opening::Wait);
        assert_eq!(Protocol::Native.opening(br#"{"type":"connection_ready","payload":{}}"#), Opening::Ready);
    }

    #[test]
    fn a_client_of_socketio_shows_its_token_when_it_is_asked_and_answers_the_heartbeat() {
        let io = Protocol::SocketIo;
        assert_eq!(io.opening(br#"0{"sid":"x","pingInterval":25000}"#), Opening::Show);
        assert_eq!(io.opening(br#"40/dashboard,{"sid":"y"}"#), Opening::Ready);
        assert_eq!(io.opening(br#"44/dashboard,{"message":"no"}"#), Opening::Refused);
        assert_eq!(io.opening(b"2"), Opening::Wait);
        let said = |frame: &[u8]| {
            let found = wire::frame_at(frame).unwrap().unwrap();
            String::from_utf8(wire::unmasked(&frame[found.start..found.end], found.mask)).unwrap()
        };
        assert_eq!(said(&io.credentials("t")), r#"40/dashboard,{"token":"t"}"#);
        assert_eq!(said(&io.pulse(b"2").unwrap()), "3");
        assert!(io.pulse(b"42").is_none() && Protocol::Bare.pulse(b"2").is_none());
        assert_eq!(said(&io.echo(7, "{}")), r#"42/dashboard,7["ping",{}]"#);
        assert_eq!(said(&io.message("tell", None, "{}")), r#"42/dashboard,["tell",{}]"#);
        assert!(io.is_subscribed(br#"43/dashboard,1[{"ok":true,"payload":{}}]"#));
        assert!(!io.is_subscribed(br#"43/dashboard,1[{"ok":false}]"#));
        assert!(!io.request("/socket.io/", "t").contains("token"), "a token has no business in an address");
    }

    #[test]
    fn a_reply_names_what_it_answers() {
        let asked = br#"{"type":"command","payload":{"n":1},"from":{},"requestId":"abc-1"}"#;
        let frame = Protocol::Native.reply(asked, "{}").unwrap();
        let found = wire::frame_at(&frame).unwrap().unwrap();
        let text = wire::unmasked(&frame[found.start..found.end], found.mask);
        assert_eq!(text, br#"{"type":"reply","replyTo":"abc-1","payload":{}}"#);
        assert!(Protocol::Native.reply(b"{}", "{}").is_none());
    }
}
