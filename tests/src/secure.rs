//! Clients that come by TLS, by a unix socket, or by any other stream: the same WebSocket client on all of them.

use std::{path::Path, sync::Arc};

use futures_util::{SinkExt, StreamExt};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName},
};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, Message, client::IntoClientRequest},
};

use crate::{client::PATIENCE, gateway::TestGateway};

/// Files for a gateway's folder, `cert.pem` and `key.pem`, and the certificate for those who shall believe it.
pub fn certificate() -> (Vec<(String, Vec<u8>)>, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let files = vec![
        ("cert.pem".to_owned(), made.cert.pem().into_bytes()),
        ("key.pem".to_owned(), made.signing_key.serialize_pem().into_bytes()),
    ];
    (files, made.cert.der().clone())
}

/// A WebSocket client on a stream of any kind.
#[derive(Debug)]
pub struct StreamClient<S>(pub WebSocketStream<S>);

/// Does a TLS handshake with the gateway, as `localhost`.
pub async fn tls(gateway: &TestGateway, trusted: &CertificateDer<'static>) -> std::io::Result<TlsStream<TcpStream>> {
    tls_over(TcpStream::connect(gateway.address).await?, trusted).await
}

/// The same, on a stream on which something has been said before.
pub async fn tls_over(stream: TcpStream, trusted: &CertificateDer<'static>) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("versions").with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// Connects by TLS; or the status of the refusal.
pub async fn connect(
    gateway: &TestGateway,
    trusted: &CertificateDer<'static>,
    target: &str,
) -> Result<StreamClient<TlsStream<TcpStream>>, u16> {
    StreamClient::over(tls(gateway, trusted).await.expect("a TLS handshake"), target).await
}

/// Connects by a unix socket; or the status of the refusal.
pub async fn connect_unix(path: &Path, target: &str) -> Result<StreamClient<UnixStream>, u16> {
    StreamClient::over(UnixStream::connect(path).await.expect("the socket is there"), target).await
}

impl<S: AsyncRead + AsyncWrite + Unpin> StreamClient<S> {
    /// Does a WebSocket handshake on a stream; or the status of the refusal.
    pub async fn over(stream: S, target: &str) -> Result<Self, u16> {
        let request = format!("ws://localhost{target}").into_client_request().expect("an address");
        match timeout(PATIENCE, client_async(request, stream)).await.expect("an answer in time") {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(fault) => panic!("the handshake came to nothing: {fault}"),
        }
    }

    /// The next message, which is JSON.
    pub async fn json(&mut self) -> Value {
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("something in time") {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).expect("JSON"),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("a message was due, and there came {other:?}"),
            }
        }
    }

    /// The payload of the greeting.
    pub async fn greeting(&mut self) -> Value {
        let greeting = self.json().await;
        assert_eq!(greeting["type"], "connection_ready", "{greeting}");
        greeting["payload"].clone()
    }

    /// Sends a JSON message and takes the next that comes.
    pub async fn ask(&mut self, message: Value) -> Value {
        self.0.send(Message::text(message.to_string())).await.expect("the socket takes it");
        self.json().await
    }

    /// Waits for the end: the close code.
    pub async fn closed(&mut self) -> u16 {
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("an end in time") {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return 1006,
            }
        }
    }
}
