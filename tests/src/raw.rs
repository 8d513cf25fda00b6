//! A client that speaks bytes: it says exactly what a test writes, answers nothing by itself, and ends as rudely as it
//! is told to. Whoever never reads from it has a dead client.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::client::PATIENCE;

/// The largest frame that is read.
const MOST_FRAME: u64 = 4 << 20;

/// A stream of bytes to the gateway.
#[derive(Debug)]
pub struct Raw<S = TcpStream> {
    /// The stream itself.
    pub stream: S,
}

/// The answer to a request.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The status; none where the gateway hung up.
    pub status: Option<u16>,
    /// The head as it came.
    pub head: String,
    /// The body, where it is JSON.
    pub body: Value,
}

impl Answer {
    /// The code of the table.
    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    /// A header, as it came.
    pub fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value.trim())
    }
}

/// The head of a proper upgrade, with more header lines (each with its line end) before its end.
pub fn upgrade(target: &str, more: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

/// A TCP connection whose near end has that address of this machine.
pub async fn tcp_from(source: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind((source, 0).into())?;
    socket.connect(to).await
}

impl Raw {
    /// Connects.
    pub async fn connect(to: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(to).await.expect("the port is open") }
    }

    /// Connects from that address of this machine.
    pub async fn connect_from(source: IpAddr, to: SocketAddr) -> Self {
        Self { stream: tcp_from(source, to).await.expect("the port is open") }
    }

    /// Connects and is let in.
    pub async fn admitted(to: SocketAddr, path: &str, token: &str) -> Self {
        let mut raw = Self::connect(to).await;
        let answer = raw.ask(&upgrade(&format!("{path}?token={token}"), "")).await;
        assert_eq!(answer.status, Some(101), "{answer:?}");
        raw
    }

    /// Ends with a reset, as a crash of the machine's other end would.
    pub fn reset(self) {
        let _ = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    /// Sends bytes; a gateway that has hung up is no fault.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Sends a request and reads its answer.
    pub async fn ask(&mut self, head: &str) -> Answer {
        self.send(head).await;
        self.answer().await
    }

    /// Reads an answer, its body included; not a byte more.
    pub async fn answer(&mut self) -> Answer {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match timeout(PATIENCE, self.stream.read_u8()).await.expect("an answer in time") {
                Ok(byte) => head.push(byte),
                Err(_) => return Answer { head: String::from_utf8_lossy(&head).into(), ..Answer::default() },
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let mut answer = Answer { status, head, body: Value::Null };
        if let Ok(length) = answer.header("content-length").parse::<usize>() {
            let mut body = vec![0; length];
            if timeout(PATIENCE, self.stream.read_exact(&mut body)).await.expect("a body in time").is_ok() {
                answer.body = serde_json::from_slice(&body).unwrap_or_default();
            }
        }
        answer
    }

    /// Sends the head of a frame that says to be that long, and nothing of it.
    pub async fn announce(&mut self, first: u8, length: u64) -> bool {
        let mut head = vec![first];
        match length {
            0..=125 => head.push(0x80 | length as u8),
            126..=0xffff => {
                head.push(0x80 | 126);
                head.extend((length as u16).to_be_bytes());
            }
            _ => {
                head.push(0x80 | 127);
                head.extend(length.to_be_bytes());
            }
        }
        // A mask of zeros changes nothing.
        head.extend([0; 4]);
        self.send(head).await
    }

    /// Sends a text in one frame.
    pub async fn say(&mut self, text: &str) -> bool {
        self.announce(0x81, text.len() as u64).await && self.send(text).await
    }

    /// The next frame: its first byte and its payload; none at the end.
    pub async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        timeout(PATIENCE, self.read_frame()).await.expect("a frame in time").ok()
    }

    async fn read_frame(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let first = self.stream.read_u8().await?;
        let length = match self.stream.read_u8().await? & 0x7f {
            126 => u64::from(self.stream.read_u16().await?),
            127 => self.stream.read_u64().await?,
            short => u64::from(short),
        };
        assert!(length <= MOST_FRAME, "a frame of {length} bytes");
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload).await?;
        Ok((first, payload))
    }

    /// Waits for the close frame, past all others: its code and its reason, which is JSON where it is ours.
    pub async fn closed(&mut self) -> (u16, Value) {
        while let Some((first, payload)) = self.frame().await {
            if first & 0x0f == 8 {
                let Some((code, reason)) = payload.split_first_chunk::<2>() else { return (1005, Value::Null) };
                return (u16::from_be_bytes(*code), serde_json::from_slice(reason).unwrap_or_default());
            }
        }
        (1006, Value::Null)
    }

    /// Waits until the gateway hangs up, whatever it says before.
    pub async fn hung_up(&mut self, patience: Duration) -> bool {
        let mut space = [0; 4096];
        let reading = async { while !matches!(self.stream.read(&mut space).await, Ok(0) | Err(_)) {} };
        timeout(patience, reading).await.is_ok()
    }
}
