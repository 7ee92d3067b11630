//! Writes and reads GUID partition tables.

use std::collections::BTreeMap;
use std::io::{Read, Seek, Write};

use gpt::disk::LogicalBlockSize;
use gpt::mbr::{MBRError, ProtectiveMBR};
use gpt::partition_types::{OperatingSystem, Type};
use gpt::{GptConfig, GptError};
use uuid::Uuid;

use crate::layout::{Extent, SECTOR};

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
        entries.iter().map(|entry| (entry.extent.number, partition(entry))).collect();
    table.update_partitions(partitions).map_err(TableError::Create)?;
    table.write().map_err(TableError::Write)
}

fn partition(entry: &Entry) -> gpt::partition::Partition {
    let Extent { spec, start, length, .. } = entry.extent;
    gpt::partition::Partition {
        part_type_guid: Type { guid: spec.type_guid, os: OperatingSystem::Custom("Corten".to_owned()) },
        part_guid: entry.guid,
        first_lba: start / SECTOR,
        last_lba: (start + length) / SECTOR - 1,
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
