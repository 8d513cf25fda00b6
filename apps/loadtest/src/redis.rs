//! A Redis that is started for gateways to meet at, on a free port, and that keeps nothing.
//!
//! The program is the one that is found on the path; where there is none, that is said before anything is measured.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::machine;

const PROGRAM: &str = "redis-server";
const PATIENCE: Duration = Duration::from_secs(10);
/// It says no more of itself than that, in bytes.
const MOST_TOLD: u64 = 64 << 10;
/// On so many ports, one after the other.
const ATTEMPTS: usize = 5;

/// One that runs, as long as this lives.
pub struct Redis {
    port: u16,
    child: Child,
    _folder: TempDir,
}

impl Redis {
    /// Starts it where this thread may run.
    pub fn start() -> Result<Self> {
        for _ in 1..ATTEMPTS {
            if let Some(redis) = Self::attempt()? {
                return Ok(redis);
            }
        }
        Self::attempt()?
            .with_context(|| format!("`{PROGRAM}` ends as soon as it is started: start it by hand to see why"))
    }

    /// None where it has ended at once: its port may have been taken by another meanwhile.
    fn attempt() -> Result<Option<Self>> {
        let folder = tempfile::Builder::new().prefix("loadtest-").tempdir().context("no temporary folder")?;
        let port = free_port()?;
        let text = port.to_string();
        let arguments = ["--port", &text, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
        let mut command = Command::new(PROGRAM);
        command.args(arguments).current_dir(folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = match command.spawn() {
            Err(fault) if fault.kind() == ErrorKind::NotFound => bail!(
                "`cluster` joins gateways by a Redis of its own, and there is no `{PROGRAM}` on the path: install Redis 7 \
                 or later (a package of most systems), or leave `cluster` out"
            ),
            other => other.with_context(|| format!("`{PROGRAM}` cannot be started"))?,
        };
        let mut redis = Self { port, child, _folder: folder };
        let end = Instant::now() + PATIENCE;
        while !redis.is_there() {
            if redis.child.try_wait()?.is_some() {
                return Ok(None);
            }
            if Instant::now() > end {
                bail!("`{PROGRAM}` does not answer");
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(Some(redis))
    }

    /// Where gateways find it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The processor time that it has used.
    pub fn cpu(&self) -> Option<Duration> {
        machine::cpu_time(self.child.id())
    }

    /// Whether it answers, and is the one that was started.
    fn is_there(&self) -> bool {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            stream.write_all(b"INFO server\r\nQUIT\r\n")?;
            let mut answer = String::new();
            stream.take(MOST_TOLD).read_to_string(&mut answer)?;
            Ok(answer)
        };
        let own = format!("process_id:{}", self.child.id());
        ask().is_ok_and(|answer| answer.lines().any(|line| line == own))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens at, for a moment.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("there is no free port")?;
    Ok(listener.local_addr()?.port())
}
