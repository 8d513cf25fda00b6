//! What is said on the wire, protocol by protocol: a scenario asks here, and does not know which it is.
//!
//! Another protocol is another variant: how it asks to come in, how its conversation opens, how a message is written.

use crate::wire;

/// A protocol that a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The gateway's own: JSON messages after a greeting.
    Native,
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
    /// The client is in.
    Ready,
}

impl Protocol {
    /// Whether the server speaks first.
    pub fn greets(self) -> bool {
        match self {
            Self::Native => true,
            Self::Bare | Self::Http => false,
        }
    }

    /// What a message before the client is in means.
    pub fn opening(self, text: &[u8]) -> Opening {
        match self {
            Self::Native if wire::find(text, b"\"connection_ready\"").is_none() => Opening::Wait,
            Self::Native | Self::Bare | Self::Http => Opening::Ready,
        }
    }

    /// The request that asks to come in.
    pub fn request(self, path: &str, token: &str) -> String {
        let query = if token.is_empty() { String::new() } else { format!("?token={token}") };
        format!(
            "GET {path}{query} HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: {}\r\n\r\n",
            wire::KEY
        )
    }

    /// A message, framed: its type, its id where it has one, its payload.
    pub fn message(self, kind: &str, id: Option<&str>, payload: &str) -> Vec<u8> {
        let text = match (self, id) {
            (Self::Native, Some(id)) => format!(r#"{{"type":"{kind}","id":"{id}","payload":{payload}}}"#),
            (Self::Native, None) => format!(r#"{{"type":"{kind}","payload":{payload}}}"#),
            (Self::Bare | Self::Http, _) => payload.to_owned(),
        };
        wire::client_frame(wire::TEXT, text.as_bytes())
    }

    /// The answer to a request, framed.
    pub fn reply(self, request: &[u8], payload: &str) -> Option<Vec<u8>> {
        let text = match self {
            Self::Native => {
                let id = member(request, b"\"requestId\":\"")?;
                format!(r#"{{"type":"reply","replyTo":"{id}","payload":{payload}}}"#)
            }
            Self::Bare | Self::Http => payload.to_owned(),
        };
        Some(wire::client_frame(wire::TEXT, text.as_bytes()))
    }
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
    fn a_reply_names_what_it_answers() {
        let asked = br#"{"type":"command","payload":{"n":1},"from":{},"requestId":"abc-1"}"#;
        let frame = Protocol::Native.reply(asked, "{}").unwrap();
        let found = wire::frame_at(&frame).unwrap().unwrap();
        let text = wire::unmasked(&frame[found.start..found.end], found.mask);
        assert_eq!(text, br#"{"type":"reply","replyTo":"abc-1","payload":{}}"#);
        assert!(Protocol::Native.reply(b"{}", "{}").is_none());
    }
}
