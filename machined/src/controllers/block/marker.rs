//! A mark at the end of a partition that says: formatting began, or erasing did.
//!
//! It is written before mkfs or a wipe and erased after it, each in one sector, so that a power cut halfway leaves a partition
//! that may be formatted again, and never one that looks like somebody's data. The file system leaves the last MiB of
//! the partition alone.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

use camino::Utf8Path;
use corten_sys::block;

/// Bytes at the end of a partition that the file system does not use.
pub(crate) const RESERVED: u64 = 1 << 20;
const SECTOR: usize = 512;
const MAGIC: &[u8; 8] = b"CORTENVF";

/// What a partition needs before anything else is done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Formatting began and did not end: it may be formatted.
    Format,
    /// Erasing began and did not end: it must be erased first, since somebody relies on it.
    Erase,
}

impl Mark {
    fn number(self) -> u32 {
        match self {
            Self::Format => 1,
            Self::Erase => 2,
        }
    }
}

/// What began and did not end.
pub(super) fn read(device: &Utf8Path) -> io::Result<Option<Mark>> {
    let file = File::open(device)?;
    let mut sector = [0; SECTOR];
    file.read_exact_at(&mut sector, offset(&file)?)?;
    Ok([Mark::Format, Mark::Erase].into_iter().find(|mark| sector == encode(*mark)))
}

/// Says that formatting begins.
pub(super) fn set(device: &Utf8Path) -> io::Result<()> {
    write(device, &encode(Mark::Format))
}

/// Says that formatting ended.
pub(super) fn clear(device: &Utf8Path) -> io::Result<()> {
    write(device, &[0; SECTOR])
}

/// Says that erasing begins, of a partition that ends at byte `end` of an open disk.
pub(crate) fn set_before(disk: &File, end: u64) -> io::Result<()> {
    let at = end.checked_sub(SECTOR as u64).ok_or(io::ErrorKind::InvalidInput)?;
    disk.write_all_at(&encode(Mark::Erase), at)?;
    disk.sync_all()
}

fn write(device: &Utf8Path, sector: &[u8; SECTOR]) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(device)?;
    file.write_all_at(sector, offset(&file)?)?;
    file.sync_all()
}

fn offset(file: &File) -> io::Result<u64> {
    let size = block::size(file)?;
    size.checked_sub(SECTOR as u64).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// Magic, which mark, checksum of both.
fn encode(mark: Mark) -> [u8; SECTOR] {
    let mut sector = [0; SECTOR];
    sector[..8].copy_from_slice(MAGIC);
    sector[8..12].copy_from_slice(&mark.number().to_le_bytes());
    let checksum = crc32fast::hash(&sector[..12]);
    sector[12..16].copy_from_slice(&checksum.to_le_bytes());
    sector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_seen_until_it_is_cleared_and_touches_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(dir.path()).unwrap().join("partition");
        std::fs::write(&path, vec![7_u8; 8192]).unwrap();
        assert_eq!(read(&path).unwrap(), None);
        set(&path).unwrap();
        assert_eq!(read(&path).unwrap(), Some(Mark::Format));
        set_before(&File::options().write(true).open(&path).unwrap(), 8192).unwrap();
        assert_eq!(read(&path).unwrap(), Some(Mark::Erase));
        clear(&path).unwrap();
        assert_eq!(read(&path).unwrap(), None);
        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes[..8192 - 512].iter().all(|byte| *byte == 7) && bytes.len() == 8192);
    }
}
