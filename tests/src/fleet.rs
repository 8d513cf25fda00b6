//! A fleet: gateways that act as one, each a process of its own, which reaches a Redis of the fleet's own over a wire that can be
//! cut. Whatever of it is struck stands up again at the same place, with the same folder.

pub mod crowd;
pub mod follower;
pub mod ledger;
pub mod mass;
pub mod meeting;
pub mod publisher;
pub mod schedule;
pub mod trial;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite};

use crate::{
    chance::Chance,
    eventually,
    gateway::{Options, TestGateway},
    process::stopwatch,
    rooms::{open_to_dashboards, unlimited_but},
    tokens::token,
};

use meeting::{Cords, Meeting};

/// How long a lease is.
pub const LEASE: Duration = Duration::from_secs(3);
/// The longest that anything may take to be answered, well or badly. Longer is called hanging.
pub const ANSWER: Duration = Duration::from_secs(15);
/// How many connections a user may have.
pub const SEATS: usize = 5;
const WELL: u64 = 30;

/// What every node is configured with.
fn config() -> String {
    let (limits, lobby, agents) = (unlimited_but(SEATS), open_to_dashboards("lobby"), open_to_dashboards("agents"));
    format!(
        "[server]\ndrain_timeout = \"1s\"\n{limits}\
         [rooms.default]\nhistory = {{ messages = 20000, bytes = \"16MiB\" }}\n\
         {lobby}presence = \"off\"\n{agents}"
    )
}

/// The socket of a client.
pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What a fleet is like, where it is not as usual.
#[derive(Clone, Debug, Default)]
pub struct Traits {
    /// It meets behind a Sentinel, which takes a master for dead that has said nothing for so long.
    pub sentinel: Option<Duration>,
    /// What its nodes do while they cannot reach the others; nothing: what is usual.
    pub when_away: Option<&'static str>,
    /// How long a lease is, where not [`LEASE`].
    pub lease: Option<Duration>,
    /// No other fleet of this program runs beside it.
    pub has_the_machine: bool,
    /// More of their configuration.
    pub config: String,
    /// More files of theirs.
    pub files: Vec<(String, Vec<u8>)>,
}

/// Gateways, and what joins them.
#[derive(Debug)]
pub struct Fleet {
    /// Each of them, where it runs.
    pub nodes: Vec<Option<TestGateway>>,
    /// Where clients find them.
    pub doors: Arc<Doors>,
    /// Between each of them and where they meet.
    pub cords: Vec<Cords>,
    /// Where they meet.
    pub meeting: Meeting,
    traits: Traits,
    folders: Vec<Option<Arc<TempDir>>>,
}

impl Fleet {
    /// So many, all well. The runtime has to have several threads: the wires are carried by it.
    pub async fn of(count: usize, traits: Traits) -> Self {
        let meeting = match traits.sentinel {
            None => Meeting::alone(),
            Some(patience) => Meeting::behind_a_sentinel(patience).await,
        };
        let mut cords = Vec::new();
        for _ in 0..count {
            cords.push(meeting.cords().await);
        }
        let nodes = (0..count).map(|_| None).collect();
        let doors = Arc::new(Doors::of(count));
        let mut fleet = Self { nodes, doors, cords, meeting, traits, folders: vec![None; count] };
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
        let Traits { config: more, files, when_away, lease, .. } = &self.traits;
        let (lines, lease) = (&self.cords[nth].lines, lease.unwrap_or(LEASE).as_secs());
        let policy = when_away.map(|policy| format!("when_away = \"{policy}\"\n")).unwrap_or_default();
        let options = Options {
            config: format!("{}{more}\n[cluster]\n{lines}{policy}lease = \"{lease}s\"\n", config()),
            files: files.clone(),
            env: vec![("GATEWAY__SERVER__NODE".into(), format!("node-{}", nth + 1))],
            folder: self.folders[nth].take(),
            ..Options::default()
        };
        // It waits for the program, which waits for Redis behind a wire of this runtime.
        let node = tokio::task::block_in_place(|| TestGateway::open(options));
        self.doors.set(nth, Some(node.address));
        self.nodes[nth] = Some(node);
    }

    /// Waits until nothing is left in Redis of a node that was killed: how long that took.
    pub async fn gives_back(&self, nth: usize) -> Duration {
        let (since, name) = (stopwatch(), format!("{{node:node-{}#", nth + 1));
        eventually(WELL, "what it held is given back", async || {
            let keys = self.meeting.master().keys();
            (!keys.iter().any(|key| key.contains(&name))).then_some(())
        })
        .await;
        since.elapsed()
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

    /// Each of these says, within five seconds of when that watch began, that it does not reach the others; by that status.
    pub async fn tell_that_they_are_away(&self, nodes: &[usize], status: u16, since: Instant) {
        let told = nodes.iter().map(|nth| async move {
            eventually(10, &format!("node {} says that it does not reach the others", nth + 1), async || {
                let (said, body) = self.ready(*nth).await;
                (body["clusterAway"] == true).then(|| assert_eq!(said, status, "{body}"))
            })
            .await;
            let after = since.elapsed();
            assert!(after < Duration::from_secs(5), "node {} says so after {after:?}", nth + 1);
        });
        futures_util::future::join_all(told).await;
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
        self.any_with_its_number(chance).1
    }

    /// The same, and which node it is.
    pub fn any_with_its_number(&self, chance: &mut Chance) -> (usize, SocketAddr) {
        let open = self.open.lock().unwrap();
        let open: Vec<_> = open.iter().enumerate().filter_map(|(nth, door)| Some((nth, (*door)?))).collect();
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
