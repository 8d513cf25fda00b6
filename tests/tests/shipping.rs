//! What ships beside the program, as far as it can be held without a container engine and without a cluster: each file is
//! read by the parser of its form, held against the others that it names and against the program, and against the laws
//! of how a gateway runs: as nobody in particular, on a file system that is only read, asked how it is, and given the time
//! to leave.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a story expects and does not find ends it, in its steps too"
)]

#[path = "shipping/chart.rs"]
mod chart;
#[path = "shipping/compose.rs"]
mod compose;
#[path = "shipping/image.rs"]
mod image;
#[path = "shipping/unit.rs"]
mod unit;

use std::{fs, path::PathBuf, time::Duration};

use gateway_tests::{SECRET, program::run};
use serde::Deserialize;
use serde_json::Value;

/// Of the repository.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|fault| panic!("{path}: {fault}"))
}

/// The documents of a YAML text, with what is merged into them.
fn documents(text: &str) -> Vec<Value> {
    let documents = serde_yaml_ng::Deserializer::from_str(text).map(|document| {
        let mut value = serde_yaml_ng::Value::deserialize(document).expect("YAML");
        value.apply_merge().expect("what is merged is there");
        serde_json::to_value(value).expect("JSON")
    });
    documents.filter(|document| !document.is_null()).collect()
}

/// Holds that the program takes a configuration, as far as that can be seen on another machine than its own: its folders
/// are made here, and its secret is made up.
fn is_sound(config: &str, secret: &str, env: &[(&str, &str)]) {
    let folder = tempfile::tempdir().unwrap();
    let books = folder.path().join("books").display().to_string();
    fs::create_dir_all(&books).unwrap();
    let secret = folder.path().join(secret);
    fs::create_dir_all(secret.parent().unwrap()).unwrap();
    fs::write(secret, SECRET).unwrap();
    fs::write(folder.path().join("gateway.toml"), config.replace("/var/lib/gateway", &books)).unwrap();
    let (code, printed, faults) = run(folder.path(), &["config", "check"], "", env);
    assert_eq!(code, Some(0), "{printed}{faults}");
}

/// How long a gateway may take to leave, when it begins with that: its drain, and webhooks that are still to be told.
fn leaving(drain: Option<Duration>) -> Duration {
    let shipped = gateway::config::Config::dev().unwrap().config.server.drain_timeout.get();
    drain.unwrap_or(shipped) + Duration::from_secs(10)
}

/// `90`, `90s` or `2m`.
fn time(text: &str) -> Duration {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = digits.parse().expect("a number");
    Duration::from_secs(if unit == "m" { number * 60 } else { number })
}
