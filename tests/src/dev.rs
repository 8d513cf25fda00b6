//! A gateway in dev mode: started with nothing, in an empty folder, and read as somebody at a screen reads it.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use tempfile::TempDir;

use crate::program;

/// What tells the program that it is in a container; whoever runs the tests in one means another.
const MARKS: [&str; 3] = ["GATEWAY_CONTAINER", "KUBERNETES_SERVICE_HOST", "container"];

/// The program, without a word of configuration from around it.
pub fn bare(folder: &Path) -> Command {
    let mut command = Command::new(program::gateway());
    command.current_dir(folder).stdin(Stdio::null());
    MARKS.iter().for_each(|mark| {
        command.env_remove(mark);
    });
    command
}

/// A gateway in dev mode, running.
#[derive(Debug)]
pub struct DevGateway {
    /// What it printed on standard output.
    pub banner: String,
    /// Where it listens, as its banner says.
    pub address: String,
    folder: TempDir,
    child: Child,
    complaints: Arc<Mutex<String>>,
}

impl DevGateway {
    /// Starts one on a free port, as cargo would.
    pub fn start() -> Self {
        Self::with(|command| command.env("CARGO_MANIFEST_DIR", env!("CARGO_MANIFEST_DIR")))
    }

    /// Starts one on a free port, as somebody who has the program alone.
    pub fn alone() -> Self {
        Self::with(|command| command.env_remove("CARGO_MANIFEST_DIR"))
    }

    fn with(place: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = bare(folder.path());
        place(&mut command);
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program");
        let complaints = Arc::new(Mutex::new(String::new()));
        let (mut errors, heard) = (child.stderr.take().expect("its errors"), Arc::clone(&complaints));
        thread::spawn(move || {
            let mut space = [0; 4096];
            while let Ok(read @ 1..) = errors.read(&mut space) {
                heard.lock().unwrap().push_str(&String::from_utf8_lossy(&space[..read]));
            }
        });
        // The banner has a rule at its top, one under its title, and one at its end.
        let (mut banner, mut rules) = (String::new(), 0);
        for line in BufReader::new(child.stdout.take().expect("its output")).lines().map_while(Result::ok) {
            rules += usize::from(line.starts_with("====="));
            banner.push_str(&line);
            banner.push('\n');
            if rules == 3 {
                break;
            }
        }
        assert_eq!(rules, 3, "{banner}\n{}", complaints.lock().unwrap());
        let at = banner.find("http://").expect("an address") + "http://".len();
        let address = banner[at..].split('/').next().unwrap_or_default().to_owned();
        Self { banner, address, folder, child, complaints }
    }

    /// What stands behind an `export` of the banner.
    pub fn exported(&self, name: &str) -> &str {
        let mut lines = self.banner.lines();
        lines.find_map(|line| line.strip_prefix(&format!("export {name}="))).expect("it is exported")
    }

    /// The commands of the banner, as printed.
    pub fn commands(&self) -> Vec<&str> {
        let runs = |line: &&str| line.starts_with("  ") && (line.contains("curl ") || line.contains(" connect "));
        self.banner.lines().filter(runs).map(str::trim).collect()
    }

    /// Pastes the exports and a command into a shell. The program is not built anew for it.
    pub fn paste(&self, command: &str) -> Output {
        let command = command.replace("cargo run -q -p gateway --", &program::gateway().display().to_string());
        let exports: Vec<&str> = self.banner.lines().filter(|line| line.starts_with("export ")).collect();
        let script = format!("{}\n{command}\n", exports.join("\n"));
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(script).current_dir(self.folder.path()).env("NO_PROXY", "*").stdin(Stdio::null());
        shell.output().expect("a shell")
    }

    /// What it wrote to standard error so far.
    pub fn complaints(&self) -> String {
        self.complaints.lock().unwrap().clone()
    }

    /// Tells it to stop; its exit code.
    pub fn stop(mut self) -> Option<i32> {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        for _ in 0..2_000 {
            if let Some(status) = self.child.try_wait().expect("a process") {
                return status.code();
            }
            thread::sleep(Duration::from_millis(10));
        }
        None
    }
}

impl Drop for DevGateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
