//! Writes the audit to where it belongs, on a thread of its own: a slow disk slows nobody.

use std::{
    fs::{File, OpenOptions},
    io::{BufWriter, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use parking_lot::Mutex;

use super::record::Record;
use crate::clock;
use gateway_domain::Tick;

/// How many lines may wait.
pub(super) const QUEUE: usize = 8_192;
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Where the lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Appended to a file, readable by its owner and group only. A file that was moved away is opened anew.
    File(PathBuf),
    /// The standard error stream.
    Stderr,
    /// Only kept in memory.
    Nowhere,
}

/// The end of the queue that the gateway holds.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Mutex<Option<SyncSender<Arc<Record>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    lost: Arc<AtomicU64>,
}

impl Writer {
    /// Opens the destination and starts the thread.
    pub(super) fn start(destination: Destination) -> std::io::Result<Self> {
        let lost = Arc::new(AtomicU64::new(0));
        let mut writer = Self { queue: Mutex::default(), thread: Mutex::default(), lost: Arc::clone(&lost) };
        let mut sink = match destination {
            Destination::Nowhere => return Ok(writer),
            Destination::Stderr => Sink::Stderr(std::io::stderr()),
            Destination::File(path) => Sink::File(LogFile::open(path)?),
        };
        let (queue, lines) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new().name("audit".into()).spawn(move || run(&lines, &mut sink, &lost))?;
        writer.queue = Mutex::new(Some(queue));
        writer.thread = Mutex::new(Some(thread));
        Ok(writer)
    }

    /// Queues a line; where the queue is full the line is lost and counted.
    pub(super) fn write(&self, record: Arc<Record>) {
        if let Some(queue) = &*self.queue.lock()
            && let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = queue.try_send(record)
        {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many lines were lost so far.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Writes what is queued and ends the thread.
    pub(super) fn close(&self) {
        drop(self.queue.lock().take());
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

fn run(lines: &Receiver<Arc<Record>>, sink: &mut Sink, lost: &AtomicU64) {
    let mut told = 0;
    while let Ok(first) = lines.recv() {
        // All that waits is written at once, and flushed once.
        let mut written = 0;
        for record in std::iter::once(first).chain(lines.try_iter().take(QUEUE)) {
            match sink.line(&record) {
                Ok(()) => written += 1,
                Err(_) => {
                    lost.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        if let Err(fault) = sink.flush() {
            lost.fetch_add(written, Ordering::Relaxed);
            tracing::error!(%fault, "the audit cannot be written; its lines are lost until it can");
            continue;
        }
        let so_far = lost.load(Ordering::Relaxed);
        if so_far > told && sink.note_lost(so_far - told).is_ok() {
            told = so_far;
        }
    }
    let _ = sink.flush();
}

enum Sink {
    Stderr(std::io::Stderr),
    File(LogFile),
}

impl Sink {
    fn out(&mut self) -> std::io::Result<&mut dyn Write> {
        match self {
            Self::Stderr(out) => Ok(out),
            Self::File(file) => file.out(),
        }
    }

    fn line(&mut self, record: &Record) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        self.out()?.write_all(&line)
    }

    fn note_lost(&mut self, count: u64) -> std::io::Result<()> {
        let line = serde_json::json!({"time": clock::now().wall, "event": "audit.lost", "count": count});
        let out = self.out()?;
        writeln!(out, "{line}")?;
        out.flush()
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out()?.flush()
    }
}

/// A file that may be moved away under the writer, as log rotation does.
struct LogFile {
    path: PathBuf,
    out: BufWriter<File>,
    inode: u64,
    looked: Tick,
}

impl LogFile {
    fn open(path: PathBuf) -> std::io::Result<Self> {
        let file = append(&path)?;
        let inode = file.metadata()?.ino();
        Ok(Self { path, out: BufWriter::new(file), inode, looked: clock::now().tick })
    }

    fn out(&mut self) -> std::io::Result<&mut dyn Write> {
        let tick = clock::now().tick;
        if tick.since(self.looked) >= LOOK_EVERY {
            self.looked = tick;
            if std::fs::metadata(&self.path).map(|there| there.ino()).ok() != Some(self.inode) {
                self.out.flush()?;
                let file = append(&self.path)?;
                self.inode = file.metadata()?.ino();
                self.out = BufWriter::new(file);
            }
        }
        Ok(&mut self.out)
    }
}

fn append(path: &PathBuf) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}
