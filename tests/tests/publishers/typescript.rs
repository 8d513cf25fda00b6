//! The TypeScript publisher, compiled as strictly as its compiler can, and run under Node.js.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use gateway_tests::node;
use serde_json::Value;
use tempfile::TempDir;

/// What the compiler made of `tests/node/publisher.ts` and all that it imports.
#[derive(Debug)]
pub(crate) struct Compiled(TempDir);

impl Compiled {
    /// Compiles it.
    pub(crate) fn publisher() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
        let compiler = gateway_tests::node::packages().join("typescript/bin/tsc");
        let made = tempfile::tempdir().unwrap();
        let strictly = ["--strict", "--noUnusedLocals", "--noImplicitOverride", "--exactOptionalPropertyTypes"];
        let target =
            ["--target", "es2022", "--module", "es2022", "--moduleResolution", "bundler", "--lib", "es2022,dom"];
        let ended = Command::new("node")
            .arg(compiler)
            .args(strictly)
            .args(target)
            .arg("--rootDir")
            .arg(&root)
            .arg("--outDir")
            .arg(made.path())
            .arg(root.join("tests/node/publisher.ts"))
            .current_dir(&root)
            .output()
            .expect("Node.js");
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
        fs::write(made.path().join("package.json"), r#"{"type": "module"}"#).unwrap();
        Self(made)
    }

    /// Publishes one of each type, and some that are refused: what came of each.
    pub(crate) async fn run(&self, gateway: &str, token: &str) -> Vec<Value> {
        node::run(&self.script(), &[("GATEWAY", gateway), ("TOKEN", token), flags()]).await
    }

    /// Publishes one event.
    pub(crate) async fn once(&self, gateway: &str) -> Vec<Value> {
        node::run(&self.script(), &[("GATEWAY", gateway), ("TOKEN", "some"), ("ONCE", "yes"), flags()]).await
    }

    fn script(&self) -> String {
        let script: PathBuf = self.0.path().join("tests/node/publisher.js");
        script.display().to_string()
    }
}

/// Node.js 18 has `crypto` behind a switch, which later ones need not know.
fn flags() -> (&'static str, &'static str) {
    let version = Command::new("node").arg("--version").output().expect("Node.js").stdout;
    let is_old = ["v18.", "v19."].iter().any(|old| version.starts_with(old.as_bytes()));
    ("NODE_OPTIONS", if is_old { "--experimental-global-webcrypto" } else { "" })
}
