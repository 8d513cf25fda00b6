//! A server under load: a gateway that is started for one scenario and ends with it, one that runs already, the floor, or
//! one of its peers.
//!
//! What is started runs on the server's processor, in a folder that vanishes, on a free port.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use gateway_auth::Algorithm;
use tempfile::TempDir;

use crate::{
    crowd::Entrance,
    machine::{self, Cores},
    mint::Mint,
    peers::{Peer, Peers},
    protocol::{Protocol, Tongue},
};

/// The configuration of a gateway under load, but for its keys.
pub const CONFIGURATION: &str = include_str!("gateway.toml");

const PATIENCE: Duration = Duration::from_secs(30);
/// So long a server must have done nothing to be at rest.
const REST: Duration = Duration::from_millis(20);
/// So little is nothing: what ten thousand connections cost that only answer pings is less.
const STIR: Duration = Duration::from_micros(1500);
/// Nobody waits longer for rest: meanwhile the clients answer no pings.
const MOST_REST: Duration = Duration::from_secs(3);
/// It says no more of itself than that, in bytes.
const MOST_TOLD: u64 = 64 << 10;
/// The door of dashboards.
const DASHBOARD: &str = "/ws/dashboard";
const LISTENING: &str = "listening for clients address=\"";

/// A server under load.
pub struct Subject {
    /// Where clients come.
    pub address: SocketAddr,
    pid: Option<u32>,
    /// None for the floor, which takes everybody.
    mint: Option<Mint>,
    /// What dashboards speak.
    tongue: Tongue,
    started: Option<Child>,
    folder: Option<TempDir>,
}

/// A gateway that runs already.
pub struct Running {
    /// Where.
    pub url: String,
    /// Its process, where it is on this machine.
    pub pid: Option<u32>,
    /// What its HS256 tokens are signed with.
    pub secret: Vec<u8>,
    /// The name of that key.
    pub kid: Option<String>,
}

/// Which gateways there are to be loaded.
pub enum Source {
    /// A program, started anew for each scenario.
    Program(PathBuf),
    /// One that runs.
    Running(Running),
}

impl Source {
    /// A gateway of it, which takes tokens of these algorithms.
    pub fn open(&self, algorithms: &[Algorithm], more: &str, cores: Option<Cores>, tongue: Tongue) -> Result<Subject> {
        let mut subject = match self {
            Self::Program(program) => Subject::start(program, algorithms, more, cores)?,
            Self::Running(running) => Subject::aim(running)?,
        };
        subject.tongue = tongue;
        Ok(subject)
    }
}

impl Subject {
    fn start(program: &Path, algorithms: &[Algorithm], more: &str, cores: Option<Cores>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("loadtest-").tempdir().context("no temporary folder")?;
        let (mint, keys) = Mint::new(folder.path(), algorithms)?;
        fs::write(folder.path().join("gateway.toml"), format!("{keys}{CONFIGURATION}{more}"))?;
        let written = folder.path().join("gateway.log");
        let log = fs::File::create(&written)?;
        let mut command = Command::new(program);
        command.args(["serve", "--config", "gateway.toml", "--listen", "127.0.0.1:0"]).current_dir(folder.path());
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut child = spawn(&mut command, cores)
            .with_context(|| format!("{} cannot be started: build it, or name it with --gateway", program.display()))?;
        let end = Instant::now() + PATIENCE;
        let address = loop {
            let text = fs::read_to_string(&written).unwrap_or_default();
            if let Some((_, rest)) = text.split_once(LISTENING)
                && let Some((address, _)) = rest.split_once('"')
            {
                break address.parse().context("the gateway says nonsense about its address")?;
            }
            if Instant::now() > end || child.try_wait()?.is_some() {
                let _ = child.kill();
                let _ = child.wait();
                bail!("the gateway did not start:\n{text}");
            }
            thread::sleep(Duration::from_millis(5));
        };
        let pid = Some(child.id());
        Ok(Self { address, pid, mint: Some(mint), tongue: Tongue::Native, started: Some(child), folder: Some(folder) })
    }

    fn aim(running: &Running) -> Result<Self> {
        let url = &running.url;
        let rest = url.strip_prefix("ws://").or_else(|| url.strip_prefix("http://"));
        let Some(rest) = rest else {
            bail!("`{url}` is no address to load: give ws://HOST:PORT (TLS is not measured here)")
        };
        let host = rest.split('/').next().unwrap_or_default();
        let mut found = host.to_socket_addrs().with_context(|| format!("`{host}` is no HOST:PORT"))?;
        let address = found.next().with_context(|| format!("`{host}` has no address"))?;
        if let Some(pid) = running.pid {
            machine::check_process(pid)?;
        }
        let mint = Mint::of_secret(running.secret.clone(), running.kid.clone())?;
        Ok(Self { address, pid: running.pid, mint: Some(mint), tongue: Tongue::Native, started: None, folder: None })
    }

    /// Starts the floor.
    pub fn floor(cores: Option<Cores>) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe().context("this program does not know where it is")?);
        command.args(["floor", "--listen", "127.0.0.1:0"]);
        let (child, address) = told(&mut command, cores).context("the floor cannot be started")?;
        let pid = Some(child.id());
        Ok(Self { address, pid, mint: None, tongue: Tongue::Native, started: Some(child), folder: None })
    }

    /// Starts a peer, which takes HS256 tokens.
    pub fn peer(peers: &Peers, peer: Peer, cores: Option<Cores>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("loadtest-").tempdir().context("no temporary folder")?;
        let (mint, _) = Mint::new(folder.path(), &[Algorithm::Hs256])?;
        let mut command = peers.command(peer);
        command.arg(Mint::file_in(folder.path(), Algorithm::Hs256));
        let (child, address) = told(&mut command, cores)
            .with_context(|| format!("the peer `{}` cannot be started: see what it says above", peer.name()))?;
        let pid = Some(child.id());
        let folder = Some(folder);
        Ok(Self { address, pid, mint: Some(mint), tongue: peer.tongue(), started: Some(child), folder })
    }

    /// Whether it is the floor.
    pub fn is_floor(&self) -> bool {
        self.mint.is_none()
    }

    /// The algorithms of its keys.
    pub fn algorithms(&self) -> Vec<Algorithm> {
        self.mint.as_ref().map(Mint::algorithms).unwrap_or_default()
    }

    /// How a user comes in as a role; the floor knows another door for it.
    pub fn door(&self, path: &str, user: &str, role: &str, on_floor: &str) -> Result<Entrance> {
        match &self.mint {
            Some(mint) => Ok(self.spoken(path, &mint.token(user, role)?)),
            None => Ok(self.entrance(Protocol::Bare, on_floor, "")),
        }
    }

    /// How somebody comes in with a token of that algorithm.
    pub fn door_by(&self, algorithm: Algorithm, path: &str, user: &str, role: &str) -> Result<Entrance> {
        match &self.mint {
            Some(mint) => Ok(self.spoken(path, &mint.token_by(algorithm, user, role)?)),
            None => Ok(self.entrance(Protocol::Bare, "/echo", "")),
        }
    }

    /// How somebody comes to a door that echoes.
    pub fn echo_door(&self, user: &str) -> Result<Entrance> {
        match (&self.mint, self.tongue) {
            (None, _) => Ok(self.entrance(Protocol::Bare, "/echo", "")),
            (Some(mint), Tongue::Native) => {
                Ok(self.entrance(Protocol::Bare, "/ws/echo", &mint.token(user, "dashboard")?))
            }
            (Some(_), Tongue::SocketIo) => self.door(DASHBOARD, user, "dashboard", "/echo"),
        }
    }

    /// By the gateway's own protocol, or for dashboards by the one that is measured.
    fn spoken(&self, path: &str, token: &str) -> Entrance {
        match self.tongue {
            Tongue::SocketIo if path == DASHBOARD => self.entrance(Protocol::SocketIo, "/socket.io/", token),
            Tongue::SocketIo | Tongue::Native => self.entrance(Protocol::Native, path, token),
        }
    }

    /// A connection for HTTP requests: it asks nothing yet.
    pub fn http_door(&self) -> Entrance {
        Entrance {
            address: self.address,
            request: String::new(),
            protocol: Protocol::Http,
            credentials: Vec::new(),
            receive_buffer: None,
        }
    }

    /// A token for the HTTP API.
    pub fn service_token(&self) -> Result<String> {
        self.mint.as_ref().context("the floor has no API")?.token("loadtest-backend", "service")
    }

    fn entrance(&self, protocol: Protocol, path: &str, token: &str) -> Entrance {
        let (request, credentials) = (protocol.request(path, token), protocol.credentials(token));
        Entrance { address: self.address, request, protocol, credentials, receive_buffer: None }
    }

    /// Waits until it says that it is in no trouble: that it reaches the others, where it has any.
    pub fn joined(&self) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            let told = self.readiness().unwrap_or_default();
            if told.contains(r#""status":"ok""#) {
                return Ok(());
            }
            if Instant::now() > end {
                bail!("the gateway does not become ready; it says: {told}");
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// What it says of itself.
    fn readiness(&self) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.take(MOST_TOLD).read_to_string(&mut text)?;
        Ok(text)
    }

    /// What it warns of, as far as its log is here.
    pub fn complaints(&self) -> String {
        let text = self.log().unwrap_or_default();
        let warns = |line: &&str| line.contains("WARN") || line.contains("ERROR");
        text.lines().filter(warns).map(|line| format!("{line}\n")).collect()
    }

    fn log(&self) -> Option<String> {
        fs::read_to_string(self.folder.as_ref()?.path().join("gateway.log")).ok()
    }

    /// The processor time that it has used.
    pub fn cpu(&self) -> Option<Duration> {
        machine::cpu_time(self.pid?)
    }

    /// The memory that it has in use, in KiB.
    pub fn resident_kib(&self) -> Option<u64> {
        machine::resident_kib(self.pid?)
    }

    /// Waits until it does nothing, as far as that can be seen.
    pub fn rest(&self) {
        let end = Instant::now() + MOST_REST;
        while let Some(before) = self.cpu() {
            thread::sleep(REST);
            let moved = self.cpu().map(|after| after.saturating_sub(before));
            if moved.is_none_or(|moved| moved < STIR) || Instant::now() > end {
                return;
            }
        }
        // It cannot be looked at: some time has to do.
        thread::sleep(REST * 10);
    }

    /// Whether it still runs; what it wrote, where it does not.
    pub fn check(&mut self) -> Result<()> {
        if let Some(child) = &mut self.started
            && let Some(status) = child.try_wait()?
        {
            let text = self.log().unwrap_or_default();
            bail!("the server ended while it was under load ({status}):\n{text}");
        }
        Ok(())
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        if let Some(child) = &mut self.started {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Starts what tells where it listens in its first line, and ends with its standard input.
fn told(command: &mut Command, cores: Option<Cores>) -> Result<(Child, SocketAddr)> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = spawn(command, cores)?;
    let mut line = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output).read_line(&mut line)?;
    }
    match line.trim().parse() {
        Ok(address) => Ok((child, address)),
        Err(_) => {
            let _ = child.kill();
            let _ = child.wait();
            bail!("it did not tell where it listens")
        }
    }
}

fn spawn(command: &mut Command, cores: Option<Cores>) -> std::io::Result<Child> {
    match cores {
        Some(cores) => cores.on_server(|| command.spawn()),
        None => command.spawn(),
    }
}
