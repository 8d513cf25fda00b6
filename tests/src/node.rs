//! Clients that other people wrote: scripts of `tests/node` under Node.js, with the npm package `ws` for one.
//!
//! A script gets what it needs from its environment and writes one JSON value a line. It is never skipped: where Node
//! or the package is missing, the test fails and says how to get it.

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

/// How long a script may take to say its next line.
const PATIENCE: Duration = Duration::from_secs(30);

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
        let folder = folder();
        assert!(
            folder.join("node_modules/ws/package.json").is_file(),
            "the npm package `ws` is not there: run `npm ci` in tests/node"
        );
        let mut command = Command::new("node");
        command.arg(folder.join(name)).envs(env.iter().copied()).current_dir(&folder);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|fault| panic!("node does not run ({fault}): install Node.js"));
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

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("node")
}
