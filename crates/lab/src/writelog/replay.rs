//! Makes disks of moments, going forward only: what is done to the file once is not done again.

use super::{Cut, Entry, Kind, Log, Recording};
use crate::LabError;
use crate::image::copy;
use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{FallocateFlags, fallocate};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Data is copied in pieces of this size, and pieces of zeros become holes.
const PIECE: u64 = 1 << 20;

/// A raw file that moves from one moment of a log to a later one.
#[derive(Debug)]
pub struct Replay<'a> {
    log: &'a Log,
    path: Utf8PathBuf,
    file: File,
    /// Entries that are in the file.
    applied: usize,
    /// Entries of which something is in the file: what comes next must have all of them.
    touched: usize,
}

impl<'a> Replay<'a> {
    /// Begins with the disk before the first entry, in a new file: a sparse copy of the base.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn new(log: &'a Log, recording: &Recording, out: &Utf8Path) -> Result<Self, LabError> {
        copy(&recording.base, out)?;
        let open = File::options().read(true).write(true).open(out);
        let sized = open.and_then(|file| file.set_len(recording.bytes).map(|()| file));
        let file = sized.map_err(LabError::file("make", out))?;
        Ok(Self { log, path: out.to_owned(), file, applied: 0, touched: 0 })
    }

    /// Goes on to that moment. Nothing else may have written to the file: boot a layer over it
    /// ([`Source::File`](crate::Source::File)).
    ///
    /// # Errors
    /// When the moment is not in the log, or lies before the present one, or a file cannot be read or written.
    pub fn to(&mut self, cut: Cut) -> Result<(), LabError> {
        let (whole, rest) = self.plan(cut)?;
        let entries = &self.log.entries;
        for entry in &entries[self.applied..whole] {
            self.apply(entry, entry.bytes)?;
        }
        self.applied = whole;
        self.touched = match cut {
            _ if rest.is_empty() => whole,
            Cut::Torn(end, _) => end + 1,
            Cut::Kept(end) | Cut::Flushed(end) => end,
        };
        for (entry, bytes) in rest {
            self.apply(&entry, bytes)?;
        }
        Ok(())
    }

    /// How many entries are there entirely, and which ones after them, with how many bytes.
    fn plan(&self, cut: Cut) -> Result<(usize, Vec<(Entry, u64)>), LabError> {
        let entries = &self.log.entries;
        let (Cut::Kept(end) | Cut::Flushed(end) | Cut::Torn(end, _)) = cut;
        let before = entries.get(..end);
        let before = before.ok_or_else(|| self.refuse(format!("has no entry {end} of {}", entries.len())))?;
        let (whole, rest) = match cut {
            Cut::Kept(end) => (end, Vec::new()),
            Cut::Flushed(_) => {
                let whole = before.iter().rposition(Entry::is_barrier).unwrap_or(0);
                let forced = before[whole..].iter().filter(|entry| entry.forced);
                (whole, forced.map(|entry| (*entry, entry.bytes)).collect())
            }
            Cut::Torn(end, sectors) => {
                let torn = entries.get(end).filter(|entry| entry.kind == Kind::Write);
                let torn = torn.ok_or_else(|| self.refuse(format!("has no write at {end}")))?;
                (end, vec![(*torn, torn.bytes.min(sectors.saturating_mul(512)))])
            }
        };
        if whole < self.touched {
            return Err(self.refuse(format!("holds {} entries, and {whole} are wanted", self.touched)));
        }
        Ok((whole, rest))
    }

    fn refuse(&self, problem: String) -> LabError {
        LabError::Unsupported(format!("the replayed disk {} {problem}", self.path))
    }

    fn apply(&self, entry: &Entry, bytes: u64) -> Result<(), LabError> {
        match entry.kind {
            Kind::Write => self.write(entry, bytes),
            Kind::Discard => {
                zero(&self.file, entry.offset, bytes).map_err(LabError::file("write", &self.path))
            }
            Kind::Flush | Kind::Mark | Kind::PowerOn => Ok(()),
        }
    }

    fn write(&self, entry: &Entry, bytes: u64) -> Result<(), LabError> {
        let Some((source, log)) = self.log.files.get(entry.file) else { return Ok(()) };
        let mut piece = Vec::new();
        let mut done = 0;
        while done < bytes {
            let length = (bytes - done).min(PIECE);
            piece.resize(usize::try_from(length).unwrap_or_default(), 0);
            log.read_exact_at(&mut piece, entry.data + done).map_err(LabError::file("read", source))?;
            let at = entry.offset + done;
            let written = match piece.iter().all(|byte| *byte == 0) {
                true => zero(&self.file, at, length),
                false => self.file.write_all_at(&piece, at),
            };
            written.map_err(LabError::file("write", &self.path))?;
            done += length;
        }
        Ok(())
    }
}

/// Punches a hole.
fn zero(file: &File, offset: u64, bytes: u64) -> io::Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    if bytes == 0 {
        return Ok(());
    }
    Ok(fallocate(file, flags, offset, bytes)?)
}
