//! A range of a disk that takes an image: written as it arrives, synced, read back.

use std::io;
use std::ops::Range;

use uuid::Uuid;

use crate::device::Device;

/// A range of a disk: a partition, or a partition's own device from 0 on.
#[derive(Debug)]
pub struct Slot<'a, D: Device + ?Sized> {
    device: &'a D,
    range: Range<u64>,
}

/// Why an image is not in a slot.
#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    /// The image is larger than the slot.
    #[error("the image has {image} bytes, but the slot holds {slot}")]
    TooLarge {
        /// Bytes of the image.
        image: u64,
        /// Bytes of the slot.
        slot: u64,
    },
    /// The disk.
    #[error("{action} the slot")]
    Disk {
        /// What was being done.
        action: &'static str,
        /// Cause.
        source: io::Error,
    },
}

impl<'a, D: Device + ?Sized> Slot<'a, D> {
    /// The bytes of `range` are the slot.
    pub fn new(device: &'a D, range: Range<u64>) -> Self {
        Self { device, range }
    }

    /// Bytes that it holds.
    pub fn capacity(&self) -> u64 {
        self.range.end.saturating_sub(self.range.start)
    }

    /// Writes a part of the image. Parts may come in any order, and again.
    ///
    /// # Errors
    /// When it does not fit, or the disk fails.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), SlotError> {
        let image = offset.saturating_add(bytes.len() as u64);
        if image > self.capacity() {
            return Err(SlotError::TooLarge { image, slot: self.capacity() });
        }
        let source = self.device.write_at(bytes, self.range.start + offset);
        source.map_err(|source| SlotError::Disk { action: "write", source })
    }

    /// Makes the start of the slot zero and waits until it is: what was in it is not taken for an image any more.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn invalidate(&self) -> Result<(), SlotError> {
        let end = self.range.end.min(self.range.start + (1 << 20));
        let erased = self.device.zero(self.range.start..end).and_then(|()| self.device.sync());
        erased.map_err(|source| SlotError::Disk { action: "erase", source })
    }

    /// Waits until all that was written is on the medium.
    ///
    /// # Errors
    /// When any of it could not be written.
    pub fn sync(&self) -> Result<(), SlotError> {
        self.device.sync().map_err(|source| SlotError::Disk { action: "sync", source })
    }

    /// Fills `bytes` with what the medium has from `offset` on. Call it after [`Slot::sync`].
    ///
    /// # Errors
    /// When they lie outside of the slot, or the disk fails.
    pub fn read_back(&self, offset: u64, bytes: &mut [u8]) -> Result<(), SlotError> {
        let image = offset.saturating_add(bytes.len() as u64);
        if image > self.capacity() {
            return Err(SlotError::TooLarge { image, slot: self.capacity() });
        }
        let source = self.device.read_medium(bytes, self.range.start + offset);
        source.map_err(|source| SlotError::Disk { action: "read back", source })
    }
}

/// The identity of the partition that holds the image of this root hash: its first half. `None` when the text is not
/// 64 hexadecimal digits.
pub fn uuid(root_hash: &str) -> Option<Uuid> {
    let plain = root_hash.len() == 64 && root_hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    let half = root_hash.get(..32).filter(|_| plain)?;
    u128::from_str_radix(half, 16).ok().map(Uuid::from_u128)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::SectorSize;
    use crate::testing::FlakyDisk;

    const MIB: u64 = 1 << 20;

    #[test]
    fn parts_in_any_order_make_the_image_and_the_rest_stays() {
        let disk = FlakyDisk::new(32 * MIB, SectorSize::B512);
        let slot = Slot::new(&disk, 3 * MIB..19 * MIB);
        let image: Vec<u8> = (0..9 * MIB + 77).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let mut parts: Vec<_> = image.chunks(700_001).enumerate().collect();
        parts.reverse();
        for (index, part) in &parts {
            slot.write(*index as u64 * 700_001, part).unwrap();
        }
        slot.write(0, &image[..100]).unwrap();
        slot.sync().unwrap();
        let mut found = vec![0; image.len()];
        slot.read_back(0, &mut found).unwrap();
        assert!(found == image);
        slot.read_back(700_001, &mut found[..9]).unwrap();
        assert_eq!(found[..9], image[700_001..700_010]);
        assert!(matches!(slot.read_back(16 * MIB - 1, &mut [0; 2]), Err(SlotError::TooLarge { .. })));
        let mut outside = [9; 2];
        disk.read_at(&mut outside, 3 * MIB - 2).unwrap();
        assert_eq!(outside, [0; 2]);
        slot.invalidate().unwrap();
        slot.read_back(0, &mut found).unwrap();
        assert!(found != image);
    }

    #[test]
    fn an_image_that_is_too_large_does_not_reach_the_neighbour() {
        let disk = FlakyDisk::new(32 * MIB, SectorSize::B512);
        let slot = Slot::new(&disk, MIB..2 * MIB);
        for offset in [MIB, MIB - 1, u64::MAX] {
            assert!(matches!(slot.write(offset, &[1; 2]), Err(SlotError::TooLarge { .. })));
        }
        assert_eq!(disk.operations(), 0);
    }

    #[test]
    fn a_slot_is_known_by_the_first_half_of_its_hash() {
        let hash = "00112233445566778899aabbccddeeff".repeat(2);
        assert_eq!(uuid(&hash).unwrap().to_string(), "00112233-4455-6677-8899-aabbccddeeff");
        assert!([&hash[1..], "", &"+0".repeat(32)].iter().all(|text| uuid(text).is_none()));
    }
}
