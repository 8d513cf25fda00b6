//! The shape of the sources, as a failing build: no `mod.rs`, no drawers for whatever did not fit elsewhere, a
//! header that states the law of each file, no file that outgrew its noun, one `clippy.toml`, and a short list of
//! the places where its bans do not hold.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, ensure};

/// Names that say nothing about what is inside.
const DRAWERS: &[&str] = &["util", "utils", "helper", "helpers", "manager", "managers", "common", "misc"];

/// Lines above which a file has to be split by noun. Files that may be longer, each with its reason: none.
const LONGEST: usize = 600;

/// The places in library sources where a ban of `clippy.toml` is lifted, each with its reason. The app and the
/// tests may lift it where they need to; a library may not.
const LIFTED: &[(&str, &str)] = &[("crates/server/src/clock.rs", "the one place that reads the clock")];

#[test]
fn every_source_file_has_the_shape_of_the_house() -> Result<()> {
    let mut faults = Vec::new();
    for path in sources()? {
        let text = fs::read_to_string(root().join(&path))?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
        let shown = path.display();
        if stem == "mod" {
            faults.push(format!("{shown}: write foo.rs beside foo/, not foo/mod.rs"));
        }
        if DRAWERS.iter().any(|drawer| stem.split('_').any(|word| word == *drawer)) {
            faults.push(format!("{shown}: name it after the noun that it is about"));
        }
        if !text.starts_with("//!") {
            faults.push(format!("{shown}: begin with `//!` and state the law of the file"));
        }
        let lines = text.lines().count();
        if lines > LONGEST {
            faults.push(format!("{shown}: {lines} lines, more than {LONGEST}: split it by noun"));
        }
    }
    nothing_in(faults)
}

#[test]
fn there_is_one_clippy_toml() -> Result<()> {
    let configurations: Vec<PathBuf> =
        files(|path| path.file_name().is_some_and(|name| name == "clippy.toml" || name == ".clippy.toml"))?;
    ensure!(
        configurations == [PathBuf::from("clippy.toml")],
        "a clippy.toml of its own switches the bans of the root off for that crate: {configurations:?}"
    );
    Ok(())
}

#[test]
fn libraries_lift_a_ban_only_where_it_is_written_down() -> Result<()> {
    let mut faults = Vec::new();
    for path in sources()? {
        let shown = path.to_string_lossy();
        let in_library = shown.starts_with("crates/") && shown.contains("/src/");
        if !in_library || LIFTED.iter().any(|(place, _)| *place == shown) {
            continue;
        }
        let text = fs::read_to_string(root().join(&path))?;
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        if code.contains("clippy::disallowed_methods") {
            faults
                .push(format!("{shown} lifts a ban: take time or settings as an argument, or add the place to LIFTED"));
        }
    }
    for (place, reason) in LIFTED {
        if !root().join(place).is_file() {
            faults.push(format!("{place} ({reason}) is gone: take it from LIFTED"));
        }
    }
    nothing_in(faults)
}

#[test]
fn the_walk_finds_the_sources() -> Result<()> {
    let sources = sources()?;
    for known in ["crates/domain/src/lib.rs", "apps/gateway/src/main.rs", "tests/tests/shapes.rs"] {
        ensure!(sources.contains(&PathBuf::from(known)), "{known} was not walked");
    }
    Ok(())
}

fn nothing_in(faults: Vec<String>) -> Result<()> {
    ensure!(faults.is_empty(), "the shape is broken:\n  {}\n", faults.join("\n  "));
    Ok(())
}

fn sources() -> Result<Vec<PathBuf>> {
    files(|path| path.extension().is_some_and(|extension| extension == "rs"))
}

/// The files of the tree that are wanted, relative to its root and in order. What is built or fetched is not walked.
fn files(wanted: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let kind = entry.file_type()?;
            let hidden = name.to_string_lossy().starts_with('.') && kind.is_dir();
            let made = ["target", "node_modules", "coverage"].iter().any(|made| name == *made);
            if kind.is_dir() && !hidden && !made {
                folders.push(entry.path());
            } else if kind.is_file() && wanted(&entry.path()) {
                found.push(entry.path().strip_prefix(root())?.to_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
