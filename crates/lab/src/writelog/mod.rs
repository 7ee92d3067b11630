//! Power cuts at a chosen write: what a disk would hold if the power had gone then.
//!
//! A disk whose writes are recorded has a log, written by QEMU's filter `blklogwrites` in the format of the kernel's
//! dm-log-writes: every write with its data, every discard and every flush, in the order in which they were done.
//! From the content before the first of them and a prefix of the log follows the content at any moment; leaving out
//! what came after the last flush gives what a disk with a volatile cache has kept for certain.
//!
//! ```text
//! base ──► write write FLUSH write write write ✂ …
//!          └── flushed ────┘ └─ maybe lost ─┘
//! ```
//!
//! A flush is logged when it ends. What ended while it was under way counts as flushed here, although a disk would
//! be free to lose it; Linux' file systems wait for the writes before they flush, so nothing hides behind that.

mod format;
mod replay;
#[cfg(test)]
mod tests;

pub use format::{Entry, Kind};
pub use replay::Replay;

use crate::LabError;
use camino::{Utf8Path, Utf8PathBuf};
use std::fs::{self, File};

/// What was recorded of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// The disk before the first write; it may be shorter than the disk.
    pub base: Utf8PathBuf,
    /// Size of the disk.
    pub bytes: u64,
    /// One log for each power-on.
    pub logs: Vec<Utf8PathBuf>,
}

/// How far a recording had come at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    /// Which log was written.
    log: usize,
    /// Its length.
    bytes: u64,
}

impl Recording {
    /// How far it is now; the machine may run.
    ///
    /// # Errors
    /// When the last log cannot be read.
    pub fn moment(&self) -> Result<Moment, LabError> {
        let Some(path) = self.logs.last() else { return Ok(Moment::default()) };
        let bytes = fs::metadata(path).map_err(LabError::file("measure", path))?.len();
        Ok(Moment { log: self.logs.len() - 1, bytes })
    }
}

/// A moment at which the power goes. Entries count from 0, and "before entry N" is after N entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Before that entry, and all that was written is there.
    Kept(usize),
    /// Before that entry, and what was not flushed is lost.
    Flushed(usize),
    /// In the middle of that entry, a write: all before it is there, and that many of its sectors of 512 bytes.
    Torn(usize, u64),
}

/// Recorded writes, over all power-ons.
#[derive(Debug)]
pub struct Log {
    files: Vec<(Utf8PathBuf, File)>,
    entries: Vec<Entry>,
}

impl Log {
    /// Reads which writes there were; their data stays in the files.
    ///
    /// # Errors
    /// When a file cannot be read or is no log.
    pub fn open(logs: &[impl AsRef<Utf8Path>]) -> Result<Self, LabError> {
        let mut log = Self { files: Vec::new(), entries: Vec::new() };
        for path in logs.iter().map(AsRef::as_ref) {
            let file = File::open(path).map_err(LabError::file("open", path))?;
            if !log.files.is_empty() {
                // Whoever switched on again found everything: it is as good as flushed.
                log.entries.push(Entry { kind: Kind::PowerOn, ..Entry::default() });
            }
            let entries = format::read(&file, log.files.len()).map_err(LabError::file("read", path))?;
            log.entries.extend(entries);
            log.files.push((path.to_owned(), file));
        }
        Ok(log)
    }

    /// All entries, in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Places of the entries that change data: writes and discards.
    #[must_use]
    pub fn writes(&self) -> Vec<usize> {
        self.places(|entry| matches!(entry.kind, Kind::Write | Kind::Discard))
    }

    /// Places of the flushes: everything before one is on the disk for good.
    #[must_use]
    pub fn flush_points(&self) -> Vec<usize> {
        self.places(Entry::is_barrier)
    }

    fn places(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<usize> {
        let entries = self.entries.iter().enumerate();
        entries.filter(|(_, entry)| wanted(entry)).map(|(place, _)| place).collect()
    }

    /// How many entries there were at that moment. One that was being written then counts.
    #[must_use]
    pub fn entries_at(&self, moment: Moment) -> usize {
        let later = |entry: &Entry| {
            entry.kind != Kind::PowerOn && (entry.file, entry.data) > (moment.log, moment.bytes)
        };
        self.entries.iter().position(later).unwrap_or(self.entries.len())
    }

    /// `count` places, evenly spread over the writes, the last one after all of them: where to cut the power.
    #[must_use]
    pub fn spread(&self, count: usize) -> Vec<usize> {
        let writes = self.writes();
        let count = count.min(writes.len());
        // Cutting before a write is the same as cutting after the one before it.
        (1..=count).map(|number| writes[number * writes.len() / count - 1] + 1).collect()
    }

    /// Writes the disk of that moment into a new raw file. For many moments of one log, in order, a [`Replay`] is
    /// much quicker.
    ///
    /// # Errors
    /// When the entry does not exist, or a file cannot be read or written.
    pub fn replay(&self, recording: &Recording, cut: Cut, out: &Utf8Path) -> Result<(), LabError> {
        Replay::new(self, recording, out)?.to(cut)
    }
}
