//! The bytes of a GUID partition table (UEFI specification 2.10, chapter 5).
//!
//! Whatever a disk holds, reading it ends in a table or in none, never in a panic: this runs in PID 1.

use std::io;

use uuid::Uuid;

use super::{Partition, Table};
use crate::device::{Device, SectorSize};

const SIGNATURE: &[u8; 8] = b"EFI PART";
const REVISION: u32 = 0x0001_0000;
const HEADER_LENGTH: usize = 92;
/// Entries that we write: the number that everybody has.
pub(super) const ENTRIES: usize = 128;
const ENTRY_LENGTH: usize = 128;
const NAME_UNITS: usize = 36;

/// One copy of the table, and the place of its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Copy {
    pub(super) table: Table,
    /// Sector of the other copy.
    pub(super) other: u64,
}

/// Sectors that the entries take.
pub(super) fn entry_sectors(sector: SectorSize) -> u64 {
    (ENTRIES * ENTRY_LENGTH) as u64 / sector.bytes()
}

/// Reads the copy whose header is in this sector. `None` when there is no valid one.
pub(super) fn read<D: Device + ?Sized>(device: &D, header: u64) -> io::Result<Option<Copy>> {
    let sector = device.sector_size();
    let Some(bytes) = read_at(device, header.saturating_mul(sector.bytes()), sector.length())? else {
        return Ok(None);
    };
    let Some(parsed) = Header::parse(&bytes).filter(|parsed| parsed.here == header) else {
        return Ok(None);
    };
    let at = parsed.entries.saturating_mul(sector.bytes());
    let Some(entries) = read_at(device, at, parsed.count * parsed.entry_length)? else { return Ok(None) };
    if crc32fast::hash(&entries) != parsed.entries_crc {
        return Ok(None);
    }
    let numbered = (1..).zip(entries.chunks_exact(parsed.entry_length));
    let partitions = numbered.filter_map(|(number, bytes)| partition(number, bytes, sector)).collect();
    let table = Table { guid: parsed.guid, partitions };
    Ok(Some(Copy { table, other: parsed.other }))
}

/// `None` when the disk ends before.
fn read_at<D: Device + ?Sized>(device: &D, at: u64, length: usize) -> io::Result<Option<Vec<u8>>> {
    if at.saturating_add(length as u64) > device.size() {
        return Ok(None);
    }
    let mut bytes = vec![0; length];
    device.read_at(&mut bytes, at)?;
    Ok(Some(bytes))
}

struct Header {
    here: u64,
    other: u64,
    guid: Uuid,
    entries: u64,
    count: usize,
    entry_length: usize,
    entries_crc: u32,
}

impl Header {
    fn parse(sector: &[u8]) -> Option<Self> {
        let length = usize::try_from(u32_at(sector, 12)?).ok()?;
        if !sector.starts_with(SIGNATURE) || !(HEADER_LENGTH..=512).contains(&length) {
            return None;
        }
        let mut checked = sector.get(..length)?.to_vec();
        checked.get_mut(16..20)?.fill(0);
        if crc32fast::hash(&checked) != u32_at(sector, 16)? {
            return None;
        }
        let count = usize::try_from(u32_at(sector, 80)?).ok()?;
        let entry_length = usize::try_from(u32_at(sector, 84)?).ok()?;
        let sane = (1..=1024).contains(&count) && (ENTRY_LENGTH..=4096).contains(&entry_length);
        sane.then_some(())?;
        Some(Self {
            here: u64_at(sector, 24)?,
            other: u64_at(sector, 32)?,
            guid: guid_at(sector, 56)?,
            entries: u64_at(sector, 72)?,
            count,
            entry_length,
            entries_crc: u32_at(sector, 88)?,
        })
    }
}

fn partition(number: u32, bytes: &[u8], sector: SectorSize) -> Option<Partition> {
    let type_guid = guid_at(bytes, 0).filter(|guid| !guid.is_nil())?;
    let (first, last) = (u64_at(bytes, 32)?, u64_at(bytes, 40)?);
    let sectors = last.checked_sub(first)?.checked_add(1)?;
    let name = bytes.get(56..56 + 2 * NAME_UNITS)?;
    let units: Vec<u16> = name
        .chunks_exact(2)
        .filter_map(|pair| Some(u16::from_le_bytes(pair.try_into().ok()?)))
        .take_while(|unit| *unit != 0)
        .collect();
    Some(Partition {
        number,
        type_guid,
        guid: guid_at(bytes, 16)?,
        start: first.checked_mul(sector.bytes())?,
        length: sectors.checked_mul(sector.bytes())?,
        flags: u64_at(bytes, 48)?,
        label: String::from_utf16_lossy(&units),
    })
}

/// The entries of a table, whole.
pub(super) fn entries(table: &Table, sector: SectorSize) -> Vec<u8> {
    let mut bytes = vec![0; ENTRIES * ENTRY_LENGTH];
    for partition in &table.partitions {
        let place = usize::try_from(partition.number).ok().and_then(|number| number.checked_sub(1));
        let place = place.and_then(|index| bytes.chunks_exact_mut(ENTRY_LENGTH).nth(index));
        if let Some(place) = place {
            place.copy_from_slice(&entry(partition, sector));
        }
    }
    bytes
}

fn entry(partition: &Partition, sector: SectorSize) -> [u8; ENTRY_LENGTH] {
    let first = partition.start / sector.bytes();
    let last = (partition.start + partition.length) / sector.bytes() - 1;
    let mut bytes = Vec::with_capacity(ENTRY_LENGTH);
    bytes.extend(partition.type_guid.to_bytes_le());
    bytes.extend(partition.guid.to_bytes_le());
    bytes.extend(first.to_le_bytes());
    bytes.extend(last.to_le_bytes());
    bytes.extend(partition.flags.to_le_bytes());
    bytes.extend(partition.label.encode_utf16().take(NAME_UNITS).flat_map(u16::to_le_bytes));
    padded(bytes)
}

/// Which of the two copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Primary,
    Backup,
}

/// The sector of a header. `sectors` is how many the disk has.
pub(super) fn header(guid: Uuid, place: Place, entries: &[u8], sectors: u64, sector: SectorSize) -> Vec<u8> {
    let taken = entry_sectors(sector);
    let (first, last) = (1, sectors.saturating_sub(1));
    let (here, other, table) = match place {
        Place::Primary => (first, last, first + 1),
        Place::Backup => (last, first, last.saturating_sub(taken)),
    };
    let mut bytes = Vec::with_capacity(sector.length());
    bytes.extend(SIGNATURE);
    bytes.extend(REVISION.to_le_bytes());
    bytes.extend(92_u32.to_le_bytes());
    bytes.extend([0; 8]); // checksum, reserved
    for number in [here, other, first + 1 + taken, last.saturating_sub(taken + 1)] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(guid.to_bytes_le());
    bytes.extend(table.to_le_bytes());
    bytes.extend(128_u32.to_le_bytes());
    bytes.extend(128_u32.to_le_bytes());
    bytes.extend(crc32fast::hash(entries).to_le_bytes());
    let checksum = crc32fast::hash(&bytes);
    if let Some(place) = bytes.get_mut(16..20) {
        place.copy_from_slice(&checksum.to_le_bytes());
    }
    bytes.resize(sector.length(), 0);
    bytes
}

/// The first sector: one partition over the whole disk, so that systems that know no GPT keep off.
pub(super) fn protective_mbr(sectors: u64, sector: SectorSize) -> Vec<u8> {
    let mut bytes = vec![0; sector.length()];
    let covered = u32::try_from(sectors.saturating_sub(1)).unwrap_or(u32::MAX);
    let mut record = [0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0, 0];
    record[12..].copy_from_slice(&covered.to_le_bytes());
    for (at, part) in [(446, &record[..]), (510, &[0x55, 0xaa])] {
        if let Some(place) = bytes.get_mut(at..at + part.len()) {
            place.copy_from_slice(part);
        }
    }
    bytes
}

fn padded<const N: usize>(mut bytes: Vec<u8>) -> [u8; N] {
    bytes.resize(N, 0);
    bytes.try_into().unwrap_or([0; N])
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn guid_at(bytes: &[u8], at: usize) -> Option<Uuid> {
    Some(Uuid::from_bytes_le(bytes.get(at..at + 16)?.try_into().ok()?))
}
