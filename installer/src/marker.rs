//! The mark of an installation that has begun: a sector in the gap before the first partition.
//!
//! ```text
//! offset  bytes  what
//!      0      8  "CORTENIN"
//!      8      4  format, 1
//!     12     16  identity of the disk that will be in its table
//!     28     32  SHA-256 of the bytes before
//! ```
//! It is on the medium before anything else is changed, and is erased when the disk boots. When power is cut in between
//! these two, the identity tells that what boots is what was installed.

use std::io;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::device::Device;

/// Where it lies: behind any partition table, before the first partition.
pub const OFFSET: u64 = 512 << 10;

const MAGIC: &[u8; 8] = b"CORTENIN";
const FORMAT: u32 = 1;
const HASHED: usize = 28;
const LENGTH: usize = HASHED + 32;

/// The identity in the mark, when there is one.
///
/// # Errors
/// When the disk fails.
pub fn read<D: Device + ?Sized>(device: &D) -> io::Result<Option<Uuid>> {
    let mut sector = vec![0; device.sector_size().length()];
    if OFFSET + device.sector_size().bytes() > device.size() {
        return Ok(None);
    }
    device.read_at(&mut sector, OFFSET)?;
    Ok(decode(&sector))
}

/// Puts the mark on the medium.
pub(crate) fn write<D: Device + ?Sized>(device: &D, disk: Uuid) -> io::Result<()> {
    let mut sector = encode(disk);
    sector.resize(device.sector_size().length(), 0);
    device.write_at(&sector, OFFSET)?;
    device.sync()
}

/// Takes it away.
pub(crate) fn erase<D: Device + ?Sized>(device: &D) -> io::Result<()> {
    device.zero(OFFSET..OFFSET + device.sector_size().bytes())?;
    device.sync()
}

fn encode(disk: Uuid) -> Vec<u8> {
    let mut bytes = [&MAGIC[..], &FORMAT.to_le_bytes(), disk.as_bytes()].concat();
    let hash = Sha256::digest(&bytes);
    bytes.extend(hash);
    bytes
}

fn decode(sector: &[u8]) -> Option<Uuid> {
    let disk = Uuid::from_bytes(sector.get(12..HASHED)?.try_into().ok()?);
    (sector.get(..LENGTH)? == encode(disk)).then_some(disk)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::SectorSize;
    use crate::testing::FlakyDisk;

    #[test]
    fn a_mark_reads_back_and_any_other_bit_makes_it_none() {
        for sector in [SectorSize::B512, SectorSize::B4096] {
            let disk = FlakyDisk::new(1 << 20, sector);
            assert_eq!(read(&disk).unwrap(), None);
            write(&disk, Uuid::from_u128(7)).unwrap();
            assert_eq!(read(&disk).unwrap(), Some(Uuid::from_u128(7)));
            erase(&disk).unwrap();
            assert_eq!(read(&disk).unwrap(), None);
        }
        let good = encode(Uuid::from_u128(7));
        assert_eq!(decode(&good), Some(Uuid::from_u128(7)));
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&bad), None, "bit {bit}");
        }
    }

    #[test]
    fn a_disk_that_ends_before_it_has_none() {
        assert_eq!(read(&FlakyDisk::new(4096, SectorSize::B512)).unwrap(), None);
    }
}
