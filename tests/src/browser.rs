//! A real page in a real browser: Chromium without a window, driven by a script of `tests/node` through the npm package
//! `playwright-core`; and a web server on a port of its own, since an origin is an address.
//!
//! A script is never skipped: where there is no Chromium, the test fails and says how to get it.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

use crate::{node::Script, runner};

/// A browser needs long to start on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the program is called: by Debian, and by others.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Starts a script that drives a browser.
pub fn start(name: &str, env: &[(&str, &str)]) -> Script {
    let chromium = program().display().to_string();
    let mut env = env.to_vec();
    env.push(("CHROMIUM", &chromium));
    Script::start(name, &env).with_patience(PATIENCE)
}

/// Runs a script that drives a browser to its end: all that it said.
pub async fn run(name: &str, env: &[(&str, &str)]) -> Vec<Value> {
    start(name, env).end().await
}

/// The browser of this machine.
fn program() -> PathBuf {
    let path = runner::told("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let found = NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    found.into_iter().find(|program| program.is_file()).unwrap_or_else(|| {
        panic!("there is no Chromium: install it (Debian: apt-get install --no-install-recommends chromium), or run `make browser`")
    })
}

/// A web server with one page, whatever is asked for but its scripts.
#[derive(Debug)]
pub struct Site {
    /// What pages of it send as `Origin`.
    pub origin: String,
    serving: JoinHandle<()>,
}

impl Site {
    /// Serves a page from a free port.
    pub async fn with(page: &str) -> Self {
        Self::with_scripts(page, &[]).await
    }

    /// Serves a page from a free port, and scripts beside it by their paths.
    pub async fn with_scripts(page: &str, scripts: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let page = answer("text/html", page);
        let scripts: BTreeMap<String, String> =
            scripts.iter().map(|(path, script)| (format!("GET {path} "), answer("text/javascript", script))).collect();
        let answers = Arc::new((page, scripts));
        let serving = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let answers = Arc::clone(&answers);
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    let (page, scripts) = &*answers;
                    let asked = |line: &str| head.starts_with(line.as_bytes());
                    let script = scripts.iter().find(|(line, _)| asked(line)).map(|(_, script)| script);
                    let _ = stream.write_all(script.unwrap_or(page).as_bytes()).await;
                });
            }
        });
        Self { origin, serving }
    }
}

fn answer(kind: &str, content: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{content}",
        content.len()
    )
}

impl Drop for Site {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
