//! The programs under test: built once, run to their end with arguments, or started and watched.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, OnceLock},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::runner;

/// A gateway that listens.
pub(crate) struct Running {
    pub(crate) child: Child,
    /// What it wrote so far to its standard streams.
    pub(crate) written: Arc<Mutex<String>>,
    pub(crate) address: SocketAddr,
}

/// The gateway, built once for all tests of a process.
pub fn gateway() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        // A runner that has built it already, as a run for coverage has, says where.
        runner::told("GATEWAY_PROGRAM").map_or_else(|| built("gateway"), Into::into)
    })
}

/// What measures it, built the same way.
pub fn loadtest() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| built("loadtest"))
}

/// A program of that name, as it is now.
pub(crate) fn built(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--message-format", "json", "--bin", name]).current_dir(root);
    if cfg!(debug_assertions) {
        // Beside any test of the workspace it has the features that whoever tests the workspace has built it with.
        cargo.args(["--workspace", "--test", "shapes"]);
    } else {
        // What is measured by an optimised harness is an optimised program, and as it ships.
        cargo.args(["--release", "--package", name]);
    }
    let build = cargo.output().expect("cargo");
    assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
    let messages = String::from_utf8(build.stdout).unwrap();
    let built = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs = built.filter(|message| message["target"]["name"] == name);
    let program = programs.find_map(|message| message["executable"].as_str().map(PathBuf::from));
    program.expect("cargo names the program that it built")
}

/// Runs the gateway with arguments and standard input to its end: exit code, output, errors.
pub fn run(folder: &Path, arguments: &[&str], input: &str, env: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut command = Command::new(gateway());
    command.args(arguments).current_dir(folder).envs(env.iter().copied());
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program");
    let _ = child.stdin.take().expect("its input").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("its end");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Starts a gateway and waits until it says where it listens.
pub(crate) fn spawn(command: &mut Command) -> Result<Running, String> {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program");
    let written = Arc::new(Mutex::new(String::new()));
    let (found, finding) = std::sync::mpsc::sync_channel(1);
    let output = child.stdout.take().expect("its output");
    collect(output, Arc::clone(&written), |_| {});
    let errors = child.stderr.take().expect("its errors");
    let reading = collect(errors, Arc::clone(&written), move |line| {
        // In either form of the log.
        let address = ["address=\"", "\"address\":\""].into_iter().find_map(|sign| line.split_once(sign));
        if let (true, Some((_, rest))) = (line.contains("listening for clients"), address) {
            let _ = found.try_send(rest.split('"').next().unwrap_or_default().to_owned());
        }
    });
    match finding.recv_timeout(Duration::from_secs(20)) {
        // A socket of the file system has no address: the test knows where it is.
        Ok(address) => {
            let address = address.parse().unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)));
            Ok(Running { child, written, address })
        }
        Err(_) => {
            let _ = child.kill();
            let code = child.wait().ok().and_then(|status| status.code());
            let _ = reading.join();
            let text = written.lock().unwrap().clone();
            Err(format!("{text}\nexit code {code:?}"))
        }
    }
}

/// Reads a stream to its end in a thread of its own: all of it is kept, and each line shown.
pub(crate) fn collect(
    stream: impl Read + Send + 'static,
    into: Arc<Mutex<String>>,
    mut see: impl FnMut(&str) + Send + 'static,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            see(&line);
            let mut written = into.lock().unwrap();
            written.push_str(&line);
            written.push('\n');
        }
    })
}
