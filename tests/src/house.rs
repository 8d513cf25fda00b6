//! The composed rooms of the gateway in this process, without a listener: a connection runs over a pipe in memory, on
//! whatever clock the runtime has. With a paused clock a test stands still at any millisecond that it likes.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, SinkExt, StreamExt};
use gateway::{
    carry, compose,
    config::{self, Mode, Sources},
    fetch,
};
use gateway_domain::{Refusal, RequestId, Timestamp};
use gateway_server::{
    House, clock, connection,
    gate::{Admitted, Handshake},
    hub::{Arrival, Occupant, Seat},
};
use gateway_transport::{Socket, SocketLimits, address::ClientAddress, query::Query};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{io::DuplexStream, task::JoinHandle};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, http::HeaderMap, protocol::Role},
};

use crate::tokens::{Claims, SECRET};

/// What the pipe holds in each direction.
const PIPE: usize = 64 << 10;

/// The rooms.
#[derive(Debug)]
pub struct TestHouse {
    /// The rooms themselves.
    pub house: Arc<House>,
    _folder: TempDir,
}

/// One connection over a pipe.
#[derive(Debug)]
pub struct Visit {
    /// The client's end.
    pub socket: WebSocketStream<DuplexStream>,
    /// The connection, as the house knows it.
    pub occupant: Arc<Occupant>,
    /// The task that serves it.
    pub task: JoinHandle<()>,
}

impl TestHouse {
    /// Composes the rooms as the program does, with HS256 tokens by [`SECRET`] and a configuration laid behind that.
    pub fn with(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(place("secret.txt"), SECRET).unwrap();
        let text = format!(
            "[[auth.keys]]\nkid = \"main\"\nalgorithm = \"HS256\"\nsecret_file = '{}'\n[audit]\nfile = '{}'\n{more}",
            place("secret.txt"),
            place("audit.jsonl"),
        );
        Self::compose(folder, &text, Vec::new())
    }

    /// Composes the rooms as the program does with a whole configuration, whose secret is beside it in `secret.txt`, and
    /// lets its requests run out of time.
    pub fn of(config: &str, env: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret.txt"), SECRET).unwrap();
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let composed = Self::compose(folder, config, env);
        tokio::spawn(Arc::clone(&composed.house.hub).keep_time());
        composed
    }

    fn compose(folder: TempDir, config: &str, env: Vec<(String, String)>) -> Self {
        let file = folder.path().join("gateway.toml");
        std::fs::write(&file, config).unwrap();
        let sources = Sources { file: Some(file), env: env.clone(), ..Sources::default() };
        let loaded = config::load(sources).unwrap_or_else(|faults| panic!("{faults}"));
        let secrets = loaded.resolve(&env).unwrap_or_else(|faults| panic!("{faults}"));
        let house =
            compose::house(&loaded, &secrets, Mode::Serve, 65_536, fetch::fetch().unwrap(), &carry::carry().unwrap())
                .unwrap();
        Self { house: Arc::new(house), _folder: folder }
    }

    /// Passes the gate, as a request from this machine would.
    pub async fn admit(&self, path: &str, token: &str) -> Result<(Seat, Arc<Occupant>), Refusal> {
        let now = clock::now();
        let (endpoint, parameters) = self.house.endpoints.at(path).expect("an endpoint");
        let handshake = Handshake {
            request_id: RequestId::new(uuid::Uuid::new_v4()),
            endpoint,
            parameters,
            address: ClientAddress::ip([127, 0, 0, 1].into()),
            query: Query::parse(&format!("token={token}"))?,
            headers: HeaderMap::new(),
            secure: false,
        };
        let candidate = self.house.gate.examine(&handshake, now).await?;
        let Admitted { seat, standing, .. } = self.house.gate.admit(&handshake, candidate, now).await?;
        let Handshake { request_id, endpoint, address, .. } = handshake;
        let arrival = Arrival { request_id, endpoint, address, user_agent: None, autojoin: true };
        let occupant = Arc::new(Occupant::new(seat.id(), arrival, standing, now));
        Ok((seat, occupant))
    }

    /// Comes in, and is served by a task of its own.
    pub async fn visit(&self, path: &str, token: &str) -> Visit {
        let (seat, occupant) = self.admit(path, token).await.unwrap_or_else(|refusal| panic!("{refusal:?}"));
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let limits = SocketLimits { max_message: occupant.endpoint.max_message, ..SocketLimits::default() };
        let socket = Socket::server(theirs, Default::default(), limits);
        let serving = connection::serve(Arc::clone(&self.house), socket, seat, Arc::clone(&occupant));
        let task = tokio::spawn(serving);
        let socket = WebSocketStream::from_raw_socket(ours, Role::Client, None).await;
        Visit { socket, occupant, task }
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.house.hub.counts().connections
    }
}

impl Visit {
    /// Puts a text into the pipe; the gateway has not looked at it yet.
    pub async fn send(&mut self, text: impl ToString) {
        self.socket.send(Message::text(text.to_string())).await.expect("the pipe takes it");
    }

    /// The next frame, pings and pongs included; none at the end. There is no time-out, for on a paused clock the
    /// waiting itself would let the time pass: the gateway's own timers end it.
    pub async fn frame(&mut self) -> Option<Message> {
        self.socket.next().await.and_then(Result::ok)
    }

    /// The next message that is no ping or pong; none where the connection closes.
    pub async fn json(&mut self) -> Option<Value> {
        loop {
            match self.frame().await? {
                Message::Text(text) => return Some(serde_json::from_str(&text).expect("JSON")),
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    /// All JSON messages to the end, and the close code with its reason.
    pub async fn rest(&mut self) -> (Vec<Value>, u16, Value) {
        let mut messages = Vec::new();
        while let Some(frame) = self.frame().await {
            match frame {
                Message::Text(text) => messages.push(serde_json::from_str(&text).expect("JSON")),
                Message::Close(Some(frame)) => {
                    let reason = serde_json::from_str(&frame.reason).unwrap_or(Value::Null);
                    return (messages, frame.code.into(), reason);
                }
                _ => {}
            }
        }
        (messages, 1006, Value::Null)
    }

    /// What lies in the pipe already, without any waiting.
    pub fn at_hand(&mut self) -> Vec<Message> {
        let mut frames = Vec::new();
        while let Some(Some(Ok(frame))) = self.socket.next().now_or_never() {
            frames.push(frame);
        }
        frames
    }
}

/// Stands in the middle of a millisecond of the wall clock, so that the real clock's trembling moves nobody over its
/// edge. The runtime's clock must be paused.
pub async fn middle_of_a_millisecond() {
    let step = Duration::from_micros(50);
    let before = clock::now().wall.millis();
    while clock::now().wall.millis() == before {
        tokio::time::advance(step).await;
    }
    tokio::time::advance(Duration::from_micros(450)).await;
}

/// Claims that expire at the first whole second that is at least so many seconds away on the gateway's clock, and
/// that moment.
pub fn expiring_on_the_clock(user: &str, role: &str, seconds: i64) -> (Claims, Timestamp) {
    let now = clock::now().wall.millis();
    let exp = (now + 999) / 1000 + seconds;
    let claims = Claims::of(user, role).with("iat", now / 1000).with("exp", exp);
    (claims, Timestamp::from_millis(exp * 1000))
}

/// Moves the paused clock to so many milliseconds behind a moment (before it, where negative), in one leap.
pub async fn leap_to(moment: Timestamp, offset: i64) {
    let left = moment.millis() + offset - clock::now().wall.millis();
    tokio::time::advance(Duration::from_millis(left.try_into().expect("a moment to come"))).await;
}
