//! A node leaves while it is used: everybody is asked to go, in good order and not all at once, whoever waits for an answer
//! gets it first, and nobody is missing on the other node.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use gateway_tests::{TestClient, TestGateway, eventually, process::stopwatch, tokens::token};
use serde_json::{Value, json};
use tokio::{sync::Barrier, task::JoinSet};
use tokio_tungstenite::tungstenite::Message;

const DASHBOARDS: usize = 1_900;
const AGENTS: usize = 100;
const CROWD: usize = DASHBOARDS + AGENTS;
/// How long an agent thinks: so that requests are open at any moment.
const THINKING: Duration = Duration::from_millis(40);
/// How often each dashboard asks.
const ASKING: Duration = Duration::from_secs(8);
const UNLIMITED: &str = "[limits]\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = \"off\"\n\
    unauthenticated = 4096\nunauthenticated_per_address = 4096\n\
    [plans.default]\nconnections = \"off\"\nmessages = \"off\"\n[plans.agent]\nconnections = \"off\"\nmessages = \"off\"\n";

/// What is known of all of them.
struct Crowd {
    nodes: [TestGateway; 2],
    entered: Barrier,
    is_over: AtomicBool,
    began: Mutex<Option<Instant>>,
    /// When each came to the other node, since the signal.
    back: Mutex<Vec<Duration>>,
    /// How often an agent was asked each thing, by its name.
    asked: Mutex<HashMap<String, usize>>,
    said: AtomicUsize,
    answered: AtomicUsize,
    repeated: AtomicUsize,
    refused: AtomicUsize,
    order: Mutex<Vec<bool>>,
}

/// One client, which follows the advice of its goodbye.
struct Member {
    nth: usize,
    is_agent: bool,
    token: String,
    said: usize,
    /// What it asked and has no answer to.
    open: Vec<String>,
}

impl Member {
    fn new(nth: usize) -> Self {
        let is_agent = nth >= DASHBOARDS;
        let (user, role) = if is_agent {
            (format!("agent-{}", nth - DASHBOARDS), "agent")
        } else {
            (format!("user-{nth}"), "dashboard")
        };
        Self { nth, is_agent, token: token(&user, role), said: 0, open: Vec::new() }
    }

    async fn live(mut self, crowd: Arc<Crowd>) {
        let first = self.enter(&crowd, 0).await.expect("the first node takes everybody");
        crowd.entered.wait().await;
        let Some(wait) = self.stay(first, &crowd).await else { panic!("the first node keeps nobody") };
        crowd.order.lock().unwrap().push(self.is_agent);
        tokio::time::sleep(wait).await;
        let second = loop {
            match self.enter(&crowd, 1).await {
                Ok(client) => break client,
                Err(wait) => {
                    crowd.refused.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(wait).await;
                }
            }
        };
        let since = crowd.began.lock().unwrap().unwrap().elapsed();
        crowd.back.lock().unwrap().push(since);
        assert!(self.stay(second, &crowd).await.is_none(), "the other node stays");
    }

    async fn enter(&mut self, crowd: &Crowd, node: usize) -> Result<TestClient, Duration> {
        let path = if self.is_agent { "/ws/agent" } else { "/ws/dashboard" };
        let entered = TestClient::connect(&crowd.nodes[node], path, &self.token).await;
        let mut client = entered.map_err(|refused| {
            Duration::from_secs(refused.header("retry-after").parse().expect("a wait, where one is refused"))
        })?;
        assert_eq!(client.json().await["type"], "connection_ready");
        // What the node before did not take up is said again.
        for name in self.open.clone() {
            crowd.repeated.fetch_add(1, Ordering::Relaxed);
            self.say(&mut client, &name).await;
        }
        Ok(client)
    }

    /// Asks and answers until it is told to go, and how long to stay away; nothing where all is over.
    async fn stay(&mut self, mut client: TestClient, crowd: &Crowd) -> Option<Duration> {
        let phase = ASKING.mul_f64(self.nth as f64 / CROWD as f64);
        let mut asking = tokio::time::interval_at(tokio::time::Instant::from_std(stopwatch()) + phase, ASKING);
        loop {
            tokio::select! {
                biased;
                next = client.socket.next() => match next {
                    Some(Ok(Message::Text(text))) => self.hear(&mut client, &text, crowd).await,
                    Some(Ok(Message::Close(Some(frame)))) => {
                        let reason: Value = serde_json::from_str(&frame.reason).expect("a reason");
                        assert_eq!((u16::from(frame.code), &reason["code"]), (1012, &json!("DRAINING")));
                        // The answer to the close goes out with the next look.
                        let _ = tokio::time::timeout(Duration::from_secs(5), client.socket.next()).await;
                        return Some(Duration::from_secs(reason["retryAfter"].as_u64().expect("a wait")));
                    }
                    Some(Ok(_)) => {}
                    other => panic!("an end without a goodbye: {other:?}"),
                },
                _ = asking.tick() => {
                    if crowd.is_over.load(Ordering::Relaxed) && self.open.is_empty() {
                        return None;
                    }
                    if !self.is_agent && !crowd.is_over.load(Ordering::Relaxed) {
                        self.said += 1;
                        let name = format!("{}-{}", self.nth, self.said);
                        crowd.said.fetch_add(1, Ordering::Relaxed);
                        self.open.push(name.clone());
                        self.say(&mut client, &name).await;
                    }
                }
            }
        }
    }

    async fn say(&self, client: &mut TestClient, name: &str) {
        let to = format!("agent-{}", self.nth % AGENTS);
        let command = json!({"type": "command", "id": name, "payload": {"agentId": to, "name": name}});
        // A socket that is closed meanwhile says so when it is read.
        let _ = client.socket.send(Message::text(command.to_string())).await;
    }

    async fn hear(&mut self, client: &mut TestClient, text: &str, crowd: &Crowd) {
        let message: Value = serde_json::from_str(text).expect("JSON");
        match message["type"].as_str() {
            Some("command") => {
                let name = message["payload"]["name"].as_str().expect("a name").to_owned();
                *crowd.asked.lock().unwrap().entry(name).or_default() += 1;
                tokio::time::sleep(THINKING).await;
                let reply = json!({"type": "reply", "replyTo": message["requestId"], "payload": null});
                let _ = client.socket.send(Message::text(reply.to_string())).await;
            }
            Some("reply") => self.answered(&message["replyTo"], crowd),
            // Its agent is not there yet, or not any more: an answer, too.
            Some("error") => {
                assert_eq!(message["payload"]["code"], "TARGET_OFFLINE", "{message}");
                self.answered(&message["id"], crowd);
            }
            _ => panic!("{message}"),
        }
    }

    fn answered(&mut self, name: &Value, crowd: &Crowd) {
        let at = self.open.iter().position(|open| *name == **open).expect("what was asked");
        self.open.remove(at);
        crowd.answered.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_clients_move_to_the_other_node_and_no_request_is_left_without_an_answer() {
    gateway_tests::process::allow_open_files(8_192);
    // With the window that ships.
    let config = format!("{UNLIMITED}[server]\n# drain_window = 30s\n");
    let crowd = Arc::new(Crowd {
        nodes: [TestGateway::with(&config), TestGateway::with(&config)],
        entered: Barrier::new(CROWD + 1),
        is_over: AtomicBool::new(false),
        began: Mutex::default(),
        back: Mutex::default(),
        asked: Mutex::default(),
        said: AtomicUsize::new(0),
        answered: AtomicUsize::new(0),
        repeated: AtomicUsize::new(0),
        refused: AtomicUsize::new(0),
        order: Mutex::default(),
    });
    let mut members = JoinSet::new();
    for nth in 0..CROWD {
        members.spawn(Member::new(nth).live(Arc::clone(&crowd)));
        if nth % 50 == 49 {
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
    crowd.entered.wait().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    *crowd.began.lock().unwrap() = Some(stopwatch());
    crowd.nodes[0].signal("TERM");
    eventually(90, "everybody is on the other node", async || {
        assert!(members.try_join_next().is_none(), "nobody gives up");
        (crowd.back.lock().unwrap().len() == CROWD).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    crowd.is_over.store(true, Ordering::Relaxed);
    members.join_all().await;

    let mut seconds = vec![0; 90];
    crowd.back.lock().unwrap().iter().for_each(|since| seconds[since.as_secs() as usize] += 1);
    let busiest = seconds.iter().max().unwrap();
    let (said, answered) = (crowd.said.load(Ordering::Relaxed), crowd.answered.load(Ordering::Relaxed));
    let repeated = crowd.repeated.load(Ordering::Relaxed);
    println!("came back, by second: {seconds:?}; {said} requests, {answered} answers, {repeated} said twice");
    assert!(*busiest <= CROWD / 20, "no more than a twentieth in one second: {seconds:?}");
    assert_eq!((said, crowd.refused.load(Ordering::Relaxed)), (answered, 0), "each has its answer");
    assert!(said > DASHBOARDS, "they were busy: {said}");
    assert!(repeated * 50 < said, "hardly anything crossed a goodbye: {repeated} of {said}");
    let twice: Vec<_> =
        crowd.asked.lock().unwrap().iter().filter(|(_, times)| **times > 1).map(|(name, _)| name.clone()).collect();
    assert!(twice.is_empty(), "what was not answered was not taken up, and none was asked twice: {twice:?}");
    let order = crowd.order.lock().unwrap();
    let first_agent = order.iter().position(|is_agent| *is_agent).unwrap();
    assert!(first_agent + AGENTS / 2 > DASHBOARDS, "agents last: the first of them after {first_agent}");
}
