//! `gateway keys`: new keys, and the hashes under which API keys are kept. A secret goes to standard output or to a
//! file that only its owner can read.

use std::{
    fs::OpenOptions,
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, ensure};
use clap::{Args, Subcommand};
use gateway_auth::{Algorithm, Generated, api_key};

use super::{Failure, page};

/// More than any API key has.
const MOST: u64 = 1024;

/// Make keys and hashes.
#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Make a key for tokens, or with --api-key one for a backend.
    Generate(Generate),
    /// Read an API key from standard input, and print the hash for [[api_keys]].
    Hash,
}

/// Make a key for tokens, or with --api-key one for a backend.
#[derive(Debug, Args)]
pub(super) struct Generate {
    /// What it is for: HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or EdDSA.
    #[arg(long, required_unless_present = "api_key")]
    algorithm: Option<Algorithm>,
    /// Make an API key instead, and print it with its hash.
    #[arg(long, conflicts_with_all = ["algorithm", "public_out"])]
    api_key: bool,
    /// Where the secret or the private key goes: a new file that only its owner can read [default: standard output].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Where the public key goes: a new file [default: standard output, after the private one].
    #[arg(long, value_name = "FILE")]
    public_out: Option<PathBuf>,
}

impl Keys {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Generate(generate) => match generate.algorithm {
                Some(algorithm) => generate.key(algorithm)?,
                None => generate.api_key()?,
            },
            Self::Hash => page::print(&format!("{}\n", hash(io::stdin().lock())?))?,
        }
        Ok(())
    }
}

impl Generate {
    fn key(&self, algorithm: Algorithm) -> Result<()> {
        let Generated { private, public } = gateway_auth::generate(algorithm)?;
        ensure!(
            public.is_some() || self.public_out.is_none(),
            "{algorithm} has no public key: both sides share the secret; leave --public-out out"
        );
        let private = format!("{}\n", private.trim_end());
        let mut printed = String::new();
        match &self.out {
            Some(file) => store(file, 0o600, &private)?,
            None => printed.push_str(&private),
        }
        match (public, &self.public_out) {
            (Some(public), Some(file)) => store(file, 0o644, &public)?,
            // Readers of PEM skip what stands between the blocks.
            (Some(public), None) if self.out.is_none() => {
                printed.push_str("\nThe public key, for those who verify:\n\n");
                printed.push_str(&public);
            }
            (Some(public), None) => printed.push_str(&public),
            (None, _) => {}
        }
        Ok(page::print(&printed)?)
    }

    fn api_key(&self) -> Result<()> {
        let key = api_key::generate()?;
        let hash = api_key::hash_text(&api_key::hash(key.expose()));
        let mut told = page::Page::default();
        match &self.out {
            Some(file) => store(file, 0o600, &format!("{}\n", key.expose()))?,
            None => told.row("key", key.expose()),
        }
        told.row("sha256", hash);
        Ok(told.print()?)
    }
}

/// Writes a file that was not there before, so that no key is ever lost under another.
fn store(file: &Path, mode: u32, text: &str) -> Result<()> {
    let name = file.display();
    let created = OpenOptions::new().write(true).create_new(true).mode(mode).open(file);
    let mut created = created.with_context(|| format!("{name} cannot be created (a file that is there is kept)"))?;
    created
        .write_all(text.as_bytes())
        .and_then(|()| created.sync_all())
        .with_context(|| format!("{name} cannot be written"))
}

fn hash(source: impl Read) -> Result<String> {
    let mut text = String::new();
    let read = source.take(MOST + 1).read_to_string(&mut text);
    read.map_err(|fault| anyhow!("the API key cannot be read from standard input: {fault}"))?;
    let key = text.trim();
    ensure!(!key.is_empty(), "there is no API key on standard input");
    ensure!(!u64::try_from(text.len()).is_ok_and(|size| size > MOST), "an API key has at most {MOST} bytes");
    Ok(api_key::hash_text(&api_key::hash(key)))
}
