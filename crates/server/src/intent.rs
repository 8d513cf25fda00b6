//! What a message asks for, before anything is done about it. Whoever carries the connection does it: one task for as long
//! as the connection lives, or whoever was called for this message alone.
//!
//! What answers somebody (a pong, a reply that was asked for), a cancel, a refresh and what a priority route takes are
//! not counted: an answer must not be what puts its sender over the limit, and an emergency stop must always pass.

use gateway_domain::{
    Code, Refusal, Room,
    envelope::{Message, MessageFault, is_reserved_type},
    history::Position,
    route::{Answer, Match, Routes},
    sender::Sender,
};
use serde::Deserialize;

/// What a message asks for.
#[derive(Debug)]
pub struct Intent<'r> {
    /// Whether it counts against the limits of its sender, before anything else is done.
    pub is_counted: bool,
    /// What its sender wants.
    pub wish: Wish<'r>,
}

/// What the sender of a message wants.
#[derive(Debug)]
pub enum Wish<'r> {
    /// Nothing: it has shown that it is there.
    Nothing,
    /// To hear its own words again.
    Pong,
    /// To go on with a new token.
    Refresh,
    /// To come into a room.
    Subscribe,
    /// To leave one.
    Unsubscribe,
    /// To answer a request. Where nothing was asked of it, that counts.
    Reply,
    /// To answer a request that carries a correlation of its own; the same.
    Answer(Answer),
    /// To take a request back. Where there is none, that counts.
    Cancel,
    /// To be heard by others.
    Send(Match<'r>),
    /// What it may not.
    Forbidden(Refusal),
    /// Nothing that could be understood.
    Unclear(MessageFault),
}

impl<'r> Intent<'r> {
    /// What that message of that sender asks for.
    pub fn of(message: &Message<'_>, sender: &Sender<'_>, routes: &'r Routes) -> Self {
        Self::in_words_of_the_gateway(&message.kind).unwrap_or_else(|| Self::by_routes(message, sender, routes))
    }

    /// What the gateway's own words ask for; nothing where it is no such word.
    pub fn in_words_of_the_gateway(kind: &str) -> Option<Self> {
        Some(match kind {
            "pong" => Self::uncounted(Wish::Nothing),
            "auth.refresh" => Self::uncounted(Wish::Refresh),
            "reply" => Self::uncounted(Wish::Reply),
            "cancel" => Self::uncounted(Wish::Cancel),
            "ping" => Self::counted(Wish::Pong),
            "subscribe" => Self::counted(Wish::Subscribe),
            "unsubscribe" => Self::counted(Wish::Unsubscribe),
            kind if is_reserved_type(kind) => {
                let why = format!("`{}` is a word of the gateway's own", shortened(kind));
                Self::counted(Wish::Unclear(MessageFault::Form(why)))
            }
            _ => return None,
        })
    }

    /// What a message in the sender's own words asks for.
    pub fn by_routes(message: &Message<'_>, sender: &Sender<'_>, routes: &'r Routes) -> Self {
        if let Some(answer) = routes.answer(&message.kind, message) {
            return Self::uncounted(Wish::Answer(answer));
        }
        let kind = shortened(&message.kind);
        let Some(found) = routes.find(sender, message) else {
            let why = if routes.takes(sender, &message.kind) {
                format!("no route takes `{kind}` like this: something is missing that says where it goes")
            } else {
                format!("no route takes `{kind}` from here")
            };
            return Self::counted(Wish::Unclear(MessageFault::Form(why)));
        };
        let is_counted = !found.route.is_priority();
        let wanted = found.route.permission();
        let wish = match wanted.filter(|wanted| !sender.principal.permissions.contains(wanted)) {
            Some(wanted) => {
                let refusal = Refusal::new(Code::Forbidden, format!("this needs the permission `{wanted}`"));
                Wish::Forbidden(refusal.because(format!("`{kind}` needs the permission `{wanted}`")))
            }
            None => Wish::Send(found),
        };
        Self { is_counted, wish }
    }

    const fn counted(wish: Wish<'r>) -> Self {
        Self { is_counted: true, wish }
    }

    const fn uncounted(wish: Wish<'r>) -> Self {
        Self { is_counted: false, wish }
    }
}

/// Which room, and from where on its messages are wanted: what `subscribe` and `unsubscribe` say.
#[derive(Debug, Deserialize)]
pub struct Subscription {
    /// The room.
    pub room: Room,
    /// The last message of it that the client has.
    pub since: Option<Position>,
}

impl Subscription {
    /// Reads what a message says.
    pub fn read(message: &Message<'_>) -> Result<Self, MessageFault> {
        message.payload_as().map_err(|fault| {
            let form =
                r#"write {"room": "NAME"}, and to recover {"room": "NAME", "since": {"epoch": "...", "offset": 0}}"#;
            MessageFault::Form(format!("{fault}; {form}"))
        })
    }
}

/// A type, as short as it may be told again.
pub(crate) fn shortened(kind: &str) -> &str {
    kind.get(..kind.floor_char_boundary(64)).unwrap_or_default()
}
