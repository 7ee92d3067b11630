//! The format of dm-log-writes (`drivers/md/dm-log-writes.c`): a superblock, then entries, each followed by its
//! data. Everything is little endian and begins at a multiple of the log's sector size.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

pub(super) const MAGIC: u64 = 0x006a_7366_7773_6872;
pub(super) const VERSION: u64 = 1;
/// What the lab tells QEMU to use; needed for a log that was not flushed once, hence has no superblock.
pub(super) const SECTOR: u64 = 512;

pub(super) mod flags {
    pub(crate) const FLUSH: u64 = 1;
    pub(crate) const FUA: u64 = 1 << 1;
    pub(crate) const DISCARD: u64 = 1 << 2;
    pub(crate) const MARK: u64 = 1 << 3;
    pub(crate) const ALL: u64 = FLUSH | FUA | DISCARD | MARK;
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// Data was written.
    #[default]
    Write,
    /// Data was discarded: it reads as zeros afterwards.
    Discard,
    /// All that had been written was made to last.
    Flush,
    /// A note of the kernel's log; it changes nothing.
    Mark,
    /// The machine was switched on again, and found all that had been written.
    PowerOn,
}

/// One thing that happened to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Entry {
    /// What happened.
    pub kind: Kind,
    /// First byte on the disk.
    pub offset: u64,
    /// How many bytes; 0 for flushes.
    pub bytes: u64,
    /// A flush came first, in the same request.
    pub flush_first: bool,
    /// The write itself is on the disk for good.
    pub forced: bool,
    /// Which log has the data.
    pub(super) file: usize,
    /// Where in it.
    pub(super) data: u64,
}

impl Entry {
    /// Whether everything before it lasts once it has happened.
    #[must_use]
    pub fn is_barrier(&self) -> bool {
        self.flush_first || matches!(self.kind, Kind::Flush | Kind::PowerOn)
    }
}

/// The entries of one log.
///
/// The superblock's count is as old as the last flush; QEMU may have been killed long after it, so reading goes on
/// behind the count as long as there are entries.
pub(super) fn read(file: &File, number: usize) -> io::Result<Vec<Entry>> {
    let length = file.metadata()?.len();
    let (count, sector) = superblock(file, length)?;
    let mut entries = Vec::new();
    let mut at = sector;
    while at + 32 <= length {
        let mut bytes = [0; 32];
        file.read_exact_at(&mut bytes, at)?;
        let words = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
        let words: Vec<u64> = words.collect();
        let Some(entry) = entry(&words, at, sector, length) else { break };
        at = entry.data + if entry.kind == Kind::Discard { 0 } else { entry.bytes };
        entries.push(Entry { file: number, ..entry });
    }
    if u64::try_from(entries.len()).unwrap_or(u64::MAX) < count {
        return Err(io::Error::other(format!("has {} of {count} entries", entries.len())));
    }
    Ok(entries)
}

fn superblock(file: &File, length: u64) -> io::Result<(u64, u64)> {
    let mut bytes = [0; 28];
    if length >= SECTOR {
        file.read_exact_at(&mut bytes, 0)?;
    }
    if bytes == [0; 28] {
        return Ok((0, SECTOR));
    }
    let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]));
    if (word(0), word(8)) != (MAGIC, VERSION) {
        return Err(io::Error::other("is no write log"));
    }
    let sector = u32::from_le_bytes(std::array::from_fn(|byte| bytes[24 + byte]));
    if sector < 512 || !sector.is_power_of_two() {
        return Err(io::Error::other(format!("has sectors of {sector} bytes")));
    }
    Ok((word(16), u64::from(sector)))
}

/// The entry at a place of the log, or `None` when there is none: zeros, or something that does not fit.
fn entry(words: &[u64], at: u64, sector: u64, length: u64) -> Option<Entry> {
    let &[first, count, flags, extra] = words else { return None };
    if flags & !flags::ALL != 0 || (count == 0 && flags & (flags::FLUSH | flags::MARK) == 0) {
        return None;
    }
    let kind = match () {
        () if flags & flags::MARK != 0 => Kind::Mark,
        () if flags & flags::DISCARD != 0 => Kind::Discard,
        () if count == 0 => Kind::Flush,
        () => Kind::Write,
    };
    // The text of a mark fits into the entry's own sector.
    if kind == Kind::Mark && extra > sector - 32 {
        return None;
    }
    let entry = Entry {
        kind,
        offset: first.checked_mul(sector)?,
        bytes: count.checked_mul(sector)?,
        flush_first: flags & flags::FLUSH != 0 && kind != Kind::Flush,
        forced: flags & flags::FUA != 0,
        file: 0,
        data: at.checked_add(sector)?,
    };
    let whole = kind == Kind::Discard || entry.data.checked_add(entry.bytes)? <= length;
    whole.then_some(entry)
}
