//! The file of cases: somebody says something, or wants to follow a room, and what should come of it.

use std::path::Path;

use gateway_domain::{Code, Room, target::Target};
use serde_json::Value as Json;

use super::{
    person::{self, Person},
    reading::{Reading, Table},
};
use crate::config::{self, Config, Document, Fault, Faults, Node, Place, below, value::Label};

/// The keys of a case.
const KEYS: [&str; 10] =
    ["name", "from", "send", "goes_to", "as", "is_request", "is_answer", "refused", "subscribe", "allowed"];

/// One case.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) from: Person,
    pub(super) attempt: Attempt,
}

/// What somebody tries, and what should come of it.
pub(super) enum Attempt {
    /// A message, in the words of the endpoint.
    Send { text: String, expected: Expected },
    /// A room to follow, and whether that should be allowed.
    Subscribe { room: Room, allowed: bool },
}

/// What should become of a message.
pub(super) enum Expected {
    /// It goes to exactly these, in any order; where it is said, under that type, and as a request or not.
    Goes { to: Vec<Target>, renamed: Option<String>, is_request: Option<bool> },
    /// It is taken for the answer to a request.
    Answers,
    /// It is refused with that code.
    Refused(Code),
}

/// Reads a file of cases.
pub(super) fn read(file: &Path, config: &Config) -> Result<Vec<Case>, Faults> {
    let one = |line: usize, column: usize, what: String, remedy: &str| {
        let place = Place::File { file: file.to_owned(), line, column };
        let fault = Fault { place, key: String::new(), what, remedy: remedy.to_owned() };
        Faults::one(fault)
    };
    let text = config::read(file)
        .map_err(|why| one(1, 1, format!("the file of cases cannot be read: {why}"), "Name another"))?;
    let document = Document::read(&text).map_err(|malformed| {
        let (line, column) = malformed.at;
        one(line, column, format!("this is no TOML: {}", malformed.why), "Mend the line, then try again")
    })?;
    let mut reading = Reading::new(file, document.lines);
    let cases = all(&document.root, config, &mut reading);
    reading.end(cases)
}

fn all(root: &Node, config: &Config, reading: &mut Reading) -> Vec<Case> {
    let Some(root) = reading.table(root, "", &["cases"]) else { return Vec::new() };
    match root.get("cases") {
        Some(Node::List(nodes)) if !nodes.is_empty() => {
            let each = nodes.iter().enumerate();
            each.filter_map(|(at, node)| case(node, &format!("cases[{at}]"), config, reading)).collect()
        }
        _ => {
            reading.fault("cases", "there is no case", "Write [[cases]], with a name, from, and send or subscribe");
            Vec::new()
        }
    }
}

fn case(node: &Node, key: &str, config: &Config, reading: &mut Reading) -> Option<Case> {
    let table = reading.table(node, key, &KEYS)?;
    let name: Option<Label> = reading.value(table, "name");
    if !table.has("name") {
        reading.fault(&below(key, "name"), "this key is missing", "Say what the case is about, in a few words");
    }
    let from = match table.get("from") {
        Some(node) => {
            let key = below(key, "from");
            reading.table(node, &key, &person::KEYS).and_then(|table| Person::read(table, config, reading))
        }
        None => {
            let remedy = "Say who it is: from = { role = \"dashboard\" }";
            reading.fault(&below(key, "from"), "this key is missing", remedy);
            None
        }
    };
    let attempt = attempt(table, reading);
    Some(Case { name: name?.to_string(), place: reading.place(key), from: from?, attempt: attempt? })
}

fn attempt(table: Table<'_>, reading: &mut Reading) -> Option<Attempt> {
    let key = table.key;
    match (table.has("send"), table.has("subscribe")) {
        (true, false) => sent(table, reading),
        (false, true) => subscribed(table, reading),
        (true, true) => {
            let what = "this case sends and subscribes";
            reading.fault(&below(key, "subscribe"), what, "Make two cases of it");
            None
        }
        (false, false) => {
            let remedy = "Add send = { type = \"command\" }, or subscribe = \"agent:a1\"";
            reading.fault(key, "nothing is tried in this case", remedy);
            None
        }
    }
}

fn sent(table: Table<'_>, reading: &mut Reading) -> Option<Attempt> {
    let message = reading.json(table, "send");
    let ends = ["goes_to", "is_answer", "refused"];
    idle(table, &["allowed"], "goes with `subscribe`", reading);
    if !table.has("goes_to") {
        idle(table, &["as", "is_request"], "goes with `goes_to`", reading);
    }
    let expected = match ends.iter().filter(|name| table.has(name)).collect::<Vec<_>>().as_slice() {
        [only] if **only == "goes_to" => {
            let to = targets(table, reading);
            let renamed: Option<Label> = reading.value(table, "as");
            let is_request = reading.boolean(table, "is_request");
            to.map(|to| Expected::Goes { to, renamed: renamed.map(|kind| kind.to_string()), is_request })
        }
        [only] if **only == "is_answer" => match reading.boolean(table, "is_answer") {
            Some(false) => {
                let remedy = "Say what becomes of it: goes_to or refused";
                reading.fault(&below(table.key, "is_answer"), "this does not say what it is", remedy);
                None
            }
            other => other.map(|_| Expected::Answers),
        },
        [_] => {
            let codes = [("FORBIDDEN", Code::Forbidden), ("INVALID_MESSAGE", Code::InvalidMessage)];
            reading.choice(table, "refused", &codes).map(Expected::Refused)
        }
        [] => {
            let remedy = "Add goes_to = [\"agent:a1\"], is_answer = true, or refused = \"FORBIDDEN\"";
            reading.fault(table.key, "nothing is expected of this message", remedy);
            None
        }
        [.., last] => {
            reading.fault(&below(table.key, last), "only one thing can come of a message", "Keep one of them");
            None
        }
    };
    Some(Attempt::Send { text: Json::Object(message?).to_string(), expected: expected? })
}

fn targets(table: Table<'_>, reading: &mut Reading) -> Option<Vec<Target>> {
    let texts: Vec<Label> = reading.values(table, "goes_to")?;
    let key = below(table.key, "goes_to");
    if texts.is_empty() {
        let remedy = "Name the targets; where there should be none: refused = \"INVALID_MESSAGE\"";
        reading.fault(&key, "the list is empty", remedy);
        return None;
    }
    let mut targets = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        match text.as_str().parse::<Target>() {
            Ok(target) => targets.push(target),
            Err(fault) => {
                reading.fault(&format!("{key}[{at}]"), fault, "Write it as in `to` of a route, without placeholders");
            }
        }
    }
    Some(targets)
}

fn subscribed(table: Table<'_>, reading: &mut Reading) -> Option<Attempt> {
    idle(table, &["goes_to", "as", "is_request", "is_answer"], "goes with `send`", reading);
    let text: Option<Label> = reading.value(table, "subscribe");
    let room = text.and_then(|text| Room::parse(text.as_str()).ok());
    let allowed = match (table.has("allowed"), table.has("refused")) {
        (true, false) => reading.boolean(table, "allowed"),
        (false, true) => reading.choice(table, "refused", &[("FORBIDDEN", false)]),
        (true, true) => {
            let key = below(table.key, "refused");
            reading.fault(&key, "this has `allowed` and `refused`", "Keep one of them");
            None
        }
        (false, false) => {
            let remedy = "Add allowed = true, or refused = \"FORBIDDEN\"";
            reading.fault(table.key, "nothing is expected of this subscription", remedy);
            None
        }
    };
    Some(Attempt::Subscribe { room: room?, allowed: allowed? })
}

/// Keys that mean nothing in this case.
fn idle(table: Table<'_>, names: &[&str], why: &str, reading: &mut Reading) {
    for name in names.iter().filter(|name| table.has(name)) {
        reading.fault(&below(table.key, name), format_args!("`{name}` {why}"), "Remove it");
    }
}
