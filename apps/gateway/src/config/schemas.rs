//! The schemas of events: read from their files and compiled, as the configuration names them. What is wrong with a
//! file is a fault of the line that names it.

use std::{fs, io::Read, path::Path};

use gateway_server::publish::{SchemaFault, Schemas};
use serde_json::Value as Json;

use super::{Events, check::Complaints, fault::below, value::FilePath};

/// The most schemas.
const MOST: usize = 1_000;
/// The largest file of one.
const LARGEST: u64 = 1 << 20;

const KEY: &str = "events.schemas";

/// Reads all of them, each with its type; they were not compiled yet.
pub(super) fn read(events: &Events) -> Result<Vec<(String, Json)>, Complaints> {
    let (read, complaints) = readable(events);
    if complaints.faults.is_empty() { Ok(read) } else { Err(complaints) }
}

/// Reads and compiles all of them, and finds everything that is wrong with them.
pub(super) fn compile(events: &Events) -> Result<Schemas, Complaints> {
    let (read, mut complaints) = readable(events);
    let compiled = Schemas::compile(read, events.strict);
    for fault in compiled.as_ref().err().into_iter().flatten() {
        let SchemaFault { kind, at, what, remedy } = fault;
        let place = if at.is_empty() { String::new() } else { format!(", at {at}") };
        let mut files = events.schemas.iter();
        let file = files.find_map(|(own, file)| (own.as_str() == kind).then(|| file.to_string())).unwrap_or_default();
        complaints.fault(below(KEY, kind), format!("`{file}` is no schema to go by{place}: {what}"), *remedy);
    }
    match compiled {
        Ok(schemas) if complaints.faults.is_empty() => Ok(schemas),
        Ok(_) | Err(_) => Err(complaints),
    }
}

/// The schemas whose files can be read, and what is wrong with the others.
fn readable(events: &Events) -> (Vec<(String, Json)>, Complaints) {
    let (mut read, mut complaints) = (Vec::new(), Complaints::default());
    if events.schemas.len() > MOST {
        let what = format!("there are {} schemas, and {MOST} are the most", events.schemas.len());
        complaints.fault(KEY, what, "Remove some");
        return (read, complaints);
    }
    for (kind, file) in &events.schemas {
        match written(file) {
            Ok(schema) => read.push((kind.to_string(), schema)),
            Err((what, remedy)) => complaints.fault(below(KEY, kind.as_str()), what, remedy),
        }
    }
    (read, complaints)
}

/// A schema as its file has it; or what is wrong with the file, and what to do.
fn written(file: &FilePath) -> Result<Json, (String, &'static str)> {
    let bytes = match bytes_of(file.as_path()) {
        Ok(bytes) => bytes,
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => {
            let remedy =
                "Write the schema there, or name the file where it is; a path counts from the folder of this file";
            return Err((format!("the file `{file}` does not exist"), remedy));
        }
        Err(fault) => {
            let remedy = "Name a file that the gateway's user may read";
            return Err((format!("the file `{file}` cannot be read: {fault}"), remedy));
        }
    };
    if u64::try_from(bytes.len()).is_ok_and(|size| size > LARGEST) {
        return Err((format!("the file `{file}` has more than {LARGEST} bytes"), "Make the schema smaller"));
    }
    let text = String::from_utf8_lossy(&bytes);
    Schemas::read(&text).map_err(|fault| (format!("`{file}` is no JSON: {fault}"), "Mend the file, then check again"))
}

fn bytes_of(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(file)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
