//! The state of a gateway that may be running: its file is copied, for the file itself belongs to that gateway, and is
//! locked by it. The copy is private, and gone with this value.

use std::{
    fmt,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use uuid::Uuid;

/// A state file, as it was a moment ago.
#[derive(Debug)]
pub(super) enum Copy {
    /// The configuration names none.
    None,
    /// The file is not there yet.
    Fresh(PathBuf),
    /// It cannot be read.
    Unread(PathBuf, io::Error),
    /// Here it is.
    Read { original: PathBuf, folder: PathBuf },
}

impl Copy {
    /// Copies a state file.
    pub(super) fn of(original: Option<&Path>) -> Self {
        let Some(original) = original else { return Self::None };
        match copied(original) {
            Ok(folder) => Self::Read { original: original.to_owned(), folder },
            Err(fault) if fault.kind() == ErrorKind::NotFound => Self::Fresh(original.to_owned()),
            Err(fault) => Self::Unread(original.to_owned(), fault),
        }
    }

    /// The copy.
    pub(super) fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Read { folder, .. } => Some(folder.join("state.jsonl")),
            Self::None | Self::Fresh(_) | Self::Unread(..) => None,
        }
    }
}

fn copied(original: &Path) -> io::Result<PathBuf> {
    let mut source = File::open(original)?;
    let folder = std::env::temp_dir().join(format!("gateway-check-{}", Uuid::new_v4()));
    DirBuilder::new().mode(0o700).create(&folder)?;
    let target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.join("state.jsonl"));
    match target.and_then(|mut target| io::copy(&mut source, &mut target)) {
        Ok(_) => Ok(folder),
        Err(fault) => {
            let _ = fs::remove_dir_all(&folder);
            Err(fault)
        }
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if let Self::Read { folder, .. } = self {
            // What cannot be removed is private still.
            let _ = fs::remove_dir_all(folder);
        }
    }
}

impl fmt::Display for Copy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("no state.file: bans and revocations made through the API are not asked"),
            Self::Fresh(file) => write!(f, "{} is not there yet", file.display()),
            Self::Unread(file, fault) => {
                write!(
                    f,
                    "{} cannot be read ({fault}): bans and revocations made through the API are not asked",
                    file.display()
                )
            }
            Self::Read { original, .. } => write!(f, "a copy of {}, as it is now", original.display()),
        }
    }
}
