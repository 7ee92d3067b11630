//! What is erased, in which order, and how long it may take: pure decisions.
//!
//! A whole disk is erased from its secrets to its system: what a power cut leaves is a machine that boots, or none, but
//! not one that looks intact and has lost its keys.

use std::ops::Range;
use std::time::Duration;

use corten_constants::labels;
use corten_sys::block::gpt::Partition;

use crate::node::{WipeMethod, WipePlan};

/// What a probe looks at: the start and the end of a device.
const HEADER: u64 = 4 << 20;
const TRAILER: u64 = 1 << 20;
/// A device that is slower than this is taken for one that hangs.
const SLOWEST_PER_SECOND: u64 = 20 << 20;
/// So long, not even one piece of zeros takes.
pub(in crate::shutdown) const STALL: Duration = Duration::from_secs(60);
/// Beside the time for the bytes.
const START: Duration = Duration::from_secs(20);
/// Discarding does not depend much on the size.
const DISCARD: Duration = Duration::from_secs(60);

/// A range of a disk that is erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::shutdown) struct Target {
    /// For people.
    pub(in crate::shutdown) name: String,
    /// Bytes of the disk.
    pub(in crate::shutdown) range: Range<u64>,
    /// Until it is erased, a mark at its end says that it may be formatted.
    pub(in crate::shutdown) marked: bool,
}

/// A way to erase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shutdown) enum Way {
    /// Tell the device, and check by samples that zeros are read.
    DiscardAndCheck,
    /// Tell the device, and believe it.
    Discard,
    /// Zeros everywhere.
    Zeros,
    /// Zeros at the start and the end.
    Headers,
}

impl Way {
    /// For the console.
    pub(in crate::shutdown) fn words(self) -> &'static str {
        match self {
            Self::DiscardAndCheck | Self::Discard => "by discarding",
            Self::Zeros => "by writing zeros",
            Self::Headers => "by its headers only",
        }
    }

    /// How long it may take.
    pub(in crate::shutdown) fn deadline(self, length: u64) -> Duration {
        match self {
            Self::DiscardAndCheck | Self::Discard => DISCARD,
            Self::Zeros => START + Duration::from_secs(length / SLOWEST_PER_SECOND),
            Self::Headers => START,
        }
    }
}

/// The ways to try, the first that works counts.
pub(in crate::shutdown) fn ways(method: WipeMethod) -> &'static [Way] {
    match method {
        WipeMethod::Default => &[Way::DiscardAndCheck, Way::Zeros, Way::Headers],
        WipeMethod::Discard => &[Way::Discard, Way::Headers],
        WipeMethod::Overwrite => &[Way::Zeros, Way::Headers],
        WipeMethod::Headers => &[Way::Headers],
    }
}

/// The ranges to erase on a disk of `size` bytes, in order.
pub(in crate::shutdown) fn targets(plan: &WipePlan, size: u64, partitions: &[Partition]) -> Vec<Target> {
    let volume = |label: &'static str| partitions.iter().filter(move |partition| partition.label == label);
    let marked = |partition: &Partition| Target { marked: true, ..target(partition) };
    let mut targets = Vec::new();
    if plan.state || plan.disk {
        targets.extend(volume(labels::STATE).map(marked));
    }
    if plan.ephemeral || plan.disk {
        targets.extend(volume(labels::EPHEMERAL).map(marked));
    }
    if plan.disk {
        let others =
            partitions.iter().filter(|one| one.label != labels::STATE && one.label != labels::EPHEMERAL);
        let mut others: Vec<Target> = others.map(target).collect();
        // The boot loader before what it starts: one that is left alone would start a kernel without a root again and
        // again, and the firmware would never try another disk or medium.
        others.sort_by_key(|target| target.range.start);
        targets.extend(others);
        targets.extend(tables(size, partitions));
    }
    targets
}

fn target(partition: &Partition) -> Target {
    let range = partition.start..partition.start + partition.size;
    Target { name: partition.label.clone(), range, marked: false }
}

/// What no partition covers: the two copies of the table are there, and whatever lies in between.
fn tables(size: u64, partitions: &[Partition]) -> Vec<Target> {
    let mut covered: Vec<_> = partitions.iter().map(|one| one.start..one.start + one.size).collect();
    covered.sort_by_key(|range| range.start);
    let (mut gaps, mut at) = (Vec::new(), 0);
    for range in covered {
        if at < range.start {
            gaps.push(at..range.start);
        }
        at = at.max(range.end);
    }
    if at < size {
        gaps.push(at..size);
    }
    // The backup first: the primary one by itself is enough to boot.
    gaps.reverse();
    let named = |range| Target { name: "the partition table".to_owned(), range, marked: false };
    gaps.into_iter().map(named).collect()
}

/// The ranges that headers are in; they are the whole target when it is small.
pub(super) fn headers(range: &Range<u64>) -> Vec<Range<u64>> {
    let length = range.end - range.start;
    if length <= HEADER + TRAILER {
        return vec![range.clone()];
    }
    vec![range.start..range.start + HEADER, range.end - TRAILER..range.end]
}

/// How long all of it may take, with every way tried to its deadline.
pub(in crate::shutdown) fn budget(targets: &[Target], method: WipeMethod) -> Duration {
    let one = |target: &Target| -> Duration {
        let length = target.range.end - target.range.start;
        ways(method).iter().map(|way| way.deadline(length)).sum()
    };
    targets.iter().map(one).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn disk() -> Vec<Partition> {
        let labels = ["EFI", "META", "ROOT-A", "ROOT-B", "STATE", "EPHEMERAL"];
        let partition = |(number, label): (u32, &str)| Partition {
            number,
            label: label.into(),
            uuid: String::new(),
            type_uuid: String::new(),
            start: MIB * 10 * u64::from(number),
            size: 10 * MIB,
        };
        (1..).zip(labels).map(partition).collect()
    }

    fn names(plan: WipePlan) -> Vec<String> {
        targets(&plan, 100 * MIB, &disk()).into_iter().map(|target| target.name).collect()
    }

    #[test]
    fn only_what_was_asked_for_is_erased() {
        assert_eq!(names(WipePlan::default()), [""; 0]);
        assert_eq!(names(WipePlan { state: true, ..WipePlan::default() }), ["STATE"]);
        assert_eq!(names(WipePlan { ephemeral: true, ..WipePlan::default() }), ["EPHEMERAL"]);
        let both = WipePlan { state: true, ephemeral: true, ..WipePlan::default() };
        assert_eq!(names(both), ["STATE", "EPHEMERAL"]);
    }

    #[test]
    fn a_whole_disk_is_covered_with_secrets_first_and_the_table_last() {
        let plan = WipePlan { disk: true, ..WipePlan::default() };
        let table = "the partition table";
        let order = ["STATE", "EPHEMERAL", "EFI", "META", "ROOT-A", "ROOT-B", table, table];
        assert_eq!(names(plan.clone()), order);
        let mut ranges: Vec<_> =
            targets(&plan, 100 * MIB, &disk()).into_iter().map(|target| target.range).collect();
        assert_eq!(ranges.last().map(|range| range.start), Some(0), "the primary table is the very last");
        ranges.sort_by_key(|range| range.start);
        let end = ranges.into_iter().fold(0, |at, range| {
            assert_eq!(at, range.start, "there is no hole");
            range.end
        });
        assert_eq!(end, 100 * MIB);
        let empty = targets(&plan, 100 * MIB, &[]);
        assert_eq!(empty.len(), 1, "a disk without a table is erased too");
        assert_eq!(empty[0].range, 0..100 * MIB);
    }

    #[test]
    fn every_method_ends_with_one_that_is_quick() {
        for method in [WipeMethod::Default, WipeMethod::Discard, WipeMethod::Overwrite, WipeMethod::Headers] {
            assert_eq!(ways(method).last(), Some(&Way::Headers));
        }
        let target = Target { name: String::new(), range: 0..(512 << 20), marked: false };
        let budget = budget(&[target], WipeMethod::Default);
        assert_eq!(budget, Duration::from_secs(60 + 20 + 25 + 20));
    }

    #[test]
    fn headers_are_the_ends() {
        assert_eq!(headers(&(0..3 * MIB)), vec![Range { start: 0, end: 3 * MIB }]);
        assert_eq!(headers(&(MIB..65 * MIB)), [MIB..5 * MIB, 64 * MIB..65 * MIB]);
    }
}
