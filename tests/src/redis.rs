//! A Redis of one's own: real `redis-server` and `redis-sentinel` processes on free ports, which can be stopped, paused, started
//! again, and are gone at the end of the test. Nothing is kept unless that is asked for.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How it is to be.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Which password it asks for.
    pub password: Option<String>,
    /// It writes everything to a file before it answers, so that a restart loses nothing.
    pub keeps: bool,
    /// It speaks TLS only, with the certificate that it gets.
    pub tls: Option<Vec<(String, Vec<u8>)>>,
    /// The port of the one that it copies.
    pub replica_of: Option<u16>,
    /// More lines of its configuration.
    pub more: Vec<String>,
}

/// One server.
#[derive(Debug)]
pub struct Redis {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    rules: Rules,
    folder: TempDir,
    child: Option<Child>,
    program: &'static str,
}

impl Redis {
    /// One that keeps nothing.
    pub fn start() -> Self {
        Self::with(Rules::default())
    }

    /// One by those rules.
    pub fn with(rules: Rules) -> Self {
        let mut redis = Self {
            port: free_port(),
            rules,
            folder: TempDir::new().expect("a folder"),
            child: None,
            program: "redis-server",
        };
        redis.go_on();
        redis
    }

    /// A sentinel that watches the master at that port under the name `main`. One of them suffices for a verdict.
    pub fn sentinel(master: u16) -> Self {
        Self::sentinel_that_waits(master, Duration::from_millis(500))
    }

    /// One that takes a master for dead that has said nothing for so long.
    pub fn sentinel_that_waits(master: u16, patience: Duration) -> Self {
        Self::sentinel_by(master, patience, Rules::default())
    }

    /// One by rules: which password it asks for, and more lines.
    pub fn sentinel_by(master: u16, patience: Duration, rules: Rules) -> Self {
        let port = free_port();
        let folder = TempDir::new().expect("a folder");
        let password = rules.password.iter().map(|password| format!("requirepass {password}"));
        let more: String = password.chain(rules.more.iter().cloned()).map(|line| line + "\n").collect();
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor main 127.0.0.1 {master} 1\nsentinel down-after-milliseconds main \
             {}\nsentinel failover-timeout main 3000\nsentinel parallel-syncs main 1\n{more}",
            folder.path().display(),
            patience.as_millis()
        );
        fs::write(folder.path().join("sentinel.conf"), text).expect("a configuration");
        let mut redis = Self { port, rules, folder, child: None, program: "redis-sentinel" };
        redis.go_on();
        redis
    }

    /// Where clients find it.
    pub fn url(&self) -> String {
        let password = self.rules.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        let (scheme, host) = if self.rules.tls.is_some() { ("rediss", "localhost") } else { ("redis", "127.0.0.1") };
        format!("{scheme}://{password}{host}:{}", self.port)
    }

    /// Kills it; whatever it did not keep is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it, where it was killed, at the same port.
    pub fn go_on(&mut self) {
        let mut command = Command::new(self.program);
        if self.program == "redis-sentinel" {
            command.arg(self.folder.path().join("sentinel.conf"));
        } else {
            command.args(self.arguments());
        }
        let starts = self.starts();
        let log = fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join("log")).expect("a log");
        command.stdin(Stdio::null()).stdout(log).stderr(Stdio::null()).current_dir(self.folder.path());
        self.child = Some(command.spawn().expect("redis-server and redis-sentinel are installed"));
        // It says so itself: whoever answers at that port could be another.
        for _ in 0..500 {
            if self.starts() > starts {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{} does not listen at {}: {}", self.program, self.port, self.log());
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// How often it said that it listens.
    fn starts(&self) -> usize {
        let log = self.log();
        ["Ready to accept connections", "Sentinel ID is"].iter().map(|sign| log.matches(sign).count()).sum()
    }

    /// From its next start on it copies the one at that port.
    pub const fn follows(&mut self, master: u16) {
        self.rules.replica_of = Some(master);
    }

    /// It answers nothing any more, and its sockets stay open.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// It answers again.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Asks it something, by the words of a command, and says what it answers, as it is on the wire. Not by TLS.
    pub fn ask(&self, words: &[&str]) -> String {
        let login = self.rules.password.as_deref().map(|password| vec!["AUTH", password]);
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a time-out");
        for words in login.iter().map(Vec::as_slice).chain([words, &["QUIT"]]) {
            let mut text = format!("*{}\r\n", words.len());
            for word in words {
                text += &format!("${}\r\n{word}\r\n", word.len());
            }
            stream.write_all(text.as_bytes()).expect("it reads");
        }
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        let answer = answer.strip_suffix("+OK\r\n").unwrap_or(&answer);
        answer.strip_prefix("+OK\r\n").filter(|_| login.is_some()).unwrap_or(answer).to_owned()
    }

    /// All its keys, in order.
    pub fn keys(&self) -> Vec<String> {
        let answer = self.ask(&["KEYS", "*"]);
        let mut keys: Vec<String> = answer
            .split("\r\n")
            .filter(|line| !line.is_empty() && !line.starts_with(['*', '$']))
            .map(str::to_owned)
            .collect();
        keys.sort();
        keys
    }

    /// One line of what it says of itself.
    pub fn info(&self, name: &str) -> String {
        let answer = self.ask(&["INFO"]);
        let line = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_default().trim().to_owned()
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("it runs");
        kill_process(pid, signal).expect("it is ours");
    }

    fn arguments(&self) -> Vec<String> {
        let folder: &Path = self.folder.path();
        let mut lines = vec![format!("--dir {}", folder.display()), "--bind 127.0.0.1".to_owned(), "--save".to_owned()];
        match &self.rules.tls {
            None => lines.push(format!("--port {}", self.port)),
            Some(files) => {
                for (name, bytes) in files {
                    fs::write(folder.join(name), bytes).expect("a file");
                }
                lines.push(format!("--port 0 --tls-port {} --tls-auth-clients no", self.port));
                lines.push("--tls-cert-file cert.pem --tls-key-file key.pem --tls-ca-cert-file cert.pem".to_owned());
            }
        }
        if self.rules.keeps {
            lines.push("--appendonly yes --appendfsync always".to_owned());
        }
        if let Some(password) = &self.rules.password {
            lines.push(format!("--requirepass {password}"));
        }
        if let Some(master) = self.rules.replica_of {
            lines.push(format!("--replicaof 127.0.0.1 {master} --repl-diskless-sync-delay 0"));
        }
        lines.push("--enable-debug-command yes --repl-diskless-sync-delay 0".to_owned());
        lines.extend(self.rules.more.iter().map(|line| format!("--{line}")));
        let mut arguments: Vec<String> = lines.iter().flat_map(|line| line.split(' ').map(str::to_owned)).collect();
        // No snapshots: the list of when they are made is empty.
        if let Some(at) = arguments.iter().position(|argument| argument == "--save") {
            arguments.insert(at + 1, String::new());
        }
        arguments
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that nobody listens at, another each time: who got the last may not listen there yet.
pub fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap();
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        if given.insert(port) {
            return port;
        }
    }
}
