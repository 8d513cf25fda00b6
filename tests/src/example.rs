//! The configurations that ship in `deploy/examples`, run to the letter, and clients that speak as they are spoken to
//! there. Nothing of a file is replaced but the address that it listens on; the secret stands beside it.

use std::{fs, path::PathBuf};

use serde_json::{Map, Value, json};

use crate::{
    client::{PATIENCE, TestClient},
    gateway::{Options, TestGateway},
    program, several,
    tokens::Claims,
};

/// The time that a client writes into a message: the gateway never looks at it.
pub const TIMESTAMP: i64 = 1_767_225_600_000;

fn folder(example: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples").join(example)
}

/// A file of an example.
pub fn file(example: &str, name: &str) -> String {
    let path = folder(example).join(name);
    fs::read_to_string(&path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()))
}

/// What a configuration names beside itself: the cases, and the schemas where there are any.
fn beside(example: &str) -> Vec<(String, Vec<u8>)> {
    let mut names = vec!["policy.toml".to_owned()];
    for schema in fs::read_dir(folder(example).join("schemas")).into_iter().flatten().flatten() {
        names.push(format!("schemas/{}", schema.file_name().to_string_lossy()));
    }
    names.into_iter().map(|name| (name.clone(), file(example, &name).into_bytes())).collect()
}

/// Starts a gateway with exactly the configuration of an example, and its cases beside it.
pub fn open(example: &str, env: &[(&str, &str)]) -> TestGateway {
    open_with(example, env, false)
}

/// The same, and it is one node however many the runner wants.
pub fn alone(example: &str, env: &[(&str, &str)]) -> TestGateway {
    open_with(example, env, true)
}

fn open_with(example: &str, env: &[(&str, &str)], alone: bool) -> TestGateway {
    let config = file(example, "gateway.toml");
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let files = beside(example);
    let gateway =
        TestGateway::open(Options { config: config.clone(), own_keys: true, files, env, alone, ..Options::default() });
    let written = fs::read_to_string(gateway.folder.path().join("gateway.toml")).unwrap();
    assert_eq!(written, config, "the file that runs is the one that ships");
    gateway
}

/// Checks an example as its operator would: the configuration is sound, and every case of the policy holds.
pub fn is_sound(example: &str, env: &[(&str, &str)]) {
    let gateway = open(example, env);
    let (code, told, why) = program::run(gateway.folder.path(), &["config", "check"], "", env);
    assert_eq!((code, told.as_str(), why.as_str()), (Some(0), "ok\n", ""), "there is nothing to warn of, either");
    let (code, told, why) = program::run(gateway.folder.path(), &["policy", "test", "policy.toml"], "", env);
    assert_eq!(code, Some(0), "{told}{why}");
    assert!(told.starts_with("ok: "), "{told}");
    let (_, shown, _) = program::run(gateway.folder.path(), &["config", "show"], "", env);
    assert!(shown.contains("127.0.0.1:8080"), "it listens where the pages say: {shown}");
}

/// What clients of an endpoint call the words that this harness needs.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// The greeting.
    pub ready: &'static str,
    /// `ping`.
    pub ping: &'static str,
    /// `pong`.
    pub pong: &'static str,
    /// The member `id`.
    pub id: &'static str,
    /// The member `payload`.
    pub payload: &'static str,
}

impl Words {
    /// The gateway's own.
    pub const NATIVE: Self =
        Self { ready: "connection_ready", ping: "ping", pong: "pong", id: "id", payload: "payload" };
}

/// A client that speaks in such words.
#[derive(Debug)]
pub struct Speaker {
    /// Its client.
    pub client: TestClient,
    /// What it was greeted with.
    pub greeting: Value,
    /// Its words.
    pub words: Words,
    marks: u32,
}

impl Speaker {
    /// Comes in, and is greeted in its own words.
    pub async fn enter(gateway: &TestGateway, path: &str, claims: &Claims, words: Words) -> Self {
        let client = TestClient::connect(gateway, path, &claims.sign()).await;
        Self::greeted(client.unwrap_or_else(|refused| panic!("refused: {refused:?}")), words).await
    }

    /// Takes the greeting.
    pub async fn greeted(mut client: TestClient, words: Words) -> Self {
        let greeting = client.json().await;
        let members: Vec<_> = greeting.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(greeting["type"], words.ready, "{greeting}");
        assert_eq!(members.len(), 2, "{greeting}");
        // That it came is told to others behind that.
        several::settled(&client.socket).await;
        Self { client, greeting: greeting[words.payload].clone(), words, marks: 0 }
    }

    /// A message as it writes one: type, id, time and payload.
    pub fn message(&self, kind: &str, id: &str, payload: Value) -> Value {
        let mut message = Map::new();
        message.insert("type".into(), kind.into());
        message.insert(self.words.id.into(), id.into());
        message.insert("timestamp".into(), TIMESTAMP.into());
        message.insert(self.words.payload.into(), payload);
        message.into()
    }

    /// Says something.
    pub async fn say(&mut self, kind: &str, id: &str, payload: Value) {
        let message = self.message(kind, id, payload);
        self.client.send(message).await;
    }

    /// The next that it hears; being asked whether it is there apart.
    pub async fn hear(&mut self) -> Value {
        let next = async {
            loop {
                let message = self.client.json().await;
                if message["type"] != self.words.ping {
                    return message;
                }
            }
        };
        tokio::time::timeout(PATIENCE, next).await.expect("something in time, other than being asked")
    }

    /// The next that it hears, which has that type; its payload.
    pub async fn hears(&mut self, kind: &str) -> Value {
        let message = self.hear().await;
        assert_eq!(message["type"], kind, "{message}");
        message[self.words.payload].clone()
    }

    /// Says something, and takes what it hears next.
    pub async fn ask(&mut self, kind: &str, id: &str, payload: Value) -> Value {
        self.say(kind, id, payload).await;
        self.hear().await
    }

    /// Everything that it heard up to now, and the gateway has dealt with all that it said.
    pub async fn heard(&mut self) -> Vec<Value> {
        several::settled(&self.client.socket).await;
        self.marks += 1;
        let mark = format!("mark-{}", self.marks);
        let Words { ping, pong, id, payload, .. } = self.words;
        self.say(ping, &mark, json!({ "mark": [self.marks] })).await;
        let mut heard = Vec::new();
        loop {
            let message = self.hear().await;
            if message["type"] == pong && message[id] == *mark {
                assert_eq!(message[payload], json!({ "mark": [self.marks] }), "{message}");
                return heard;
            }
            assert_ne!(message[id], *mark, "the mark is refused: {message}");
            heard.push(message);
        }
    }

    /// It heard nothing more.
    pub async fn hears_nothing(&mut self) {
        let heard = self.heard().await;
        assert!(heard.is_empty(), "{} heard {heard:?}", self.greeting["userId"]);
    }

    /// Its own connection, as others read of it in `from`.
    pub fn from(&self) -> Value {
        let of = |name: &str| (name.to_owned(), self.greeting[name].clone());
        let from: Map<_, _> = ["connectionId", "userId", "role"].map(of).into_iter().collect();
        from.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>().into()
    }

    /// The same of an agent.
    pub fn from_agent(&self) -> Value {
        let mut from = self.from();
        from["agentId"] = self.greeting["agentId"].clone();
        from
    }
}
