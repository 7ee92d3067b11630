//! The one table that says which partitions a system disk has, in which order and how large.
//!
//! Sizes are generous from the start, because a partition cannot be grown later under a running
//! fleet. Offsets are fixed: only EPHEMERAL, the last one, depends on the size of the disk. They are the same in bytes
//! whatever the sectors of the disk are, so that an image can be moved between disks.

use std::ops::Range;

use corten_constants::labels;
use uuid::{Uuid, uuid};

/// Partitions start on a multiple of this many bytes.
pub const ALIGNMENT: u64 = MIB;
/// The smallest EPHEMERAL that a node can work with.
pub const EPHEMERAL_MIN: u64 = 256 * MIB;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Bytes that the backup of the partition table takes at the end of a disk: entries and a header, in the largest sectors
/// that there are.
const BACKUP_TABLE: u64 = (16 << 10) + 4096;

/// How large a partition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// This many bytes.
    Fixed(u64),
    /// All that is left, but at least this many bytes.
    Rest(u64),
}

/// Who makes a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The image or the installer.
    Image,
    /// The node, on its first boot, so that an image stays small and a disk is used whole.
    FirstBoot,
}

/// A partition as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionSpec {
    /// Its name in the partition table, by which it is found.
    pub label: &'static str,
    /// Its type. Ours are our own, so that no other system takes them for its own.
    pub type_guid: Uuid,
    /// How large it is.
    pub size: Size,
    /// Who makes it.
    pub origin: Origin,
}

/// Type of META.
pub const TYPE_META: Uuid = uuid!("f9e3c817-289c-4bac-bdba-5faf2f816f6d");
/// Type of both root slots.
pub const TYPE_ROOT: Uuid = uuid!("070edd40-6d1f-4e26-81c5-3f1dffafd47d");
/// Type of STATE.
pub const TYPE_STATE: Uuid = uuid!("1fd764be-655e-43f8-8391-d58bde3ecb73");
/// Type of EPHEMERAL.
pub const TYPE_EPHEMERAL: Uuid = uuid!("867c065b-d745-450a-bd4a-bf7169d44feb");
/// Type of the EFI system partition, from the UEFI specification: firmware looks for it.
pub const TYPE_EFI: Uuid = uuid!("c12a7328-f81f-11d2-ba4b-00a0c93ec93b");

/// The layout of a system disk, in order on the disk.
pub const LAYOUT: [PartitionSpec; 6] = [
    image(labels::EFI, TYPE_EFI, GIB),
    image(labels::META, TYPE_META, 16 * MIB),
    image(labels::ROOT_A, TYPE_ROOT, 2 * GIB),
    image(labels::ROOT_B, TYPE_ROOT, 2 * GIB),
    PartitionSpec {
        label: labels::STATE,
        type_guid: TYPE_STATE,
        size: Size::Fixed(512 * MIB),
        origin: Origin::FirstBoot,
    },
    PartitionSpec {
        label: labels::EPHEMERAL,
        type_guid: TYPE_EPHEMERAL,
        size: Size::Rest(EPHEMERAL_MIN),
        origin: Origin::FirstBoot,
    },
];

const fn image(label: &'static str, type_guid: Uuid, size: u64) -> PartitionSpec {
    PartitionSpec { label, type_guid, size: Size::Fixed(size), origin: Origin::Image }
}

/// Where a partition lies on a disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The partition.
    pub spec: PartitionSpec,
    /// Its number in the table, from 1.
    pub number: u32,
    /// Its first byte.
    pub start: u64,
    /// Its length.
    pub length: u64,
}

impl Extent {
    /// Whether a partition with this number, in these bytes of the disk, is where it would go.
    pub fn is_taken_by(&self, number: u32, range: &Range<u64>) -> bool {
        self.number == number || (range.start < self.start + self.length && self.start < range.end)
    }
}

/// Why a layout does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The disk ends before the layout does.
    #[error("the disk holds {disk} bytes, but a system disk needs at least {needed}")]
    TooSmall {
        /// Size of the disk.
        disk: u64,
        /// Size that would do.
        needed: u64,
    },
}

/// Places every partition of the layout on a disk of this size.
pub fn place(disk: u64) -> Result<Vec<Extent>, LayoutError> {
    let needed = minimum_disk();
    if disk < needed {
        return Err(LayoutError::TooSmall { disk, needed });
    }
    let end = align_down(disk - BACKUP_TABLE);
    let mut start = ALIGNMENT;
    let extents = (1..).zip(LAYOUT).map(|(number, spec)| {
        let length = match spec.size {
            Size::Fixed(size) => size,
            Size::Rest(_) => end - start,
        };
        let extent = Extent { spec, number, start, length };
        start += length;
        extent
    });
    Ok(extents.collect())
}

/// The smallest disk on which [`place`] succeeds.
pub fn minimum_disk() -> u64 {
    let partitions: u64 = LAYOUT
        .iter()
        .map(|spec| match spec.size {
            Size::Fixed(size) | Size::Rest(size) => size,
        })
        .sum();
    ALIGNMENT + partitions + ALIGNMENT // the backup table, rounded up
}

fn align_down(offset: u64) -> u64 {
    offset - offset % ALIGNMENT
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn partitions_follow_each_other_aligned_and_end_before_the_backup_table() {
        for disk in [minimum_disk(), 6 * GIB, 20 * GIB + 12_345 * 512] {
            let extents = place(disk).unwrap();
            let mut next = ALIGNMENT;
            for extent in &extents {
                assert_eq!(extent.start, next, "{}", extent.spec.label);
                assert_eq!(extent.start % ALIGNMENT, 0);
                assert_eq!(extent.length % ALIGNMENT, 0);
                next = extent.start + extent.length;
            }
            assert!(next <= disk - BACKUP_TABLE);
            assert!(disk - next < 2 * ALIGNMENT + BACKUP_TABLE, "nothing is wasted");
        }
    }

    #[test]
    fn the_fixed_part_does_not_depend_on_the_disk() {
        let (small, large) = (place(minimum_disk()).unwrap(), place(4096 * GIB).unwrap());
        assert_eq!(small[..5], large[..5]);
        assert!(large[5].length > 4000 * GIB);
    }

    #[test]
    fn a_disk_that_is_a_byte_too_small_is_refused_with_what_it_needs() {
        let needed = minimum_disk();
        assert_eq!(place(needed - 1), Err(LayoutError::TooSmall { disk: needed - 1, needed }));
        assert_eq!(place(needed).unwrap()[5].length, EPHEMERAL_MIN);
    }

    #[test]
    fn labels_are_unique_and_the_rest_comes_last() {
        let labels: BTreeSet<_> = LAYOUT.iter().map(|spec| spec.label).collect();
        assert_eq!(labels.len(), LAYOUT.len());
        let rests: Vec<_> = LAYOUT.iter().map(|spec| matches!(spec.size, Size::Rest(_))).collect();
        assert_eq!(rests, [false, false, false, false, false, true]);
    }
}
