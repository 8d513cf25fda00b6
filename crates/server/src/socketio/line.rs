//! The line of one namespace: the loop of its connection at one end, the session's task at the other, and little room
//! between them, so that what a slow client does not take waits in its outbox, where the outbox's law holds.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use gateway_domain::{Advice, Code, ConnectionId, Refusal, RequestId};
use gateway_transport::{CloseFrame, Inbound, Outbound, SocketFault, Text, Utf8Bytes, socketio::Outgoing};
use serde::Serialize;
use serde_json::value::to_raw_value;
use tokio::sync::mpsc;

use super::Shared;
use crate::{
    connection::{Farewell, Line},
    refusal::ErrorPayload,
};

/// What the session tells the namespace, in a box: a queue keeps room for 32 of what goes through it.
pub(super) enum Heard {
    /// The client emitted that: `ACK["type",payload]`.
    Event(Utf8Bytes),
    /// The client left; its WebSocket with that code, where it closed that, too.
    Left(Option<u16>),
}

/// What a namespace tells the session, in a box for the same reason.
pub(super) enum Told {
    /// A packet to the client.
    Packet(Text),
    /// That connection is over. Where the client is to come back by itself, its transport closes, whoever else is on it.
    Over { connection: ConnectionId, closes: bool },
}

/// The loop's end.
pub(super) struct NamespaceLine {
    pub(super) namespace: Arc<str>,
    pub(super) connection: ConnectionId,
    pub(super) max_message: usize,
    pub(super) heard: mpsc::Receiver<Box<Heard>>,
    pub(super) told: mpsc::Sender<Box<Told>>,
    pub(super) shared: Arc<Shared>,
    /// What goes before anything in the outbox.
    pub(super) queued: VecDeque<Text>,
    /// Whether the client was told that it is in.
    pub(super) is_admitted: bool,
}

impl NamespaceLine {
    fn inbound(&self, heard: Option<Box<Heard>>) -> Result<Inbound, SocketFault> {
        match heard.map(|heard| *heard) {
            Some(Heard::Event(text)) if text.len() > self.max_message => Err(SocketFault::TooBig),
            Some(Heard::Event(text)) => Ok(Inbound::Text(text)),
            Some(Heard::Left(code)) => Ok(left(code)),
            None => Err(gone()),
        }
    }

    /// What the client is told of the end: behind an error it is put out, but where it is to come back by itself.
    fn last_words(&self, refusal: &Refusal, request_id: RequestId) -> Vec<String> {
        if !self.is_admitted {
            return vec![refused(&self.namespace, refusal, request_id)];
        }
        let ended = Ended { error: ErrorPayload::of(refusal), then: refusal.code.advice() };
        let error = to_raw_value(&ended)
            .map(|json| Outgoing::Event { name: "error", argument: &json }.to_message(&self.namespace));
        let out = (!comes_back(refusal.code)).then(|| Outgoing::Disconnect.to_message(&self.namespace));
        error.into_iter().chain(out).collect()
    }
}

impl Line for NamespaceLine {
    const ANSWERS_ONCE: bool = true;

    async fn next_while_sending(
        &mut self,
        hear: bool,
        mut more: impl FnMut() -> Option<Outbound> + Send,
    ) -> Result<Inbound, SocketFault> {
        loop {
            let permit = match self.told.try_reserve() {
                Ok(permit) => permit,
                // Who does not take what it is sent is not heard.
                Err(mpsc::error::TrySendError::Full(())) => match self.told.reserve().await {
                    Ok(permit) => permit,
                    Err(_) => return last_word(&mut self.heard),
                },
                Err(mpsc::error::TrySendError::Closed(())) => return last_word(&mut self.heard),
            };
            let next = self.queued.pop_front().or_else(|| match more()? {
                Outbound::Text(text) => Some(text),
                Outbound::Binary(_) | Outbound::Ping(_) => None,
            });
            if let Some(text) = next {
                permit.send(Told::Packet(text).into());
                self.is_admitted = true;
                continue;
            }
            drop(permit);
            let heard = match hear {
                true => self.heard.recv().await,
                false => std::future::pending().await,
            };
            return self.inbound(heard);
        }
    }

    fn queue(&mut self, message: Outbound) -> Result<(), SocketFault> {
        match message {
            Outbound::Text(text) => self.queued.push_back(text),
            Outbound::Ping(_) => self.shared.probe.notify_one(),
            // Nothing that is said in a namespace is binary.
            Outbound::Binary(_) => {}
        }
        Ok(())
    }

    fn heard(&self) -> u64 {
        self.shared.heard.load(Ordering::Relaxed)
    }

    async fn end(mut self, farewell: Farewell, patience: Duration) {
        // What comes from here on is nobody's any more.
        self.heard.close();
        let mut closes = false;
        let mut rest: Vec<Text> = self.queued.drain(..).collect();
        self.is_admitted |= !rest.is_empty();
        if let Farewell::Refused(refusal, request_id) = &farewell {
            closes = self.is_admitted && comes_back(refusal.code);
            rest.extend(self.last_words(refusal, *request_id).into_iter().map(Text::from));
        }
        let all = async {
            for packet in rest {
                if self.told.send(Told::Packet(packet).into()).await.is_err() {
                    return;
                }
            }
            let _ = self.told.send(Told::Over { connection: self.connection, closes }.into()).await;
        };
        let _ = tokio::time::timeout(patience, all).await;
    }
}

/// The answer to a CONNECT that is refused.
pub(super) fn refused(namespace: &str, refusal: &Refusal, request_id: RequestId) -> String {
    let code = if refusal.code.is_authentication() { "AUTH_FAILED" } else { refusal.code.name() };
    let data = Refused {
        code,
        reason: refusal.code,
        detail: refusal.detail,
        then: refusal.code.advice(),
        retry_after: refusal.retry_after_seconds(),
        request_id,
    };
    let data = to_raw_value(&data).ok();
    Outgoing::ConnectError { message: &refusal.message, data: data.as_deref() }.to_message(namespace)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Refused {
    code: &'static str,
    reason: Code,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<gateway_domain::Detail>,
    #[serde(skip_serializing_if = "Option::is_none")]
    then: Option<Advice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    request_id: RequestId,
}

#[derive(Serialize)]
struct Ended<'a> {
    #[serde(flatten)]
    error: ErrorPayload<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    then: Option<Advice>,
}

/// Whether a client comes back by itself once its transport is gone.
fn comes_back(code: Code) -> bool {
    code.advice() == Some(Advice::Wait)
}

fn left(code: Option<u16>) -> Inbound {
    Inbound::Close(code.map(|code| CloseFrame::new(code, "")))
}

/// How a client went that takes nothing more.
fn last_word(heard: &mut mpsc::Receiver<Box<Heard>>) -> Result<Inbound, SocketFault> {
    while let Ok(heard) = heard.try_recv() {
        if let Heard::Left(code) = *heard {
            return Ok(left(code));
        }
    }
    Err(gone())
}

fn gone() -> SocketFault {
    SocketFault::Gone(io::ErrorKind::ConnectionReset.into())
}
