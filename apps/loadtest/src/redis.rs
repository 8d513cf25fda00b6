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

/// One that runs, as long as this lives.
pub struct Redis {
    port: u16,
    child: Child,
    _folder: TempDir,
}

impl Redis {
    /// Starts it where this thread may run.
    pub fn start() -> Result<Self> {
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
            if let Some(status) = redis.child.try_wait()? {
                bail!("`{PROGRAM}` ended as soon as it was started ({status}): start it by hand to see why");
            }
            if Instant::now() > end {
                bail!("`{PROGRAM}` does not answer");
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(redis)
    }

    /// Where gateways find it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The processor time that it has used.
    pub fn cpu(&self) -> Option<Duration> {
        machine::cpu_time(self.child.id())
    }

    fn is_there(&self) -> bool {
        let ask = || -> std::io::Result<bool> {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            stream.write_all(b"PING\r\n")?;
            let mut answer = [0; 5];
            stream.read_exact(&mut answer)?;
            Ok(&answer == b"+PONG")
        };
        ask().unwrap_or(false)
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
