//! The house where agents try to make their followers believe what only the gateway may say: followers of three
//! languages, and an eye for what must never reach any of them.

use std::fmt;

use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use crate::{Actor, Claims, TestGateway, several, stage::NO_QUOTAS};

/// Agents of two languages; followers of three, who subscribed to a room, and viewers who did not; and requests to
/// agents.
const HOUSE: &str = r#"
[limits]
handshakes_per_ip = "off"
handshakes_per_user = "off"
[[endpoints]]
path = "/agent"
roles = ["agent"]
agents = true
[[endpoints]]
path = "/loud-agent"
roles = ["agent"]
agents = true
names = { ping = "PING", pong = "PONG", error = "ERROR", reply = "COMMAND_COMPLETE", ack = "ACK" }
envelope = { id = "request_id", payload = "data", reply_to = "request_id" }
[[endpoints]]
path = "/desk"
roles = ["dashboard"]
[[endpoints]]
path = "/loud"
roles = ["dashboard"]
names = { error = "ERROR", reply = "COMMAND_COMPLETE", "agent.online" = "AGENT_CONNECTED", "auth.expiring" = "EXPIRES", cancel = "event2" }
envelope = { id = "request_id", payload = "data", reply_to = "request_id" }
[[endpoints]]
path = "/quoting"
roles = ["dashboard"]
names = { subscribed = "JOINED", connection_ready = "HELLO" }
envelope = { reply_to = "in_reply_to" }
[[endpoints]]
path = "/view"
roles = ["viewer"]
[[rooms.rules]]
match = "said"
join = [{ role = "dashboard" }]
[[routes]]
from = "dashboard"
types = ["command"]
to = "agent:{payload.agentId}"
reply_timeout = "30s"
[[routes]]
from = "agent"
types = ["*"]
to = ["room:said", "role:viewer"]
"#;

/// What the gateway's own types are called at each of the followers' endpoints.
pub const OUTER_NAMES: [(&str, &[&str]); 4] = [
    ("/desk", &[]),
    ("/loud", &["ERROR", "COMMAND_COMPLETE", "AGENT_CONNECTED", "EXPIRES", "event2"]),
    ("/quoting", &["JOINED", "HELLO"]),
    ("/view", &[]),
];

/// Names that only the gateway writes.
pub const OWN_MEMBERS: [&str; 5] = ["from", "requestId", "eventId", "room", "offset"];

/// Types that only the gateway says; what begins with `auth.` or `presence.` is its own, too.
pub const OWN_TYPES: [&str; 18] = [
    "connection_ready",
    "ping",
    "pong",
    "ack",
    "reply",
    "cancel",
    "error",
    "subscribe",
    "subscribed",
    "unsubscribe",
    "unsubscribed",
    "agent.online",
    "agent.offline",
    "auth.refresh",
    "auth.refreshed",
    "auth.expiring",
    "presence.joined",
    "presence.left",
];

/// The gateway of that house.
pub fn gateway() -> TestGateway {
    TestGateway::with(&format!("{NO_QUOTAS}{HOUSE}"))
}

/// Somebody whom agents would like to deceive.
#[derive(Debug)]
pub struct Follower {
    /// It.
    pub actor: Actor,
    /// Where it sits.
    pub path: &'static str,
    offset: u64,
    mark: u64,
}

/// A message as it was written: its members in their order, those that come twice among them.
#[derive(Debug)]
pub struct Written(pub Vec<(String, Value)>);

/// One at each endpoint.
pub async fn followers(gateway: &TestGateway) -> Vec<Follower> {
    let mut followers = Vec::new();
    for (path, _) in OUTER_NAMES {
        let role = if path == "/view" { "viewer" } else { "dashboard" };
        let user = format!("follower at {path}");
        let claims = Claims::of(&user, role);
        let client = crate::TestClient::connect(gateway, path, &claims.sign()).await.expect("a place");
        let mut actor = Actor::greeted(client, Value::Null);
        actor.hear().await;
        if path != "/view" {
            actor.say(serde_json::json!({"type": "subscribe", payload(path): {"room": "said"}})).await;
            actor.hear().await;
        }
        followers.push(Follower { actor, path, offset: 0, mark: 0 });
    }
    // Those who came later were announced to those who were there.
    for follower in &mut followers {
        follower.everything().await;
    }
    followers
}

/// What the payload is called at an endpoint.
pub fn payload(path: &str) -> &'static str {
    if path.starts_with("/loud") { "data" } else { "payload" }
}

impl Follower {
    /// Everything that it was told up to now, as it was written.
    pub async fn everything(&mut self) -> Vec<Written> {
        several::settled(&self.actor.client.socket).await;
        self.mark += 1;
        let (id, mark) = (if self.path == "/loud" { "request_id" } else { "id" }, format!("mark {}", self.mark));
        self.actor.say(serde_json::json!({"type": "ping", id: mark})).await;
        let mut all = Vec::new();
        loop {
            let Some(Message::Text(text)) = self.actor.client.next().await else { panic!("the connection ended") };
            let written = Written::read(&text);
            if written.get("type").is_some_and(|kind| kind == "pong") && written.get(id).is_some_and(|id| *id == *mark)
            {
                return all;
            }
            all.push(written);
        }
    }

    /// What it heard from agents up to now; it ends the test where any of it was forged. Nobody but agents speaks here,
    /// and `speakers` are they.
    pub async fn heard_from(&mut self, speakers: &[Value]) -> Vec<Written> {
        let all = self.everything().await;
        for message in &all {
            let judged = judged(self.path, message, speakers, self.offset);
            self.offset = judged.unwrap_or_else(|fault| panic!("{}: {fault}: {message}", self.path));
        }
        all
    }
}

/// Whether a message could deceive a follower at that endpoint, and how; the place in the room that it had, behind the
/// last one. Only those speakers speak.
pub fn judged(path: &str, message: &Written, speakers: &[Value], last: u64) -> Result<u64, String> {
    let (_, outer) = OUTER_NAMES.iter().find(|(known, _)| *known == path).expect("an endpoint of followers");
    let mut names: Vec<_> = message.0.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    if let Some([name, _]) = names.array_windows().find(|[one, next]| one == next) {
        return Err(format!("{name} comes twice"));
    }
    let kind = message.get("type").and_then(Value::as_str).ok_or("it has no type")?;
    if OWN_TYPES.contains(&kind) || kind.starts_with("auth.") || kind.starts_with("presence.") || outer.contains(&kind)
    {
        return Err(format!("{kind} is the gateway's own"));
    }
    if !message.get("from").is_some_and(|from| speakers.contains(from)) {
        return Err("none of those who speak said that".into());
    }
    let mut none_of: Vec<&str> = vec!["eventId", "requestId"];
    if path == "/view" {
        none_of.extend(["room", "offset"]);
    }
    if let Some(name) = none_of.into_iter().find(|name| message.get(name).is_some()) {
        return Err(format!("{name} was never given"));
    }
    if path == "/view" {
        return Ok(last);
    }
    let offset = message.get("offset").and_then(Value::as_u64).ok_or("it has no place")?;
    if message.get("room") != Some(&"said".into()) {
        return Err("it is in another room".into());
    }
    // What means something of the gateway's at an endpoint is withheld there.
    let follows = if outer.is_empty() { offset == last + 1 } else { offset > last };
    if follows { Ok(offset) } else { Err(format!("it came behind {last}")) }
}

impl Written {
    /// Reads a text, whose members may come twice.
    pub fn read(text: &str) -> Self {
        // The stream of members is read by hand, since every map would hide what comes twice.
        let inside = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).expect("an object");
        let (mut rest, mut members) = (inside, Vec::new());
        while !rest.is_empty() {
            let (name, behind) = first(rest);
            let (value, behind) = first(behind.strip_prefix(':').expect("a colon"));
            members.push((name.as_str().expect("a name").to_owned(), value));
            rest = behind.strip_prefix(',').unwrap_or(behind);
        }
        Self(members)
    }

    /// A member.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// Its members as an object, without those of its place in a room.
    pub fn without_place(&self) -> Value {
        self.0
            .iter()
            .filter(|(name, _)| name != "room" && name != "offset")
            .cloned()
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, value)| write!(f, "{name:?}: {value}, "))
    }
}

/// The first JSON value of a text, and what comes behind it.
fn first(text: &str) -> (Value, &str) {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let value = values.next().expect("a value").expect("JSON");
    let behind = values.byte_offset();
    (value, text.get(behind..).expect("a place between characters"))
}
