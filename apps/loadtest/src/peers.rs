//! Other servers that do the same work, measured in turn with the gateway. They are scripts for Node in a folder of their
//! own, which know the doors, the tokens and the messages that the scenarios use, and nothing more.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::protocol::Tongue;

/// A server beside the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Peer {
    /// The package `ws` for Node
    Ws,
    /// The package `socket.io` for Node
    #[value(name = "socketio")]
    SocketIo,
    /// uWebSockets, by its binding for Node
    Uws,
}

/// Which of them.
#[derive(Args, Clone, Debug, Default)]
pub struct Peers {
    /// Measure these beside the gateway, too; `make peers` installs them
    #[arg(long = "peers", value_enum, value_delimiter = ',')]
    pub chosen: Vec<Peer>,
    /// Where their scripts are
    #[arg(long = "peers-folder", value_name = "FOLDER", default_value = "apps/loadtest/peers")]
    folder: PathBuf,
}

impl Peer {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::SocketIo => "socketio",
            Self::Uws => "uws",
        }
    }

    /// Whether something can be published there by HTTP.
    pub fn has_api(self) -> bool {
        self == Self::Uws
    }

    /// What its clients speak.
    pub fn tongue(self) -> Tongue {
        match self {
            Self::SocketIo => Tongue::SocketIo,
            Self::Ws | Self::Uws => Tongue::Native,
        }
    }
}

impl Peers {
    /// With all that are installed, where none was chosen; those first that most is held against.
    #[must_use]
    pub fn or_installed(mut self) -> Self {
        let are_installed = self.folder.join("node_modules").is_dir();
        if self.chosen.is_empty() && are_installed {
            self.chosen = vec![Peer::Uws, Peer::Ws, Peer::SocketIo];
        }
        self
    }

    /// The first so many of them.
    #[must_use]
    pub fn first(&self, most: usize) -> Self {
        Self { chosen: self.chosen.iter().take(most).copied().collect(), folder: self.folder.clone() }
    }

    /// Those that are meant.
    #[must_use]
    pub fn only(&self, meant: impl Fn(Peer) -> bool) -> Self {
        let chosen = self.chosen.iter().copied().filter(|peer| meant(*peer)).collect();
        Self { chosen, folder: self.folder.clone() }
    }

    /// Refuses peers that are not installed.
    pub fn check(&self) -> Result<()> {
        let installed = self.chosen.is_empty() || self.folder.join("node_modules").is_dir();
        ensure!(
            installed,
            "there are no peers installed in {}: run `make peers` first, and this program in the folder of the sources \
             (or name the folder with --peers-folder)",
            self.folder.display()
        );
        for peer in &self.chosen {
            let script = self.script(*peer);
            ensure!(script.is_file(), "the peer `{}` has no script {}", peer.name(), script.display());
        }
        Ok(())
    }

    /// What starts one.
    pub fn command(&self, peer: Peer) -> Command {
        let mut command = Command::new("node");
        command.arg(self.script(peer));
        command
    }

    /// The versions that are installed, one line each.
    pub fn versions(&self) -> Result<Vec<String>> {
        self.chosen.iter().map(|peer| version(&self.folder, *peer)).collect()
    }

    fn script(&self, peer: Peer) -> PathBuf {
        self.folder.join(format!("{}.mjs", peer.name()))
    }
}

fn version(folder: &Path, peer: Peer) -> Result<String> {
    let package = match peer {
        Peer::Ws => "ws",
        Peer::SocketIo => "socket.io",
        Peer::Uws => "@trufflesuite/uws-js-unofficial",
    };
    let file = folder.join("node_modules").join(package).join("package.json");
    let text = std::fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
    let manifest: serde_json::Value = serde_json::from_str(&text)?;
    Ok(format!("{package} {}", manifest.get("version").and_then(|version| version.as_str()).unwrap_or("?")))
}
