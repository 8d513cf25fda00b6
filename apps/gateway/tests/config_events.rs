//! Schemas of events: which files are read, and what an operator reads about those that cannot be used.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of tests may fail as a test does")]

#[path = "config/support.rs"]
mod support;

use std::{fmt::Write as _, fs};

use gateway::config::{Mode, Sources, load};
use serde_json::value::to_raw_value;

use support::{KEY, each_beside_a_key_has_one, load_in, warnings};

#[test]
fn what_ships_looks_at_no_event() {
    let folder = tempfile::tempdir().unwrap();
    let loaded = load_in(folder.path(), KEY).unwrap();
    assert!(!loaded.config.events.strict && loaded.config.events.schemas.is_empty());
    assert_eq!(loaded.schemas().unwrap().check("anything", &to_raw_value(&1).unwrap()), []);
    assert!(!loaded.show(None).contains("# events"));
}

#[test]
fn a_schema_is_read_from_beside_the_file_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("schemas")).unwrap();
    fs::write(folder.path().join("schemas/n.json"), r#"{"type": "integer"}"#).unwrap();
    let text = format!("{KEY}[events]\nstrict = true\nschemas = {{ \"a:countUpdated\" = \"schemas/n.json\" }}\n");
    let loaded = load_in(folder.path(), &text).unwrap();
    let schemas = loaded.schemas().unwrap();
    assert_eq!(schemas.check("a:countUpdated", &to_raw_value(&1).unwrap()), []);
    assert_eq!(schemas.check("a:countUpdated", &to_raw_value("1").unwrap()).len(), 1);
    assert_eq!(schemas.check("a:countupdated", &to_raw_value(&1).unwrap()).len(), 1, "upper and lower case differ");
    let shown = loaded.show(None);
    assert!(shown.contains("# events with a schema: a:countUpdated; other types are refused."), "{shown}");
    fs::remove_file(folder.path().join("schemas/n.json")).unwrap();
    let faults = loaded.schemas().unwrap_err().to_string();
    assert!(faults.contains("gateway.toml:7:") && faults.contains("does not exist"), "{faults}");
}

#[test]
fn what_cannot_be_used_is_told_with_its_line_and_what_to_do() {
    each_beside_a_key_has_one(&[
        (
            "[events.schemas]\nx = \"none.json\"\n",
            "6:1  events.schemas.x",
            &["none.json` does not exist", "counts from the folder"],
        ),
        ("[events.schemas]\nx = \".\"\n", "6:1  events.schemas.x", &["cannot be read", "may read"]),
        ("[events.schemas]\nx = 1\n", "6:1  events.schemas.x", &["`1` is not a valid file"]),
        ("[events.schemas]\nx = { a = 1 }\n", "6:1  events.schemas.x", &["a table stands where"]),
        ("[events]\nstrict = \"yes\"\n", "6:1  events.strict", &["true or false"]),
        ("[events]\nstrikt = true\n", "6:1  events.strikt", &["strict"]),
        (
            "[events.schemas]\n\"auth.x\" = \"a.json\"\n",
            "6:1  events.schemas.\"auth.x\"",
            &["a word of the gateway's own", "dashboard:summaryUpdated"],
        ),
        ("[events.schemas]\n\"a\\nb\" = \"a.json\"\n", "6:1  events.schemas.\"a\\nb\"", &["control"]),
    ]);
}

#[test]
fn there_are_not_more_than_a_thousand() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("n.json"), "true").unwrap();
    let mut text = format!("{KEY}[events.schemas]\n");
    for number in 0..1_000 {
        writeln!(text, "n{number} = \"n.json\"").unwrap();
    }
    assert!(load_in(folder.path(), &text).is_ok());
    text.push_str("more = \"n.json\"\n");
    let faults = load_in(folder.path(), &text).unwrap_err().to_string();
    assert!(faults.contains("events.schemas: there are 1001 schemas, and 1000 are the most"), "{faults}");
}

#[test]
fn dev_mode_reads_them_too_and_nothing_to_publish_is_worth_a_word() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    fs::write(&file, "[events.schemas]\nx = \"none.json\"\n").unwrap();
    let dev = load(Sources { file: Some(file), mode: Mode::Dev, ..Sources::default() });
    assert!(dev.unwrap_err().to_string().contains("does not exist"));
    let told = warnings(&format!("{KEY}[events]\nstrict = true\n"));
    assert!(told.len() == 1 && told[0].contains("events.strict: no type of events has a schema"), "{told:?}");
}
