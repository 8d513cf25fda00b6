//! The state of a gateway that may be running: its file is copied, for the file itself belongs to that gateway, and is
//! locked by it. The copy is private, and gone with this value.

use std::{
    fmt,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Error, anyhow};
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

    /// A fault in the copy is one of the original.
    pub(super) fn by_its_own_name(&self, fault: &Error) -> Error {
        let told = format!("{fault:#}");
        match (self, self.file()) {
            (Self::Read { original, .. }, Some(file)) => {
                anyhow!(told.replace(&file.display().to_string(), &original.display().to_string()))
            }
            _ => anyhow!(told),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_private_and_gone_when_it_was_used() {
        let folder = tempfile::tempdir().unwrap();
        let original = folder.path().join("state.jsonl");
        assert!(Copy::of(Some(&original)).to_string().ends_with("is not there yet"));
        fs::write(&original, "{}\n").unwrap();
        let copy = Copy::of(Some(&original));
        let file = copy.file().unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "{}\n");
        use std::os::unix::fs::PermissionsExt;
        let folder = file.parent().unwrap();
        assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
        let told = copy.by_its_own_name(&anyhow!("{} is damaged", file.display())).to_string();
        assert_eq!(told, format!("{} is damaged", original.display()));
        drop(copy);
        assert!(!folder.exists());
    }

    #[test]
    fn what_cannot_be_copied_leaves_nothing_behind_and_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let copy = Copy::of(Some(folder.path()));
        assert!(copy.file().is_none() && copy.to_string().contains("cannot be read"), "{copy}");
        assert_eq!(copy.by_its_own_name(&anyhow!("a fault")).to_string(), "a fault");
        assert!(Copy::of(None).to_string().starts_with("no state.file"));
    }
}
