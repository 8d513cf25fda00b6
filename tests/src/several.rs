//! The same stories on several gateways: where the runner says `GATEWAY_TEST_NODES=3`, a [`TestGateway`](crate::TestGateway) is
//! three of them, joined by a Redis of their own, and clients are spread over them by chance. `GATEWAY_TEST_SPREAD` calls a
//! spread back; a story that fails names its own.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, LazyLock, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::{
    chance::Chance,
    plain,
    redis::Redis,
    runner,
    tokens::{now, token},
};

/// Where the nodes cannot be asked whether they have heard each other, they are given so long.
const MOMENT: Duration = Duration::from_millis(250);
/// What was said may make another node say something, and that one a third.
const ROUNDS: usize = 3;

/// Those that act as one, by the address of each.
static TOGETHER: LazyLock<Mutex<HashMap<SocketAddr, Arc<Spread>>>> = LazyLock::new(Mutex::default);

/// Gateways that act as one, and the die that says which of them a client comes to.
#[derive(Debug)]
pub struct Spread {
    /// Where each of them listens.
    pub nodes: Vec<SocketAddr>,
    /// Calls this spread back.
    pub seed: u64,
    die: Mutex<Chance>,
    /// How many waits for the nodes have begun,
    begun: AtomicU64,
    /// and which of them was the last to end. One at a time.
    ended: tokio::sync::Mutex<u64>,
}

/// Makes an empty Redis one on which a cluster has run for an hour: for the first moments of one it gives no seats.
pub(crate) fn long_begun(redis: &Redis) {
    let since = (now() - 3600) * 1000;
    let id = redis.info("master_replid");
    redis.ask(&["HSET", "gateway:1:generation", "id", &id, "count", "1", "since", &since.to_string()]);
}

/// Waits until all nodes that a test gets have come to that Redis.
pub(crate) fn met(redis: &Redis) {
    let all = format!(":{}\r\n", nodes());
    for _ in 0..1000 {
        if redis.ask(&["ZCARD", "gateway:1:nodes"]) == all {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("the nodes did not come together: {}", redis.ask(&["ZRANGE", "gateway:1:nodes", "0", "-1"]));
}

/// How many gateways a test gets where it asks for one.
pub fn nodes() -> usize {
    static NODES: OnceLock<usize> = OnceLock::new();
    *NODES.get_or_init(|| runner::number("GATEWAY_TEST_NODES").unwrap_or(1).max(1))
}

/// What a backend reads of whom its event was told to.
pub fn scope() -> &'static str {
    if nodes() > 1 { "cluster" } else { "node" }
}

impl Spread {
    /// Over those nodes. It is known by the address of each of them from now on.
    pub(crate) fn over(nodes: Vec<SocketAddr>) -> Arc<Self> {
        let seed = runner::number("GATEWAY_TEST_SPREAD").unwrap_or_else(Chance::seed);
        if nodes.len() > 1 {
            let count = nodes.len();
            runner::say(format_args!("{count} nodes: GATEWAY_TEST_NODES={count} GATEWAY_TEST_SPREAD={seed}"));
        }
        let spread = Arc::new(Self {
            nodes,
            seed,
            die: Mutex::new(Chance::of(seed)),
            begun: AtomicU64::new(0),
            ended: tokio::sync::Mutex::default(),
        });
        if spread.nodes.len() > 1 {
            let mut together = TOGETHER.lock().unwrap();
            together.extend(spread.nodes.iter().map(|node| (*node, Arc::clone(&spread))));
        }
        spread
    }

    /// The spread to which a node of that address belongs, where it is not alone.
    pub(crate) fn of(node: SocketAddr) -> Option<Arc<Self>> {
        TOGETHER.lock().unwrap().get(&node).cloned()
    }

    /// One of them, whichever.
    pub(crate) fn any(&self) -> SocketAddr {
        self.nodes[self.die.lock().unwrap().below(self.nodes.len())]
    }

    /// They are gone.
    pub(crate) fn ends(&self) {
        let mut together = TOGETHER.lock().unwrap();
        self.nodes.iter().for_each(|node| _ = together.remove(node));
    }

    /// Waits until each node has heard what each of them had said, and what came of that.
    async fn settled(&self) {
        let begun = self.begun.load(Ordering::SeqCst);
        let mut ended = self.ended.lock().await;
        // A wait that began after that was for whoever came before it, too: hundreds of clients wait twice at most.
        if *ended > begun {
            return;
        }
        let own = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        for _ in 0..ROUNDS {
            let asked = futures_util::future::join_all(self.nodes.iter().map(|node| answers_for_all(*node))).await;
            if !asked.into_iter().all(|answered| answered) {
                tokio::time::sleep(MOMENT).await;
                break;
            }
        }
        *ended = own;
    }
}

/// Asks a node for something that it has to ask all others for. Each answers when it has dealt with all that this node had
/// told it before; whether they did.
async fn answers_for_all(node: SocketAddr) -> bool {
    let bearer = format!("authorization: Bearer {}\r\n", token("harness", "admin"));
    let answer = plain::ask(node, "GET /api/v1/rooms?limit=1&prefix=nothing.is.called.so HTTP/1.1", &bearer).await;
    answer.status == 200 && answer.json().get("missing").is_none()
}

/// Waits until what was said at one of the nodes that act as one with this client's is heard at the others; for one node
/// alone not at all.
pub async fn settled(socket: &WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>) {
    let MaybeTlsStream::Plain(stream) = socket.get_ref() else { return };
    let Ok(node) = stream.peer_addr() else { return };
    if let Some(spread) = Spread::of(node) {
        spread.settled().await;
    }
}
