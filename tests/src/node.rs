//! Clients that other people wrote: scripts of `tests/node` under Node.js, with the npm package `ws` for one.
//!
//! A script gets what it needs from its environment and writes one JSON value a line. It is never skipped: where Node
//! or a package is missing, or older than the lock file says, the test fails and says how to get it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::LazyLock,
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::several::Spread;

/// How long a script may take to say its next line.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many packages a complaint names.
const MOST_NAMED: usize = 5;

/// A script, running. It ends with this.
#[derive(Debug)]
pub struct Script {
    name: String,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    patience: Duration,
}

impl Script {
    /// Starts a script of `tests/node`, with these in its environment.
    pub fn start(name: &str, env: &[(&str, &str)]) -> Self {
        packages();
        Self::by(Path::new("node"), folder(), name, env)
    }

    /// Starts a script of that folder by that program.
    pub(crate) fn by(program: &Path, folder: PathBuf, name: &str, env: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program);
        command.arg(folder.join(name)).envs(env.iter().copied()).current_dir(&folder);
        // Where the gateway that it is told of is several, it hears where all of them are.
        let gateway = env.iter().find(|(name, _)| *name == "GATEWAY").and_then(|(_, node)| node.parse().ok());
        if let Some(spread) = gateway.and_then(Spread::of) {
            let nodes: Vec<_> = spread.nodes.iter().map(ToString::to_string).collect();
            // Half of the seed is a number in any language.
            command.env("NODES", nodes.join(",")).env("SPREAD", (spread.seed as u32).to_string());
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child =
            command.spawn().unwrap_or_else(|fault| panic!("{} does not run ({fault}): install it", program.display()));
        let output = child.stdout.take().expect("its output");
        Self { name: name.into(), child, lines: BufReader::new(output).lines(), patience: PATIENCE }
    }

    /// One that may take longer to say its next line.
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The next line that the script says; none at its end.
    pub async fn line(&mut self) -> Option<Value> {
        let line = tokio::time::timeout(self.patience, self.lines.next_line()).await;
        let line = line.unwrap_or_else(|_| panic!("{} said nothing for {} s", self.name, self.patience.as_secs()));
        let text = line.expect("its output")?;
        Some(serde_json::from_str(&text).unwrap_or_else(|_| panic!("{} said {text:?}", self.name)))
    }

    /// The next line, which must come.
    pub async fn says(&mut self) -> Value {
        match self.line().await {
            Some(value) => value,
            None => panic!("{} ended early", self.name),
        }
    }

    /// All that it still says; it must end well.
    pub async fn end(mut self) -> Vec<Value> {
        let mut said = Vec::new();
        while let Some(value) = self.line().await {
            said.push(value);
        }
        let Output { status, stderr, .. } = self.child.wait_with_output().await.expect("its end");
        assert!(status.success(), "{}: {}", self.name, String::from_utf8_lossy(&stderr));
        said
    }
}

/// Runs a script to its end: all that it said.
pub async fn run(name: &str, env: &[(&str, &str)]) -> Vec<Value> {
    Script::start(name, env).end().await
}

/// Where the npm packages of the tests are, once they are known to be those of the lock file.
pub fn packages() -> PathBuf {
    static STALE: LazyLock<Vec<String>> = LazyLock::new(|| {
        let read = |name: &str| -> Value {
            let text = fs::read_to_string(folder().join(name)).unwrap_or_default();
            serde_json::from_str(&text).unwrap_or_default()
        };
        stale(&read("package-lock.json"), &read("node_modules/.package-lock.json"))
    });
    assert!(
        STALE.is_empty(),
        "the npm packages of tests/node are not those that its package-lock.json names: {}. Run `make node`, or `npm ci` there",
        STALE.join(", ")
    );
    folder().join("node_modules")
}

/// What is missing or of another version, by the two notes of npm: what it was to install, and what it did.
fn stale(wanted: &Value, installed: &Value) -> Vec<String> {
    let wanted = wanted["packages"].as_object().into_iter().flatten();
    // The first is the folder itself; the optional ones are there or not as the machine is.
    let wanted = wanted.filter(|(at, package)| !at.is_empty() && package["optional"] != true);
    let found = wanted.filter_map(|(at, package)| {
        let version = package["version"].as_str()?;
        let name = at.strip_prefix("node_modules/").unwrap_or(at);
        match installed["packages"][at]["version"].as_str() {
            Some(other) if other == version => None,
            Some(other) => Some(format!("{name} is {other}, not {version}")),
            None => Some(format!("{name} {version} is missing")),
        }
    });
    found.take(MOST_NAMED).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("node")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_install_that_is_older_than_the_lock_file_is_told_by_name() {
        let lock = json!({"packages": {
            "": {"version": "0.0.0"},
            "node_modules/ws": {"version": "8.23.0"},
            "node_modules/io": {"version": "4.8.4"},
            "node_modules/mac": {"version": "1.0.0", "optional": true},
        }});
        let older = json!({"packages": {"node_modules/ws": {"version": "8.22.0"}}});
        assert_eq!(stale(&lock, &older), ["io 4.8.4 is missing", "ws is 8.22.0, not 8.23.0"]);
        assert_eq!(stale(&lock, &Value::Null).len(), 2, "where nothing is installed all are missing");
        assert!(stale(&lock, &lock).is_empty());
    }
}
