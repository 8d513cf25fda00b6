//! Where a page is played: an empty folder with the program on the path, and what one block leaves behind (files,
//! variables, the folder it changed to, a gateway that runs, terminals beside it) is there for the next.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{RecvTimeoutError, sync_channel},
    },
    thread,
    time::Duration,
};

use gateway_tests::{
    SECRET,
    program::{self, loadtest},
    runner,
};
use tempfile::TempDir;

use super::{
    page::{Block, root},
    terminals::{Terminal, is_meant},
};

/// The address that the pages speak of; here a free one stands for it.
const WRITTEN: &str = "127.0.0.1:8080";
const PATIENCE: Duration = Duration::from_secs(30);

/// The folder and what runs in it.
pub(super) struct Stage {
    folder: TempDir,
    running: Option<Running>,
    terminals: BTreeMap<String, Terminal>,
    /// What the last script printed.
    printed: String,
}

struct Running {
    child: Child,
    address: String,
}

impl Stage {
    /// One where the repository's pages and examples are at hand, as they are for who reads them there.
    pub(super) fn new() -> Self {
        let stage = Self::bare();
        for folder in ["docs", "deploy"] {
            symlink(root().join(folder), stage.folder.path().join("place").join(folder)).unwrap();
        }
        stage
    }

    /// An empty one.
    pub(super) fn bare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("bin")).unwrap();
        fs::create_dir_all(at("place")).unwrap();
        symlink(program::gateway(), at("bin/gateway")).unwrap();
        for tool in ["bash", "curl", "awk", "node", "python3", "timeout"] {
            let found = Command::new("sh").args(["-c", &format!("command -v {tool} >/dev/null")]).status();
            assert!(found.is_ok_and(|found| found.success()), "the pages need `{tool}` on the path");
        }
        symlink(gateway_tests::node::packages(), at("node_modules")).unwrap();
        fs::write(at("variables"), "").unwrap();
        fs::write(at("where"), at("place").to_str().unwrap()).unwrap();
        Self { folder, running: None, terminals: BTreeMap::new(), printed: String::new() }
    }

    /// Where the next block stands.
    pub(super) fn here(&self) -> PathBuf {
        fs::read_to_string(self.folder.path().join("where")).unwrap().trim().into()
    }

    /// Runs a block, or checks it.
    pub(super) fn perform(&mut self, block: &Block) -> Result<(), String> {
        if let Some(why) = &block.not_run {
            return if why.is_empty() { Err("`not-run:` needs a reason".into()) } else { Ok(()) };
        }
        if let Some(name) = block.file() {
            fs::write(self.here().join(name), self.staged(&block.text)).unwrap();
        }
        if block.is("printed") {
            return self.has_printed(&block.text);
        }
        if let Some((act, name)) = block.of_terminal() {
            return self.at_terminal(act, name, &block.text);
        }
        match block.language.as_str() {
            "sh" | "bash" | "console" if block.is("background") => self.start(&block.text),
            "sh" | "bash" | "console" => self.run(&block.text, block.is("fails")),
            // Cases are no configuration: they are tried by what the page runs next.
            "toml" if block.is("cases") => Ok(()),
            "toml" if block.is("wrong") => match check_configuration(&block.text) {
                Ok(()) => Err("there is nothing wrong with it".into()),
                Err(_) => Ok(()),
            },
            "toml" => check_configuration(&block.text),
            "json" => check_json(&block.text),
            "js" if block.is("run") => {
                let text = format!("import {{ call, json }} from \"./gateway.mjs\";\n{}", block.text);
                self.play("played.mjs", &text, "node played.mjs")
            }
            "py" if block.is("run") => {
                let text = format!("from gateway import call, json, Refused\n{}", block.text);
                self.play("played.py", &text, "python3 played.py")
            }
            "js" => self.check_source(&block.text, "source.mjs", &["node", "--check"]),
            "py" => self.check_source(&block.text, "source.py", &["python3", "-m", "py_compile"]),
            "rust" => check_rust(&block.text),
            "ts" => check_typescript(&block.text),
            _ => Ok(()),
        }
    }

    /// Runs what stands behind the functions that the page has in a file.
    fn play(&mut self, name: &str, text: &str, script: &str) -> Result<(), String> {
        fs::write(self.here().join(name), self.staged(text)).unwrap();
        self.run(script, false)
    }

    /// Runs a script in a terminal of its own, types into it, or looks at what it printed.
    fn at_terminal(&mut self, act: &str, name: &str, text: &str) -> Result<(), String> {
        if act == "beside" {
            // One of that name is closed first.
            self.terminals.remove(name);
            let state = self.folder.path().display();
            let script = format!(". '{state}/variables'\n{}", self.staged(text));
            let mut command = self.command("bash");
            let terminal = Terminal::start(command.args(["-c", &script]))?;
            self.terminals.insert(name.to_owned(), terminal);
            return Ok(());
        }
        let terminal = self.terminals.get_mut(name).ok_or_else(|| format!("there is no terminal `{name}` yet"))?;
        if act == "typed" { terminal.types(text) } else { terminal.has_printed(text) }
    }

    /// Runs a script; what it printed is told where it does not end as it should.
    fn run(&mut self, script: &str, fails: bool) -> Result<(), String> {
        let state = self.folder.path().display();
        let frame = format!(
            "set -euo pipefail\n. '{state}/variables'\ncd \"$(cat '{state}/where')\"\n\
             trap 'export -p > \"{state}/variables\"; pwd > \"{state}/where\"' EXIT\n{}",
            self.staged(script)
        );
        let ended = self.command("timeout").args(["60", "bash", "-c", &frame]).stdin(Stdio::null()).output();
        let ended = ended.map_err(|fault| fault.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.printed = text(&ended.stdout) + &text(&ended.stderr);
        let told = || format!("{}\n{}", ended.status, self.printed);
        match (ended.status.success(), fails) {
            (true, false) => Ok(()),
            (false, true) if ended.status.code() != Some(124) => Ok(()),
            (true, true) => Err(format!("it should have failed: {}", told())),
            (false, _) => Err(told()),
        }
    }

    /// Starts a gateway that runs to the end of the page, or to the next one.
    fn start(&mut self, script: &str) -> Result<(), String> {
        self.stop();
        let script = format!(
            ". '{}/variables'\nexec {} --listen 127.0.0.1:0",
            self.folder.path().display(),
            self.staged(script).trim()
        );
        let here = self.here();
        let is_dev = !here.join("gateway.toml").exists() && !script.contains("--config");
        let mut command = self.command("bash");
        command
            .args(["-c", &script])
            .current_dir(here)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|fault| fault.to_string())?;
        let (lines, coming) = sync_channel(1_000);
        let written = Arc::<Mutex<String>>::default();
        let streams: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let (lines, written) = (lines.clone(), Arc::clone(&written));
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    written.lock().unwrap().push_str(&format!("{line}\n"));
                    let _ = lines.try_send(line);
                }
            });
        }
        drop(lines);
        let (mut address, mut pasted) = (None, String::new());
        while address.is_none() || (is_dev && !pasted.contains("API_KEY=")) {
            let line = match coming.recv_timeout(PATIENCE) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    let _ = child.kill();
                    return Err(format!("the gateway did not start:\n{}", written.lock().unwrap()));
                }
            };
            if let Some((_, rest)) = line.split_once("listening for clients address=\"") {
                address = rest.split('"').next().map(str::to_owned);
            }
            if line.starts_with("export ") {
                pasted += &format!("{line}\n");
            }
        }
        let variables = self.folder.path().join("variables");
        let before = fs::read_to_string(&variables).unwrap();
        fs::write(variables, before + &pasted).unwrap();
        self.running = address.map(|address| Running { child, address });
        Ok(())
    }

    /// Whether the last script printed what the page says, line by line; `...` stands for any number of lines.
    fn has_printed(&self, text: &str) -> Result<(), String> {
        let mut printed = self.printed.lines();
        let mut skips = false;
        for wanted in text.lines() {
            if wanted.trim() == "..." {
                skips = true;
                continue;
            }
            let found = if skips {
                printed.any(|line| is_meant(wanted, line))
            } else {
                printed.next().is_some_and(|line| is_meant(wanted, line))
            };
            if !found {
                return Err(format!("`{wanted}` was not printed there, but:\n{}", self.printed));
            }
            skips = false;
        }
        Ok(())
    }

    fn check_source(&self, text: &str, name: &str, program: &[&str]) -> Result<(), String> {
        let file = self.folder.path().join(name);
        fs::write(&file, text).unwrap();
        let ended = Command::new(program[0]).args(&program[1..]).arg(&file).output();
        let ended = ended.map_err(|fault| format!("{}: {fault}", program[0]))?;
        if ended.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&ended.stderr).into_owned()) }
    }

    /// A text of the page, with the program and the address that are meant here.
    fn staged(&self, text: &str) -> String {
        let text = text.replace("cargo run -q -p gateway --", "gateway").replace("cargo run -p gateway", "gateway");
        let text = self.with_loadtest(text);
        match &self.running {
            Some(running) => text.replace(WRITTEN, &running.address),
            None => text,
        }
    }

    /// The load test is there for the pages that name it, as it is built for the tests.
    fn with_loadtest(&self, text: String) -> String {
        const WRITTEN: &str = "cargo run --release -p loadtest --";
        let link = self.folder.path().join("bin/loadtest");
        if text.contains(WRITTEN) && !link.exists() {
            symlink(loadtest(), link).unwrap();
        }
        text.replace(WRITTEN, "loadtest")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let mut path = self.folder.path().join("bin").into_os_string();
        // The tools that the pages name are on the path of whoever runs this.
        if let Some(of_runner) = runner::told("PATH") {
            path.push(":");
            path.push(of_runner);
        }
        command.env("PATH", path);
        command.env("no_proxy", "*").current_dir(self.here());
        command
    }

    fn stop(&mut self) {
        self.terminals.clear();
        let Some(mut running) = self.running.take() else { return };
        let _ = Command::new("kill").arg(running.child.id().to_string()).status();
        for _ in 0..500 {
            if !matches!(running.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = running.child.kill();
        let _ = running.child.wait();
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Whether that program is on the path.
pub(super) fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|ended| ended.status.success())
}

/// A configuration, or a part of one, must be sound: with the files that it names, and a key where it names none.
fn check_configuration(text: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let mut whole = text.to_owned();
    if !text.contains("[[auth.keys]]") {
        whole += "\n[[auth.keys]]\nkid = \"main\"\nalgorithm = \"HS256\"\nsecret_file = \"secret.txt\"\n";
    }
    let mut variables = Vec::new();
    for line in whole.lines() {
        // One line may hold an inline table with several.
        for part in line.split(['{', ',']) {
            let Some((key, value)) = part.split_once('=') else { continue };
            let value = value.split('"').nth(1).unwrap_or_default();
            match key.trim() {
                "secret_file" | "previous_secret_file" => put(folder.path(), value, SECRET),
                "secret_env" | "previous_secret_env" | "key_env" => variables.push((value.to_owned(), SECRET)),
                "cert_file" => {
                    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
                    put(folder.path(), value, &made.cert.pem());
                    put(folder.path(), "made.key", &made.signing_key.serialize_pem());
                }
                "key_file" => {
                    let _ = fs::copy(folder.path().join("made.key"), folder.path().join(value));
                }
                "public_key_file" => {
                    let made = gateway_auth::generate(gateway_auth::Algorithm::Es256).unwrap();
                    put(folder.path(), value, &made.public.unwrap());
                }
                _ => {}
            }
        }
    }
    put(folder.path(), "gateway.toml", &whole);
    let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let (code, printed, faults) = program::run(folder.path(), &["config", "check"], "", &variables);
    if code == Some(0) { Ok(()) } else { Err(format!("{printed}{faults}")) }
}

fn put(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).unwrap();
}

fn check_json(text: &str) -> Result<(), String> {
    let mut values = 0;
    for value in serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>() {
        value.map_err(|fault| fault.to_string())?;
        values += 1;
    }
    if values > 0 { Ok(()) } else { Err("there is no JSON in it".into()) }
}

/// The Rust of the pages is a part of what is compiled: a client or backend beside this file, or an example. How far it
/// stands to the right is not the page's business.
fn check_rust(text: &str) -> Result<(), String> {
    let compiled = [
        include_str!("rust_client.rs"),
        include_str!("backend.rs"),
        include_str!("../publishers.rs"),
        include_str!("rust_receiver.rs"),
        include_str!("../../../crates/server/examples/embedded.rs"),
        include_str!("../../../crates/server/examples/handler.rs"),
    ];
    let plain = |text: &str| text.lines().map(str::trim_start).collect::<Vec<_>>().join("\n");
    if compiled.iter().any(|program| plain(program).contains(&plain(text))) {
        Ok(())
    } else {
        Err("it is no part of what stands beside tests/tests/docs/stage.rs, of tests/tests/publishers.rs, or of the examples of the server".into())
    }
}

/// So is the TypeScript.
fn check_typescript(text: &str) -> Result<(), String> {
    if include_str!("../../node/publisher.ts").contains(text) {
        Ok(())
    } else {
        Err("it is no part of tests/node/publisher.ts, which is compiled".into())
    }
}
