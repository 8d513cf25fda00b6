//! Requests written byte by byte, and the answer as it came: for what no proper client would ever send.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::client::PATIENCE;

/// An answer, read until its end, or until nothing more came.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The status; 0 where there was no answer at all.
    pub status: u16,
    /// The head, in lower case.
    pub head: String,
    /// What followed.
    pub body: Vec<u8>,
}

impl Answered {
    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| Some(line.split_once(':').filter(|(own, _)| *own == name)?.1.trim()))
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The code of the table.
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// The headers with which a proper client asks for a WebSocket.
pub const UPGRADE: &str = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                           sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Sends bytes, and reads one answer: by its length where it has one, else to the end of the stream.
pub async fn exchange(to: SocketAddr, request: &[u8]) -> Answered {
    let mut stream = TcpStream::connect(to).await.expect("it listens");
    let _ = stream.write_all(request).await;
    let mut bytes = Vec::new();
    let reading = async {
        loop {
            if let Some(whole) = whole(&bytes, request.starts_with(b"HEAD ")) {
                return whole;
            }
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return parted(&bytes);
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("an answer in time, or an end")
}

/// The same, for a request that is only a line and headers.
pub async fn ask(to: SocketAddr, line: &str, headers: &str) -> Answered {
    exchange(to, format!("{line}\r\nhost: {to}\r\n{headers}\r\n").as_bytes()).await
}

/// An answer that is there to its last byte; one to `HEAD` has a head only.
fn whole(bytes: &[u8], to_head: bool) -> Option<Answered> {
    let answered = parted(bytes);
    if answered.head.is_empty() {
        return None;
    }
    if to_head {
        return Some(answered);
    }
    match answered.header("content-length").map(str::parse::<usize>) {
        Some(Ok(length)) => (answered.body.len() >= length).then_some(answered),
        _ => (answered.status == 101 || answered.status == 204).then_some(answered),
    }
}

fn parted(bytes: &[u8]) -> Answered {
    let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else {
        return Answered { status: 0, head: String::new(), body: bytes.to_vec() };
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Answered { status, head, body: bytes[end + 4..].to_vec() }
}
