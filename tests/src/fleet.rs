//! A fleet: gateways that act as one, each a process of its own, which reaches a Redis of the fleet's own over a wire that can be
//! cut. Whatever of it is struck stands up again at the same place, with the same folder.

pub mod crowd;
pub mod follower;
pub mod ledger;
pub mod publisher;
pub mod schedule;
pub mod trial;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite};

use crate::{
    chance::Chance,
    eventually,
    gateway::{Options, TestGateway},
    partition::Wire,
    redis::Redis,
    tokens::token,
};

/// How long a lease is.
pub const LEASE: Duration = Duration::from_secs(3);
/// The longest that anything may take to be answered, well or badly. Longer is called hanging.
pub const ANSWER: Duration = Duration::from_secs(15);
/// How many connections a user may have.
pub const SEATS: usize = 5;
const WELL: u64 = 30;

/// What every node is configured with.
const CONFIG: &str = r#"
[server]
drain_timeout = "1s"
[plans.default]
connections = 5
messages = "off"
[plans.agent]
messages = "off"
[limits]
handshakes_per_ip = "off"
handshakes_per_user = "off"
[rooms.default]
history = { messages = 20000, bytes = "16MiB" }
[[rooms.rules]]
match = "lobby"
join = [{ role = "dashboard" }]
presence = "off"
[[rooms.rules]]
match = "agents"
join = [{ role = "dashboard" }]
"#;

/// The socket of a client.
pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Gateways, and what joins them.
#[derive(Debug)]
pub struct Fleet {
    /// Each of them, where it runs.
    pub nodes: Vec<Option<TestGateway>>,
    /// Where clients find them.
    pub doors: Arc<Doors>,
    /// Between each of them and Redis.
    pub wires: Vec<Wire>,
    /// Where they meet.
    pub redis: Redis,
    folders: Vec<Option<Arc<TempDir>>>,
}

impl Fleet {
    /// So many, all well. The runtime has to have several threads: the wires are carried by it.
    pub async fn of(count: usize) -> Self {
        let redis = Redis::start();
        let mut wires = Vec::new();
        for _ in 0..count {
            wires.push(Wire::to(redis.port).await);
        }
        let nodes = (0..count).map(|_| None).collect();
        let mut fleet = Self { nodes, doors: Arc::new(Doors::of(count)), wires, redis, folders: vec![None; count] };
        for nth in 0..count {
            fleet.start(nth);
        }
        fleet.is_well().await;
        fleet
    }

    /// Kills a node by a signal that it cannot hear, where it runs.
    pub fn kill(&mut self, nth: usize) {
        if let Some(node) = self.nodes[nth].take() {
            self.doors.set(nth, None);
            self.folders[nth] = Some(node.crash());
        }
    }

    /// Starts a node, where it does not run.
    pub fn start(&mut self, nth: usize) {
        if self.nodes[nth].is_some() {
            return;
        }
        let (port, lease) = (self.wires[nth].port, LEASE.as_secs());
        let options = Options {
            config: format!("{CONFIG}[cluster]\nredis = \"redis://127.0.0.1:{port}\"\nlease = \"{lease}s\"\n"),
            env: vec![("GATEWAY__SERVER__NODE".into(), format!("node-{}", nth + 1))],
            folder: self.folders[nth].take(),
            ..Options::default()
        };
        // It waits for the program, which waits for Redis behind a wire of this runtime.
        let node = tokio::task::block_in_place(|| TestGateway::open(options));
        self.doors.set(nth, Some(node.address));
        self.nodes[nth] = Some(node);
    }

    /// What a node says of itself: the status and the body of `/readyz`.
    pub async fn ready(&self, nth: usize) -> (u16, Value) {
        match self.doors.nth(nth) {
            Some(door) => self.doors.call(door, "GET", "/readyz", None).await.unwrap_or((0, Value::Null)),
            None => (0, Value::Null),
        }
    }

    /// Waits until each that runs says that it is well.
    pub async fn is_well(&self) {
        for nth in 0..self.nodes.len() {
            if self.nodes[nth].is_some() {
                eventually(WELL, &format!("node {} is well again", nth + 1), async || {
                    (self.ready(nth).await.1["status"] == "ok").then_some(())
                })
                .await;
            }
        }
    }

    /// Whether one says within five seconds that it does not reach the others.
    pub async fn tells_that_it_is_away(&self, nth: usize) {
        eventually(5, &format!("node {} says that it does not reach the others", nth + 1), async || {
            (self.ready(nth).await.1["clusterAway"] == true).then_some(())
        })
        .await;
    }
}

/// Where the nodes listen, for those that come and go.
#[derive(Debug)]
pub struct Doors {
    open: Mutex<Vec<Option<SocketAddr>>>,
    http: reqwest::Client,
}

impl Doors {
    fn of(count: usize) -> Self {
        // A connection for each call: none that a node has left behind is used again.
        let http = reqwest::Client::builder().no_proxy().timeout(ANSWER).pool_max_idle_per_host(0).build();
        Self { open: Mutex::new(vec![None; count]), http: http.expect("a client") }
    }

    fn set(&self, nth: usize, door: Option<SocketAddr>) {
        self.open.lock().unwrap()[nth] = door;
    }

    /// That of one node, where it runs.
    pub fn nth(&self, nth: usize) -> Option<SocketAddr> {
        self.open.lock().unwrap()[nth]
    }

    /// That of one of those that run.
    pub fn any(&self, chance: &mut Chance) -> SocketAddr {
        let open: Vec<SocketAddr> = self.open.lock().unwrap().iter().flatten().copied().collect();
        open[chance.below(open.len())]
    }

    /// Calls the API of a node as an administrator: status and body, or why there are none.
    pub async fn call(
        &self,
        door: SocketAddr,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<(u16, Value), NotIn> {
        let request = self.http.request(method.parse().unwrap(), format!("http://{door}{path}"));
        let mut request = request.bearer_auth(token("operator", "admin"));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let late = |fault: reqwest::Error| if fault.is_timeout() { NotIn::Hung } else { NotIn::Broken };
        let response = request.send().await.map_err(late)?;
        let status = response.status().as_u16();
        Ok((status, response.json().await.map_err(late)?))
    }
}

/// How a handshake ended that was not welcome.
#[derive(Debug, PartialEq, Eq)]
pub enum NotIn {
    /// It was answered, with that status.
    Refused(u16),
    /// The node went away meanwhile.
    Broken,
    /// Nobody answered in time.
    Hung,
}

/// Shakes hands within [`ANSWER`].
pub async fn enter(door: SocketAddr, path: &str, token: &str) -> Result<Socket, NotIn> {
    let url = format!("ws://{door}{path}?token={token}");
    match tokio::time::timeout(ANSWER, connect_async(url)).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(tungstenite::Error::Http(response))) => Err(NotIn::Refused(response.status().as_u16())),
        Ok(Err(_)) => Err(NotIn::Broken),
        Err(_) => Err(NotIn::Hung),
    }
}
