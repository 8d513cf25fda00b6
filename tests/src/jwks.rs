//! A server of key sets, as an identity provider has one: what it serves can be changed, slowed, redirected and taken
//! away, and it counts who asks.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
};

/// What the server answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A set.
    Set(Value),
    /// Whatever bytes.
    Bytes(Vec<u8>),
    /// A status without a body.
    Status(u16),
    /// Go there instead.
    Redirect(String),
    /// A set, after a while.
    Slow(Duration, Value),
}

/// The server.
#[derive(Debug)]
pub struct KeyServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: Option<JoinHandle<()>>,
    /// Holds the address of a server that does not run yet.
    reserved: Option<TcpSocket>,
}

#[derive(Debug)]
struct Shared {
    answer: Mutex<Answer>,
    asked: AtomicUsize,
}

impl KeyServer {
    /// A server on a free port.
    pub async fn start(answer: Answer) -> Self {
        let mut server = Self::absent();
        server.return_with(answer).await;
        server
    }

    /// A server that has an address, and does not run yet.
    pub fn absent() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let shared = Shared { answer: Mutex::new(Answer::Status(503)), asked: AtomicUsize::new(0) };
        Self { address: socket.local_addr().unwrap(), shared: Arc::new(shared), serving: None, reserved: Some(socket) }
    }

    /// Where its set is.
    pub fn url(&self) -> String {
        format!("http://{}/.well-known/jwks.json", self.address)
    }

    /// Answers something else from now on.
    pub fn answers(&self, answer: Answer) {
        *self.shared.answer.lock().unwrap() = answer;
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// Goes away.
    pub async fn stop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            let _ = serving.await;
        }
    }

    /// Comes, or comes back, to its address.
    pub async fn return_with(&mut self, answer: Answer) {
        self.stop().await;
        self.answers(answer);
        let listener = match self.reserved.take() {
            Some(socket) => socket.listen(1024).unwrap(),
            None => TcpListener::bind(self.address).await.expect("its old address"),
        };
        self.serving = Some(serve(listener, &self.shared));
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

fn serve(listener: TcpListener, shared: &Arc<Shared>) -> JoinHandle<()> {
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, Arc::clone(&shared)));
        }
    })
}

async fn answer(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
            return;
        }
    }
    shared.asked.fetch_add(1, Ordering::SeqCst);
    let answer = shared.answer.lock().unwrap().clone();
    let (status, more, body) = match answer {
        Answer::Set(set) => (200, String::new(), set.to_string().into_bytes()),
        Answer::Bytes(bytes) => (200, String::new(), bytes),
        Answer::Status(status) => (status, String::new(), Vec::new()),
        Answer::Redirect(to) => (302, format!("location: {to}\r\n"), Vec::new()),
        Answer::Slow(time, set) => {
            tokio::time::sleep(time).await;
            (200, String::new(), set.to_string().into_bytes())
        }
    };
    let head = format!(
        "HTTP/1.1 {status} Said\r\n{more}content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(&body).await;
    let _ = stream.shutdown().await;
}
