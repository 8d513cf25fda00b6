//! The bans of `clippy.toml` bite. A tiny crate uses every banned function, and clippy, under the root's own
//! configuration, must report each of them by name. So a typing error in a path, or a ban that somebody takes
//! out, fails here and not in production.
//!
//! A stub crate stands in for tokio, with the same paths: that proves the lines in `clippy.toml`, quickly and
//! without building the real one. That tokio's own functions still have these paths is proved by [`tokio_as_it_is`]
//! and [`clock_of_tokio`], whose expectations clippy itself checks in `make check`.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};

/// Every ban, and a line that goes against it.
const USES: &[(&str, &str)] = &[
    ("std::time::Instant::now", "let _ = std::time::Instant::now();"),
    ("std::time::SystemTime::now", "let _ = std::time::SystemTime::now();"),
    ("tokio::time::Instant::now", "let _ = tokio::time::Instant::now();"),
    ("std::env::var", "let _ = std::env::var(\"HOME\");"),
    ("std::env::var_os", "let _ = std::env::var_os(\"HOME\");"),
    ("std::env::vars", "let _ = std::env::vars();"),
    ("std::env::vars_os", "let _ = std::env::vars_os();"),
    ("tokio::sync::mpsc::unbounded_channel", "let _ = tokio::sync::mpsc::unbounded_channel();"),
    ("std::sync::mpsc::channel", "let _ = std::sync::mpsc::channel::<u8>();"),
];

const TOKIO: &str = "pub mod time { pub struct Instant; impl Instant { pub fn now() -> Self { Self } } }\n\
                     pub mod sync { pub mod mpsc { pub fn unbounded_channel() -> u8 { 0 } } }\n";

#[test]
fn every_ban_of_clippy_toml_is_reported_where_it_is_broken() -> Result<()> {
    let lines: Vec<&str> = USES.iter().map(|(_, line)| *line).collect();
    let said = clippy_on(&format!("pub fn all() {{\n{}\n}}\n", lines.join("\n")))?;
    for (path, _) in USES {
        ensure!(said.contains(&complaint(path)), "clippy did not report {path}. It said:\n{said}");
    }
    Ok(())
}

#[test]
fn what_is_not_banned_is_not_reported() -> Result<()> {
    let said = clippy_on("pub fn bounded() { let _ = std::sync::mpsc::sync_channel::<u8>(1); }\n")?;
    ensure!(!said.contains("use of a disallowed method"), "{said}");
    Ok(())
}

#[test]
fn every_ban_of_clippy_toml_has_a_line_here() -> Result<()> {
    let configuration = fs::read_to_string(root().join("clippy.toml"))?;
    let banned: Vec<&str> =
        configuration.lines().filter_map(|line| line.trim().strip_prefix("{ path = \"")?.split('"').next()).collect();
    let used: Vec<&str> = USES.iter().map(|(path, _)| *path).collect();
    for path in &banned {
        ensure!(used.contains(path), "clippy.toml bans {path}: add a line that breaks the ban to USES");
    }
    for path in &used {
        ensure!(banned.contains(path), "{path} is no longer banned in clippy.toml: put it back, or say why in an ADR");
    }
    Ok(())
}

/// Tokio's own functions under the paths that are banned. Were a path no longer the function's, the expectation
/// would be unfulfilled, which is an error in `make check`.
#[expect(clippy::disallowed_methods, reason = "shows that the bans name the functions as they are")]
fn tokio_as_it_is() -> bool {
    let (sender, _receiver) = tokio::sync::mpsc::unbounded_channel::<u8>();
    sender.send(1).is_ok()
}

#[expect(clippy::disallowed_methods, reason = "shows that the ban names the function as it is")]
fn clock_of_tokio() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

#[test]
fn the_banned_functions_of_tokio_exist_under_these_paths() {
    assert!(tokio_as_it_is());
    assert!(clock_of_tokio() <= clock_of_tokio());
}

fn complaint(path: &str) -> String {
    format!("use of a disallowed method `{path}`")
}

/// What clippy says about a crate with this source, under the root's `clippy.toml`.
fn clippy_on(source: &str) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let stubs = "[dependencies]\ntokio = { path = \"tokio\" }\n";
    crate_at(folder.path(), "outlaw", stubs, source)?;
    crate_at(&folder.path().join("tokio"), "tokio", "", TOKIO)?;
    let output = Command::new(env!("CARGO"))
        .args(["clippy", "--quiet", "--offline", "--color", "never", "--", "--cap-lints", "warn"])
        .current_dir(folder.path())
        .env("CLIPPY_CONF_DIR", root())
        .env("CARGO_TARGET_DIR", folder.path().join("target"))
        // Whatever wraps the compiler that built this test has no business in the tiny crate.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "clippy could not judge the tiny crate (is the component installed?):\n{said}");
    Ok(said)
}

fn crate_at(folder: &Path, name: &str, dependencies: &str, source: &str) -> Result<()> {
    fs::create_dir_all(folder.join("src")).context("a folder for a tiny crate")?;
    let package = format!("[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n{dependencies}");
    fs::write(folder.join("Cargo.toml"), package)?;
    fs::write(folder.join("src/lib.rs"), source)?;
    Ok(())
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
