//! A folder with a configuration in it, the program run there, and a gateway that serves from there.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gateway");

/// A key with a secret, a door for each role, and an administrator by API key.
pub(crate) const CONFIG: &str = r#"[[auth.keys]]
kid = "main"
algorithm = "HS256"
secret_file = "secret.txt"

[server]
listen = "127.0.0.1:0"

[state]
file = "state.jsonl"

[audit]
file = "audit.jsonl"

[[api_keys]]
id = "admin"
key_env = "ADMIN_KEY"
user = "root"
roles = ["admin"]

[[endpoints]]
path = "/ws/agent"
roles = ["agent"]
agents = true

[[endpoints]]
path = "/ws/dashboard"
roles = ["dashboard"]
origins = ["https://app.example", "self"]

[[endpoints]]
path = "/ws/echo"
handler = "echo"

[[endpoints]]
path = "/ws/simulate"
reject_with = "close_code"

[[bans]]
user = "mallory"
reason = "scanning"

[[bans]]
address = "203.0.113.0/24"
"#;

/// What the program said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// What it printed, where it ended well.
    #[track_caller]
    pub(crate) fn fine(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// Holds that it ended with that code, and said each of these somewhere.
    #[track_caller]
    pub(crate) fn ends(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        for word in words {
            assert!(self.out.contains(word) || self.err.contains(word), "`{word}` is missing: {self:#?}");
        }
        self
    }

    /// The value behind that name.
    #[track_caller]
    pub(crate) fn row(&self, name: &str) -> &str {
        let line = self.out.lines().find_map(|line| line.strip_prefix(&format!("{name:<11} ")));
        line.unwrap_or_else(|| panic!("no row `{name}`: {self:#?}"))
    }
}

/// A folder for one test.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With the configuration above, and its secret.
    pub(crate) fn configured() -> Self {
        let folder = Self::with(CONFIG);
        folder.write("secret.txt", "a secret of 32 bytes at the least, made up\n");
        folder
    }

    pub(crate) fn with(config: &str) -> Self {
        let folder = Self::empty();
        folder.write("gateway.toml", config);
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).current_dir(self.0.path()).env("ADMIN_KEY", ADMIN_KEY);
        for name in ["GATEWAY_TOKEN", "GATEWAY_API_KEY", "GATEWAY_CONTAINER"] {
            command.env_remove(name);
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(arguments, "", &[])
    }

    /// Runs it with a text on standard input, and with variables.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str, environment: &[(&str, &str)]) -> Said {
        let mut command = self.command(arguments);
        command.envs(environment.iter().copied());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A program that ended early, or that does not read, is no fault of the test.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        said(child.wait_with_output().unwrap())
    }

    /// A token by the configuration of this folder.
    #[track_caller]
    pub(crate) fn mint(&self, arguments: &[&str]) -> String {
        self.run(&[&["token", "mint"], arguments].concat()).fine().trim().to_owned()
    }

    /// Serves from here.
    pub(crate) fn serve(&self) -> Serving {
        let mut command = self.command(&["serve"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut serving = Serving { child, address: String::new() };
        serving.address = listening(&self.path("audit.jsonl"));
        serving
    }
}

pub(crate) const ADMIN_KEY: &str = "an API key of 32 bytes at the least";

/// A gateway that runs, until this is dropped.
pub(crate) struct Serving {
    child: Child,
    pub(crate) address: String,
}

impl Serving {
    pub(crate) fn ws(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Bans a user through the API.
    pub(crate) fn ban(&self, user: &str, reason: &str) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let body = serde_json::json!({ "user": user, "reason": reason });
        let call = reqwest::Client::new().put(format!("{}/api/v1/bans", self.url())).header("x-api-key", ADMIN_KEY);
        let answer = runtime.block_on(call.json(&body).send()).unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }

    /// Asks it to leave.
    pub(crate) fn leave(&self) {
        assert!(Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap().success());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn said(output: Output) -> Said {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// The address that a gateway writes into its audit once it listens.
fn listening(audit: &Path) -> String {
    for _ in 0..400 {
        let text = fs::read_to_string(audit).unwrap_or_default();
        if let Some((_, rest)) = text.split_once("listening on ") {
            return rest.split('"').next().unwrap().to_owned();
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    panic!("the gateway does not listen");
}
