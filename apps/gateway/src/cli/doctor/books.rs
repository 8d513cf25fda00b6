//! The files that the gateway writes: whether it may, and whether there is room.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};

use super::finding::Report;
use crate::config::Config;

/// Less room than this is soon used up by an audit.
const LITTLE: u64 = 1 << 30;

/// Looks at the audit and the state.
pub(super) fn look(config: &Config, report: &mut Report) {
    let books = [("audit.file", &config.audit.file), ("state.file", &config.state.file)];
    for (key, file) in books {
        let Some(file) = file else { continue };
        let file = file.as_path();
        let folder = file.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        writable(key, file, folder, report);
        room(key, folder, report);
    }
    if config.audit.file.is_none() {
        let what = "audit.file is not set: its lines go to standard error, among the others";
        report.note("books", what, "Set audit.file, or let the service's log keep them");
    }
}

fn writable(key: &str, file: &Path, folder: &Path, report: &mut Report) {
    // The state is rewritten beside itself, and the audit opened anew after it was moved: the folder must be writable, too.
    let mut wanted: Vec<PathBuf> = vec![folder.to_owned()];
    wanted.extend(file.exists().then(|| file.to_owned()));
    for path in wanted {
        let how = if path.is_dir() { Access::WRITE_OK | Access::EXEC_OK } else { Access::WRITE_OK | Access::READ_OK };
        if let Err(fault) = access(&path, how) {
            let what = format!("{key}: {} cannot be written ({})", path.display(), std::io::Error::from(fault));
            let remedy = "chown it to the gateway's user, or name a folder that is: StateDirectory=gateway makes /var/lib/gateway";
            report.change("books", what, remedy);
            return;
        }
    }
    report.fine("books", format!("{key}: {} can be written", file.display()));
}

fn room(key: &str, folder: &Path, report: &mut Report) {
    let Ok(disk) = statvfs(folder) else { return };
    let (free, all) = (disk.f_bavail.saturating_mul(disk.f_frsize), disk.f_blocks.saturating_mul(disk.f_frsize));
    let what = format!("{key}: {} MiB of {} MiB are free in {}", free >> 20, all >> 20, folder.display());
    if free < LITTLE || free < all / 20 {
        report.note("disk", what, "Make room, rotate the audit, or give the books a disk of their own");
    } else {
        report.fine("disk", what);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Verdict, *};

    #[test]
    fn a_book_is_written_in_a_folder_that_takes_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut report = Report::default();
        writable("audit.file", &folder.path().join("audit.jsonl"), folder.path(), &mut report);
        let gone = folder.path().join("gone");
        writable("audit.file", &gone.join("audit.jsonl"), &gone, &mut report);
        room("audit.file", folder.path(), &mut report);
        assert_eq!(report.verdicts("books"), [Verdict::Fine, Verdict::Change]);
        assert_eq!(report.verdicts("disk").len(), 1);
    }
}
