//! Writes GUID partition tables, and changes those of disks that are in use.
//!
//! A changed table is made in memory and then written in an order that survives a power cut: the backup at the end of the
//! disk first, the primary one after it. Whatever the space of a new partition held is erased before the table knows it,
//! so that a partition in the table is either empty or ours.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use gpt::disk::LogicalBlockSize;
use gpt::mbr::{MBRError, ProtectiveMBR};
use gpt::partition_types::{OperatingSystem, Type};
use gpt::{GptConfig, GptError};
use uuid::Uuid;

use crate::layout::{Extent, SECTOR};
use crate::overlay::Overlay;

/// How much of a new partition's start and end is erased: all that a probe looks at.
const ERASED: u64 = 4 << 20;
const CHUNK: usize = 1 << 20;

/// Why a partition table could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The protective MBR.
    #[error("write the protective MBR")]
    Mbr(#[source] MBRError),
    /// A new table.
    #[error("create a partition table")]
    Create(#[source] GptError),
    /// The table's blocks.
    #[error("write the partition table")]
    Write(#[source] GptError),
    /// A table that is there.
    #[error("change the partition table")]
    Change(#[source] GptError),
    /// A partition that is not.
    #[error("the partition table has no partition {0}")]
    NoPartition(u32),
    /// Sectors that we cannot handle.
    #[error("the disk has sectors of {0} bytes: 512 and 4096 are known")]
    SectorSize(u64),
    /// The disk.
    #[error("{action} the disk")]
    Disk {
        /// What was being done.
        action: &'static str,
        /// Cause.
        source: io::Error,
    },
}

/// A partition that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it lies, and what it is.
    pub extent: Extent,
    /// Its own identity.
    pub guid: Uuid,
}

/// Writes a new table over whatever the disk held. Returns the disk.
pub fn write<D>(mut disk: D, size: u64, guid: Uuid, entries: &[Entry]) -> Result<D, TableError>
where
    D: Read + Write + Seek + std::fmt::Debug,
{
    let last = size / SECTOR - 1;
    ProtectiveMBR::with_lb_size(u32::try_from(last).unwrap_or(u32::MAX))
        .overwrite_lba0(&mut disk)
        .map_err(TableError::Mbr)?;
    let mut table = GptConfig::new()
        .writable(true)
        .logical_block_size(LogicalBlockSize::Lb512)
        .create_from_device(disk, Some(guid))
        .map_err(TableError::Create)?;
    let partitions: BTreeMap<_, _> =
        entries.iter().map(|entry| (entry.extent.number, partition(entry, SECTOR))).collect();
    table.update_partitions(partitions).map_err(TableError::Create)?;
    table.write().map_err(TableError::Write)
}

/// Adds partitions to the table of a disk. The kernel is not told.
pub fn add(disk: File, sector_size: u64, extents: &[Extent]) -> Result<(), TableError> {
    let failed = |action| move |source| TableError::Disk { action, source };
    for extent in extents {
        erase(&disk, extent).map_err(failed("erase free space of"))?;
    }
    disk.sync_all().map_err(failed("write to"))?;
    change(disk, sector_size, |partitions| {
        for extent in extents {
            let entry = Entry { extent: *extent, guid: Uuid::new_v4() };
            partitions.insert(extent.number, partition(&entry, sector_size));
        }
        Ok(())
    })
}

/// Gives a partition another identity. The kernel is not told.
pub fn set_uuid(disk: File, sector_size: u64, number: u32, uuid: Uuid) -> Result<(), TableError> {
    change(disk, sector_size, |partitions| {
        partitions.get_mut(&number).ok_or(TableError::NoPartition(number))?.part_guid = uuid;
        Ok(())
    })
}

type Partitions = BTreeMap<u32, gpt::partition::Partition>;

fn change(
    mut disk: File,
    sector_size: u64,
    change: impl FnOnce(&mut Partitions) -> Result<(), TableError>,
) -> Result<(), TableError> {
    let failed = |action| move |source| TableError::Disk { action, source };
    let size = disk.seek(SeekFrom::End(0)).map_err(failed("measure"))?;
    let config = GptConfig::new().writable(true).logical_block_size(block_size(sector_size)?);
    let mut table = config.open_from_device(Overlay::new(disk, size)).map_err(TableError::Change)?;
    let mut partitions = table.partitions().clone();
    change(&mut partitions)?;
    table.update_partitions(partitions).map_err(TableError::Change)?;
    table.write().map_err(TableError::Change)?.commit().map_err(failed("write the table of"))
}

fn block_size(sector_size: u64) -> Result<LogicalBlockSize, TableError> {
    match sector_size {
        512 => Ok(LogicalBlockSize::Lb512),
        4096 => Ok(LogicalBlockSize::Lb4096),
        other => Err(TableError::SectorSize(other)),
    }
}

fn erase(disk: &File, extent: &Extent) -> io::Result<()> {
    let length = ERASED.min(extent.length);
    zero(disk, extent.start, length)?;
    zero(disk, extent.start + extent.length - length, length)
}

fn zero(disk: &File, mut at: u64, mut length: u64) -> io::Result<()> {
    let zeros = vec![0; CHUNK];
    while length > 0 {
        let part = usize::try_from(length).unwrap_or(CHUNK).min(CHUNK);
        disk.write_all_at(zeros.get(..part).unwrap_or_default(), at)?;
        at += part as u64;
        length -= part as u64;
    }
    Ok(())
}

fn partition(entry: &Entry, sector_size: u64) -> gpt::partition::Partition {
    let Extent { spec, start, length, .. } = entry.extent;
    gpt::partition::Partition {
        part_type_guid: Type { guid: spec.type_guid, os: OperatingSystem::Custom("Corten".to_owned()) },
        part_guid: entry.guid,
        first_lba: start / sector_size,
        last_lba: (start + length) / sector_size - 1,
        flags: 0,
        name: spec.label.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Origin, minimum_disk, place};

    #[test]
    fn a_written_table_reads_back_and_is_the_same_each_time() {
        let size = minimum_disk();
        let entries: Vec<Entry> = place(size)
            .unwrap()
            .into_iter()
            .filter(|extent| extent.spec.origin == Origin::Image)
            .map(|extent| Entry { extent, guid: Uuid::from_u128(u128::from(extent.number)) })
            .collect();
        let write_one = || {
            let file = tempfile::tempfile().unwrap();
            file.set_len(size).unwrap();
            write(file, size, Uuid::from_u128(99), &entries).unwrap()
        };
        let (mut one, mut two) = (write_one(), write_one());
        for file in [&mut one, &mut two] {
            file.rewind().unwrap();
        }
        let mut heads = [vec![0; 1 << 16], vec![0; 1 << 16]];
        one.read_exact(&mut heads[0]).unwrap();
        two.read_exact(&mut heads[1]).unwrap();
        assert!(heads[0] == heads[1]);

        let table = GptConfig::new().open_from_device(one).unwrap();
        assert!(table.backup_header().is_ok());
        assert_eq!(table.guid(), &Uuid::from_u128(99));
        let names: Vec<_> = table.partitions().values().map(|found| found.name.as_str()).collect();
        assert_eq!(names, ["EFI", "META", "ROOT-A", "ROOT-B"]);
        let root = &table.partitions()[&3];
        assert_eq!(root.part_guid, Uuid::from_u128(3));
        assert_eq!(root.first_lba * SECTOR, entries[2].extent.start);
        assert_eq!(root.bytes_len(LogicalBlockSize::Lb512).unwrap(), 2 << 30);
    }
}
