//! A server that is not always there: it answers each call in its turn as it was told, and keeps what it heard.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// How it answers one call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// 503 by something on the way, which speaks no JSON.
    Away,
    /// 429, and when to come back.
    Busy {
        /// In so many seconds.
        seconds: u32,
    },
    /// The call is heard, and the connection breaks.
    Silence,
    /// The event is published.
    Published,
}

/// Everything that may go wrong before it goes well.
pub(crate) const USUAL: &[Answer] = &[Answer::Silence, Answer::Away, Answer::Busy { seconds: 1 }, Answer::Published];

/// The server.
#[derive(Debug)]
pub(crate) struct Flaky {
    /// Where it is.
    pub(crate) address: String,
    bodies: Arc<Mutex<Vec<Value>>>,
    expected: usize,
}

impl Flaky {
    /// Starts it. Behind the last answer it publishes.
    pub(crate) async fn start(answers: &'static [Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let bodies = Arc::<Mutex<Vec<Value>>>::default();
        let heard = Arc::clone(&bodies);
        tokio::spawn(async move {
            let turn = Arc::<Mutex<usize>>::default();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answers, Arc::clone(&turn), Arc::clone(&heard)));
            }
        });
        Self { address, bodies, expected: answers.len() }
    }

    /// Each call brought the same event, to its id.
    pub(crate) fn heard_one_event_each_time(&self) {
        let bodies = self.bodies.lock().unwrap();
        assert_eq!(bodies.len(), self.expected, "{bodies:?}");
        assert!(bodies[0]["eventId"].is_string(), "{bodies:?}");
        assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    }
}

async fn serve(
    mut stream: TcpStream,
    answers: &'static [Answer],
    turn: Arc<Mutex<usize>>,
    heard: Arc<Mutex<Vec<Value>>>,
) {
    let mut bytes = Vec::new();
    loop {
        let Some(body) = next_body(&mut stream, &mut bytes).await else { return };
        heard.lock().unwrap().push(body.clone());
        let answer = {
            let mut turn = turn.lock().unwrap();
            *turn += 1;
            answers.get(*turn - 1).copied().unwrap_or(Answer::Published)
        };
        let (head, text) = match answer {
            Answer::Silence => return,
            Answer::Away => ("503 Service Unavailable\r\ncontent-type: text/html".to_owned(), "<p>away".to_owned()),
            Answer::Busy { seconds } => (
                format!("429 Too Many Requests\r\nretry-after: {seconds}"),
                format!(r#"{{"error":{{"code":"RATE_LIMITED","message":"slower","retryAfter":{seconds}}}}}"#),
            ),
            Answer::Published => {
                ("200 OK".to_owned(), format!(r#"{{"eventId":{},"delivered":1,"scope":"node"}}"#, body["eventId"]))
            }
        };
        let whole = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{text}", text.len());
        if stream.write_all(whole.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The body of the next call on a connection; none at its end.
async fn next_body(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<Value> {
    loop {
        if let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).map_or("0", str::trim);
            let whole = end + 4 + length.parse::<usize>().unwrap();
            if bytes.len() >= whole {
                let body = serde_json::from_slice(&bytes[end + 4..whole]).unwrap();
                bytes.drain(..whole);
                return Some(body);
            }
        }
        if stream.read_buf(bytes).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}
