//! The function under test where it would run: the real program under a runtime API of this machine's, an API Gateway in
//! front of it that turns WebSockets into its three events, and a DynamoDB with its table.

mod front;
mod http;
mod runtime;

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{client::Refused, client::TestClient, node::Script, program::built, runner, tokens::SECRET};
use front::Front;
pub use front::Wire;
use runtime::Runtime;

/// What the table is called.
const TABLE: &str = "gateway";
/// A cold program and a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A region of its own.
pub struct Cloud {
    front: Arc<Front>,
    runtime: Arc<Runtime>,
    dynamodb: SocketAddr,
    _table: Script,
    folder: TempDir,
}

/// How the function is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The configuration, behind the usual keys.
    pub config: String,
    /// More of the environment.
    pub env: Vec<(String, String)>,
    /// How many of its environments there are at most.
    pub environments: usize,
    /// Files beside the configuration.
    pub files: Vec<(String, String)>,
    /// Whether the configuration brings its keys itself.
    pub own_keys: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self { config: String::new(), env: Vec::new(), environments: 1, files: Vec::new(), own_keys: false }
    }
}

/// The program, in the graph without sockets.
pub fn program() -> &'static Path {
    static PROGRAM: std::sync::OnceLock<std::path::PathBuf> = std::sync::OnceLock::new();
    PROGRAM.get_or_init(|| {
        // A measurement is of the program as it is shipped.
        runner::told("GATEWAY_LAMBDA_PROGRAM").map_or_else(|| built("gateway-lambda"), Into::into)
    })
}

impl Cloud {
    /// One with that configuration.
    pub async fn with(config: &str) -> Self {
        Self::open(Setup { config: config.into(), ..Setup::default() }).await
    }

    /// One.
    pub async fn open(setup: Setup) -> Self {
        let mut table = Script::start("dynamodb.mjs", &[("TABLE", TABLE)]).with_patience(PATIENCE);
        let port = table.says().await["port"].as_u64().expect("a port");
        let dynamodb = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).expect("a port")));
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret.txt"), SECRET).unwrap();
        for (name, text) in &setup.files {
            let file = folder.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        let keys = if setup.own_keys {
            ""
        } else {
            "[[auth.keys]]\nkid = \"main\"\nalgorithm = \"HS256\"\nsecret_file = \"secret.txt\"\n"
        };
        std::fs::write(folder.path().join("gateway.toml"), format!("{keys}{}", setup.config)).unwrap();
        let runtime = Arc::new(Runtime::default());
        let front = Front::start(Arc::clone(&runtime)).await;
        let mut env = vec![
            ("GATEWAY_LAMBDA_TABLE".to_owned(), TABLE.to_owned()),
            ("GATEWAY_LAMBDA_MANAGEMENT".to_owned(), format!("http://{}/{{stage}}", front.address)),
            ("GATEWAY_LAMBDA_DYNAMODB".to_owned(), format!("http://{dynamodb}")),
            ("LAMBDA_TASK_ROOT".to_owned(), folder.path().display().to_string()),
        ];
        env.extend(setup.env);
        for _ in 0..setup.environments {
            runtime.begin(program(), folder.path(), &env).await;
        }
        Self { front, runtime, dynamodb, _table: table, folder }
    }

    /// Calls the function with an event, as a service would.
    pub async fn invoke(&self, event: Value) -> Value {
        self.runtime.invoke(event).await
    }

    /// A minute has gone by.
    pub async fn minute(&self) -> Value {
        let clock = json!({"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}});
        self.invoke(clock).await
    }

    /// Publishes, as a backend that AWS has let in.
    pub async fn publish(&self, body: Value) -> Value {
        self.invoke(body).await
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.front.address
    }

    /// The address of a stage.
    pub fn ws(&self, stage: &str, query: &str) -> String {
        format!("ws://{}/{stage}?{query}", self.front.address)
    }

    /// Connects to a stage with a token.
    pub async fn connect(&self, stage: &str, token: &str) -> Result<TestClient, Refused> {
        TestClient::open(&self.ws(stage, &format!("token={token}")), &[]).await
    }

    /// Connects and takes the greeting.
    pub async fn greeted(&self, stage: &str, token: &str) -> (TestClient, Value) {
        let mut client = self.connect(stage, token).await.unwrap_or_else(|refused| panic!("refused: {refused:?}"));
        let greeting = client.json().await;
        assert_eq!(greeting["type"], "connection_ready", "{greeting}");
        (client, greeting["payload"].clone())
    }

    /// The status and the code that the function answered to the last `$connect`: of the second the service tells no client.
    pub fn last_refusal(&self) -> (u64, String, Value) {
        let answer = self.front.last_answer();
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap_or_default()).unwrap_or_default();
        let code = body["error"]["code"].as_str().unwrap_or_default().to_owned();
        (answer["statusCode"].as_u64().unwrap_or_default(), code, body["error"].clone())
    }

    /// The connections as the service sees them.
    pub fn wires(&self) -> Vec<Wire> {
        self.front.wires()
    }

    /// The client behind that vanishes, and nobody is told: the `$disconnect` is lost.
    pub fn lose(&self, wire: &Wire) {
        self.front.lose(wire);
    }

    /// The next posts to connections are throttled, so many of them.
    pub fn throttle(&self, posts: usize) {
        self.front.throttle(posts);
    }

    /// Every item of the table.
    pub async fn items(&self) -> Vec<Value> {
        let answer = http::dynamodb(self.dynamodb, "Scan", &json!({ "TableName": TABLE })).await;
        answer["Items"].as_array().cloned().unwrap_or_default()
    }

    /// The items of a partition that begins like that.
    pub async fn items_in(&self, partition: &str) -> Vec<Value> {
        let mut items = self.items().await;
        items.retain(|item| item["pk"]["S"].as_str().is_some_and(|pk| pk.starts_with(partition)));
        items
    }

    /// Writes an item as it is.
    pub async fn put(&self, item: &Value) {
        http::dynamodb(self.dynamodb, "PutItem", &json!({"TableName": TABLE, "Item": item})).await;
    }

    /// What all environments wrote so far.
    pub fn written(&self) -> String {
        self.runtime.written()
    }

    /// The records of the audit so far.
    pub fn records(&self) -> Vec<Value> {
        let written = self.written();
        written
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(|line: &Value| !line["event"].is_null())
            .collect()
    }

    /// How much memory an environment uses, in KiB, and how long the first took until it asked for work.
    pub fn measures(&self) -> (u64, Duration) {
        self.runtime.measures()
    }

    /// Where its configuration is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        let written = self.runtime.end();
        if !std::thread::panicking() {
            crate::gateway::assert_no_tokens("the log of the function", &written);
        } else {
            runner::say(format_args!("the function wrote:\n{written}"));
        }
    }
}
