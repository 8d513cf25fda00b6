//! What carries a session: polls, of which one is held until there is something to say, or a WebSocket.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::{Context, Poll},
};

use gateway_transport::{Inbound, Outbound, Socket, SocketFault, Wire};
use tokio::sync::{mpsc, oneshot};

use super::{EngineFault, line::Told};

/// The answer to a poll: a body of packets.
pub(crate) type Polled = Result<String, EngineFault>;

/// The way to and from the client.
pub(super) enum Carrier {
    /// Long polling, and the poll that is held.
    Polling(Option<oneshot::Sender<Polled>>),
    /// A WebSocket.
    Websocket(Box<Socket<Wire>>),
}

/// What happened on the way.
pub(super) enum Carried {
    /// The client says something, or is at fault.
    Said(Result<Inbound, SocketFault>),
    /// A namespace tells something that does not go out by itself.
    Told(Told),
    /// Whoever made the held poll is gone.
    HungUp,
}

impl Carrier {
    /// The next on the way, while what the namespaces tell goes out over a WebSocket. A held poll takes it from the
    /// caller, where it may be told anything now. May be dropped and called again without loss.
    pub(super) async fn next(
        &mut self,
        hear: bool,
        may_tell: bool,
        told: &mut mpsc::Receiver<Box<Told>>,
        stash: &mut Option<Told>,
    ) -> Carried {
        match self {
            Self::Websocket(socket) => poll_fn(|cx| poll_socket(cx, socket, hear, told, stash)).await,
            Self::Polling(Some(held)) => {
                let tells = may_tell && stash.is_none();
                tokio::select! {
                    biased;
                    () = held.closed() => Carried::HungUp,
                    Some(told) = told.recv(), if tells => Carried::Told(*told),
                    else => std::future::pending().await,
                }
            }
            Self::Polling(None) => std::future::pending().await,
        }
    }

    pub(super) const fn holds_a_poll(&self) -> bool {
        matches!(self, Self::Polling(Some(_)))
    }

    /// Answers the held poll; whether somebody was there to read it.
    pub(super) fn answer(&mut self, body: String) -> bool {
        match self {
            Self::Polling(held) => held.take().is_some_and(|held| held.send(Ok(body)).is_ok()),
            Self::Websocket(_) => false,
        }
    }
}

fn poll_socket(
    cx: &mut Context<'_>,
    socket: &mut Socket<Wire>,
    hear: bool,
    told: &mut mpsc::Receiver<Box<Told>>,
    stash: &mut Option<Told>,
) -> Poll<Carried> {
    let waker = cx.waker().clone();
    let more = || {
        let next = match stash.take() {
            Some(told) => Poll::Ready(Some(told)),
            None => told.poll_recv(&mut Context::from_waker(&waker)).map(|told| told.map(|told| *told)),
        };
        match next {
            Poll::Ready(Some(Told::Packet(packet))) => Some(Outbound::Text(packet)),
            // What is no packet waits for the caller, and everything behind it.
            Poll::Ready(other) => {
                *stash = other;
                None
            }
            Poll::Pending => None,
        }
    };
    let said = pin!(socket.next_while_sending(hear, more)).poll(cx);
    match said {
        Poll::Ready(said) => Poll::Ready(Carried::Said(said)),
        // A packet that there was no room for waits for the socket alone.
        Poll::Pending => match stash.take_if(|told| matches!(told, Told::Over { .. })) {
            Some(over) => Poll::Ready(Carried::Told(over)),
            None => Poll::Pending,
        },
    }
}
