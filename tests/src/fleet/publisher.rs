//! Who says events into the lobby, one after the other, each at another node, and keeps what it was told of each.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tokio::task::JoinHandle;

use super::{Doors, NotIn, ledger::Told};
use crate::chance::Chance;

/// Publishes all the while.
#[derive(Debug)]
pub struct Publisher {
    ends: Arc<AtomicBool>,
    task: JoinHandle<(Vec<Told>, Vec<String>)>,
}

impl Publisher {
    /// The how-manieth it is, and how long it rests after each.
    pub fn begin(number: usize, doors: Arc<Doors>, seed: u64, rest: Duration) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let (told, mut chance) = (Arc::clone(&ends), Chance::of(seed));
        let task = tokio::spawn(async move {
            let (mut said, mut faults) = (Vec::new(), Vec::new());
            while !told.load(Ordering::Relaxed) {
                let door = doors.any(&mut chance);
                let told = say(&doors, door, number, said.len()).await;
                said.push(told.unwrap_or_else(|fault| {
                    faults.push(fault);
                    Told::Nothing
                }));
                tokio::time::sleep(rest).await;
            }
            (said, faults)
        });
        Self { ends, task }
    }

    /// Says no more: what it was told of each, and what it should not have been told.
    pub async fn end(self) -> (Vec<Told>, Vec<String>) {
        self.ends.store(true, Ordering::Relaxed);
        self.task.await.expect("a publisher ends")
    }
}

/// Says one event at a node: what is told of it, or what should not have been.
pub async fn say(doors: &Doors, door: SocketAddr, by: usize, n: usize) -> Result<Told, String> {
    let event = json!({"to": ["room:lobby"], "type": "news", "payload": {"by": by, "n": n}});
    match doors.call(door, "POST", "/api/v1/events", Some(event)).await {
        Ok((200, answer)) if answer["scope"] == "cluster" => Ok(Told::Cluster),
        Ok((200, answer)) if answer["scope"] == "node" => Ok(Told::Node),
        Ok((503, _)) => Ok(Told::Refused),
        Err(NotIn::Broken) => Ok(Told::Nothing),
        other => Err(format!("event {n} of publisher {by}: {other:?}")),
    }
}
