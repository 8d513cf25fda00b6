//! A file of changes that survives a crash at any byte: one JSON object a line, appended and flushed to the disk
//! before it counts as written, rewritten whole (beside, then renamed) when most of it is history.
//!
//! A last line that was cut off by a crash never counted as written, and is dropped. A broken line anywhere else is
//! damage, and refused with its place. Two gateways never write one file: it is locked.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{BufRead, BufReader, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
};

use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::oneshot;

const QUEUE: usize = 4_096;
/// A file shorter than this is not worth rewriting.
const WORTH_REWRITING: usize = 10_000;

/// Why the file cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalFault {
    /// It cannot be read or written.
    #[error("the state file {path}: {fault}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        fault: Arc<std::io::Error>,
    },
    /// Another gateway has it.
    #[error("the state file {0} is in use by another gateway: give each its own `state.file`")]
    Locked(PathBuf),
    /// A line in the middle is damaged.
    #[error("the state file {path}, line {line}, is damaged ({fault}): restore it from a backup, or delete that line")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Which line.
        line: usize,
        /// What is wrong with it.
        fault: String,
    },
    /// More changes than the disk takes.
    #[error("the state file cannot keep up: too many changes wait to be written")]
    Full,
}

/// The file, of changes of one kind.
#[derive(Debug)]
pub(crate) struct Journal<E> {
    path: PathBuf,
    file: Option<File>,
    lock: File,
    lines: usize,
    queue: Mutex<Option<SyncSender<Change<E>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Change<E> {
    entries: Vec<E>,
    written: oneshot::Sender<Result<(), JournalFault>>,
}

/// A change on its way to the disk.
#[derive(Debug)]
pub(crate) enum Pending {
    /// There is no file, or nothing to write.
    Nothing,
    /// It could not even be queued.
    Failed(JournalFault),
    /// It is on its way.
    Waiting(oneshot::Receiver<Result<(), JournalFault>>),
}

impl Pending {
    /// Waits until the change is on the disk.
    pub(crate) async fn written(self) -> Result<(), JournalFault> {
        match self {
            Self::Nothing => Ok(()),
            Self::Failed(fault) => Err(fault),
            Self::Waiting(answer) => answer.await.unwrap_or(Err(JournalFault::Full)),
        }
    }
}

impl<E: Serialize + DeserializeOwned + Send + 'static> Journal<E> {
    /// Opens the file and hands over what it says, change by change.
    pub(crate) fn open(path: PathBuf, mut apply: impl FnMut(E)) -> Result<Self, JournalFault> {
        let io = |fault| JournalFault::Io { path: path.clone(), fault: Arc::new(fault) };
        // The lock has a file of its own, since the journal itself is replaced when it is rewritten.
        let mut lock_path = path.clone().into_os_string();
        lock_path.push(".lock");
        let lock = open_private(Path::new(&lock_path)).map_err(io)?;
        lock.try_lock().map_err(|fault| match fault {
            TryLockError::WouldBlock => JournalFault::Locked(path.clone()),
            TryLockError::Error(fault) => io(fault),
        })?;
        let mut file = open_private(&path).map_err(io)?;
        let mut reader = BufReader::new(&file);
        let (mut line, mut lines, mut good) = (Vec::new(), 0, 0);
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line).map_err(io)?;
            if read == 0 || line.last() != Some(&b'\n') {
                break;
            }
            lines += 1;
            match serde_json::from_slice(&line) {
                Ok(entry) => apply(entry),
                // A crash can leave a hole of zeros before the end; it is the tail if nothing good follows.
                Err(_) if rest_is_torn::<E>(&mut reader).map_err(io)? => break,
                Err(fault) => {
                    return Err(JournalFault::Damaged { path: path.clone(), line: lines, fault: fault.to_string() });
                }
            }
            good += read as u64;
        }
        file.set_len(good).map_err(io)?;
        file.seek(SeekFrom::End(0)).map_err(io)?;
        Ok(Self { path, file: Some(file), lock, lines, queue: Mutex::default(), thread: Mutex::default() })
    }

    /// Begins to write. The snapshot is what the file should say when it is rewritten.
    pub(crate) fn start(&mut self, snapshot: impl Fn() -> Vec<E> + Send + 'static) -> Result<(), JournalFault> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let (queue, changes) = sync_channel(QUEUE);
        let scribe = Scribe { path: self.path.clone(), file, lines: self.lines, worth: WORTH_REWRITING, broken: false };
        let thread = std::thread::Builder::new()
            .name("state".into())
            .spawn(move || scribe.run(&changes, &snapshot))
            .map_err(|fault| JournalFault::Io { path: self.path.clone(), fault: Arc::new(fault) })?;
        *self.queue.lock() = Some(queue);
        *self.thread.lock() = Some(thread);
        Ok(())
    }

    /// Queues changes, in the order of the calls.
    pub(crate) fn append(&self, entries: Vec<E>) -> Pending {
        if entries.is_empty() {
            return Pending::Nothing;
        }
        let (written, answer) = oneshot::channel();
        match &*self.queue.lock() {
            None => Pending::Failed(JournalFault::Full),
            Some(queue) => match queue.try_send(Change { entries, written }) {
                Ok(()) => Pending::Waiting(answer),
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Pending::Failed(JournalFault::Full),
            },
        }
    }
}

impl<E> Drop for Journal<E> {
    fn drop(&mut self) {
        drop(self.queue.lock().take());
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
        let _ = self.lock.unlock();
    }
}

/// Whether nothing but a torn end follows: no further line that was written whole.
fn rest_is_torn<E: DeserializeOwned>(reader: &mut impl BufRead) -> std::io::Result<bool> {
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        if serde_json::from_slice::<E>(&line).is_ok() {
            return Ok(false);
        }
        line.clear();
    }
    Ok(true)
}

fn open_private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

struct Scribe {
    path: PathBuf,
    file: File,
    lines: usize,
    /// With more lines than this the file may be worth rewriting.
    worth: usize,
    /// A write failed half way: the file must be rewritten before it is appended to again.
    broken: bool,
}

impl Scribe {
    fn run<E: Serialize>(mut self, changes: &Receiver<Change<E>>, snapshot: &impl Fn() -> Vec<E>) {
        while let Ok(first) = changes.recv() {
            // All that waits is flushed together.
            let batch: Vec<Change<E>> = std::iter::once(first).chain(changes.try_iter().take(QUEUE)).collect();
            let outcome = self.write(&batch, snapshot).map_err(|fault| {
                self.broken = true;
                tracing::error!(path = %self.path.display(), %fault, "the state file cannot be written");
                JournalFault::Io { path: self.path.clone(), fault: Arc::new(fault) }
            });
            for change in batch {
                let _ = change.written.send(outcome.clone());
            }
        }
    }

    fn write<E: Serialize>(&mut self, batch: &[Change<E>], snapshot: &impl Fn() -> Vec<E>) -> std::io::Result<()> {
        if self.broken || self.lines > self.worth {
            let entries = snapshot();
            // A look at everything costs: the next is due when half of the file can be history again.
            self.worth = WORTH_REWRITING.max(entries.len() * 2);
            if self.broken || self.lines > self.worth {
                self.rewrite(&entries)?;
            }
        }
        let mut text = Vec::new();
        for entry in batch.iter().flat_map(|change| &change.entries) {
            serde_json::to_writer(&mut text, entry)?;
            text.push(b'\n');
            self.lines += 1;
        }
        self.file.write_all(&text)?;
        self.file.sync_data()
    }

    fn rewrite<E: Serialize>(&mut self, entries: &[E]) -> std::io::Result<()> {
        let mut beside = self.path.clone().into_os_string();
        beside.push(".rewrite");
        let beside = PathBuf::from(beside);
        let mut file = open_private(&beside)?;
        file.set_len(0)?;
        let mut text = Vec::new();
        for entry in entries {
            serde_json::to_writer(&mut text, entry)?;
            text.push(b'\n');
        }
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&beside, &self.path)?;
        if let Some(folder) = self.path.parent() {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            File::open(folder)?.sync_all()?;
        }
        (self.file, self.lines, self.broken) = (file, entries.len(), false);
        Ok(())
    }
}
