//! API Gateway, as far as its API for WebSockets goes: a handshake is the event `$connect`, whose status decides and is all
//! that a refused client reads of it; a message is `$default`, an end `$disconnect`; what is posted to `@connections` reaches
//! the client, once the handshake is over. Messages are answered beside each other, as there.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Map, Value, json};
use tokio::{
    io::BufReader,
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        handshake::derive_accept_key,
        protocol::{CloseFrame, Role, WebSocketConfig},
    },
};
use uuid::Uuid;

use super::{
    http::{Request, answer},
    runtime::Runtime,
};

/// What the service carries.
const MOST_BYTES: usize = 128 << 10;
const MOST_OF_A_FRAME: usize = 32 << 10;

/// A connection, by stage and by the name that the service has for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wire {
    /// The stage.
    pub stage: String,
    /// Its name.
    pub id: String,
}

/// What a connection is told to do.
enum Order {
    Say(String),
    Close,
    Vanish,
}

/// The service.
pub(super) struct Front {
    pub(super) address: SocketAddr,
    runtime: Arc<Runtime>,
    wires: Mutex<HashMap<Wire, mpsc::Sender<Order>>>,
    throttled: AtomicUsize,
    last: Mutex<Value>,
}

impl Front {
    pub(super) async fn start(runtime: Arc<Runtime>) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let front = Arc::new(Self {
            address: listener.local_addr().unwrap(),
            runtime,
            wires: Mutex::default(),
            throttled: AtomicUsize::new(0),
            last: Mutex::default(),
        });
        let service = Arc::downgrade(&front);
        tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let Some(front) = service.upgrade() else { return };
                tokio::spawn(async move { front.serve(stream, peer).await });
            }
        });
        front
    }

    pub(super) fn wires(&self) -> Vec<Wire> {
        self.wires.lock().unwrap().keys().cloned().collect()
    }

    pub(super) fn lose(&self, wire: &Wire) {
        if let Some(orders) = self.wires.lock().unwrap().remove(wire) {
            let _ = orders.try_send(Order::Vanish);
        }
    }

    pub(super) fn throttle(&self, posts: usize) {
        self.throttled.store(posts, Ordering::SeqCst);
    }

    pub(super) fn last_answer(&self) -> Value {
        self.last.lock().unwrap().clone()
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) -> Option<()> {
        let _ = stream.set_nodelay(true);
        let mut stream = BufReader::new(stream);
        loop {
            let request = Request::read(&mut stream).await?;
            if request.header("upgrade").is_some() {
                return self.visited(stream, &request, peer).await;
            }
            self.managed(&mut stream, &request).await?;
        }
    }

    /// `@connections`.
    async fn managed(&self, stream: &mut BufReader<TcpStream>, request: &Request) -> Option<()> {
        let Some((stage, id)) = request.target.trim_start_matches('/').split_once("/@connections/") else {
            // An API for WebSockets has no other resources.
            let kind = [("content-type", "application/json")];
            return answer(stream, 403, &kind, br#"{"message":"Missing Authentication Token"}"#).await;
        };
        let wire = Wire { stage: stage.to_owned(), id: id.replace("%3D", "=").replace("%2F", "/").replace("%2B", "+") };
        let fault = |kind: &'static str| [("x-amzn-errortype", kind), ("content-type", "application/json")];
        if request.method == "POST" {
            let left = self.throttled.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            if left.is_ok() {
                return answer(stream, 429, &fault("LimitExceededException"), b"{}").await;
            }
            if request.body.len() > MOST_BYTES {
                return answer(stream, 413, &fault("PayloadTooLargeException"), b"{}").await;
            }
        }
        let orders = self.wires.lock().unwrap().get(&wire).cloned();
        let Some(orders) = orders else { return answer(stream, 410, &fault("GoneException"), b"{}").await };
        let order = match request.method.as_str() {
            "POST" => Some(Order::Say(String::from_utf8_lossy(&request.body).into_owned())),
            "DELETE" => {
                self.wires.lock().unwrap().remove(&wire);
                Some(Order::Close)
            }
            _ => None,
        };
        if let Some(order) = order
            && orders.send(order).await.is_err()
        {
            return answer(stream, 410, &fault("GoneException"), b"{}").await;
        }
        let status = if request.method == "DELETE" { 204 } else { 200 };
        answer(stream, status, &[("content-type", "application/json")], b"{}").await
    }

    /// A client.
    async fn visited(
        self: &Arc<Self>,
        mut stream: BufReader<TcpStream>,
        request: &Request,
        peer: SocketAddr,
    ) -> Option<()> {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let mut segments = path.trim_start_matches('/').splitn(2, '/');
        let stage = segments.next()?.to_owned();
        let mapped = segments.next().map(str::to_owned);
        let id = STANDARD.encode(&Uuid::new_v4().as_bytes()[..11]);
        let wire = Wire { stage, id };
        let source = request.header("x-test-source").map_or_else(|| peer.ip().to_string(), str::to_owned);
        let mut event = self.event(&wire, "CONNECT", "$connect", &source);
        event["headers"] =
            Map::from_iter(request.headers.iter().map(|(name, value)| (name.clone(), json!(value)))).into();
        let mut several = Map::new();
        for (name, value) in &request.headers {
            let values = several.entry(name.clone()).or_insert_with(|| json!([]));
            values.as_array_mut()?.push(json!(value));
        }
        event["multiValueHeaders"] = several.into();
        let mut parameters = Map::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let values = parameters.entry(decoded(name)).or_insert_with(|| json!([]));
            values.as_array_mut()?.push(json!(decoded(value)));
        }
        let last = parameters.iter().filter_map(|(name, all)| Some((name.clone(), all.as_array()?.last()?.clone())));
        event["queryStringParameters"] = Map::from_iter(last).into();
        event["multiValueQueryStringParameters"] = parameters.into();
        if let Some(mapped) = mapped {
            event["pathParameters"] = json!({ "proxy": mapped });
        }
        let outcome = self.runtime.invoke(event).await;
        *self.last.lock().unwrap() = outcome.clone();
        let status = outcome["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(502);
        if !(200..300).contains(&status) {
            return answer(&mut stream, status, &[("content-type", "application/json")], br#"{"message":"refused"}"#)
                .await;
        }
        let key = derive_accept_key(request.header("sec-websocket-key").unwrap_or_default().as_bytes());
        let selected = outcome["headers"]["Sec-WebSocket-Protocol"].as_str();
        let selected = selected.map_or_else(String::new, |name| format!("sec-websocket-protocol: {name}\r\n"));
        let (orders, taken) = mpsc::channel(256);
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
             sec-websocket-accept: {key}\r\n{selected}\r\n"
        );
        let mut stream = stream.into_inner();
        tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await.ok()?;
        self.wires.lock().unwrap().insert(wire.clone(), orders);
        let limits =
            WebSocketConfig::default().max_message_size(Some(MOST_BYTES)).max_frame_size(Some(MOST_OF_A_FRAME));
        let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(limits)).await;
        self.carry(socket, wire, taken, &source).await;
        None
    }

    async fn carry(
        self: &Arc<Self>,
        mut socket: WebSocketStream<TcpStream>,
        wire: Wire,
        mut orders: mpsc::Receiver<Order>,
        source: &str,
    ) {
        let code = loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Say(text)) => {
                        if socket.send(Message::text(text)).await.is_err() {
                            break 1006;
                        }
                    }
                    Some(Order::Close) => {
                        let frame = CloseFrame { code: 1000.into(), reason: "Going away".into() };
                        let _ = socket.close(Some(frame)).await;
                        break 1000;
                    }
                    // The service itself has not noticed: no event.
                    Some(Order::Vanish) | None => return,
                },
                said = socket.next() => match said {
                    Some(Ok(Message::Text(text))) => self.heard(&wire, json!(text.as_str()), false, source),
                    Some(Ok(Message::Binary(bytes))) => self.heard(&wire, json!(STANDARD.encode(bytes)), true, source),
                    Some(Ok(Message::Close(frame))) => break frame.map_or(1005, |frame| frame.code.into()),
                    Some(Ok(_)) => {}
                    Some(Err(tokio_tungstenite::tungstenite::Error::Capacity(_))) => {
                        let frame = CloseFrame { code: 1009.into(), reason: "".into() };
                        let _ = socket.close(Some(frame)).await;
                        break 1009;
                    }
                    Some(Err(_)) | None => break 1006,
                },
            }
        };
        self.wires.lock().unwrap().remove(&wire);
        let mut event = self.event(&wire, "DISCONNECT", "$disconnect", source);
        event["requestContext"]["disconnectStatusCode"] = code.into();
        self.runtime.invoke(event).await;
    }

    fn heard(self: &Arc<Self>, wire: &Wire, body: Value, encoded: bool, source: &str) {
        let mut event = self.event(wire, "MESSAGE", "$default", source);
        event["body"] = body;
        event["isBase64Encoded"] = encoded.into();
        event["requestContext"]["messageId"] = Uuid::new_v4().to_string().into();
        let front = Arc::clone(self);
        tokio::spawn(async move { front.runtime.invoke(event).await });
    }

    fn event(&self, wire: &Wire, kind: &str, route: &str, source: &str) -> Value {
        json!({
            "requestContext": {
                "routeKey": route,
                "eventType": kind,
                "extendedRequestId": "test=",
                "requestTime": "01/Jan/2026:00:00:00 +0000",
                "messageDirection": "IN",
                "stage": wire.stage,
                "connectedAt": crate::tokens::now() * 1000,
                "requestTimeEpoch": crate::tokens::now() * 1000,
                "identity": {"sourceIp": source, "userAgent": "test"},
                "requestId": Uuid::new_v4().to_string(),
                "domainName": "abc.execute-api.eu-test-1.amazonaws.com",
                "connectionId": wire.id,
                "apiId": "abc",
            },
            "isBase64Encoded": false,
        })
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let pair: String = rest.by_ref().take(2).map(char::from).collect();
                bytes.push(u8::from_str_radix(&pair, 16).unwrap_or(b'?'));
            }
            b'+' => bytes.push(b' '),
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
