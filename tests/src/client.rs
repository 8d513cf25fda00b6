//! A real client: tokio-tungstenite on a real socket.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, client::IntoClientRequest, http::HeaderMap},
};

use crate::gateway::TestGateway;

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A connection.
#[derive(Debug)]
pub struct TestClient {
    /// The socket itself.
    pub socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The headers of the answer.
    pub headers: HeaderMap,
}

/// A handshake that was refused.
#[derive(Debug)]
pub struct Refused {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Value,
}

impl Refused {
    /// The code of the table.
    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    /// The kind of an invalid token.
    pub fn detail(&self) -> &str {
        self.body["error"]["detail"].as_str().unwrap_or_default()
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl TestClient {
    /// Connects with a token in the query.
    pub async fn connect(gateway: &TestGateway, path: &str, token: &str) -> Result<Self, Refused> {
        Self::open(&gateway.ws(&format!("{path}?token={token}")), &[]).await
    }

    /// Connects with headers.
    pub async fn open(url: &str, headers: &[(&str, &str)]) -> Result<Self, Refused> {
        let mut request = url.into_client_request().expect("an address");
        for (name, value) in headers {
            let name: tungstenite::http::HeaderName = name.parse().expect("a header");
            request.headers_mut().append(name, value.parse().expect("a value"));
        }
        match tokio::time::timeout(PATIENCE, connect_async(request)).await.expect("an answer in time") {
            Ok((socket, response)) => Ok(Self { socket, headers: response.headers().clone() }),
            Err(tungstenite::Error::Http(response)) => {
                let (parts, body) = response.into_parts();
                let body = body.and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or(Value::Null);
                Err(Refused { status: parts.status.as_u16(), headers: parts.headers, body })
            }
            Err(fault) => panic!("the handshake came to nothing: {fault}"),
        }
    }

    /// Connects and takes the greeting.
    pub async fn greeted(gateway: &TestGateway, path: &str, token: &str) -> (Self, Value) {
        let mut client =
            Self::connect(gateway, path, token).await.unwrap_or_else(|refused| panic!("refused: {refused:?}"));
        let greeting = client.json().await;
        assert_eq!(greeting["type"], "connection_ready", "{greeting}");
        // That it came is told to others behind that.
        crate::several::settled(&client.socket).await;
        (client, greeting["payload"].clone())
    }

    /// Sends a text.
    pub async fn send(&mut self, text: impl ToString) {
        self.socket.send(Message::text(text.to_string())).await.expect("the socket takes it");
    }

    /// The next frame that is no ping or pong; none at the end.
    pub async fn next(&mut self) -> Option<Message> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("something in time");
            match next {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message)) => return Some(message),
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// The next message, which is JSON.
    pub async fn json(&mut self) -> Value {
        match self.next().await {
            Some(Message::Text(text)) => serde_json::from_str(&text).expect("JSON"),
            other => panic!("a message was due, and there came {other:?}"),
        }
    }

    /// Sends a JSON message and takes the next that comes.
    pub async fn ask(&mut self, message: Value) -> Value {
        self.send(message).await;
        self.json().await
    }

    /// Waits for the end, past all messages: the close code and the reason, which is JSON where it is ours.
    pub async fn closed(&mut self) -> (u16, Value) {
        loop {
            match self.next().await {
                Some(Message::Close(Some(frame))) => {
                    let reason = serde_json::from_str(&frame.reason).unwrap_or(Value::String(frame.reason.to_string()));
                    return (frame.code.into(), reason);
                }
                Some(Message::Close(None)) => return (1005, Value::Null),
                Some(_) => {}
                None => return (1006, Value::Null),
            }
        }
    }

    /// Closes properly.
    pub async fn leave(mut self) {
        let _ = self.socket.close(None).await;
        while self.next().await.is_some() {}
    }
}
