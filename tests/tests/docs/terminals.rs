//! The terminals that a page speaks of: each runs its script beside the others, hears what is typed into it, and must
//! print what the page says that it prints.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(20);

/// One terminal.
pub(super) struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: Arc<Screen>,
}

/// What it printed.
#[derive(Default)]
struct Screen {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

impl Terminal {
    /// Starts it, and waits until it has printed something.
    pub(super) fn start(command: &mut Command) -> Result<Self, String> {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, so that the interrupt at its end meets the script and what it runs.
        let mut child = command.process_group(0).spawn().map_err(|fault| fault.to_string())?;
        let screen = Arc::<Screen>::default();
        let streams: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let screen = Arc::clone(&screen);
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    screen.lines.lock().unwrap().push(line);
                    screen.more.notify_all();
                }
            });
        }
        let keys = child.stdin.take().unwrap();
        let terminal = Self { child, keys, screen };
        terminal.prints("anything", |lines| !lines.is_empty())?;
        Ok(terminal)
    }

    /// Types into it.
    pub(super) fn types(&mut self, text: &str) -> Result<(), String> {
        self.keys.write_all(text.as_bytes()).and_then(|()| self.keys.flush()).map_err(|fault| fault.to_string())
    }

    /// Waits until it has printed every line of that text, in that order, others between them or not.
    pub(super) fn has_printed(&self, text: &str) -> Result<(), String> {
        self.prints(text, |lines| {
            let mut printed = lines.iter();
            text.lines().all(|wanted| printed.any(|line| is_meant(wanted, line)))
        })
    }

    fn prints(&self, what: &str, all: impl Fn(&[String]) -> bool) -> Result<(), String> {
        let lines = self.screen.lines.lock().unwrap();
        let waited = self.screen.more.wait_timeout_while(lines, PATIENCE, |lines| !all(lines));
        let (lines, time) = waited.unwrap();
        if time.timed_out() {
            return Err(format!("the terminal did not print: {what}\nit printed:\n{}", lines.join("\n")));
        }
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-INT", "--", &format!("-{}", self.child.id())]).status();
        let _ = self.child.wait();
    }
}

/// Whether a line of the page is that line: JSON by its members, anything else by its letters.
pub(super) fn is_meant(wanted: &str, line: &str) -> bool {
    match (serde_json::from_str(wanted), serde_json::from_str(line)) {
        (Ok(wanted), Ok(line)) => agrees(&wanted, &line),
        _ => wanted == line,
    }
}

/// Whether a value is what the page says. Ids and times are others in each run, and what the page leaves out may be
/// there; but a list is told whole.
fn agrees(wanted: &Value, value: &Value) -> bool {
    match (wanted, value) {
        (Value::Object(wanted), Value::Object(value)) => {
            wanted.iter().all(|(name, wanted)| value.get(name).is_some_and(|value| agrees(wanted, value)))
        }
        (Value::Array(wanted), Value::Array(value)) => {
            wanted.len() == value.len() && wanted.iter().zip(value).all(|(wanted, value)| agrees(wanted, value))
        }
        (Value::String(wanted), Value::String(value)) if varies(wanted) => varies(value),
        _ => wanted == value,
    }
}

/// A UUID, a time, or the epoch of a room.
fn varies(text: &str) -> bool {
    let hex = |text: &str| text.len() >= 8 && text.chars().all(|c| c.is_ascii_hexdigit());
    let is_uuid = text.len() == 36 && text.split('-').count() == 5;
    let is_time = text.len() == 24 && text.ends_with('Z') && text.contains('T');
    let is_epoch = text.split_once('-').is_some_and(|(life, count)| hex(life) && count.len() <= 16);
    is_uuid || is_time || is_epoch
}

#[test]
fn what_a_page_says_is_compared_by_its_members() {
    let line = r#"{"type":"reply","requestId":"793c698b-51e6-4dfc-9cba-8a7b440f155d","payload":{"n":[1,2]}}"#;
    assert!(is_meant(r#"{"requestId":"00000000-0000-4000-8000-000000000000","payload":{"n":[1,2]}}"#, line));
    for wrong in [r#"{"type":"error"}"#, r#"{"payload":{"n":[1]}}"#, r#"{"id":"1"}"#, r#"{"requestId":"x"}"#] {
        assert!(!is_meant(wrong, line), "{wrong}");
    }
    assert!(is_meant("as it is", "as it is") && !is_meant("as it is", "as it was"));
}
