//! Users that come and go at all nodes, more often than they may, and who of them is in: at every welcome while Redis answers all
//! nodes, a user has no more live connections than its plan gives it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt;
use tokio::{task::JoinHandle, time::timeout};
use tokio_tungstenite::tungstenite::Message;

use super::{ANSWER, Doors, NotIn, SEATS, Socket, enter};
use crate::{chance::Chance, tokens::token};

/// What is known of them.
#[derive(Debug, Default)]
pub struct Register {
    live: Mutex<HashMap<String, usize>>,
    faults: Mutex<Vec<String>>,
    /// Even while Redis answers all nodes, and they are well.
    weather: AtomicU64,
    welcomed: AtomicU64,
    checked: AtomicU64,
    refused: AtomicU64,
    /// Nobody comes any more.
    closed: AtomicBool,
}

impl Register {
    /// From now on limits hold over all nodes.
    pub fn calm(&self) {
        self.weather.fetch_add(self.weather.load(Ordering::SeqCst) % 2, Ordering::SeqCst);
    }

    /// From now on they may not.
    pub fn rough(&self) {
        self.weather.fetch_add(1 - self.weather.load(Ordering::SeqCst) % 2, Ordering::SeqCst);
    }

    /// How many were welcomed, at how many of them the limit was held against it, and how many were refused.
    pub fn counts(&self) -> (u64, u64, u64) {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (of(&self.welcomed), of(&self.checked), of(&self.refused))
    }

    fn welcome(&self, user: &str, before: u64) {
        let mut live = self.live.lock().unwrap();
        let count = live.entry(user.to_owned()).or_default();
        *count += 1;
        self.welcomed.fetch_add(1, Ordering::Relaxed);
        if before.is_multiple_of(2) && self.weather.load(Ordering::SeqCst) == before {
            self.checked.fetch_add(1, Ordering::Relaxed);
            if *count > SEATS {
                self.fault(format!("{user} has {count} connections, and may have {SEATS}"));
            }
        }
    }

    fn farewell(&self, user: &str) {
        *self.live.lock().unwrap().entry(user.to_owned()).or_default() -= 1;
    }

    fn fault(&self, fault: String) {
        let mut faults = self.faults.lock().unwrap();
        if faults.len() < 20 {
            faults.push(fault);
        }
    }
}

/// All of them.
#[derive(Debug)]
pub struct Crowd {
    /// What is known of them.
    pub register: Arc<Register>,
    tasks: Vec<JoinHandle<()>>,
}

impl Crowd {
    /// So many users, each with some more clients than it may have connections.
    pub fn begin(users: usize, doors: &Arc<Doors>, seed: u64) -> Self {
        let register = Arc::new(Register::default());
        let mut chance = Chance::of(seed);
        let mut tasks = Vec::new();
        for nth in 0..users * (SEATS + 3) {
            let user = format!("user-{}", nth % users);
            let (register, doors) = (Arc::clone(&register), Arc::clone(doors));
            tasks.push(tokio::spawn(come_and_go(user, register, doors, Chance::of(chance.any()))));
        }
        Self { register, tasks }
    }

    /// All go, each as it always does: one that were torn away would be counted for longer than its node counts it, and who comes
    /// in its place would be one too many. What was against the promise.
    pub async fn end(mut self) -> Vec<String> {
        self.register.closed.store(true, Ordering::SeqCst);
        for task in self.tasks.drain(..) {
            if let Err(fault) = task.await {
                self.register.fault(format!("a client ended by itself: {fault}"));
            }
        }
        self.register.faults.lock().unwrap().clone()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn come_and_go(user: String, register: Arc<Register>, doors: Arc<Doors>, mut chance: Chance) {
    let token = token(&user, "dashboard");
    while !register.closed.load(Ordering::SeqCst) {
        let weather = register.weather.load(Ordering::SeqCst);
        match enter(doors.any(&mut chance), "/ws/dashboard", &token).await {
            Ok(socket) => {
                register.welcome(&user, weather);
                let mut socket = stay(socket, Duration::from_millis(100 + chance.below(900) as u64)).await;
                // It counts no more from before the node can know of it.
                register.farewell(&user);
                if chance.one_in(2) {
                    let _ = timeout(ANSWER, socket.close(None)).await;
                }
            }
            Err(NotIn::Hung) => register.fault(format!("a handshake of {user} hung")),
            Err(_) => {
                register.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
        tokio::time::sleep(Duration::from_millis(50 + chance.below(150) as u64)).await;
    }
}

/// Reads for so long, or until the connection ends.
async fn stay(mut socket: Socket, time: Duration) -> Socket {
    let ends = async {
        while let Some(Ok(message)) = socket.next().await {
            if matches!(message, Message::Close(_)) {
                return;
            }
        }
    };
    let _ = timeout(time, ends).await;
    socket
}
