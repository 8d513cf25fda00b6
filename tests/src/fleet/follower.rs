//! Who follows the lobby at one node or another, comes again from where it was when its connection ends, and keeps account.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle, time::timeout};
use tokio_tungstenite::tungstenite::Message;

use super::{ANSWER, Doors, NotIn, Socket, enter, ledger::Account};
use crate::{chance::Chance, tokens::token};

/// What it says at first, and what answers it.
const SUBSCRIBE: &str = "to the lobby";

/// Follows all the while.
#[derive(Debug)]
pub struct Follower {
    account: Arc<Mutex<Account>>,
    scattered: watch::Sender<u64>,
    task: JoinHandle<()>,
}

impl Follower {
    /// A user of that name.
    pub fn begin(user: &str, doors: Arc<Doors>, seed: u64) -> Self {
        Self::at(user, doors, seed, None)
    }

    /// One that comes to that node and no other.
    pub fn at(user: &str, doors: Arc<Doors>, seed: u64, node: Option<usize>) -> Self {
        let (scattered, hears) = watch::channel(0);
        let account = Arc::new(Mutex::new(Account::default()));
        let token = token(user, "dashboard");
        let task = tokio::spawn(follow(Arc::clone(&account), doors, Chance::of(seed), node, token, hears));
        Self { account, scattered, task }
    }

    /// Its connection ends, and it comes again.
    pub fn scatter(&self) {
        self.scattered.send_modify(|times| *times += 1);
    }

    /// What it has heard so far.
    pub fn account(&self) -> Account {
        self.account.lock().unwrap().clone()
    }

    /// Whether it heard that one.
    pub fn has_heard(&self, by: usize, n: u64) -> bool {
        self.account.lock().unwrap().has_heard((by, n))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(
    account: Arc<Mutex<Account>>,
    doors: Arc<Doors>,
    mut chance: Chance,
    node: Option<usize>,
    token: String,
    mut scattered: watch::Receiver<u64>,
) {
    loop {
        let door = match node {
            Some(nth) => doors.nth(nth),
            None => Some(doors.any(&mut chance)),
        };
        if let Some(door) = door {
            match enter(door, "/ws/dashboard", &token).await {
                Ok(socket) => stay(socket, &account, &mut scattered).await,
                Err(NotIn::Hung) => account.lock().unwrap().faults.push("a handshake hung".to_owned()),
                Err(_) => {}
            }
        }
        tokio::time::sleep(Duration::from_millis(20 + chance.below(100) as u64)).await;
    }
}

/// Follows by one connection until that ends.
async fn stay(mut socket: Socket, account: &Mutex<Account>, scattered: &mut watch::Receiver<u64>) {
    scattered.mark_unchanged();
    let since = account.lock().unwrap().since.clone();
    let mut question = json!({"type": "subscribe", "id": SUBSCRIBE, "payload": {"room": "lobby"}});
    if let Some((epoch, offset)) = since {
        question["payload"]["since"] = json!({"epoch": epoch, "offset": offset});
    }
    if socket.send(Message::text(question.to_string())).await.is_err() {
        return;
    }
    let mut answered = false;
    loop {
        // What is asked is answered; what is said comes when it comes.
        let patience = if answered { Duration::from_secs(3600) } else { ANSWER };
        let next = tokio::select! {
            next = timeout(patience, socket.next()) => next,
            _ = scattered.changed() => return,
        };
        let Ok(next) = next else {
            return account.lock().unwrap().faults.push("a subscription hung".to_owned());
        };
        match next {
            Some(Ok(Message::Text(text))) => {
                let message: Value = serde_json::from_str(&text).expect("JSON");
                answered |= message["id"] == SUBSCRIBE;
                if !take(&message, &mut account.lock().unwrap()) {
                    return;
                }
            }
            Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            Some(Ok(_)) => {}
        }
    }
}

/// Notes a message; whether that was as it should be, or it has to come again.
fn take(message: &Value, account: &mut Account) -> bool {
    let payload = &message["payload"];
    match message["type"].as_str() {
        Some("connection_ready") => {}
        Some("subscribed") => {
            let (epoch, top) = (payload["epoch"].as_str().unwrap_or_default(), payload["offset"].as_u64());
            let missed = payload["missed"].as_u64().unwrap_or_default();
            account.told(epoch, top.unwrap_or_default(), payload["recovered"].as_bool(), missed);
        }
        Some("news") => {
            let event =
                (payload["by"].as_u64().unwrap_or(u64::MAX) as usize, payload["n"].as_u64().unwrap_or(u64::MAX));
            account.heard(event, message["offset"].as_u64().unwrap_or_default());
        }
        // It is asked to come again, or may not subscribe now.
        Some("error") if message["id"] == SUBSCRIBE => return false,
        _ => account.faults.push(format!("nobody expects this: {message}")),
    }
    true
}
