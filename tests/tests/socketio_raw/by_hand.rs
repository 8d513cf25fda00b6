//! The two ways to speak to the door by hand.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use gateway_tests::{TestGateway, client::PATIENCE, tokens::token};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

/// Long polling.
pub(crate) struct Poller {
    pub(crate) http: reqwest::Client,
    pub(crate) door: String,
    pub(crate) sid: String,
    pub(crate) opening: Value,
    /// Packets that came together, and were not looked at yet.
    pub(crate) waiting: Vec<String>,
}

/// A WebSocket.
pub(crate) struct Socket(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(40)).build().unwrap()
}

pub(crate) fn door(gateway: &TestGateway, transport: &str) -> String {
    gateway.http(&format!("/socket.io/?EIO=4&transport={transport}"))
}

/// Asks for what an address answers: status and body.
pub(crate) async fn ask(method: &str, address: &str, body: &str) -> (u16, String) {
    let request = http().request(method.parse().unwrap(), address).body(body.to_owned());
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

impl Poller {
    pub(crate) async fn open(gateway: &TestGateway) -> Self {
        let door = door(gateway, "polling");
        let (status, body) = ask("GET", &door, "").await;
        assert_eq!(status, 200, "{body}");
        let opening: Value = serde_json::from_str(body.strip_prefix('0').expect("an open packet")).unwrap();
        let sid = opening["sid"].as_str().unwrap().to_owned();
        Self { http: http(), door, sid, opening, waiting: Vec::new() }
    }

    /// Opens a session and comes into `/dashboard`.
    pub(crate) async fn enter(gateway: &TestGateway, user: &str) -> Self {
        let mut poller = Self::open(gateway).await;
        poller.say(&connect("/dashboard", user)).await;
        let packet = poller.packet().await;
        assert!(packet.starts_with("40/dashboard,{\"sid\":\""), "{packet}");
        poller
    }

    pub(crate) fn address(&self) -> String {
        format!("{}&sid={}", self.door, self.sid)
    }

    pub(crate) async fn post(&self, body: &str) -> (u16, String) {
        let answer = self.http.post(self.address()).body(body.to_owned()).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    pub(crate) async fn say(&self, body: &str) {
        assert_eq!(self.post(body).await, (200, "ok".into()), "{body}");
    }

    pub(crate) async fn poll(&self) -> (u16, String) {
        let answer = self.http.get(self.address()).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// The next packet that is no ping; pings are answered.
    pub(crate) async fn packet(&mut self) -> String {
        loop {
            if self.waiting.is_empty() {
                let (status, body) = self.poll().await;
                assert_eq!(status, 200, "{body}");
                self.waiting = body.split('\u{1e}').map(str::to_owned).collect();
            }
            let packet = self.waiting.remove(0);
            if packet != "2" {
                return packet;
            }
            self.say("3").await;
        }
    }

    pub(crate) async fn event(&mut self) -> (String, Value) {
        event(&self.packet().await)
    }
}

impl Socket {
    pub(crate) async fn connect(address: &str) -> Self {
        Self(connect_async(address.replace("http://", "ws://")).await.expect("an upgrade").0)
    }

    /// Opens a session over a WebSocket; what the open packet says.
    pub(crate) async fn open(gateway: &TestGateway) -> (Self, Value) {
        let mut socket = Self::connect(&door(gateway, "websocket")).await;
        let first = socket.packet().await;
        let opening = serde_json::from_str(first.strip_prefix('0').expect("an open packet")).unwrap();
        (socket, opening)
    }

    /// Opens a session and comes into `/dashboard`.
    pub(crate) async fn enter(gateway: &TestGateway, user: &str) -> Self {
        let (mut socket, _) = Self::open(gateway).await;
        socket.say(&connect("/dashboard", user)).await;
        let packet = socket.packet().await;
        assert!(packet.starts_with("40/dashboard,{\"sid\":\""), "{packet}");
        socket
    }

    pub(crate) async fn say(&mut self, packet: &str) {
        self.0.send(Message::text(packet.to_owned())).await.expect("the socket takes it");
    }

    /// The next packet that is no ping; pings are answered. Nothing where the socket closes.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("a frame in time");
            match frame {
                Some(Ok(Message::Text(text))) if text.as_str() == "2" => self.say("3").await,
                Some(Ok(Message::Text(text))) => return Some(text.as_str().to_owned()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    pub(crate) async fn packet(&mut self) -> String {
        self.next().await.expect("a packet, and no end")
    }

    pub(crate) async fn event(&mut self) -> (String, Value) {
        event(&self.packet().await)
    }

    /// Emits with a callback: what it is given. Events that come before it are dropped.
    pub(crate) async fn ask(&mut self, id: u64, list: &Value) -> Value {
        self.say(&format!("42/dashboard,{id}{list}")).await;
        loop {
            let packet = self.packet().await;
            if let Some(answer) = packet.strip_prefix(&format!("43/dashboard,{id}")) {
                return serde_json::from_str::<Value>(answer).unwrap()[0].clone();
            }
        }
    }
}

/// The packet that asks to be let in.
pub(crate) fn connect(namespace: &str, user: &str) -> String {
    format!("40{namespace},{}", json!({ "token": token(user, "dashboard") }))
}

/// The name and the one argument of an event in `/dashboard`.
pub(crate) fn event(packet: &str) -> (String, Value) {
    let list = packet.strip_prefix("42/dashboard,").unwrap_or_else(|| panic!("no event: {packet}"));
    let list: Value = serde_json::from_str(list).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 2, "{packet}");
    (list[0].as_str().unwrap().to_owned(), list[1].clone())
}

/// What a refusal says, out of its packet.
pub(crate) fn refusal(packet: &str, namespace: &str) -> Value {
    let json = packet.strip_prefix(&format!("44{namespace},")).unwrap_or_else(|| panic!("no refusal: {packet}"));
    serde_json::from_str(json).unwrap()
}

/// Publishes one event to a user, as a backend does.
pub(crate) async fn publish(gateway: &TestGateway, user: &str, payload: &Value) -> Value {
    let body = json!({ "to": [format!("user:{user}")], "type": "dashboard:summaryUpdated", "payload": payload });
    let (status, answer) = gateway.api_as(&token("backend", "service"), "POST", "/api/v1/events", Some(body)).await;
    assert_eq!(status, 200, "{answer}");
    answer
}
