//! The helm: what an operator steers a running gateway by, from the HTTP API as from a signal. Leaving is a token that is
//! cancelled once; reading the configuration again is asked of whoever holds it, one wish after the other.

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{gateway::Drain, refusal::Fault};

/// Wishes that wait for their turn.
const WISHES: usize = 4;

/// The end that asks.
#[derive(Clone, Debug)]
pub struct Helm {
    leave: CancellationToken,
    drain: Drain,
    reload: mpsc::Sender<ReloadWish>,
}

/// Somebody wants the configuration to be read again.
#[derive(Debug)]
pub struct ReloadWish {
    /// Who is told what came of it.
    pub answer: oneshot::Sender<Result<Reloaded, Unsound>>,
}

/// A configuration was read again, and is sound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// The keys whose values are others now.
    pub changed: Vec<String>,
    /// The keys whose new values are not in force before a restart.
    pub needs_restart: Vec<String>,
    /// The connections that it admits no more.
    pub closed: usize,
}

/// A configuration was read again, and changed nothing: what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsound(pub Vec<Fault>);

impl Helm {
    /// A helm of a gateway that leaves when that is cancelled, and the wishes to be fulfilled.
    pub fn new(leave: CancellationToken, drain: Drain) -> (Self, mpsc::Receiver<ReloadWish>) {
        let (reload, wishes) = mpsc::channel(WISHES);
        (Self { leave, drain, reload }, wishes)
    }

    /// Begins to leave; whether it had not begun before.
    pub fn leave(&self) -> bool {
        let is_first = !self.leave.is_cancelled();
        self.leave.cancel();
        is_first
    }

    /// How it leaves.
    pub const fn drain(&self) -> Drain {
        self.drain
    }

    /// Has the configuration read again; nothing, where nobody is there to do it.
    pub async fn reload(&self) -> Option<Result<Reloaded, Unsound>> {
        let (answer, told) = oneshot::channel();
        self.reload.send(ReloadWish { answer }).await.ok()?;
        told.await.ok()
    }
}
