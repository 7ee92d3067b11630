//! Adds partitions to the table of a disk that is in use.
//!
//! The new table is made in memory and then written in an order that survives a power cut: the backup at the end of the
//! disk first, the primary one after it. Whatever the space of a new partition held is erased before the table knows
//! it, so that a partition in the table is either empty or ours.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use camino::Utf8Path;
use corten_sys::block;
use gpt::disk::LogicalBlockSize;
use gpt::partition_types::{OperatingSystem, Type};
use gpt::{GptConfig, GptError};
use installer::layout::{Extent, SECTOR};

/// How much of a new partition's start and end is erased: all that a probe looks at.
const ERASED: u64 = 4 << 20;
const CHUNK: usize = 1 << 20;
/// [`SECTOR`] as a length in memory.
const SECTOR_BYTES: usize = 512;

/// Why partitions could not be added.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The disk.
    #[error("{action} the disk")]
    Disk {
        /// What was being done.
        action: &'static str,
        /// Cause.
        source: io::Error,
    },
    /// The table.
    #[error("change the partition table")]
    Table(#[from] GptError),
}

/// Adds `extents` to the table of the disk at `path`. The kernel is not told.
pub fn add(path: &Utf8Path, extents: &[Extent]) -> Result<(), TableError> {
    let disk = |action| move |source| TableError::Disk { action, source };
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(disk("open"))?;
    for extent in extents {
        erase(&file, extent).map_err(disk("erase free space of"))?;
    }
    file.sync_all().map_err(disk("write to"))?;
    let size = block::size(&file).map_err(disk("measure"))?;
    let config = GptConfig::new().writable(true).logical_block_size(LogicalBlockSize::Lb512);
    let mut table = config.open_from_device(Overlay::new(file, size))?;
    let mut partitions = table.partitions().clone();
    for extent in extents {
        partitions.insert(extent.number, partition(extent).map_err(disk("name a partition of"))?);
    }
    table.update_partitions(partitions)?;
    table.write()?.commit().map_err(disk("write the table of"))
}

fn partition(extent: &Extent) -> io::Result<gpt::partition::Partition> {
    let mut id = corten_sys::system::random::<16>()?;
    id[6] = id[6] & 0x0f | 0x40;
    id[8] = id[8] & 0x3f | 0x80;
    Ok(gpt::partition::Partition {
        part_type_guid: Type {
            guid: extent.spec.type_guid,
            os: OperatingSystem::Custom("Corten".to_owned()),
        },
        part_guid: uuid::Uuid::from_bytes(id),
        first_lba: extent.start / SECTOR,
        last_lba: (extent.start + extent.length) / SECTOR - 1,
        flags: 0,
        name: extent.spec.label.to_owned(),
    })
}

fn erase(file: &File, extent: &Extent) -> io::Result<()> {
    let length = ERASED.min(extent.length);
    zero(file, extent.start, length)?;
    zero(file, extent.start + extent.length - length, length)
}

fn zero(file: &File, mut at: u64, mut length: u64) -> io::Result<()> {
    let zeros = vec![0; CHUNK];
    while length > 0 {
        let part = usize::try_from(length).unwrap_or(CHUNK).min(CHUNK);
        file.write_all_at(zeros.get(..part).unwrap_or_default(), at)?;
        at += part as u64;
        length -= part as u64;
    }
    Ok(())
}

/// A disk whose writes stay in memory, in whole sectors, until they are committed.
#[derive(Debug)]
struct Overlay {
    file: File,
    size: u64,
    position: u64,
    sectors: BTreeMap<u64, [u8; SECTOR_BYTES]>,
}

impl Overlay {
    fn new(file: File, size: u64) -> Self {
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
    fn commit(self) -> io::Result<()> {
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
    use camino::Utf8PathBuf;
    use corten_sys::block::gpt as reader;
    use installer::layout::{Origin, minimum_disk, place};
    use installer::table::{self, Entry};

    use super::*;
    use crate::controllers::block::plan;

    /// An image for the smallest disk, on a larger one.
    fn grown_disk(dir: &tempfile::TempDir, size: u64) -> Utf8PathBuf {
        let path = Utf8PathBuf::from_path_buf(dir.path().join("disk")).unwrap();
        let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        file.set_len(minimum_disk()).unwrap();
        let extents = place(minimum_disk()).unwrap();
        let entries: Vec<_> = extents
            .into_iter()
            .filter(|extent| extent.spec.origin == Origin::Image)
            .map(|extent| Entry { extent, guid: uuid::Uuid::from_u128(u128::from(extent.number)) })
            .collect();
        table::write(&file, minimum_disk(), uuid::Uuid::from_u128(7), &entries).unwrap();
        file.set_len(size).unwrap();
        path
    }

    #[test]
    fn partitions_are_added_at_the_end_of_a_disk_that_grew() {
        let dir = tempfile::tempdir().unwrap();
        let size = minimum_disk() + (9 << 30);
        let path = grown_disk(&dir, size);
        let before = reader::read(&path, SECTOR).unwrap();
        let missing = plan::partitions(size, &before).unwrap();
        add(&path, &missing).unwrap();
        let after = reader::read(&path, SECTOR).unwrap();
        assert_eq!(after[..4], before[..], "what was there stays as it was");
        let new: Vec<_> = after[4..].iter().map(|p| (p.number, p.label.as_str(), p.start, p.size)).collect();
        let wanted: Vec<_> = missing.iter().map(|e| (e.number, e.spec.label, e.start, e.length)).collect();
        assert_eq!(new, wanted);
        assert_eq!(plan::partitions(size, &after), Ok(Vec::new()));
        // The backup is at the new end, and is enough by itself.
        File::options().write(true).open(&path).unwrap().write_all_at(&[0; 512], 512).unwrap();
        assert_eq!(reader::read(&path, SECTOR).unwrap(), after);
    }

    #[test]
    fn old_data_in_free_space_is_gone_and_data_elsewhere_stays() {
        let dir = tempfile::tempdir().unwrap();
        let size = minimum_disk() + (1 << 30);
        let path = grown_disk(&dir, size);
        let missing = plan::partitions(size, &reader::read(&path, SECTOR).unwrap()).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let (inside, before) = (missing[0].start + 1080, missing[0].start - 512);
        file.write_all_at(&[0x53, 0xef], inside).unwrap();
        file.write_all_at(&[1; 512], before).unwrap();
        add(&path, &missing).unwrap();
        let mut bytes = [9; 512];
        file.read_exact_at(&mut bytes[..2], inside).unwrap();
        assert_eq!(bytes[..2], [0, 0]);
        file.read_exact_at(&mut bytes, before).unwrap();
        assert_eq!(bytes, [1; 512]);
    }

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
