//! The end of a socket: both say that they close, the server ends the stream first, and all of it takes a bounded time and
//! a bounded number of bytes.

use std::{future::poll_fn, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

use super::{Socket, State};
use crate::{
    close::CloseFrame,
    websocket::{PeerClose, SocketFault, decoder::Whole},
};

/// So much is read after the end and thrown away, so that our close frame is not lost to a reset.
const LINGER_BYTES: usize = 1 << 20;

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// Ends the connection: sends what is queued and the close frame, and waits at most `patience` for the peer to do
    /// the same. Where the peer closed first, it gets its own code back, and `frame` is not used.
    pub async fn close(mut self, frame: CloseFrame, patience: Duration) -> PeerClose {
        timeout(patience, self.farewell(frame)).await.unwrap_or(PeerClose::Silent)
    }

    async fn farewell(&mut self, frame: CloseFrame) -> PeerClose {
        let mut answer = match std::mem::replace(&mut self.state, State::Gone) {
            State::Gone => return PeerClose::Ended,
            State::Open => {
                self.outlet.lock().output.push_close(Some(&frame));
                None
            }
            State::Broken => {
                self.outlet.lock().output.push_close(Some(&frame));
                return self.linger().await;
            }
            State::ClosedByPeer(theirs) => {
                let echo = theirs.as_ref().map(|theirs| CloseFrame::new(theirs.code, ""));
                self.outlet.lock().output.push_close(echo.as_ref());
                Some(theirs)
            }
        };
        self.pong = None;
        if self.flush().await.is_err() {
            return answer.map_or(PeerClose::Ended, PeerClose::Answered);
        }
        let mut discarded = 0;
        while answer.is_none() {
            let before = self.heard;
            match poll_fn(|cx| self.poll_whole(cx, true, &mut || None)).await {
                Ok(Whole::Close(theirs)) => answer = Some(theirs),
                Ok(_) => {}
                Err(SocketFault::Gone(_)) => return PeerClose::Ended,
                Err(_) => return self.linger().await,
            }
            discarded += self.heard - before;
            if discarded > self.most_discarded() {
                return PeerClose::Silent;
            }
        }
        // Both have closed; the server ends the stream first.
        let _ = poll_fn(|cx| self.outlet.lock().poll_shutdown(&mut self.source, cx)).await;
        answer.map_or(PeerClose::Silent, PeerClose::Answered)
    }

    /// After the protocol was broken: our frame, the end of our stream, and the peer's bytes unparsed into nowhere,
    /// for unread bytes would make the kernel reset the connection before the peer has read why.
    async fn linger(&mut self) -> PeerClose {
        self.pong = None;
        if self.flush().await.is_err() {
            return PeerClose::Ended;
        }
        let _ = poll_fn(|cx| self.outlet.lock().poll_shutdown(&mut self.source, cx)).await;
        let mut discarded = 0;
        while discarded <= self.most_discarded() {
            match poll_fn(|cx| self.poll_read(cx, |_, bytes| bytes.len())).await {
                Ok(0) | Err(_) => return PeerClose::Ended,
                Ok(read) => discarded += read as u64,
            }
        }
        PeerClose::Silent
    }

    fn most_discarded(&self) -> u64 {
        self.limits.max_message.saturating_mul(2).max(LINGER_BYTES) as u64
    }
}
