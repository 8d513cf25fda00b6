//! Where the nodes of a fleet meet: a Redis that stands alone, or a master, its replica and a Sentinel that puts one in the
//! place of the other.

use std::time::Duration;

use crate::{
    eventually,
    partition::Wire,
    redis::{Redis, Rules},
};

/// How long one of them may take to follow the other, or a Sentinel to see that.
const PATIENCE: u64 = 40;

/// What is there.
#[derive(Debug)]
pub struct Meeting {
    servers: Vec<Redis>,
    /// Which of them is the master.
    master: usize,
    sentinel: Option<Redis>,
}

/// What joins one node to it.
#[derive(Debug)]
pub struct Cords {
    /// To each server, and to the Sentinel.
    wires: Vec<Wire>,
    /// What the node is configured with.
    pub lines: String,
}

impl Meeting {
    /// A Redis that stands alone.
    pub fn alone() -> Self {
        Self { servers: vec![Redis::start()], master: 0, sentinel: None }
    }

    /// Two, and a Sentinel that takes a master for dead that has said nothing for so long.
    pub async fn behind_a_sentinel(patience: Duration) -> Self {
        let master = Redis::start();
        let replica = Redis::with(Rules { replica_of: Some(master.port), ..Rules::default() });
        let mut meeting = Self { servers: vec![master, replica], master: 0, sentinel: None };
        meeting.is_in_step().await;
        // It finds the replica at once where the master knows it by then.
        meeting.sentinel = Some(Redis::sentinel_that_waits(meeting.master().port, patience));
        meeting.could_fail_over().await;
        meeting
    }

    /// What joins one more node.
    pub async fn cords(&self) -> Cords {
        let (mut wires, mut names) = (Vec::new(), Vec::new());
        for server in &self.servers {
            let wire = Wire::to(server.port).await;
            names.push((server.port, wire.port));
            wires.push(wire);
        }
        let lines = match &self.sentinel {
            None => format!("redis = \"redis://127.0.0.1:{}\"\n", wires[0].port),
            Some(sentinel) => {
                let wire = Wire::renaming(sentinel.port, names).await;
                let line = format!("sentinel = {{ master = \"main\", nodes = [\"127.0.0.1:{}\"] }}\n", wire.port);
                wires.push(wire);
                line
            }
        };
        Cords { wires, lines }
    }

    /// The one that is written to.
    pub fn master(&self) -> &Redis {
        &self.servers[self.master]
    }

    /// Kills the master.
    pub fn kill(&mut self) {
        self.servers[self.master].kill();
    }

    /// Starts it again, without its data.
    pub fn go_on(&mut self) {
        self.servers[self.master].go_on();
    }

    /// The master was killed: waits until the other has its place, and makes a replica of it.
    pub async fn is_taken_over(&mut self) {
        let other = 1 - self.master;
        let port = self.servers[other].port;
        eventually(PATIENCE, "the replica takes over", async || {
            let named = self.sentinel()?.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"]);
            (named.contains(&format!("\r\n{port}\r\n")) && self.servers[other].info("role") == "master").then_some(())
        })
        .await;
        self.servers[self.master].follows(port);
        self.servers[self.master].go_on();
        self.master = other;
        self.could_fail_over().await;
    }

    /// Waits until the replica has all, and the Sentinel knows that it could take over.
    async fn could_fail_over(&self) {
        self.is_in_step().await;
        let replica = self.servers[1 - self.master].port.to_string();
        eventually(PATIENCE, "the sentinel knows a replica that is well", async || {
            let known = self.sentinel()?.ask(&["SENTINEL", "REPLICAS", "main"]);
            (known.contains(&replica) && known.contains("\r\nslave\r\n") && known.contains("\r\nok\r\n")).then_some(())
        })
        .await;
    }

    async fn is_in_step(&self) {
        let (master, replica) = (self.master(), &self.servers[1 - self.master]);
        let offset = |redis: &Redis| redis.info("master_repl_offset").parse::<i64>().unwrap_or(-1);
        eventually(PATIENCE, "the replica follows", async || {
            let reached = offset(master);
            (replica.info("master_link_status") == "up" && offset(replica) >= reached - 100_000).then_some(())
        })
        .await;
    }

    fn sentinel(&self) -> Option<&Redis> {
        self.sentinel.as_ref()
    }
}

impl Cords {
    /// As if all packets were lost.
    pub fn hold(&self) {
        self.wires.iter().for_each(Wire::hold);
    }

    /// All connections end, and none begins.
    pub fn refuse(&self) {
        self.wires.iter().for_each(Wire::refuse);
    }

    /// Everything goes through again.
    pub fn mend(&self) {
        self.wires.iter().for_each(Wire::mend);
    }
}
