//! A backend's receiver of webhooks: a real server of HTTP/1.1 that keeps every request it got, answers as a test
//! wants, checks signatures by arithmetic of its own, and can be taken away and brought back at the same address.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Notify,
    task::JoinHandle,
};

/// What it does with a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A status.
    Status(u16),
    /// A status, after a while.
    Slow(Duration, u16),
    /// Never anything.
    Hang,
    /// Half of a status line, and the end.
    CutOff,
    /// A status, and the end in the middle of the body.
    CutOffLater(u16),
    /// Go there instead.
    Redirect(String),
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its path.
    pub path: String,
    /// Its headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body, byte for byte.
    pub body: Vec<u8>,
    /// What the body says.
    pub json: Value,
    /// Whether it got a 2xx.
    pub taken: bool,
}

impl Request {
    /// A header.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }

    /// `connect`, `disconnect` or `message`.
    pub fn event(&self) -> &str {
        self.json["event"].as_str().unwrap_or_default()
    }

    /// Whose it is.
    pub fn user(&self) -> &str {
        self.json["connection"]["userId"].as_str().unwrap_or_default()
    }
}

type Choice = Box<dyn FnMut(&Request) -> Answer + Send>;

struct Shared {
    choice: Mutex<Choice>,
    requests: Mutex<Vec<Request>>,
    came: Notify,
}

/// The server.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: Option<JoinHandle<()>>,
}

impl Receiver {
    /// One that says 204 to everything.
    pub async fn start() -> Self {
        let shared = Shared {
            choice: Mutex::new(Box::new(|_| Answer::Status(204))),
            requests: Mutex::default(),
            came: Notify::new(),
        };
        let mut receiver =
            Self { address: SocketAddr::from(([127, 0, 0, 1], 0)), shared: Arc::new(shared), serving: None };
        receiver.comes_back();
        receiver
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Answers like this from now on.
    pub fn answers(&self, choice: impl FnMut(&Request) -> Answer + Send + 'static) {
        *self.shared.choice.lock().unwrap() = Box::new(choice);
    }

    /// Every request so far, in the order of their ends.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// Those that were taken.
    pub fn taken(&self) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.taken).collect()
    }

    /// Waits until so many were taken.
    pub async fn has_taken(&self, count: usize) -> Vec<Request> {
        let waiting = async {
            loop {
                let came = self.shared.came.notified();
                let taken = self.taken();
                if taken.len() >= count {
                    return taken;
                }
                let _ = tokio::time::timeout(Duration::from_millis(100), came).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting)
            .await
            .unwrap_or_else(|_| panic!("{count} were to come: {:?}", self.taken().len()))
    }

    /// Is not there any more: connections are refused.
    pub async fn goes_away(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            let _ = serving.await;
        }
    }

    /// Is there again.
    pub fn comes_back(&mut self) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        self.address = socket.local_addr().unwrap();
        let listener = socket.listen(1024).unwrap();
        self.serving = Some(tokio::spawn(serve(listener, Arc::clone(&self.shared))));
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
        }
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // What it has accepted goes with it.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(converse(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(stream: TcpStream, shared: Arc<Shared>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut request = read(&mut stream).await?;
        let answer = (shared.choice.lock().unwrap())(&request);
        let mut keep = |status: u16| {
            request.taken = (200..300).contains(&status);
            shared.requests.lock().unwrap().push(request.clone());
            shared.came.notify_waiters();
        };
        let text = match answer {
            Answer::Status(status) => {
                keep(status);
                format!("HTTP/1.1 {status} -\r\ncontent-length: 0\r\n\r\n")
            }
            Answer::Slow(wait, status) => {
                tokio::time::sleep(wait).await;
                keep(status);
                format!("HTTP/1.1 {status} -\r\ncontent-length: 2\r\n\r\nok")
            }
            Answer::Hang => {
                keep(0);
                return std::future::pending().await;
            }
            Answer::CutOff => {
                keep(0);
                stream.write_all(b"HTTP/1.1 2").await.ok()?;
                return None;
            }
            Answer::CutOffLater(status) => {
                keep(status);
                let half = format!("HTTP/1.1 {status} -\r\ncontent-length: 1000\r\n\r\nhalf");
                stream.write_all(half.as_bytes()).await.ok()?;
                return None;
            }
            Answer::Redirect(to) => {
                keep(302);
                format!("HTTP/1.1 302 -\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")
            }
        };
        stream.write_all(text.as_bytes()).await.ok()?;
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let json = serde_json::from_slice(&body).ok()?;
    Some(Request { path, headers, body, json, taken: false })
}
