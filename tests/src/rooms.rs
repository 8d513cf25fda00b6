//! What clients do with rooms: they subscribe, and a ping's pong tells them that they have heard all that was said
//! before it.

use serde_json::{Value, json};

use crate::{Claims, TestClient, TestGateway, several, tokens::token};

/// No limits of messages and handshakes, for stories that are about something else. The table of limits is the last,
/// so that more of its keys may follow.
pub const UNLIMITED: &str = "[plans.default]\nconnections = 20\nmessages = \"off\"\n[plans.agent]\nmessages = \"off\"\n\
                             [limits]\nhandshakes_per_ip = \"off\"\nhandshakes_per_user = \"off\"\n";

/// The same, and a user may have so many connections.
pub fn unlimited_but(connections: usize) -> String {
    UNLIMITED.replacen("connections = 20", &format!("connections = {connections}"), 1)
}

/// The rule of rooms of that name into which every dashboard may; more of its keys may follow.
pub fn open_to_dashboards(name: &str) -> String {
    format!("[[rooms.rules]]\nmatch = \"{name}\"\njoin = [{{ role = \"dashboard\" }}]\n")
}

/// A gateway without limits of messages and handshakes, and with more of a configuration; its first lines may be keys
/// of `[limits]`.
pub fn unlimited(more: &str) -> TestGateway {
    TestGateway::with(&format!("{UNLIMITED}{more}"))
}

/// A dashboard, greeted.
pub async fn dashboard(gateway: &TestGateway, user: &str) -> TestClient {
    TestClient::greeted(gateway, "/ws/dashboard", &token(user, "dashboard")).await.0
}

/// An agent, greeted. Its user is called like itself.
pub async fn agent(gateway: &TestGateway, id: &str) -> TestClient {
    TestClient::greeted(gateway, "/ws/agent", &token(id, "agent")).await.0
}

/// An agent of a user that may have others, where the claim `agent` names it.
pub async fn agent_of(gateway: &TestGateway, user: &str, id: &str) -> TestClient {
    let token = Claims::of(user, "agent").with("agent", id).sign();
    TestClient::greeted(gateway, "/ws/agent", &token).await.0
}

/// What is sent to subscribe.
pub fn subscribe(room: &str, since: Option<&Value>) -> Value {
    let mut message = json!({"type": "subscribe", "id": format!("to {room}"), "payload": {"room": room}});
    if let Some(since) = since {
        message["payload"]["since"] = since.clone();
    }
    message
}

/// The position that a message or a `subscribed` tells, in that epoch.
pub fn position(epoch: &Value, offset: u64) -> Value {
    json!({"epoch": epoch, "offset": offset})
}

/// The type of each.
pub fn kinds(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["type"].as_str().unwrap_or_default()).collect()
}

impl TestClient {
    /// Subscribes, and takes the payload of `subscribed`, which must be the next that comes.
    pub async fn join(&mut self, room: &str) -> Value {
        self.join_since(room, None).await
    }

    /// Subscribes from that position on, and takes the payload of `subscribed`, which must be the next that comes.
    pub async fn join_since(&mut self, room: &str, since: Option<&Value>) -> Value {
        let told = self.ask(subscribe(room, since)).await;
        assert_eq!((&told["type"], &told["id"]), (&json!("subscribed"), &json!(format!("to {room}"))), "{told}");
        assert_eq!(told["payload"]["room"], room, "{told}");
        told["payload"].clone()
    }

    /// Unsubscribes; what came before the answer.
    pub async fn part(&mut self, room: &str) -> Vec<Value> {
        self.send(json!({"type": "unsubscribe", "id": "part", "payload": {"room": room}})).await;
        let (before, told) = self.until(|message| message["type"] == "unsubscribed").await;
        assert_eq!(told, json!({"type": "unsubscribed", "id": "part", "payload": {"room": room}}));
        before
    }

    /// What comes before a message that fits, and that message.
    pub async fn until(&mut self, fits: impl Fn(&Value) -> bool) -> (Vec<Value>, Value) {
        let mut before = Vec::new();
        loop {
            let message = self.json().await;
            if fits(&message) {
                return (before, message);
            }
            before.push(message);
        }
    }

    /// All that was said to it until now: what comes before the answer to a ping.
    pub async fn heard(&mut self) -> Vec<Value> {
        several::settled(&self.socket).await;
        let mark = uuid::Uuid::new_v4().to_string();
        self.send(json!({"type": "ping", "id": mark})).await;
        self.until(|message| message["type"] == "pong" && message["id"] == *mark).await.0
    }

    /// Says something with a wish for an `ack`; into how many outboxes it was put.
    pub async fn tell(&mut self, mut message: Value) -> u64 {
        message["ack"] = true.into();
        message["id"] = uuid::Uuid::new_v4().to_string().into();
        self.send(&message).await;
        let (before, ack) = self.until(|answer| answer["id"] == message["id"]).await;
        assert!(before.is_empty() && ack["type"] == "ack", "{before:?} {ack}");
        ack["payload"]["delivered"].as_u64().expect("a count")
    }
}
