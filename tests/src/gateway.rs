//! The gateway under test: the real program, started with a configuration of the test's own on a free port, read to its end.

use std::{
    fs,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    program::{self, Running},
    redis::Redis,
    several::{self, Spread},
    tokens::{SECRET, token},
};

/// A gateway, running. It is stopped when this is dropped, and what it wrote is searched for tokens.
#[derive(Debug)]
pub struct TestGateway {
    /// Where it listens: where it is several, the first of them.
    pub address: SocketAddr,
    /// Its folder: configuration, secret, audit, state.
    pub folder: Arc<TempDir>,
    child: Child,
    written: Arc<Mutex<String>>,
    /// The others that act as one with it, and where they meet.
    peers: Vec<TestGateway>,
    redis: Option<Redis>,
    spread: Arc<Spread>,
}

/// How a gateway is started.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The configuration, laid behind the usual one; a section of its own replaces none of it, so repeat no key.
    pub config: String,
    /// Without the usual `[[auth.keys]]` of [`SECRET`].
    pub own_keys: bool,
    /// Files in its folder, or in folders inside it.
    pub files: Vec<(String, Vec<u8>)>,
    /// More of the environment.
    pub env: Vec<(String, String)>,
    /// A folder to start in again, with its state.
    pub folder: Option<Arc<TempDir>>,
    /// How many files it may open.
    pub open_files: Option<u64>,
    /// What it listens on, where that is not a free port of this machine.
    pub listen: Option<String>,
    /// It is one node, however many the runner wants: the story is about what is each node's own.
    pub alone: bool,
}

impl TestGateway {
    /// Starts one with what ships, and HS256 tokens by [`SECRET`].
    pub fn start() -> Self {
        Self::with("")
    }

    /// Starts one with a configuration laid behind the usual one.
    pub fn with(config: &str) -> Self {
        Self::open(Options { config: config.into(), ..Options::default() })
    }

    /// The same, and it is one node however many the runner wants: for stories about what is each node's own.
    pub fn alone(config: &str) -> Self {
        Self::open(Options { config: config.into(), alone: true, ..Options::default() })
    }

    /// Starts one.
    pub fn open(options: Options) -> Self {
        Self::try_open(options).unwrap_or_else(|written| panic!("the gateway did not start:\n{written}"))
    }

    /// Starts one that may refuse to; then what it wrote. Where the runner wants several, it is several.
    pub fn try_open(options: Options) -> Result<Self, String> {
        // A folder, an address and a limit of files are one program's.
        let is_own = options.folder.is_some() || options.listen.is_some() || options.open_files.is_some();
        let is_one = options.alone || is_own;
        if several::nodes() == 1 || is_one || options.config.contains("[cluster]") {
            return Self::open_one(options);
        }
        let redis = Redis::start();
        several::long_begun(&redis);
        let of = |nth: usize| {
            let mut own = options.clone();
            // Not in its file, which may be one that ships.
            own.env.push(("GATEWAY__CLUSTER__REDIS".into(), redis.url()));
            own.env.push(("GATEWAY__SERVER__NODE".into(), format!("node-{nth}")));
            Self::open_one(own)
        };
        let mut first = of(1)?;
        for nth in 2..=several::nodes() {
            first.peers.push(of(nth)?);
        }
        several::met(&redis);
        first.redis = Some(redis);
        first.spread = Spread::over(first.all().map(|node| node.address).collect());
        Ok(first)
    }

    /// Starts so many that act as one, by that Redis; each is stopped by itself.
    pub fn joined(count: usize, redis: &Redis, config: &str) -> Vec<Self> {
        let config = format!("{config}\n[cluster]\nredis = \"{}\"\nlease = \"3s\"\n", redis.url());
        let of = |nth: usize| {
            let env = vec![("GATEWAY__SERVER__NODE".into(), format!("node-{nth}"))];
            let options = Options { config: config.clone(), env, ..Options::default() };
            Self::open_one(options).unwrap_or_else(|written| panic!("the gateway did not start:\n{written}"))
        };
        (1..=count).map(of).collect()
    }

    /// It, and the others that act as one with it.
    fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.peers)
    }

    fn open_one(options: Options) -> Result<Self, String> {
        let folder = options.folder.unwrap_or_else(|| Arc::new(tempfile::tempdir().unwrap()));
        fs::write(folder.path().join("secret.txt"), SECRET).unwrap();
        for (name, bytes) in &options.files {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, bytes).unwrap();
        }
        let keys = if options.own_keys {
            ""
        } else {
            "[[auth.keys]]\nkid = \"main\"\nalgorithm = \"HS256\"\nsecret_file = \"secret.txt\"\n"
        };
        // Sections that a test names itself are its own.
        let mine = |section: &str, usual: &str| {
            if options.config.lines().any(|line| line.trim() == section) {
                String::new()
            } else {
                format!("{section}\n{usual}\n")
            }
        };
        let audit = mine("[audit]", "file = \"audit.jsonl\"");
        fs::write(folder.path().join("gateway.toml"), format!("{keys}{audit}{}", options.config)).unwrap();
        let mut command = match options.open_files {
            None => Command::new(program::gateway()),
            Some(most) => {
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(format!("ulimit -n {most}; exec \"$0\" \"$@\"")).arg(program::gateway());
                shell
            }
        };
        // Whoever has nothing to say about leaving leaves at once.
        if !options.config.contains("drain_window") {
            command.env("GATEWAY__SERVER__DRAIN_WINDOW", "0s");
        }
        let listen = options.listen.unwrap_or_else(|| "127.0.0.1:0".into());
        command.args(["serve", "--config", "gateway.toml", "--listen", &listen]);
        let Running { child, written, address } = program::spawn(command.current_dir(folder.path()).envs(options.env))?;
        let (peers, redis, spread) = (Vec::new(), None, Spread::over(vec![address]));
        Ok(Self { address, folder, child, written, peers, redis, spread })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The folders of its nodes, each with files of its own.
    pub fn folders(&self) -> Vec<Arc<TempDir>> {
        self.all().map(|node| Arc::clone(&node.folder)).collect()
    }

    /// Its processes, where it is several.
    pub fn pids(&self) -> Vec<u32> {
        self.all().map(Self::pid).collect()
    }

    /// Where somebody comes to who does not choose: where it is several, any of them.
    pub fn somewhere(&self) -> SocketAddr {
        self.spread.any()
    }

    /// An address of HTTP.
    pub fn http(&self, path: &str) -> String {
        format!("http://{}{path}", self.somewhere())
    }

    /// An address of WebSockets.
    pub fn ws(&self, path: &str) -> String {
        format!("ws://{}{path}", self.somewhere())
    }

    /// The address of a call at each of its nodes.
    pub fn everywhere(&self, path: &str) -> Vec<String> {
        self.spread.nodes.iter().map(|node| format!("http://{node}{path}")).collect()
    }

    /// Everything that it wrote so far to its standard streams.
    pub fn written(&self) -> String {
        self.all().map(|node| node.written.lock().unwrap().clone()).collect()
    }

    /// The audit so far, a line each. It is being written to: what follows the last end of a line is not there yet.
    pub fn audit(&self) -> Vec<Value> {
        // Lines gather for some milliseconds, and what has happened is to be there.
        thread::sleep(Duration::from_millis(25));
        let bytes = fs::read(self.folder.path().join("audit.jsonl")).unwrap_or_default();
        let ended = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let text = str::from_utf8(&bytes[..ended]).expect("the audit is text");
        let own = text.lines().map(|line| serde_json::from_str(line).expect("an audit line is JSON"));
        own.chain(self.peers.iter().flat_map(Self::audit)).collect()
    }

    /// Waits for an audit line that fits.
    pub async fn audited(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        crate::eventually(5, what, async || self.audit().into_iter().find(|line| fits(line))).await
    }

    /// Calls the API as an administrator: status and body.
    pub async fn api(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        self.api_as(&token("operator", "admin"), method, path, body).await
    }

    /// Calls the API with a token.
    pub async fn api_as(&self, token: &str, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = client.request(method.parse().unwrap(), self.http(path)).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or(Value::Null))
    }

    /// How many connections it has.
    pub async fn connections(&self) -> u64 {
        self.api("GET", "/api/v1/connections", None).await.1["total"].as_u64().expect("a count")
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let pids = self.pids().into_iter().map(|pid| pid.to_string());
        let sent = Command::new("kill").arg(format!("-{name}")).args(pids).status();
        assert!(sent.expect("kill").success());
    }

    /// Stops it as an operator would, and waits: whether it ended well, and what it wrote.
    pub fn stop(self) -> (bool, String) {
        self.signal("TERM");
        self.stop_already_told()
    }

    /// Waits for the end of one that was told to stop: whether it ended well, and what it wrote.
    pub fn stop_already_told(mut self) -> (bool, String) {
        let ended = self.wait(Duration::from_secs(40));
        (ended, self.written())
    }

    /// Takes it away as a crash would; its folder stays.
    pub fn crash(mut self) -> Arc<TempDir> {
        assert!(self.peers.is_empty(), "whose folder? Ask for one node alone");
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        Arc::clone(&self.folder)
    }

    /// Waits for its end, and for that of the others that act as one with it: whether it is a good one.
    fn wait(&mut self, most: Duration) -> bool {
        // All of them are waited for, whatever the first says.
        let others: Vec<bool> = self.peers.iter_mut().map(|node| node.wait(most)).collect();
        for _ in 0..most.as_millis() / 10 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success() && others.iter().all(|well| *well);
            }
            thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// The processes that have not ended.
    fn running(&mut self) -> Vec<u32> {
        let mut running: Vec<_> = self.peers.iter_mut().flat_map(Self::running).collect();
        if self.child.try_wait().ok().flatten().is_none() {
            running.push(self.child.id());
        }
        running
    }

    /// No process ever writes a token: not to its streams, not to a file of its own.
    fn search_for_tokens(&self) {
        let mut texts = vec![("its output".to_owned(), self.written())];
        for file in fs::read_dir(self.folder.path()).into_iter().flatten().flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            if name.ends_with(".jsonl") {
                texts.push((name, fs::read_to_string(file.path()).unwrap_or_default()));
            }
        }
        for (place, text) in texts {
            assert_no_tokens(&place, &text);
        }
    }
}

/// Nothing that a process writes holds a token.
pub(crate) fn assert_no_tokens(place: &str, text: &str) {
    for sign in ["eyJ", "gwk_", "gwr_", SECRET, "Bearer "] {
        assert!(!text.contains(sign), "{place} holds {sign:?}");
    }
}

impl Drop for TestGateway {
    fn drop(&mut self) {
        self.spread.ends();
        // A gentle end, so that its books are written; of all at once, so that nobody waits for one after the other. Who
        // then waits for clients that say goodbye no more is told twice, which ends that.
        for patience in [Duration::from_secs(1), Duration::from_secs(10)] {
            let running: Vec<_> = self.running().iter().map(u32::to_string).collect();
            if !running.is_empty() {
                let _ = Command::new("kill").arg("-TERM").args(running).stderr(Stdio::null()).status();
                self.wait(patience);
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !thread::panicking() {
            self.search_for_tokens();
        }
    }
}
