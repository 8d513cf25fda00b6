//! Somebody in a story: a client with a name, which says things, hears what it should, and can be asked whether that was
//! all.

use serde_json::{Map, Value, json};
use tokio_tungstenite::MaybeTlsStream;

use crate::{client::TestClient, gateway::TestGateway, several, tokens::Claims};

/// A connection of somebody's.
#[derive(Debug)]
pub struct Actor {
    /// Its client.
    pub client: TestClient,
    /// What it was greeted with.
    pub greeting: Value,
    /// As its receivers read it: `from`.
    pub from: Value,
    marks: u64,
}

impl Actor {
    /// Comes in with one role.
    pub async fn enter(gateway: &TestGateway, path: &str, user: &str, role: &str) -> Self {
        Self::enter_with(gateway, path, &Claims::of(user, role)).await
    }

    /// Comes in with claims; what is said at once to whoever comes is still to be heard.
    pub async fn enter_with(gateway: &TestGateway, path: &str, claims: &Claims) -> Self {
        let (client, greeting) = TestClient::greeted(gateway, path, &claims.sign()).await;
        Self::greeted(client, greeting)
    }

    /// A client that was greeted with that.
    pub fn greeted(client: TestClient, greeting: Value) -> Self {
        if let MaybeTlsStream::Plain(stream) = client.socket.get_ref() {
            // What one says twice in a row must not wait for an answer between.
            stream.set_nodelay(true).expect("a socket");
        }
        // Whoever comes through no door of agents speaks as none: here all agents, and nobody else, have that role.
        let is_agent = greeting["role"] == "agent";
        let mut from = Map::new();
        for name in ["connectionId", "userId", "agentId", "role"] {
            let value = &greeting[name];
            if !value.is_null() && (is_agent || name != "agentId") {
                from.insert(name.into(), value.clone());
            }
        }
        Self { client, greeting, from: from.into(), marks: 0 }
    }

    /// The id of its connection.
    pub fn id(&self) -> &str {
        self.greeting["connectionId"].as_str().expect("an id")
    }

    /// Says something.
    pub async fn say(&mut self, message: Value) {
        self.client.send(message).await;
    }

    /// Says something, and knows that the gateway has dealt with it: nobody answers it.
    pub async fn tell(&mut self, message: Value) {
        self.say(message).await;
        self.hears_nothing().await;
    }

    /// The next that it hears.
    pub async fn hear(&mut self) -> Value {
        self.client.json().await
    }

    /// The next that it hears, which is an error; of that code, about that message.
    pub async fn hears_error(&mut self, code: &str, id: &str) -> Value {
        let error = self.hear().await;
        assert_eq!((&error["type"], &error["payload"]["code"]), (&json!("error"), &json!(code)), "{error}");
        assert_eq!(error.get("id"), (!id.is_empty()).then_some(&json!(id)), "{error}");
        assert!(error.get("from").is_none(), "what the gateway itself says has no `from`: {error}");
        error["payload"].clone()
    }

    /// Everything that it heard up to now, and the gateway has dealt with all that it said.
    pub async fn heard(&mut self) -> Vec<Value> {
        several::settled(&self.client.socket).await;
        self.marks += 1;
        let mark = format!("mark-{}", self.marks);
        self.say(json!({"type": "ping", "id": mark})).await;
        let mut heard = Vec::new();
        loop {
            let message = self.hear().await;
            if message["type"] == "pong" && message["id"] == *mark {
                return heard;
            }
            heard.push(message);
        }
    }

    /// It heard nothing more.
    pub async fn hears_nothing(&mut self) {
        let heard = self.heard().await;
        assert!(heard.is_empty(), "{} heard {heard:?}", self.from);
    }

    /// Subscribes to a room; what it was told.
    pub async fn subscribe(&mut self, room: &str) -> Value {
        let subscribed =
            self.client.ask(json!({"type": "subscribe", "id": "subscribe", "payload": {"room": room}})).await;
        assert_eq!(
            (&subscribed["type"], &subscribed["id"]),
            (&json!("subscribed"), &json!("subscribe")),
            "{subscribed}"
        );
        subscribed["payload"].clone()
    }

    /// Goes, and the gateway has seen it.
    pub async fn leave(self) {
        self.client.leave().await;
    }
}

/// None of them heard anything more.
pub async fn all_is_quiet<'a>(actors: impl IntoIterator<Item = &'a mut Actor>) {
    for actor in actors {
        actor.hears_nothing().await;
    }
}
