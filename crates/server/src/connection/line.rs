//! What the loop needs of whatever carries a connection: a WebSocket of its own, or a namespace of a Socket.IO session
//! that it shares with others.

use std::{future::Future, time::Duration};

use gateway_domain::{Refusal, RequestId};
use gateway_transport::{CloseFrame, Inbound, Outbound, Outlet, Socket, SocketFault};
use tokio::io::{AsyncRead, AsyncWrite};

/// A way to and from one client, driven by one task.
pub trait Line: Send {
    /// Whether every message that wants an answer gets exactly one, be it that nothing went wrong.
    const ANSWERS_ONCE: bool;

    /// The next that the peer says, while `more` is said: it is asked for the next message whenever there is room for
    /// one. What it gave is never lost, and this may be dropped and called again. Where the peer is not to be heard
    /// now, or does not take what it is sent, nothing is read.
    fn next_while_sending(
        &mut self,
        hear: bool,
        more: impl FnMut() -> Option<Outbound> + Send,
    ) -> impl Future<Output = Result<Inbound, SocketFault>> + Send;

    /// Puts a message, or the question whether the peer is there, into the queue.
    fn queue(&mut self, message: Outbound) -> Result<(), SocketFault>;

    /// A number that has changed whenever the peer gave a sign of life.
    fn heard(&self) -> u64;

    /// The way out for others than the task that drives this, where there is one.
    fn outlet(&self) -> Option<Outlet> {
        None
    }

    /// Says all that is queued, and that it is over; at most so long.
    fn end(self, farewell: Farewell, patience: Duration) -> impl Future<Output = ()> + Send;
}

/// The last word to a client.
#[derive(Debug)]
pub enum Farewell {
    /// The gateway ends the connection, for this.
    Refused(Refusal, RequestId),
    /// The peer has ended it.
    Answer,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Line for Socket<S> {
    const ANSWERS_ONCE: bool = false;

    fn next_while_sending(
        &mut self,
        hear: bool,
        more: impl FnMut() -> Option<Outbound> + Send,
    ) -> impl Future<Output = Result<Inbound, SocketFault>> + Send {
        Socket::next_while_sending(self, hear, more)
    }

    fn queue(&mut self, message: Outbound) -> Result<(), SocketFault> {
        Socket::queue(self, message)
    }

    fn heard(&self) -> u64 {
        Socket::heard(self)
    }

    fn outlet(&self) -> Option<Outlet> {
        Socket::outlet(self)
    }

    async fn end(self, farewell: Farewell, patience: Duration) {
        let frame = match farewell {
            Farewell::Refused(refusal, request_id) => CloseFrame::of(&refusal, Some(request_id)),
            Farewell::Answer => CloseFrame::normal(),
        };
        self.close(frame, patience).await;
    }
}
