//! Bad configurations and what is said of them.

#![allow(dead_code, reason = "each file of tests uses what it needs")]

use std::{fs, path::Path};

use gateway::config::{Faults, Loaded, Sources, load};

/// A key that is sound, on the first four lines.
pub(crate) const KEY: &str = "[[auth.keys]]\nkid = \"main\"\nalgorithm = \"HS256\"\nsecret_env = \"SECRET\"\n";

fn env() -> Vec<(String, String)> {
    vec![("SECRET".into(), "s".repeat(32)), ("SHORT".into(), "short".into())]
}

/// Writes a configuration into that folder, and loads it.
pub(crate) fn load_in(folder: &Path, text: &str) -> Result<Loaded, Faults> {
    let file = folder.join("gateway.toml");
    fs::write(&file, text).unwrap();
    load(Sources { file: Some(file), env: env(), ..Sources::default() })
}

/// Every fault, without the folder in front.
pub(crate) fn faults(text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let front = format!("{}/", folder.path().display());
    match load_in(folder.path(), text) {
        Ok(loaded) => panic!("this loads: {text}\n{loaded:?}"),
        Err(faults) => faults.iter().map(|fault| fault.to_string().replace(&front, "")).collect(),
    }
}

pub(crate) fn warnings(text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let front = format!("{}/", folder.path().display());
    let loaded = load_in(folder.path(), text).unwrap_or_else(|faults| panic!("{text}\n{faults}"));
    loaded.warnings.iter().map(|fault| fault.to_string().replace(&front, "")).collect()
}

/// Each of these texts has exactly one fault, which begins like this and has these words.
pub(crate) fn each_has_one(cases: &[(&str, &str, &[&str])]) {
    for (text, begins, words) in cases {
        let found = faults(text);
        assert_eq!(found.len(), 1, "{text}\n{found:#?}");
        assert!(found[0].starts_with(&format!("gateway.toml:{begins}: ")), "{text}\n{begins}\n{found:#?}");
        for word in *words {
            assert!(found[0].contains(word), "{text}\n{word}\n{found:#?}");
        }
    }
}

/// The same, with a sound key in front: lines count from the fifth.
pub(crate) fn each_beside_a_key_has_one(cases: &[(&str, &str, &[&str])]) {
    let texts: Vec<_> = cases.iter().map(|(text, ..)| format!("{KEY}{text}")).collect();
    let cases: Vec<_> =
        cases.iter().zip(&texts).map(|((_, begins, words), text)| (text.as_str(), *begins, *words)).collect();
    each_has_one(&cases);
}
