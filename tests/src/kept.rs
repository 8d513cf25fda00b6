//! A connection of HTTP/1.1 that is kept: one call after the other goes over it, byte for byte as a backend's client
//! writes them, and costs the caller next to nothing.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::client::PATIENCE;

/// One connection.
#[derive(Debug)]
pub struct Kept {
    stream: TcpStream,
    /// The lines of the head that are the same for all calls.
    head: String,
    sent: Vec<u8>,
    read: Vec<u8>,
}

impl Kept {
    /// Connects; each call will have these headers, each with its end of line.
    pub async fn open(to: SocketAddr, headers: &str) -> Self {
        let stream = TcpStream::connect(to).await.expect("it listens");
        stream.set_nodelay(true).expect("a socket");
        let head = format!("host: {to}\r\ncontent-type: application/json\r\n{headers}");
        Self { stream, head, sent: Vec::new(), read: Vec::new() }
    }

    /// Makes a call, such as `POST /api/v1/events`: the status and the body of the answer. The connection must stay.
    pub async fn call(&mut self, line: &str, body: &str) -> (u16, Vec<u8>) {
        self.sent.clear();
        let head = format!("{line} HTTP/1.1\r\n{}content-length: {}\r\n\r\n", self.head, body.len());
        self.sent.extend_from_slice(head.as_bytes());
        self.sent.extend_from_slice(body.as_bytes());
        self.stream.write_all(&self.sent).await.expect("the connection is kept");
        self.read.clear();
        let reading = async {
            loop {
                if let Some(answer) = whole(&self.read) {
                    return answer;
                }
                let count = self.stream.read_buf(&mut self.read).await.expect("the connection is kept");
                assert!(count > 0, "the connection is kept");
            }
        };
        tokio::time::timeout(PATIENCE * 3, reading).await.expect("an answer in time")
    }
}

/// An answer that is there to its last byte.
fn whole(bytes: &[u8]) -> Option<(u16, Vec<u8>)> {
    let end = bytes.windows(4).position(|end| end == b"\r\n\r\n")?;
    let head = str::from_utf8(&bytes[..end]).expect("a head is text");
    let status = head.split(' ').nth(1)?.parse().expect("a status");
    let length = head.lines().find_map(|line| line.split_once(':').filter(|(name, _)| *name == "content-length"));
    let length: usize = length.expect("an answer has its length").1.trim().parse().expect("a length");
    bytes.get(end + 4..end + 4 + length).map(|body| (status, body.to_vec()))
}
