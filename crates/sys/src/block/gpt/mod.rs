//! Reads a GUID partition table: enough to find a partition, small enough for the initramfs.
//!
//! The primary table is believed when its checksums hold, else the backup at the end of the disk. Writing is the
//! installer's work.

mod many;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use camino::Utf8Path;

pub use many::Reader;

/// Why a table could not be read.
#[derive(Debug, thiserror::Error)]
pub enum GptError {
    /// The device cannot be read.
    #[error("read the partition table of {device}")]
    Read {
        /// Device node.
        device: String,
        /// Cause.
        source: io::Error,
    },
    /// The device hangs, or takes its time.
    #[error("{device} does not answer")]
    Silent {
        /// Device node.
        device: String,
    },
    /// Neither copy of the table is valid.
    #[error("{device} has no valid partition table")]
    Invalid {
        /// Device node.
        device: String,
    },
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its place in the table, from 1, which the kernel uses as its number.
    pub number: u32,
    /// Name in the table.
    pub label: String,
    /// Unique id, in lower case with dashes.
    pub uuid: String,
    /// Type, in lower case with dashes.
    pub type_uuid: String,
    /// First byte.
    pub start: u64,
    /// Bytes.
    pub size: u64,
}

/// Partitions of the disk at `path`.
pub fn read(path: &Utf8Path, sector_size: u64) -> Result<Vec<Partition>, GptError> {
    let failed = |source| GptError::Read { device: path.to_string(), source };
    let file = File::open(path).map_err(failed)?;
    let sectors = super::size(&file).map_err(failed)? / sector_size;
    // A disk that grew has its backup somewhere inside; the primary one is then the only hope, and enough.
    let mut unreadable = None;
    for header in [1, sectors.saturating_sub(1)] {
        match read_at(&file, header, sector_size) {
            Ok(Some(partitions)) => return Ok(partitions),
            Ok(None) => {}
            Err(error) => unreadable = Some(error),
        }
    }
    Err(unreadable.map_or_else(|| GptError::Invalid { device: path.to_string() }, failed))
}

fn read_at(file: &File, header_sector: u64, sector_size: u64) -> io::Result<Option<Vec<Partition>>> {
    let mut header = [0_u8; 512];
    match file.read_exact_at(&mut header, header_sector * sector_size) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let Some(table) = Table::parse(&header) else { return Ok(None) };
    let mut entries = vec![0_u8; table.bytes()];
    match file.read_exact_at(&mut entries, table.entries_sector.saturating_mul(sector_size)) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    Ok((crc32fast::hash(&entries) == table.entries_crc).then(|| table.partitions(&entries, sector_size)))
}

/// What the header says about the entries.
struct Table {
    entries_sector: u64,
    count: usize,
    entry_size: usize,
    entries_crc: u32,
}

impl Table {
    fn parse(header: &[u8; 512]) -> Option<Self> {
        let length = usize::try_from(u32_at(header, 12)?).ok()?;
        if !header.starts_with(b"EFI PART") || !(92..=512).contains(&length) {
            return None;
        }
        let mut checked = header.get(..length)?.to_vec();
        checked.get_mut(16..20)?.fill(0);
        if crc32fast::hash(&checked) != u32_at(header, 16)? {
            return None;
        }
        let count = usize::try_from(u32_at(header, 80)?).ok()?;
        let entry_size = usize::try_from(u32_at(header, 84)?).ok()?;
        let sane = (1..=1024).contains(&count) && (128..=4096).contains(&entry_size);
        let (entries_sector, entries_crc) = (u64_at(header, 72)?, u32_at(header, 88)?);
        sane.then_some(Self { entries_sector, count, entry_size, entries_crc })
    }

    fn bytes(&self) -> usize {
        self.count * self.entry_size
    }

    fn partitions(&self, entries: &[u8], sector_size: u64) -> Vec<Partition> {
        let numbered = (1..).zip(entries.chunks_exact(self.entry_size));
        numbered.filter_map(|(number, entry)| partition(number, entry, sector_size)).collect()
    }
}

fn partition(number: u32, entry: &[u8], sector_size: u64) -> Option<Partition> {
    let type_uuid: [u8; 16] = entry.get(..16)?.try_into().ok()?;
    if type_uuid == [0; 16] {
        return None;
    }
    let (first, last) = (u64_at(entry, 32)?, u64_at(entry, 40)?);
    let sectors = last.checked_sub(first)?.checked_add(1)?;
    let units = entry.get(56..128)?.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let label: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
    Some(Partition {
        number,
        label: String::from_utf16_lossy(&label),
        uuid: uuid(entry.get(16..32)?.try_into().ok()?),
        type_uuid: uuid(type_uuid),
        start: first.checked_mul(sector_size)?,
        size: sectors.checked_mul(sector_size)?,
    })
}

/// The first three groups are little-endian on disk.
fn uuid(bytes: [u8; 16]) -> String {
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let mut text = String::with_capacity(36);
    for (position, index) in order.into_iter().enumerate() {
        if matches!(position, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{:02x}", bytes[index]));
    }
    text
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests;
