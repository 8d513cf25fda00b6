//! The WebSocket on an upgraded stream. An idle one holds no buffer at all; nothing is allocated by a length that a
//! peer only declares; what waits to be written is bounded, and while it waits nothing more is read.
//!
//! `decoder` reads the frames, `output` writes them; `socket` drives both directions from one task. Over plain TCP its
//! `outlet` lets others write without waking that task.

mod decoder;
mod message;
mod outlet;
mod output;
mod socket;

use std::{io, time::Duration};

use bytes::Bytes;
use gateway_domain::{Code, Refusal};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

pub use decoder::{Decoder, Whole};
pub use outlet::{Outlet, Scratch};
pub use socket::Socket;
pub use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::{close::CloseFrame, text::Text, wire::Wire};

/// What a peer said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inbound {
    /// A whole text message.
    Text(Utf8Bytes),
    /// A whole binary message.
    Binary(Bytes),
    /// A ping; its pong is under way.
    Ping,
    /// A pong.
    Pong,
    /// The peer's close frame. Nothing it sends from here on is read: answer with [`Socket::close`].
    Close(Option<CloseFrame>),
}

/// What is said to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outbound {
    /// A text message; the bytes may be shared with other sockets.
    Text(Text),
    /// A binary message; the bytes may be shared with other sockets.
    Binary(Bytes),
    /// A ping, of which at most 125 bytes are sent.
    Ping(Bytes),
}

/// How a socket is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketLimits {
    /// The largest message that a peer may send.
    pub max_message: usize,
    /// The time from the first byte of a message to its last.
    pub message_age: Duration,
    /// While more than this many bytes wait to be written, nothing is read.
    pub read_below: usize,
    /// More than this many bytes are never held for a peer that does not read.
    pub max_queued: usize,
}

impl Default for SocketLimits {
    fn default() -> Self {
        Self { max_message: 1 << 20, message_age: Duration::from_secs(60), read_below: 64 << 10, max_queued: 16 << 20 }
    }
}

/// Why a socket cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SocketFault {
    /// The peer broke the protocol, in this way.
    #[error("the WebSocket protocol was broken: {0}")]
    Protocol(&'static str),
    /// A text, or the reason of a close frame, is not UTF-8.
    #[error("text that is not UTF-8")]
    InvalidUtf8,
    /// A message is larger than allowed, or spends more bytes on its fragments than it may.
    #[error("a message larger than allowed")]
    TooBig,
    /// More waits to be written than is ever held.
    #[error("the peer does not read what it is sent")]
    Full,
    /// The stream ended or failed.
    #[error("the peer is gone: {0}")]
    Gone(#[from] io::Error),
}

impl SocketFault {
    /// What the peer is to be told; nothing where nobody is there to read it.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Protocol(what) => Some(Refusal::new(Code::ProtocolError, *what)),
            Self::InvalidUtf8 => Some(Refusal::plain(Code::InvalidUtf8)),
            Self::TooBig => Some(Refusal::plain(Code::MessageTooBig)),
            Self::Full => Some(Refusal::plain(Code::SlowConsumer)),
            Self::Gone(_) => None,
        }
    }
}

/// How a peer took our close frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerClose {
    /// It closed too, with this.
    Answered(Option<CloseFrame>),
    /// It ended the stream.
    Ended,
    /// It did neither in time.
    Silent,
}

/// Why no stream came of an upgrade.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeFault {
    /// The connection ended before its answer was written.
    #[error("the connection ended in the handshake: {0}")]
    Ended(#[from] hyper::Error),
    /// The connection was not accepted by a [`crate::Listener`].
    #[error("the connection belongs to another listener")]
    Foreign,
}

/// The stream behind an answered upgrade, and what the client has sent already, which is to be parsed first.
pub async fn upgraded(on: OnUpgrade) -> Result<(Wire, Bytes), UpgradeFault> {
    let parts = on.await?.downcast::<TokioIo<Wire>>().map_err(|_| UpgradeFault::Foreign)?;
    // A slice, even an empty one, would keep the whole buffer of the HTTP connection alive.
    Ok((parts.io.into_inner(), Bytes::copy_from_slice(&parts.read_buf)))
}
