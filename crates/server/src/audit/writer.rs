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
/// How long the thread lets lines gather behind those that it wrote. While it sleeps nobody has to wake it, which costs
/// more than the line itself; far too short for the queue to fill. A line that comes alone is written at once.
const GATHER: Duration = Duration::from_millis(5);

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
    let (mut told, mut scratch) = (0, Vec::new());
    while let Ok(first) = lines.recv() {
        if let Err(fault) = sink.look() {
            tracing::error!(%fault, "the audit's file was moved away, and cannot be opened anew");
        }
        // All that waits is written at once, and flushed once.
        let mut written = 0;
        for record in std::iter::once(first).chain(lines.try_iter().take(QUEUE)) {
            match sink.line(&record, &mut scratch) {
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
        std::thread::sleep(GATHER);
    }
    let _ = sink.flush();
}

enum Sink {
    Stderr(std::io::Stderr),
    File(LogFile),
}

impl Sink {
    fn out(&mut self) -> &mut dyn Write {
        match self {
            Self::Stderr(out) => out,
            Self::File(file) => &mut file.out,
        }
    }

    /// Finds out whether the file is still where it belongs.
    fn look(&mut self) -> std::io::Result<()> {
        match self {
            Self::Stderr(_) => Ok(()),
            Self::File(file) => file.look(),
        }
    }

    /// Writes a whole line or nothing of it; `line` is memory to put it together in.
    fn line(&mut self, record: &Record, line: &mut Vec<u8>) -> std::io::Result<()> {
        line.clear();
        serde_json::to_writer(&mut *line, record)?;
        line.push(b'\n');
        self.out().write_all(line)
    }

    fn note_lost(&mut self, count: u64) -> std::io::Result<()> {
        let line = serde_json::json!({"time": clock::now().wall, "event": "audit.lost", "count": count});
        let out = self.out();
        writeln!(out, "{line}")?;
        out.flush()
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out().flush()
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

    /// Opens the file anew where another, or none, has its name. Asked between batches, when nothing is buffered but
    /// lines that could not be written, and count as lost: they do not keep the writer at a file that takes none.
    fn look(&mut self) -> std::io::Result<()> {
        let tick = clock::now().tick;
        if tick.since(self.looked) < LOOK_EVERY {
            return Ok(());
        }
        self.looked = tick;
        if std::fs::metadata(&self.path).map(|there| there.ino()).ok() != Some(self.inode) {
            let file = append(&self.path)?;
            self.inode = file.metadata()?.ino();
            let _ = std::mem::replace(&mut self.out, BufWriter::new(file)).into_parts();
        }
        Ok(())
    }
}

fn append(path: &PathBuf) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Event, Subject};
    use gateway_domain::RequestId;
    use serde_json::Value;
    use std::path::Path;
    use uuid::Uuid;

    fn record(n: u128) -> Arc<Record> {
        let subject = Subject::new(RequestId::new(Uuid::from_u128(n)));
        Arc::new(Record::new(Event::Connected, None, &subject, None, "admitted".into(), clock::now()))
    }

    fn to(path: &Path) -> Sink {
        Sink::File(LogFile::open(path.into()).unwrap())
    }

    /// Lets the thread's work be done here and now.
    fn batch(sink: &mut Sink, lost: &AtomicU64, records: impl IntoIterator<Item = u128>) {
        let (queue, lines) = sync_channel(QUEUE);
        records.into_iter().for_each(|n| queue.try_send(record(n)).unwrap());
        drop(queue);
        run(&lines, sink, lost);
    }

    fn told(path: &Path) -> Vec<Value> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn ids(path: &Path) -> Vec<u128> {
        let id = |line: &Value| line["requestId"].as_str().unwrap().parse::<Uuid>().unwrap().as_u128();
        told(path).iter().map(id).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_was_moved_away_is_opened_anew_and_no_line_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("audit.jsonl"), folder.path().join("audit.jsonl.1"));
        let (mut sink, lost) = (to(&path), AtomicU64::new(0));
        batch(&mut sink, &lost, [1]);
        std::fs::rename(&path, &moved).unwrap();
        batch(&mut sink, &lost, [2]);
        assert!(!path.exists(), "looked for every few seconds only");
        tokio::time::advance(LOOK_EVERY).await;
        batch(&mut sink, &lost, [3, 4]);
        assert_eq!((ids(&moved), ids(&path)), (vec![1, 2], vec![3, 4]));
        std::fs::rename(&moved, &path).unwrap();
        tokio::time::advance(LOOK_EVERY).await;
        batch(&mut sink, &lost, [5]);
        assert_eq!((ids(&path), lost.into_inner()), (vec![1, 2, 5], 0));
    }

    #[tokio::test(start_paused = true)]
    async fn lines_go_on_into_the_old_file_while_a_new_one_cannot_be_opened() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, moved) = (folder.path().join("log"), folder.path().join("moved"));
        std::fs::create_dir(&inner).unwrap();
        let (mut sink, lost) = (to(&inner.join("audit.jsonl")), AtomicU64::new(0));
        std::fs::rename(&inner, &moved).unwrap();
        tokio::time::advance(LOOK_EVERY).await;
        batch(&mut sink, &lost, [1]);
        assert_eq!((ids(&moved.join("audit.jsonl")), lost.into_inner()), (vec![1], 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_disk_loses_lines_counts_them_and_tells_of_them_when_it_has_room_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        let (mut sink, lost) = (to(&path), AtomicU64::new(0));
        batch(&mut sink, &lost, [1, 2, 3]);
        assert_eq!(lost.load(Ordering::Relaxed), 3);
        // More than is ever buffered.
        batch(&mut sink, &lost, 4..204);
        assert_eq!(lost.load(Ordering::Relaxed), 203);
        std::fs::remove_file(&path).unwrap();
        tokio::time::advance(LOOK_EVERY).await;
        batch(&mut sink, &lost, [204]);
        let lines = told(&path);
        assert_eq!(lines.len(), 2, "what was counted as lost does not come after all: {lines:?}");
        assert_eq!(lines[0]["requestId"], Uuid::from_u128(204).to_string());
        assert_eq!((&lines[1]["event"], &lines[1]["count"]), (&Value::from("audit.lost"), &Value::from(203)));
        assert!(lines[1]["time"].is_string());
    }

    #[test]
    fn a_loss_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let (mut sink, lost) = (to(&path), AtomicU64::new(7));
        batch(&mut sink, &lost, [1]);
        let (queue, lines) = sync_channel(1);
        let thread = std::thread::spawn(move || run(&lines, &mut sink, &AtomicU64::new(7)));
        for n in 2..5 {
            queue.send(record(n)).unwrap();
            while told(&path).iter().all(|line| line["requestId"] != Uuid::from_u128(n).to_string()) {
                std::thread::yield_now();
            }
        }
        drop(queue);
        thread.join().unwrap();
        let losses: Vec<_> = told(&path).iter().filter_map(|line| line["count"].as_u64()).collect();
        assert_eq!(losses, [7, 7], "once by each of the two writers");
    }

    #[test]
    fn a_full_queue_loses_the_newest_counts_it_and_makes_nobody_wait() {
        let (queue, lines) = sync_channel(2);
        let writer = Writer { queue: Mutex::new(Some(queue)), thread: Mutex::default(), lost: Arc::default() };
        (0..5).for_each(|n| writer.write(record(n)));
        assert_eq!(writer.lost(), 3);
        assert_eq!(lines.try_iter().count(), 2);
        drop(lines);
        writer.write(record(9));
        assert_eq!(writer.lost(), 4, "nor is a writer that is gone waited for");
        writer.close();
        writer.write(record(10));
        assert_eq!(writer.lost(), 4, "after the end nothing is expected");
    }

    #[test]
    fn closing_writes_what_is_queued() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let writer = Writer::start(Destination::File(path.clone())).unwrap();
        (0..1000).for_each(|n| writer.write(record(n)));
        writer.close();
        assert_eq!((ids(&path), writer.lost()), ((0..1000).collect(), 0));
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "a stricter mode of the operator's stays");
        assert!(Writer::start(Destination::File(folder.path().join("no/such/folder"))).is_err());
    }

    #[test]
    fn the_standard_error_stream_takes_lines_too() {
        let writer = Writer::start(Destination::Stderr).unwrap();
        writer.write(record(1));
        writer.close();
        assert_eq!(writer.lost(), 0);
    }
}
