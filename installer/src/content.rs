//! What is on a disk, as far as an installation cares. Only looks.

use std::fmt;
use std::io;

use corten_constants::labels;
use corten_sys::block::probe;

use crate::device::Device;
use crate::layout::TYPE_ROOT;
use crate::table::{Table, TableError};
use crate::{esp, marker};

/// What a disk holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Content {
    /// Nothing.
    #[default]
    Empty,
    /// A system of ours.
    Corten {
        /// The version that boots first, when the EFI partition tells.
        version: Option<String>,
    },
    /// An installation of ours that was not finished.
    Unfinished,
    /// Something else, in a few words.
    Foreign(String),
    /// It could not be read.
    Unreadable(String),
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty"),
            Self::Corten { version: Some(version) } => write!(f, "corten {version}"),
            Self::Corten { version: None } => f.write_str("corten"),
            Self::Unfinished => f.write_str("an unfinished installation of corten"),
            Self::Foreign(what) => f.write_str(what),
            Self::Unreadable(why) => write!(f, "unreadable: {why}"),
        }
    }
}

/// Looks at a disk.
pub fn look<D: Device + ?Sized>(device: &D) -> Content {
    try_look(device).unwrap_or_else(|error| Content::Unreadable(error.to_string()))
}

fn try_look<D: Device + ?Sized>(device: &D) -> io::Result<Content> {
    let mark = marker::read(device)?;
    let table = Table::read(device).map_err(|error| match error {
        TableError::Disk { source, .. } => source,
        other => io::Error::other(other),
    })?;
    Ok(match (mark, table) {
        // Power was cut when the disk was bootable and the mark was not erased.
        (Some(disk), Some(table)) if table.guid == disk && version(device, &table).is_some() => {
            describe(device, &table)
        }
        (Some(_), _) => Content::Unfinished,
        (None, Some(table)) => describe(device, &table),
        (None, None) => unpartitioned(device)?,
    })
}

fn describe<D: Device + ?Sized>(device: &D, table: &Table) -> Content {
    let is_slot = |label| table.find(label).is_some_and(|partition| partition.type_guid == TYPE_ROOT);
    if is_slot(labels::ROOT_A) && is_slot(labels::ROOT_B) {
        return Content::Corten { version: version(device, table) };
    }
    let labels: Vec<&str> = table.partitions.iter().map(|partition| partition.label.as_str()).collect();
    Content::Foreign(match labels.iter().filter(|label| !label.is_empty()).count() {
        0 => format!("gpt with {} partitions", labels.len()),
        _ => format!("gpt with partitions {}", labels.join(", ")),
    })
}

fn version<D: Device + ?Sized>(device: &D, table: &Table) -> Option<String> {
    let entries = esp::entries(device, table.find(labels::EFI)?.range()).ok()?;
    entries.first().map(|entry| entry.version.to_string())
}

fn unpartitioned<D: Device + ?Sized>(device: &D) -> io::Result<Content> {
    let found = probe::probe_with(device.size(), |bytes, at| device.read_at(bytes, at))?;
    Ok(match found {
        probe::Content::Empty => Content::Empty,
        probe::Content::Known(name) => Content::Foreign(name.to_owned()),
        probe::Content::Unknown if has_mbr(device)? => Content::Foreign("mbr".to_owned()),
        probe::Content::Unknown => Content::Foreign("data of an unknown kind".to_owned()),
    })
}

/// A boot record with at least one partition in it.
fn has_mbr<D: Device + ?Sized>(device: &D) -> io::Result<bool> {
    let mut sector = [0; 512];
    device.read_at(&mut sector, 0)?;
    let kinds = [450, 466, 482, 498].iter().filter_map(|at| sector.get(*at));
    Ok(sector.ends_with(&[0x55, 0xaa]) && kinds.copied().any(|kind: u8| kind != 0))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::device::SectorSize;
    use crate::table::Partition;
    use crate::testing::FlakyDisk;

    const MIB: u64 = 1 << 20;

    fn disk() -> FlakyDisk {
        FlakyDisk::new(64 * MIB, SectorSize::B512)
    }

    fn with_table(label: &str, guid: u128) -> FlakyDisk {
        let partition = Partition {
            number: 1,
            type_guid: Uuid::from_u128(5),
            guid: Uuid::from_u128(6),
            start: MIB,
            length: MIB,
            flags: 0,
            label: label.into(),
        };
        let disk = disk();
        Table { guid: Uuid::from_u128(guid), partitions: vec![partition] }.write(&disk).unwrap();
        disk
    }

    #[test]
    fn foreign_data_is_called_by_its_name() {
        assert_eq!(look(&disk()), Content::Empty);
        let foreign = |bytes: &[u8], at| {
            let disk = disk();
            disk.write_at(bytes, at).unwrap();
            look(&disk).to_string()
        };
        assert_eq!(foreign(b"XFSB", 0), "xfs");
        assert_eq!(foreign(b"x", 3 * MIB), "data of an unknown kind");
        let mut mbr = [0; 512];
        (mbr[450], mbr[510], mbr[511]) = (0x83, 0x55, 0xaa);
        assert_eq!(foreign(&mbr, 0), "mbr");
        assert_eq!(look(&with_table("Windows", 1)).to_string(), "gpt with partitions Windows");
        assert_eq!(look(&with_table("", 1)).to_string(), "gpt with 1 partitions");
        // Root slots have our type, not just our names.
        assert_eq!(look(&with_table("ROOT-A", 1)).to_string(), "gpt with partitions ROOT-A");
    }

    #[test]
    fn a_mark_counts_as_long_as_the_disk_does_not_boot() {
        let marked = |disk: FlakyDisk| {
            marker::write(&disk, Uuid::from_u128(7)).unwrap();
            look(&disk)
        };
        assert_eq!(marked(disk()), Content::Unfinished);
        assert_eq!(marked(with_table("old", 8)), Content::Unfinished);
        assert_eq!(marked(with_table("new", 7)), Content::Unfinished, "it does not boot yet");
    }

    #[test]
    fn a_disk_that_fails_is_not_empty() {
        assert!(matches!(
            look(&FlakyDisk::new(0, SectorSize::B512)),
            Content::Empty | Content::Unreadable(_)
        ));
    }
}
