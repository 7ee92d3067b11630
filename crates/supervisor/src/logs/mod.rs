//! The output of services: a bounded ring of lines each, in memory, and rotated files once there is a place for them.
//!
//! Nothing here makes a service wait: a line that cannot be written to its file at once is left out of the file, and the
//! file says how many were. Files are written by one thread, whatever the disk does.

mod files;
mod lines;
mod ring;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use camino::Utf8PathBuf;
use jiff::Timestamp;
use tokio::sync::broadcast;

use files::FileWriter;
use lines::Splitter;
pub use ring::{Follow, Line};
use ring::{RING_BYTES, Ring};

/// All logs. A clone is another handle on the same logs.
#[derive(Debug, Clone, Default)]
pub struct LogStore {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    logs: Mutex<BTreeMap<String, Arc<Log>>>,
    files: Mutex<Option<FileWriter>>,
}

/// The log of one service.
#[derive(Debug)]
struct Log {
    id: String,
    ring: Mutex<Ring>,
    live: broadcast::Sender<Line>,
}

/// A log, in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogInfo {
    /// Name of the service.
    pub id: String,
    /// Bytes in the ring.
    pub bytes: usize,
    /// Lines in the ring.
    pub lines: usize,
    /// When the last line came.
    pub last: Option<Timestamp>,
}

impl LogStore {
    /// Without logs and without files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the output of a service, in pieces of any size.
    pub fn writer(&self, id: &str) -> LogWriter {
        LogWriter { store: self.clone(), log: self.log(id), splitter: Splitter::default() }
    }

    /// Adds one line.
    pub fn append(&self, id: &str, text: impl Into<String>) {
        self.append_to(&self.log(id), text.into());
    }

    /// The logs that exist, sorted by id.
    pub fn list(&self) -> Vec<LogInfo> {
        self.logs().values().map(|log| log.info()).collect()
    }

    /// The last `count` lines of a log, oldest first; `None` when there is no such log.
    pub fn tail(&self, id: &str, count: usize) -> Option<Vec<Line>> {
        Some(self.existing(id)?.ring().last(count))
    }

    /// The last `count` lines of a log and then each new one; `None` when there is no such log.
    pub fn follow(&self, id: &str, count: usize) -> Option<Follow> {
        let log = self.existing(id)?;
        let ring = log.ring();
        Some(Follow::new(ring.last(count), log.live.subscribe()))
    }

    /// From now on also writes files below `directory`, beginning with what the rings hold. Only the first call counts.
    pub fn persist(&self, directory: impl Into<Utf8PathBuf>) {
        let directory = directory.into();
        self.persist_with(|| FileWriter::start(directory));
    }

    fn persist_with(&self, start: impl FnOnce() -> io::Result<FileWriter>) {
        let mut files = self.files();
        if files.is_some() {
            return;
        }
        let writer = match start() {
            Ok(writer) => writer,
            Err(error) => {
                // This line becomes one of our own, and those wait for the lock.
                drop(files);
                return tracing::error!(%error, "start the thread that writes log files");
            }
        };
        for log in self.logs().values() {
            for line in log.ring().last(usize::MAX) {
                writer.write(&log.id, line);
            }
        }
        *files = Some(writer);
    }

    /// Bytes in the files of a log; asks the disk.
    pub fn file_bytes(&self, id: &str) -> u64 {
        let paths = self.files().as_ref().map(|files| files.paths(id)).unwrap_or_default();
        paths.iter().filter_map(|path| std::fs::metadata(path).ok()).map(|file| file.len()).sum()
    }

    /// Writes out what is queued for the files, and stops writing files. Blocks for at most a second.
    pub fn stop_persisting(&self) {
        let writer = self.files().take();
        if let Some(writer) = writer {
            writer.finish();
        }
    }

    fn append_to(&self, log: &Log, text: String) {
        // In this order: `persist` takes the lock of the files before those of the rings, so that each line is either in
        // what it reads from the ring, or written here.
        let files = self.files();
        let line = log.push(text);
        if let Some(files) = files.as_ref() {
            files.write(&log.id, line);
        }
    }

    fn log(&self, id: &str) -> Arc<Log> {
        let mut logs = self.logs();
        if let Some(log) = logs.get(id) {
            return Arc::clone(log);
        }
        let log = Arc::new(Log::new(id));
        logs.insert(id.into(), Arc::clone(&log));
        log
    }

    fn existing(&self, id: &str) -> Option<Arc<Log>> {
        self.logs().get(id).cloned()
    }

    fn logs(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Log>>> {
        self.shared.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn files(&self) -> MutexGuard<'_, Option<FileWriter>> {
        self.shared.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    fn new(id: &str) -> Self {
        let live = broadcast::Sender::new(ring::FOLLOW_LINES);
        Self { id: id.into(), ring: Mutex::new(Ring::new(RING_BYTES)), live }
    }

    fn push(&self, text: String) -> Line {
        let mut ring = self.ring();
        let line = ring.push(Timestamp::now(), text);
        let _ = self.live.send(line.clone()); // nobody may be listening
        line
    }

    fn info(&self) -> LogInfo {
        let ring = self.ring();
        LogInfo { id: self.id.clone(), bytes: ring.bytes(), lines: ring.len(), last: ring.last_time() }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes lines of the output of a service. A line without an end is added when the writer is dropped.
#[derive(Debug)]
pub struct LogWriter {
    store: LogStore,
    log: Arc<Log>,
    splitter: Splitter,
}

impl LogWriter {
    /// Adds output.
    pub fn write(&mut self, bytes: &[u8]) {
        let Self { store, log, splitter } = self;
        splitter.push(bytes, |line| store.append_to(log, line));
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        if let Some(line) = self.splitter.rest() {
            self.store.append_to(&self.log, line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: &[Line]) -> Vec<&str> {
        lines.iter().map(|line| &*line.text).collect()
    }

    #[tokio::test]
    async fn a_follower_gets_the_tail_and_then_each_new_line() {
        let logs = LogStore::new();
        let mut writer = logs.writer("etcd");
        writer.write(b"one\ntwo\nth");
        let mut follow = logs.follow("etcd", 1).unwrap();
        writer.write(b"ree\n");
        assert_eq!(&*follow.next().await.unwrap().text, "two");
        assert_eq!(&*follow.next().await.unwrap().text, "three");
        assert_eq!(texts(&logs.tail("etcd", 2).unwrap()), ["two", "three"]);
        assert!(logs.tail("other", 1).is_none());
    }

    #[test]
    fn files_begin_with_what_the_ring_holds_and_go_on_with_new_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(dir.path().join("logs")).unwrap();
        let logs = LogStore::new();
        logs.append("kubelet", "before");
        logs.persist(&path);
        logs.append("kubelet", "after");
        assert_eq!(logs.file_bytes("nobody"), 0);
        while logs.file_bytes("kubelet") < 60 {
            std::thread::yield_now();
        }
        logs.stop_persisting();
        let text = std::fs::read_to_string(path.join("kubelet.log")).unwrap();
        let lines: Vec<_> =
            text.lines().filter_map(|line| line.split_once(' ')).map(|(_, text)| text).collect();
        assert_eq!(lines, ["before", "after"]);
    }

    /// Keeps an own log in the store, as machined does.
    struct OwnLog(LogStore);

    impl tracing::Subscriber for OwnLog {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, _: &tracing::Event<'_>) {
            self.0.append("own", "said");
        }
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }

    #[test]
    fn a_thread_that_cannot_be_started_is_told_in_the_log_that_has_no_file() {
        let logs = LogStore::new();
        let no_thread = || Err(io::Error::other("no more threads"));
        tracing::subscriber::with_default(OwnLog(logs.clone()), || logs.persist_with(no_thread));
        assert_eq!(texts(&logs.tail("own", 9).unwrap()), ["said"]);
    }

    #[test]
    fn a_directory_that_cannot_be_written_does_not_hold_up_the_writer() {
        let logs = LogStore::new();
        logs.persist("/proc/no/such/place");
        for n in 0..20_000 {
            logs.append("noisy", format!("line {n}"));
        }
        assert_eq!(texts(&logs.tail("noisy", 1).unwrap()), ["line 19999"]);
    }
}
