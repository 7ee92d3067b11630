//! Writes GUID partition tables, and changes those of disks that are in use.
//!
//! Every table is written in an order that survives a power cut: the backup at the end of the disk first, the primary one
//! when that is on the medium. So one of the two is whole at any time, and reading believes the primary one when it is.
//! A torn primary one is made whole before anything else is changed.
//!
//! Whatever the space of a new partition held is erased before the table knows it, so that a partition in the table is
//! either empty or ours.

mod codec;

use std::fs::File;
use std::io;

use uuid::Uuid;

use crate::device::{Device, Disk, SectorSize, SectorSizeError};
use crate::layout::Extent;
use codec::Place;

/// How much of a new partition's start and end is erased: all that a probe looks at.
const ERASED: u64 = 4 << 20;

/// Why a partition table could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// Neither copy is valid.
    #[error("the disk has no valid partition table")]
    NoTable,
    /// A partition that is not there.
    #[error("the partition table has no partition {0}")]
    NoPartition(u32),
    /// A number that there is no place for.
    #[error("partition number {0} is not between 1 and {max}", max = codec::ENTRIES)]
    Number(u32),
    /// A partition that ends before or behind the disk, or between two sectors.
    #[error("partition {0} does not lie in whole sectors of the disk")]
    Place(u32),
    /// A partition that is there already.
    #[error("partition {number} ({label}) is where {wanted} would go")]
    Taken {
        /// What would go there.
        wanted: &'static str,
        /// Number of what is there.
        number: u32,
        /// Its label.
        label: String,
    },
    /// Sectors that we cannot handle.
    #[error(transparent)]
    SectorSize(#[from] SectorSizeError),
    /// The disk.
    #[error("{action} the disk")]
    Disk {
        /// What was being done.
        action: &'static str,
        /// Cause.
        source: io::Error,
    },
}

/// One partition of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its place in the table, from 1.
    pub number: u32,
    /// Its type.
    pub type_guid: Uuid,
    /// Its own identity.
    pub guid: Uuid,
    /// First byte.
    pub start: u64,
    /// Bytes.
    pub length: u64,
    /// Attributes.
    pub flags: u64,
    /// Its name in the table.
    pub label: String,
}

impl Partition {
    /// A partition of the layout.
    pub fn new(extent: &Extent, guid: Uuid) -> Self {
        let Extent { spec, number, start, length } = *extent;
        Self {
            number,
            type_guid: spec.type_guid,
            guid,
            start,
            length,
            flags: 0,
            label: spec.label.to_owned(),
        }
    }

    /// First byte and the one after the last.
    pub fn range(&self) -> std::ops::Range<u64> {
        self.start..self.start.saturating_add(self.length)
    }
}

/// A partition table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Identity of the disk.
    pub guid: Uuid,
    /// Its partitions, by their numbers.
    pub partitions: Vec<Partition>,
}

impl Table {
    /// Reads the table of a disk: the primary copy, else the backup. `None` when neither is valid.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn read<D: Device + ?Sized>(device: &D) -> Result<Option<Self>, TableError> {
        Ok(Copies::read(device)?.best().cloned())
    }

    /// The partition of this name.
    pub fn find(&self, label: &str) -> Option<&Partition> {
        self.partitions.iter().find(|partition| partition.label == label)
    }

    /// Writes the table over whatever the disk held.
    ///
    /// # Errors
    /// When a partition does not fit, or the disk fails.
    pub fn write<D: Device + ?Sized>(&self, device: &D) -> Result<(), TableError> {
        self.check(device)?;
        self.write_backup(device)?;
        self.write_primary(device)
    }

    /// What is erased for a new partition must be nobody's.
    fn has_room_for(&self, extent: &Extent) -> Result<(), TableError> {
        let taken = |partition: &&Partition| extent.is_taken_by(partition.number, &partition.range());
        match self.partitions.iter().find(taken) {
            None => Ok(()),
            Some(other) => Err(TableError::Taken {
                wanted: extent.spec.label,
                number: other.number,
                label: other.label.clone(),
            }),
        }
    }

    fn check<D: Device + ?Sized>(&self, device: &D) -> Result<(), TableError> {
        let sector = device.sector_size().bytes();
        let taken = codec::entry_sectors(device.sector_size()) + 1;
        let sectors = device.size() / sector;
        let (first, end) = ((taken + 1) * sector, sectors.saturating_sub(taken) * sector);
        for partition in &self.partitions {
            let in_table =
                usize::try_from(partition.number).is_ok_and(|number| (1..=codec::ENTRIES).contains(&number));
            if !in_table {
                return Err(TableError::Number(partition.number));
            }
            let whole = partition.start.is_multiple_of(sector) && partition.length.is_multiple_of(sector);
            let inside = first <= partition.start && partition.range().end <= end;
            if !whole || !inside || partition.length == 0 {
                return Err(TableError::Place(partition.number));
            }
        }
        Ok(())
    }

    fn write_backup<D: Device + ?Sized>(&self, device: &D) -> Result<(), TableError> {
        let sector = device.sector_size();
        let sectors = device.size() / sector.bytes();
        let entries = codec::entries(self, sector);
        let header = codec::header(self.guid, Place::Backup, &entries, sectors, sector);
        let at = sectors.saturating_sub(1 + codec::entry_sectors(sector)) * sector.bytes();
        write_synced(device, &[entries, header].concat(), at)
    }

    fn write_primary<D: Device + ?Sized>(&self, device: &D) -> Result<(), TableError> {
        let sector = device.sector_size();
        let sectors = device.size() / sector.bytes();
        let entries = codec::entries(self, sector);
        let header = codec::header(self.guid, Place::Primary, &entries, sectors, sector);
        write_synced(device, &[codec::protective_mbr(sectors, sector), header, entries].concat(), 0)
    }
}

fn write_synced<D: Device + ?Sized>(device: &D, bytes: &[u8], at: u64) -> Result<(), TableError> {
    device.write_at(bytes, at).and_then(|()| device.sync()).map_err(failed("write the table of"))
}

fn failed(action: &'static str) -> impl FnOnce(io::Error) -> TableError {
    move |source| TableError::Disk { action, source }
}

/// Both copies, where they are valid.
#[derive(Debug)]
struct Copies {
    primary: Option<codec::Copy>,
    /// The one at the end of the disk, or where the primary one says it is: a disk may have grown.
    backup: Option<codec::Copy>,
    /// It is at the end of the disk.
    backup_at_end: bool,
}

impl Copies {
    fn read<D: Device + ?Sized>(device: &D) -> Result<Self, TableError> {
        let read = |sector| codec::read(device, sector).map_err(failed("read the table of"));
        let end = (device.size() / device.sector_size().bytes()).saturating_sub(1);
        let primary = read(1)?;
        let at_end = read(end)?;
        let backup_at_end = at_end.is_some();
        let backup = match (at_end, &primary) {
            (None, Some(primary)) if primary.other != end => read(primary.other)?,
            (at_end, _) => at_end,
        };
        Ok(Self { primary, backup, backup_at_end })
    }

    fn best(&self) -> Option<&Table> {
        self.primary.as_ref().or(self.backup.as_ref()).map(|copy| &copy.table)
    }

    /// Both are there, and say the same.
    fn whole(&self) -> bool {
        let table = |copy: &Option<codec::Copy>| copy.as_ref().map(|copy| copy.table.clone());
        self.primary.is_some() && self.backup_at_end && table(&self.primary) == table(&self.backup)
    }
}

/// Makes both copies whole and the same when they are not, and answers the table. Writes nothing else.
///
/// # Errors
/// When there is no table, or the disk fails.
pub fn repair<D: Device + ?Sized>(device: &D) -> Result<Table, TableError> {
    let copies = Copies::read(device)?;
    let table = copies.best().cloned().ok_or(TableError::NoTable)?;
    if !copies.whole() {
        table.check(device)?;
        // The copy that was read stays untouched until the other one is on the medium.
        if copies.primary.is_none() {
            table.write_primary(device)?;
        }
        table.write_backup(device)?;
        table.write_primary(device)?;
    }
    Ok(table)
}

/// Changes the table of a disk.
///
/// # Errors
/// When `change` fails, its result does not fit, or the disk fails.
pub fn change<D: Device + ?Sized>(
    device: &D,
    change: impl FnOnce(&mut Table) -> Result<(), TableError>,
) -> Result<(), TableError> {
    let copies = Copies::read(device)?;
    let before = copies.best().cloned().ok_or(TableError::NoTable)?;
    let mut after = before.clone();
    change(&mut after)?;
    after.partitions.sort_by_key(|partition| partition.number);
    after.check(device)?;
    if after == before && copies.whole() {
        return Ok(());
    }
    if copies.primary.is_none() {
        before.write_primary(device)?;
    }
    after.write(device)
}

/// Adds partitions to the table of a disk. The kernel is not told.
///
/// # Errors
/// When they do not fit, or the disk fails.
pub fn add(disk: File, sector_size: u64, extents: &[Extent]) -> Result<(), TableError> {
    let disk = open(disk, sector_size)?;
    let table = Table::read(&disk)?.ok_or(TableError::NoTable)?;
    for extent in extents {
        table.has_room_for(extent)?;
    }
    for extent in extents {
        erase(&disk, extent).map_err(failed("erase free space of"))?;
    }
    disk.sync().map_err(failed("write to"))?;
    change(&disk, |table| {
        for extent in extents {
            table.partitions.push(Partition::new(extent, Uuid::new_v4()));
        }
        Ok(())
    })
}

/// Gives a partition another identity. The kernel is not told.
///
/// # Errors
/// When there is no such partition, or the disk fails.
pub fn set_uuid(disk: File, sector_size: u64, number: u32, uuid: Uuid) -> Result<(), TableError> {
    change(&open(disk, sector_size)?, |table| {
        let mut partitions = table.partitions.iter_mut();
        let found = partitions.find(|partition| partition.number == number);
        found.ok_or(TableError::NoPartition(number))?.guid = uuid;
        Ok(())
    })
}

fn open(disk: File, sector_size: u64) -> Result<Disk, TableError> {
    Disk::new(disk, SectorSize::try_from(sector_size)?).map_err(failed("measure"))
}

/// Zeros are written, not unmapped: the space lies between partitions that are in use.
fn erase(disk: &Disk, extent: &Extent) -> io::Result<()> {
    let length = ERASED.min(extent.length);
    let end = extent.start + extent.length;
    crate::device::write_zeros(disk, extent.start..extent.start + length)?;
    crate::device::write_zeros(disk, end - length..end)
}

#[cfg(test)]
mod tests;
