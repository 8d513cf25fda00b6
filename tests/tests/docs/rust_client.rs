//! A client that stays connected: it asks for a token when it needs one, and does what the gateway advises. The page
//! on authentication shows it; a test here runs it.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};

/// What the gateway advises after an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Come back with a new token.
    Refresh,
    /// Come back after this time, or after a growing one where none was told.
    Wait(Option<Duration>),
    /// Do not come back.
    Stop,
}

/// How a connection ended: the code of the table, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Such as `TOKEN_EXPIRED`; empty where nobody said why.
    pub code: String,
    /// The advice.
    pub then: Then,
}

/// Stays connected until the gateway says stop, or until `on_message` wants no more. `token` is a function: it is asked
/// before each connection, with `true` where the last token was used up and a cached one will not do.
pub async fn stay_connected(
    url: &str,
    mut token: impl AsyncFnMut(bool) -> String,
    mut on_message: impl FnMut(Value) -> Option<Value>,
) -> End {
    let (mut used_up, mut attempt) = (false, 0_u32);
    loop {
        let (end, was_connected) = converse(url, &token(used_up).await, &mut on_message).await;
        used_up = end.then == Then::Refresh;
        attempt = if was_connected { 0 } else { attempt + 1 };
        match end.then {
            Then::Stop => return end,
            // At once, but not again and again: a new token that is refused, too, has to wait like everything else.
            Then::Refresh if attempt <= 1 => {}
            Then::Refresh => tokio::time::sleep(pause(None, attempt)).await,
            Then::Wait(told) => tokio::time::sleep(pause(told, attempt)).await,
        }
    }
}

/// At least what was told, else a growing time up to half a minute; and a random part, so that not all come back together.
fn pause(told: Option<Duration>, attempt: u32) -> Duration {
    let base = told.unwrap_or_else(|| Duration::from_millis(500 << attempt.min(6)).min(Duration::from_secs(30)));
    let random = f64::from(RandomState::new().hash_one(0) as u32) / f64::from(u32::MAX);
    base + base.mul_f64(random)
}

/// One connection, from the handshake to its end; and whether it was admitted.
async fn converse(url: &str, token: &str, on_message: &mut impl FnMut(Value) -> Option<Value>) -> (End, bool) {
    let stop = || End { code: String::new(), then: Then::Stop };
    let Ok(mut request) = url.into_client_request() else { return (stop(), false) };
    let Ok(credential) = format!("Bearer {token}").parse() else { return (stop(), false) };
    request.headers_mut().insert("authorization", credential);
    let mut socket = match connect_async(request).await {
        Ok((socket, _)) => socket,
        Err(Error::Http(answer)) => return (refused(answer.body().as_deref().unwrap_or_default()), false),
        Err(_) => return (End { code: String::new(), then: Then::Wait(None) }, false),
    };
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Text(text) => {
                let Ok(message) = serde_json::from_str(&text) else { continue };
                let Some(answer) = on_message(message) else {
                    let _ = socket.close(None).await;
                    return (stop(), true);
                };
                if !answer.is_null() && socket.send(Message::text(answer.to_string())).await.is_err() {
                    break;
                }
            }
            Message::Close(Some(frame)) => return (closed(frame.code.into(), &frame.reason), true),
            _ => {}
        }
    }
    (End { code: String::new(), then: Then::Wait(None) }, true)
}

/// A handshake that was refused says what to do in its body.
fn refused(body: &[u8]) -> End {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = &body["error"];
    let then = match error["then"].as_str() {
        Some("refresh") => Then::Refresh,
        Some("wait") | None => Then::Wait(error["retryAfter"].as_u64().map(Duration::from_secs)),
        Some(_) => Then::Stop,
    };
    End { code: error["code"].as_str().unwrap_or_default().to_owned(), then }
}

/// A close says it by its code.
fn closed(code: u16, reason: &str) -> End {
    let reason: Value = serde_json::from_str(reason).unwrap_or_default();
    let then = match code {
        4003 | 4016 => Then::Refresh,
        1000 | 1002 | 1003 | 1007..=1009 | 4001 | 4002 | 4006..=4009 | 4011 | 4013..=4015 => Then::Stop,
        _ => Then::Wait(reason["retryAfter"].as_u64().map(Duration::from_secs)),
    };
    End { code: reason["code"].as_str().unwrap_or_default().to_owned(), then }
}
