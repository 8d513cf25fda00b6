//! Clients and tools that other people wrote in Python, from the virtual environment `tests/python/.venv` and from nowhere
//! else: every package in it is named with its hash in `tests/python/requirements.txt`.
//!
//! None is ever skipped: where the environment is missing, or older than that list, the test fails and says how to get it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::node::Script;

/// Starts a script of `tests/python`, with these in its environment; it speaks as those of Node do.
pub fn start(name: &str, env: &[(&str, &str)]) -> Script {
    let mut env = env.to_vec();
    env.extend([("PYTHONDONTWRITEBYTECODE", "1"), ("no_proxy", "*")]);
    Script::by(&program("python"), folder(), name, &env)
}

/// A program of the environment: its `python`, or a tool.
pub fn program(name: &str) -> PathBuf {
    let folder = folder();
    let missing = missing(&folder);
    assert!(
        missing.is_empty(),
        "the Python packages of the tests are not those of tests/python/requirements.txt ({} not there): run `make python`",
        missing.into_iter().collect::<Vec<_>>().join(", ")
    );
    folder.join(".venv/bin").join(name)
}

/// The packages of the list that the environment does not hold, each as `name-version`.
fn missing(folder: &Path) -> BTreeSet<String> {
    let listed = fs::read_to_string(folder.join("requirements.txt")).expect("the list");
    let listed = listed.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_alphanumeric()));
    // An install leaves a folder `name-version.dist-info` for each, with `_` in the place of `-`.
    let versions = fs::read_dir(folder.join(".venv/lib")).into_iter().flatten().flatten();
    let installed: BTreeSet<String> = versions
        .flat_map(|version| fs::read_dir(version.path().join("site-packages")).into_iter().flatten().flatten())
        .filter_map(|entry| Some(plain(entry.file_name().to_str()?.strip_suffix(".dist-info")?)))
        .collect();
    listed
        .filter_map(|line| line.split_whitespace().next()?.split_once("=="))
        .map(|(name, version)| format!("{name}-{version}"))
        .filter(|package| !installed.contains(&plain(package)))
        .collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python")
}

/// One spelling of all that mean the same package.
fn plain(name: &str) -> String {
    name.to_ascii_lowercase().replace(['-', '.'], "_")
}
