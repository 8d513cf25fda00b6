//! A proxy in front of gateways, running with a file that ships: only the addresses in it are those of the test, and how
//! many files it may open. What it wrote is kept, to be searched.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use tempfile::TempDir;

use crate::eventually;

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// nginx.
    Nginx,
    /// HAProxy.
    Haproxy,
    /// Caddy.
    Caddy,
}

/// One that runs, until this is dropped.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
    written: Arc<Mutex<String>>,
    _folder: TempDir,
}

impl Kind {
    /// Its file under `deploy/proxies`.
    pub const fn file(self) -> &'static str {
        match self {
            Self::Nginx => "nginx.conf",
            Self::Haproxy => "haproxy.cfg",
            Self::Caddy => "Caddyfile",
        }
    }

    fn command(self, folder: &Path, file: &Path) -> Command {
        let (program, arguments): (_, &[&str]) = match self {
            // Debian has it where only root looks.
            Self::Nginx => ("/usr/sbin/nginx", &["-e", "stderr", "-g", "daemon off;", "-c"]),
            Self::Haproxy => ("/usr/sbin/haproxy", &["-db", "-f"]),
            Self::Caddy => ("caddy", &["run", "--adapter", "caddyfile", "--config"]),
        };
        assert!(
            Command::new("sh").args(["-c", &format!("command -v {program} >/dev/null")]).status().unwrap().success(),
            "{program} is missing: run `make proxies`, or install it"
        );
        let mut command = Command::new(program);
        command.args(arguments).arg(file).current_dir(folder);
        command.env("HOME", folder).env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
        command
    }
}

impl Proxy {
    /// Starts one with the file that ships, in front of these two.
    pub async fn start(kind: Kind, gateways: [SocketAddr; 2]) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/proxies").join(kind.file());
        let folder = tempfile::tempdir().unwrap();
        let text = fs::read_to_string(shipped).unwrap();
        let text = text
            .replace("gateway-1:8080", &gateways[0].to_string())
            .replace("gateway-2:8080", &gateways[1].to_string())
            .replace("/tmp/nginx.pid", &folder.path().join("nginx.pid").display().to_string())
            // Of open files the tests have few.
            .replace("131072", "2048")
            .replace("32768", "512")
            .replace("maxconn 60000", "maxconn 500");
        let text = match kind {
            Kind::Nginx => text.replace("listen 8000;", &format!("listen {address};")),
            Kind::Haproxy => text.replace("bind :8000", &format!("bind {address}")),
            Kind::Caddy => text.replace("\n:8000 {", &format!("\nhttp://:{} {{\n\tbind 127.0.0.1", address.port())),
        };
        assert!(text.contains(&address.port().to_string()), "{} listens somewhere else", kind.file());
        let file = folder.path().join(kind.file());
        fs::write(&file, text).unwrap();
        let mut command = kind.command(folder.path(), &file);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the proxy");
        let written = Arc::<Mutex<String>>::default();
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let written = Arc::clone(&written);
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    written.lock().unwrap().push_str(&format!("{line}\n"));
                }
            });
        }
        let mut proxy = Self { address, child, written, _folder: folder };
        eventually(20, "the proxy listens", async || {
            if let Some(status) = proxy.child.try_wait().unwrap() {
                panic!("the proxy ended ({status}):\n{}", proxy.written());
            }
            tokio::net::TcpStream::connect(address).await.ok().map(drop)
        })
        .await;
        proxy
    }

    /// All that it wrote so far.
    pub fn written(&self) -> String {
        self.written.lock().unwrap().clone()
    }

    /// An address of WebSockets behind it.
    pub fn ws(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address)
    }

    /// An address of HTTP behind it.
    pub fn http(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Its own children go with it only when it is told to end.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        for _ in 0..500 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
