//! The place of an embedding service's own code: it sees each message before the routes do.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use gateway_domain::{Now, Refusal, envelope::Message, sender::Sender};

use crate::hub::Hub;

/// What a service does with messages. Several connections call it at once.
pub trait MessageHandler: fmt::Debug + Send + Sync {
    /// Looks at a message that was admitted by the limits. It must not block: what takes time is [`Handled::Later`].
    fn handle(&self, message: &Message<'_>, visit: &Visit<'_>) -> Handled;
}

/// Who says it, and the house around.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    /// Whoever sent it.
    pub sender: Sender<'a>,
    /// Who is here, and how to tell them something.
    pub hub: &'a Arc<Hub>,
    /// When it came.
    pub now: Now,
}

/// What became of a message.
pub enum Handled {
    /// Nothing: it goes the way of the routes.
    NotMine,
    /// All that there is to do; the sender hears nothing.
    Done,
    /// The sender gets a `reply` with this payload, a JSON text.
    Answer(serde_json::Value),
    /// The sender gets an `error`.
    Refused(Refusal),
    /// It takes time. The connection's next message waits until it is over; whatever it hears meanwhile goes on.
    Later(Pin<Box<dyn Future<Output = Handled> + Send>>),
}

impl fmt::Debug for Handled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotMine => "NotMine",
            Self::Done => "Done",
            Self::Answer(_) => "Answer",
            Self::Refused(_) => "Refused",
            Self::Later(_) => "Later",
        })
    }
}
