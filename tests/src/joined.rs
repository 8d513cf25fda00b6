//! Several gateways in this process, joined by a switchboard: real listeners and real clients, and a link that a test can cut
//! and heal.

use std::{net::SocketAddr, sync::Arc};

use gateway::{
    carry, compose,
    config::{self, Mode, Sources},
    fetch,
};
use gateway_cluster::local::{Rules, Switchboard};
use gateway_domain::{link::NodeId, name::NodeName};
use gateway_server::{
    House, clock,
    cluster::{Link, WhenAway},
    helm::Helm,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::{
    actor::Actor,
    client::{Refused, TestClient},
    eventually,
    tokens::{Claims, SECRET, token},
};

/// Gateways that act as one.
#[derive(Debug)]
pub struct Joined {
    /// Each of them.
    pub nodes: Vec<Node>,
    /// What joins them.
    pub switchboard: Switchboard,
}

/// One of them.
#[derive(Debug)]
pub struct Node {
    /// This life of it.
    pub id: NodeId,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its rooms.
    pub house: Arc<House>,
    running: JoinHandle<()>,
    _folder: TempDir,
}

impl Joined {
    /// So many, each by that configuration, which go on alone while they are cut off.
    pub async fn of(count: usize, config: &str) -> Self {
        Self::that(count, config, WhenAway::FailOpenLocal).await
    }

    /// So many, each by that configuration.
    pub async fn that(count: usize, config: &str, when_away: WhenAway) -> Self {
        let switchboard = Switchboard::new(Rules::new(clock::now));
        let mut nodes = Vec::with_capacity(count);
        for nth in 1..=count {
            nodes.push(Node::start(&switchboard, &format!("node-{nth}"), config, when_away));
        }
        let joined = Self { nodes, switchboard };
        // Each knows of all the others.
        eventually(10, "every node knows the others", async || {
            let knows = |node: &Node| node.house.hub.link().is_some_and(|link| link.nodes().len() == count);
            joined.nodes.iter().all(knows).then_some(())
        })
        .await;
        joined
    }

    /// Cuts a node off, and waits until it knows.
    pub async fn cut(&self, nth: usize) {
        self.switchboard.cut(&self.nodes[nth].id);
        self.is_away(nth, true).await;
    }

    /// Joins it again, and waits until it knows.
    pub async fn heal(&self, nth: usize) {
        self.switchboard.heal(&self.nodes[nth].id);
        self.is_away(nth, false).await;
    }

    async fn is_away(&self, nth: usize, away: bool) {
        let link = self.nodes[nth].house.hub.link().expect("a link");
        eventually(10, "the node knows whether it is cut off", async || (link.is_away() == away).then_some(())).await;
    }
}

impl Node {
    fn start(switchboard: &Switchboard, name: &str, more: &str, when_away: WhenAway) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(place("secret.txt"), SECRET).unwrap();
        let text = format!(
            "[[auth.keys]]\nkid = \"main\"\nalgorithm = \"HS256\"\nsecret_file = '{}'\n[audit]\nfile = '{}'\n\
             [server]\nnode = \"{name}\"\nlisten = \"127.0.0.1:0\"\n{more}",
            place("secret.txt"),
            place("audit.jsonl"),
        );
        let file = folder.path().join("gateway.toml");
        std::fs::write(&file, text).unwrap();
        let sources = Sources { file: Some(file), ..Sources::default() };
        let loaded = config::load(sources).unwrap_or_else(|faults| panic!("{faults}"));
        let secrets = loaded.resolve(&[]).unwrap_or_else(|faults| panic!("{faults}"));
        let id = NodeId::new(&NodeName::parse(name).unwrap(), uuid::Uuid::new_v4());
        let (orders, arrivals) = switchboard.join(id.clone());
        let link = Link::new(id.clone(), when_away, orders, arrivals);
        let (fetch, carry) = (fetch::fetch().unwrap(), carry::carry().unwrap());
        let house = compose::linked_house(&loaded, &secrets, Mode::Serve, 65_536, fetch, &carry, Some(link)).unwrap();
        let (helm, _) = Helm::new(Default::default(), compose::drain(&loaded.config.server));
        let gateway = compose::gateway(&loaded, &secrets, house, &helm, Default::default()).unwrap();
        let address = gateway.openings[0].listener.local_addr().unwrap().to_string().parse().unwrap();
        let house = Arc::clone(&gateway.house);
        let running = tokio::spawn(gateway.run(Default::default()));
        Self { id, address, house, running, _folder: folder }
    }

    /// Connects with a token.
    pub async fn connect(&self, path: &str, token: &str) -> Result<TestClient, Refused> {
        TestClient::open(&format!("ws://{}{path}?token={token}", self.address), &[]).await
    }

    /// Comes in with claims.
    pub async fn enter_with(&self, path: &str, claims: &Claims) -> Actor {
        let mut client = self.connect(path, &claims.sign()).await.unwrap_or_else(|refused| panic!("{refused:?}"));
        let greeting = client.json().await;
        assert_eq!(greeting["type"], "connection_ready", "{greeting}");
        Actor::greeted(client, greeting["payload"].clone())
    }

    /// Comes in with one role.
    pub async fn enter(&self, path: &str, user: &str, role: &str) -> Actor {
        self.enter_with(path, &Claims::of(user, role)).await
    }

    /// A dashboard.
    pub async fn dashboard(&self, user: &str) -> Actor {
        self.enter("/ws/dashboard", user, "dashboard").await
    }

    /// An agent.
    pub async fn agent(&self, user: &str) -> Actor {
        self.enter("/ws/agent", user, "agent").await
    }

    /// Calls the API as an administrator: status and body.
    pub async fn api(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://{}{path}", self.address);
        let mut request = client.request(method.parse().unwrap(), url).bearer_auth(token("operator", "admin"));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or(Value::Null))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.running.abort();
    }
}
