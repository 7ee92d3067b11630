//! What to do with a system disk and what is on it: pure decisions.

use corten_sys::block::gpt::Partition;
use corten_sys::block::probe::Content;
use installer::layout::{self, Extent, LayoutError, Origin};

use super::marker::Mark;

/// Why a disk cannot hold the volumes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Too small.
    #[error("the system disk is too small")]
    TooSmall(#[from] LayoutError),
    /// Somebody else's partitions.
    #[error("partition {number} ({label}) lies where {wanted} belongs")]
    Overlap {
        /// What belongs there.
        wanted: &'static str,
        /// Number of what is there.
        number: u32,
        /// Its label.
        label: String,
    },
    /// Numbers with holes cannot be kept when the table is written.
    #[error("the partition table is not one of ours: its numbers are {numbers:?}")]
    Foreign {
        /// Numbers in the table.
        numbers: Vec<u32>,
    },
}

/// Partitions that a system disk of `size` bytes still lacks.
pub fn partitions(size: u64, have: &[Partition]) -> Result<Vec<Extent>, PlanError> {
    let lacks = |label: &str| !have.iter().any(|partition| partition.label == label);
    let created_here = layout::LAYOUT.iter().filter(|spec| spec.origin == Origin::FirstBoot);
    if created_here.filter(|spec| lacks(spec.label)).count() == 0 {
        // A complete disk is not judged by its size: the layout may have been another one.
        return Ok(Vec::new());
    }
    let numbers: Vec<u32> = have.iter().map(|partition| partition.number).collect();
    if !numbers.iter().copied().eq((1..).take(numbers.len())) {
        return Err(PlanError::Foreign { numbers });
    }
    let placed = layout::place(size)?;
    let missing = placed.into_iter().filter(|extent| extent.spec.origin == Origin::FirstBoot);
    missing.filter(|extent| lacks(extent.spec.label)).map(|extent| free(extent, have)).collect()
}

fn free(extent: Extent, have: &[Partition]) -> Result<Extent, PlanError> {
    let taken = |partition: &&Partition| {
        let range = partition.start..partition.start + partition.size;
        extent.is_taken_by(partition.number, &range)
    };
    match have.iter().find(taken) {
        None => Ok(extent),
        Some(other) => Err(PlanError::Overlap {
            wanted: extent.spec.label,
            number: other.number,
            label: other.label.clone(),
        }),
    }
}

/// What a volume needs before it can be mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A new file system.
    Format,
    /// Zeros everywhere, then a new file system: a reset was cut off.
    Erase,
    /// A check of the one that is there.
    Check,
    /// Nothing may be done.
    Refuse(String),
}

/// Decides from what was found. `mark` is our own, of work that began and did not end.
pub(super) fn step(content: Content, mark: Option<Mark>) -> Step {
    match content {
        _ if mark == Some(Mark::Erase) => Step::Erase,
        _ if mark == Some(Mark::Format) => Step::Format,
        Content::Empty => Step::Format,
        Content::Known("ext4") => Step::Check,
        Content::Known(other) => Step::Refuse(format!("it holds {other}, which is not formatted over")),
        Content::Unknown => {
            Step::Refuse("it holds data of an unknown kind, which is not formatted over".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn image_disk(size: u64) -> Vec<Partition> {
        let extents = layout::place(size).unwrap().into_iter();
        extents
            .filter(|extent| extent.spec.origin == Origin::Image)
            .map(|extent| partition(&extent))
            .collect()
    }

    fn partition(extent: &Extent) -> Partition {
        Partition {
            number: extent.number,
            label: extent.spec.label.into(),
            uuid: String::new(),
            type_uuid: extent.spec.type_guid.to_string(),
            start: extent.start,
            size: extent.length,
        }
    }

    fn labels(size: u64, have: &[Partition]) -> Vec<&'static str> {
        partitions(size, have).unwrap().iter().map(|extent| extent.spec.label).collect()
    }

    #[test]
    fn a_fresh_image_lacks_both_and_a_used_disk_none() {
        let mut have = image_disk(20 * GIB);
        assert_eq!(labels(20 * GIB, &have), ["STATE", "EPHEMERAL"]);
        let new = partitions(20 * GIB, &have).unwrap();
        have.push(partition(&new[0]));
        assert_eq!(labels(20 * GIB, &have), ["EPHEMERAL"], "power was cut in between");
        have.push(partition(&new[1]));
        assert_eq!(labels(20 * GIB, &have), [""; 0]);
        assert_eq!(labels(1, &have), [""; 0], "a complete disk is never too small");
    }

    #[test]
    fn a_disk_that_is_too_small_is_told_with_the_size_it_needs() {
        let needed = layout::minimum_disk();
        let error = partitions(needed - 1, &image_disk(20 * GIB)).unwrap_err();
        assert_eq!(error, PlanError::TooSmall(LayoutError::TooSmall { disk: needed - 1, needed }));
        assert!(partitions(needed, &image_disk(20 * GIB)).is_ok());
    }

    #[test]
    fn somebody_elses_partition_is_left_alone() {
        let mut have = image_disk(20 * GIB);
        let mut other = partition(&layout::place(20 * GIB).unwrap()[5]);
        other.label = "backup".into();
        other.number = 5;
        have.push(other);
        let error = partitions(20 * GIB, &have).unwrap_err();
        assert!(matches!(error, PlanError::Overlap { number: 5, .. }), "{error}");
        have.last_mut().unwrap().number = 9;
        assert!(matches!(partitions(20 * GIB, &have), Err(PlanError::Foreign { .. })));
    }

    #[test]
    fn only_what_is_empty_or_half_formatted_by_us_is_formatted() {
        assert_eq!(step(Content::Empty, None), Step::Format);
        assert_eq!(step(Content::Unknown, Some(Mark::Format)), Step::Format);
        assert_eq!(step(Content::Known("ext4"), Some(Mark::Erase)), Step::Erase);
        assert_eq!(step(Content::Known("ext4"), None), Step::Check);
        assert!(matches!(step(Content::Unknown, None), Step::Refuse(_)));
        assert!(matches!(step(Content::Known("xfs"), None), Step::Refuse(why) if why.contains("xfs")));
    }
}
