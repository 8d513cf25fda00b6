//! A door of Socket.IO without a listener: requests are put into its sessions by hand, WebSockets are pairs of unix
//! sockets, and the clock stands still.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, SinkExt, StreamExt};
use gateway_auth::{Algorithm, Grant, Issuer, IssuerRules, Key, Keyring, SigningKey, SigningMaterial};
use gateway_domain::{
    RequestId,
    plan::{Messages, OnConnectionLimit, Plan},
    target::Target,
};
use gateway_transport::{ClientAddress, Inbound, Query, Socket, SocketLimits, Ticket, Wire};
use http::HeaderMap;
use tokio::{
    net::UnixStream,
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message, tungstenite::protocol::Role};

use super::super::{EngineFault, Request, SessionTimes, Socketio, Visitor, carrier::Polled, open};
use crate::{
    House,
    audit::Destination,
    clock,
    endpoint::Endpoint,
    house::{Foundation, Policy},
    http::Site,
    hub::{Class, Occupant, Post},
    limits::HandshakeLimits,
    plans::Plans,
};

pub(super) const TIMES: SessionTimes = SessionTimes {
    ping_interval: Duration::from_secs(25),
    ping_timeout: Duration::from_secs(20),
    connect_timeout: Duration::from_secs(10),
};

pub(super) struct World {
    pub(super) site: Arc<Site>,
    pub(super) front: Arc<Socketio>,
    token: String,
}

/// A client, as its session sees it.
pub(super) struct Client {
    pub(super) requests: mpsc::Sender<Box<Request>>,
    pub(super) task: JoinHandle<()>,
}

/// A WebSocket's other end.
pub(super) struct Far(pub(super) WebSocketStream<UnixStream>);

impl World {
    pub(super) fn new() -> Self {
        let secret = SigningMaterial::Secret(b"a secret of 32 bytes at the least".to_vec());
        let signing = SigningKey::new(None, Algorithm::Hs256, secret).unwrap();
        let plan = Plan {
            connections: None,
            on_connection_limit: OnConnectionLimit::RejectNew,
            messages: Messages { rate: None, burst: None },
            ..Plan::default()
        };
        let policy = Policy {
            namespaces: [Endpoint::at("/dashboard")].into_iter().collect(),
            plans: Plans::new([], plan),
            handshakes: Arc::new(HandshakeLimits::new(None, None, None)),
            ..Policy::trusting(Keyring::of(vec![Key::verifying(&signing, "own").unwrap()]).unwrap())
        };
        let house = Arc::new(House::new(Foundation::in_memory(Destination::Nowhere).unwrap(), policy));
        let front = Arc::new(Socketio::new("/socket.io/", TIMES, 1 << 20, 10));
        let site = Site { socketio: Some(Arc::clone(&front)), max_body: 1 << 10, ..Site::of(house) };
        let grant =
            Grant { user: "ann".parse().unwrap(), roles: Vec::new(), permissions: Vec::new(), plan: None, agent: None };
        let rules = IssuerRules { access_ttl: Duration::from_secs(36_000), ..IssuerRules::default() };
        let token = Issuer::new(signing, rules).unwrap().mint(&grant, clock::now()).unwrap().token;
        Self { site: Arc::new(site), front, token: token.expose().to_owned() }
    }

    fn session(&self) -> Box<super::super::session::Session> {
        let visitor = Visitor {
            trace: None,
            request_id: RequestId::new(uuid::Uuid::new_v4()),
            address: ClientAddress::Local,
            query: Query::default(),
            headers: HeaderMap::new(),
            secure: false,
            user_agent: None,
            autojoin: true,
            path: "/socket.io/".into(),
        };
        open(&self.site, &self.front, visitor, Arc::new(Ticket::unlisted())).unwrap()
    }

    /// A session of polls, in no namespace yet.
    pub(super) fn stranger(&self) -> Client {
        let session = self.session();
        let opening = session.opening(true);
        let opening: serde_json::Value = serde_json::from_str(&opening[1..]).unwrap();
        let (requests, _) = self.front.sessions().find(opening["sid"].as_str().unwrap()).unwrap();
        Client { requests, task: tokio::spawn(session.run()) }
    }

    /// A session of polls, in `/dashboard`.
    pub(super) async fn poller(&self) -> Client {
        let client = self.stranger();
        client.say(&self.connect()).await;
        assert!(client.poll().await.unwrap().unwrap().starts_with("40/dashboard,"));
        client
    }

    /// A session of a WebSocket, in `/dashboard`.
    pub(super) async fn socket(&self) -> (Far, JoinHandle<()>) {
        let (socket, mut far) = pair().await;
        let task = tokio::spawn(self.session().on(socket).run());
        assert!(far.text().await.starts_with("0{"));
        far.say(&self.connect()).await;
        assert!(far.text().await.starts_with("40/dashboard,"));
        (far, task)
    }

    pub(super) fn connect(&self) -> String {
        format!("40/dashboard,{}", serde_json::json!({ "token": self.token }))
    }

    /// Tells everybody in `/dashboard`.
    pub(super) fn publish(&self, payload: &str) {
        let targets = [Target::Endpoint("/dashboard".into())];
        let text = format!(r#"{{"eventId":"e","type":"x","timestamp":"t","payload":{payload}}}"#);
        self.site.house.hub.post(Post::new(text, &targets, Class::Event), clock::now()).unwrap();
    }

    pub(super) fn occupant(&self) -> Arc<Occupant> {
        self.site.house.hub.of_user(&"ann".parse().unwrap()).pop().expect("somebody here")
    }

    pub(super) fn connections(&self) -> usize {
        self.site.house.hub.counts().connections
    }

    pub(super) fn sessions(&self) -> usize {
        self.front.sessions().len()
    }

    /// How the latest connection ended.
    pub(super) fn ending(&self) -> String {
        let ends = |record: &crate::audit::Record| record.event == crate::audit::Event::Disconnected;
        let records = self.site.house.audit.latest(1, ends);
        let last = records.last().expect("an end");
        last.code.map_or_else(|| last.reason.clone(), |code| code.name().to_owned())
    }
}

impl Client {
    /// Makes a poll; the answer comes when it comes.
    pub(super) fn poll(&self) -> oneshot::Receiver<Polled> {
        let (answer, polled) = oneshot::channel();
        assert!(self.requests.try_send(Request::Poll(answer).into()).is_ok(), "the session is there");
        polled
    }

    pub(super) async fn post(&self, packets: &[&str]) -> Result<(), EngineFault> {
        let (answer, taken) = oneshot::channel();
        let packets = packets.iter().map(|packet| Inbound::Text((*packet).to_owned().into())).collect();
        let _ = self.requests.send(Request::Post(packets, answer).into()).await;
        taken.await.unwrap_or(Err(EngineFault::Session))
    }

    pub(super) async fn say(&self, packet: &str) {
        assert_eq!(self.post(&[packet]).await, Ok(()), "{packet}");
    }

    /// Offers a WebSocket.
    pub(super) async fn upgrade(&self) -> Far {
        let (socket, far) = pair().await;
        let offered = Request::Websocket(Box::new(socket), Arc::new(Ticket::unlisted()));
        assert!(self.requests.send(offered.into()).await.is_ok());
        far
    }
}

async fn pair() -> (Socket<Wire>, Far) {
    let (near, far) = UnixStream::pair().unwrap();
    let socket = Socket::server(Wire::Unix(near), Default::default(), SocketLimits::default());
    (socket, Far(WebSocketStream::from_raw_socket(far, Role::Client, None).await))
}

impl Far {
    pub(super) async fn say(&mut self, packet: &str) {
        self.0.send(Message::text(packet.to_owned())).await.unwrap();
    }

    pub(super) async fn text(&mut self) -> String {
        match self.0.next().await {
            Some(Ok(Message::Text(text))) => text.as_str().to_owned(),
            other => panic!("a text was due, and there came {other:?}"),
        }
    }

    /// Everything to the end.
    pub(super) async fn rest(&mut self) -> Vec<String> {
        let mut texts = Vec::new();
        while let Some(Ok(message)) = self.0.next().await {
            match message {
                Message::Text(text) => texts.push(text.as_str().to_owned()),
                _ => break,
            }
        }
        texts
    }

    /// What is there by now.
    pub(super) fn at_hand(&mut self) -> Option<String> {
        match self.0.next().now_or_never()?? {
            Ok(Message::Text(text)) => Some(text.as_str().to_owned()),
            _ => None,
        }
    }
}

/// Lets every task do what it can without the clock.
pub(super) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// Moves the clock.
pub(super) async fn later(seconds: f64) {
    settle().await;
    tokio::time::advance(Duration::from_secs_f64(seconds)).await;
    settle().await;
}
