//! The corpus of the fuzz targets, replayed by whatever compiler builds the rest: what was once found stays fixed, and
//! what the fuzzer learnt to reach is reached in every run. How to fuzz on is in `make help`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "an input that does not hold ends the replay"
)]

#[path = "../../fuzz/entry.rs"]
mod entry;

use std::{fs, path::Path};

/// Feeds an entry every file of its corpus.
fn replay(name: &str, entry: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
    let mut files = 0;
    for file in fs::read_dir(&folder).unwrap_or_else(|fault| panic!("{}: {fault}", folder.display())) {
        let path = file.unwrap().path();
        let data = fs::read(&path).unwrap();
        if std::panic::catch_unwind(|| entry(&data)).is_err() {
            panic!("{} is a finding: see above", path.display());
        }
        files += 1;
    }
    assert!(files >= 20, "{} has {files} files: the corpus is gone", folder.display());
}

#[test]
fn bodies_of_polls_hold() {
    replay("engineio", entry::engineio);
}

#[test]
fn packets_hold() {
    replay("socketio", entry::socketio);
}

#[test]
fn frames_hold_and_another_implementation_reads_the_same() {
    replay("websocket", entry::websocket);
}
