//! A disk whose writes stay in memory until they are committed in an order that survives a power cut.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

/// Bytes that are kept together; the smallest sector that disks have.
const SECTOR: u64 = 512;
/// [`SECTOR`] as a length in memory.
const SECTOR_BYTES: usize = 512;

/// A disk whose writes stay in memory, in whole sectors, until they are committed.
#[derive(Debug)]
pub(crate) struct Overlay {
    file: File,
    size: u64,
    position: u64,
    sectors: BTreeMap<u64, [u8; SECTOR_BYTES]>,
}

impl Overlay {
    pub(crate) fn new(file: File, size: u64) -> Self {
        Self { file, size, position: 0, sectors: BTreeMap::new() }
    }

    fn sector(&self, number: u64) -> io::Result<[u8; SECTOR_BYTES]> {
        if let Some(sector) = self.sectors.get(&number) {
            return Ok(*sector);
        }
        let mut sector = [0; SECTOR_BYTES];
        self.file.read_exact_at(&mut sector, number * SECTOR)?;
        Ok(sector)
    }

    /// Where the position lies: sector, offset in it, and how much of `length` fits.
    fn place(&self, length: usize) -> (u64, usize, usize) {
        let offset = usize::try_from(self.position % SECTOR).unwrap_or(0);
        (self.position / SECTOR, offset, length.min(SECTOR_BYTES - offset))
    }

    /// The far half of the disk holds the backup: written and on the medium before the near half is touched.
    pub(crate) fn commit(self) -> io::Result<()> {
        let middle = self.size / SECTOR / 2;
        for near in [false, true] {
            for (number, sector) in self.sectors.iter().filter(|(number, _)| (**number < middle) == near) {
                self.file.write_all_at(sector, number * SECTOR)?;
            }
            self.file.sync_all()?;
        }
        Ok(())
    }
}

impl Read for Overlay {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.size {
            return Ok(0);
        }
        let (number, offset, length) = self.place(buffer.len());
        let sector = self.sector(number)?;
        if let (Some(to), Some(from)) = (buffer.get_mut(..length), sector.get(offset..offset + length)) {
            to.copy_from_slice(from);
        }
        self.position += length as u64;
        Ok(length)
    }
}

impl Write for Overlay {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let (number, offset, length) = self.place(buffer.len());
        let mut sector = self.sector(number)?;
        if let (Some(to), Some(from)) = (sector.get_mut(offset..offset + length), buffer.get(..length)) {
            to.copy_from_slice(from);
        }
        self.sectors.insert(number, sector);
        self.position += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Overlay {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_disk_before_the_commit() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4096).unwrap();
        let mut overlay = Overlay::new(file.try_clone().unwrap(), 4096);
        overlay.seek(SeekFrom::Start(500)).unwrap();
        overlay.write_all(&[1; 100]).unwrap();
        overlay.seek(SeekFrom::Start(499)).unwrap();
        let mut seen = [9; 102];
        overlay.read_exact(&mut seen).unwrap();
        assert_eq!((seen[0], seen[1], seen[100], seen[101]), (0, 1, 1, 0));
        let mut on_disk = [9; 4096];
        file.read_exact_at(&mut on_disk, 0).unwrap();
        assert_eq!(on_disk, [0; 4096]);
        overlay.commit().unwrap();
        file.read_exact_at(&mut on_disk, 0).unwrap();
        assert!(on_disk[500..600].iter().all(|byte| *byte == 1));
    }
}
