//! Log files, written by one thread and rotated by size.
//!
//! `<directory>/<id>.log` is the newest, `<id>.log.1` to `.3` are older. The queue to the thread is bounded: when the
//! disk is too slow or full, lines are left out, and the file says how many.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;

use super::Line;

/// Size at which a file is rotated.
const FILE_BYTES: u64 = 4 * 1024 * 1024;
/// Files of one log, the current one included.
const FILES: usize = 4;
/// Lines that may wait for the disk.
const QUEUE: usize = 2048;
/// After an error a file is left alone for this long.
const PAUSE: Duration = Duration::from_secs(10);
/// How long [`FileWriter::finish`] waits.
const FINISH: Duration = Duration::from_secs(1);

type Entry = (String, Line);

/// The handle on the writing thread.
#[derive(Debug)]
pub(super) struct FileWriter {
    directory: Utf8PathBuf,
    queue: SyncSender<Entry>,
    left_out: Mutex<BTreeMap<String, u64>>,
    finished: Receiver<()>,
}

impl FileWriter {
    pub(super) fn start(directory: Utf8PathBuf) -> io::Result<Self> {
        let (queue, entries) = sync_channel(QUEUE);
        let (done, finished) = sync_channel(1);
        let place = directory.clone();
        std::thread::Builder::new().name("log-files".into()).spawn(move || {
            write_all(&place, &entries);
            let _ = done.send(());
        })?;
        Ok(Self { directory, queue, left_out: Mutex::default(), finished })
    }

    /// Where the files of a log are, existing or not.
    pub(super) fn paths(&self, id: &str) -> Vec<Utf8PathBuf> {
        let newest = self.directory.join(format!("{id}.log"));
        let older = (1..FILES).map(|n| Utf8PathBuf::from(format!("{newest}.{n}"))).collect::<Vec<_>>();
        [newest].into_iter().chain(older).collect()
    }

    /// Queues a line; never waits.
    pub(super) fn write(&self, id: &str, line: Line) {
        let mut left_out = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = left_out.get(id) {
            let text = format!("({count} lines left out of this file)").into();
            let note = Line { sequence: line.sequence, time: line.time, text };
            if self.queue.try_send((id.into(), note)).is_ok() {
                left_out.remove(id);
            }
        }
        if self.queue.try_send((id.into(), line)).is_err() {
            *left_out.entry(id.into()).or_default() += 1;
        }
    }

    /// Waits until everything that is queued is written, for a short time.
    pub(super) fn finish(self) {
        let Self { queue, finished, .. } = self;
        drop(queue);
        if finished.recv_timeout(FINISH) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the last lines of the logs did not reach the disk in time");
        }
    }
}

fn write_all(directory: &Utf8PathBuf, entries: &Receiver<Entry>) {
    let mut files: BTreeMap<String, LogFile> = BTreeMap::new();
    while let Ok((id, line)) = entries.recv() {
        let file = files.entry(id).or_insert_with_key(|id| LogFile::new(directory.join(format!("{id}.log"))));
        file.write(&line, Instant::now());
    }
}

/// One rotated file.
struct LogFile {
    path: Utf8PathBuf,
    limit: u64,
    open: Option<(File, u64)>,
    broken_until: Option<Instant>,
}

impl LogFile {
    fn new(path: Utf8PathBuf) -> Self {
        Self { path, limit: FILE_BYTES, open: None, broken_until: None }
    }

    fn write(&mut self, line: &Line, now: Instant) {
        if self.broken_until.is_some_and(|until| now < until) {
            return;
        }
        match self.try_write(line) {
            Ok(()) => self.broken_until = None,
            Err(error) => {
                if self.broken_until.is_none() {
                    tracing::warn!(path = %self.path, %error, "a log file cannot be written");
                }
                self.open = None;
                self.broken_until = Some(now + PAUSE);
            }
        }
    }

    fn try_write(&mut self, line: &Line) -> io::Result<()> {
        let text = format!("{:.6} {}\n", line.time, line.text);
        if self.open.as_ref().is_some_and(|(_, size)| size + text.len() as u64 > self.limit) {
            self.open = None;
            self.rotate()?;
        }
        let (file, size) = match &mut self.open {
            Some(open) => open,
            closed => closed.insert(open(&self.path)?),
        };
        file.write_all(text.as_bytes())?;
        *size += text.len() as u64;
        Ok(())
    }

    fn rotate(&self) -> io::Result<()> {
        for n in (1..FILES).rev() {
            let older = format!("{}.{n}", self.path);
            let newer = if n == 1 { self.path.to_string() } else { format!("{}.{}", self.path, n - 1) };
            match fs::rename(newer, older) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

fn open(path: &Utf8PathBuf) -> io::Result<(File, u64)> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn line(sequence: u64, text: &str) -> Line {
        Line { sequence, time: Timestamp::UNIX_EPOCH, text: text.into() }
    }

    #[test]
    fn files_are_rotated_by_size_and_the_oldest_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(dir.path().join("a.log")).unwrap();
        let mut file = LogFile { limit: 100, ..LogFile::new(path.clone()) };
        for n in 0..40 {
            file.write(&line(n, &format!("line {n}")), Instant::now());
        }
        let mut names: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["a.log", "a.log.1", "a.log.2", "a.log.3"]);
        assert!(fs::read_to_string(&path).unwrap().ends_with(" line 39\n"));
        for name in names {
            assert!(fs::metadata(dir.path().join(name)).unwrap().len() <= 100);
        }
    }

    #[test]
    fn a_file_that_failed_is_left_alone_for_a_while_and_then_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let blocked = Utf8PathBuf::from_path_buf(dir.path().join("blocked")).unwrap();
        fs::write(&blocked, "a file, not a directory").unwrap();
        let mut file = LogFile::new(blocked.join("a.log"));
        let start = Instant::now();
        file.write(&line(1, "lost"), start);
        fs::remove_file(&blocked).unwrap();
        file.write(&line(2, "lost too"), start + Duration::from_secs(1));
        file.write(&line(3, "written"), start + PAUSE);
        assert!(fs::read_to_string(blocked.join("a.log")).unwrap().ends_with(" written\n"));
    }
}
