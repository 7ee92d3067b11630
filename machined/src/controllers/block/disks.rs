//! What disks there are, and what is on them.
//!
//! Only looks: nothing here writes.

use corten_constants::labels;
use corten_resources::block::{DiskStatus, PartitionStatus};
use corten_sys::block::gpt::{self, Partition};
use corten_sys::block::probe::{self, Content};
use corten_sys::block::{self, Disk};

/// A disk with its table; no table is an empty list.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) disk: Disk,
    pub(super) partitions: Vec<Partition>,
}

/// Every disk.
pub(super) fn find() -> Vec<Found> {
    block::disks().into_iter().map(look).collect()
}

fn look(disk: Disk) -> Found {
    let partitions = gpt::read(&disk.path, disk.sector_size).unwrap_or_default();
    Found { disk, partitions }
}

/// What is on it, in a word or two. Reads some MiB of a disk without a table.
pub(super) fn content(found: &Found) -> String {
    if found.partitions.is_empty() {
        probe::probe(&found.disk.path).map_or_else(|error| format!("unreadable: {error}"), word)
    } else {
        describe(&found.partitions)
    }
}

/// Whether `device`, the kernel name of a disk or partition, is this disk or a part of it.
pub(super) fn holds(disk: &str, device: &str) -> bool {
    let Some(rest) = device.strip_prefix(disk) else { return false };
    let number =
        if disk.ends_with(|last: char| last.is_ascii_digit()) { rest.strip_prefix('p') } else { Some(rest) };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    rest.is_empty() || number.is_some_and(is_number)
}

/// What a table says. Our root slots are known by their names.
fn describe(partitions: &[Partition]) -> String {
    let has = |label: &str| partitions.iter().any(|partition| partition.label == label);
    if has(labels::ROOT_A) && has(labels::ROOT_B) { "corten" } else { "gpt" }.to_owned()
}

fn word(content: Content) -> String {
    match content {
        Content::Empty => "empty",
        Content::Known(name) => name,
        Content::Unknown => "data",
    }
    .to_owned()
}

/// As a resource. `system` says that the machine runs from it, or was started from it.
pub(super) fn status(found: &Found, content: String, system: bool) -> DiskStatus {
    let disk = found.disk.clone();
    let partitions = found.partitions.iter().map(|partition| PartitionStatus {
        number: partition.number,
        label: partition.label.clone(),
        uuid: partition.uuid.clone(),
        size: partition.size,
    });
    DiskStatus {
        path: disk.path.into_string(),
        size: disk.size,
        sector_size: disk.sector_size,
        model: disk.model,
        serial: disk.serial,
        wwid: disk.wwid,
        bus_path: disk.bus_path,
        transport: disk.transport,
        ids: disk.ids,
        rotational: disk.rotational,
        removable: disk.removable,
        read_only: disk.read_only,
        system,
        content,
        partitions: partitions.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(label: &str) -> Partition {
        let [uuid, type_uuid] = [String::new(), String::new()];
        Partition { number: 1, label: label.into(), uuid, type_uuid, start: 0, size: 0 }
    }

    #[test]
    fn our_slots_make_a_disk_ours() {
        assert_eq!(describe(&[partition("EFI"), partition("ROOT-A"), partition("ROOT-B")]), "corten");
        assert_eq!(describe(&[partition("EFI"), partition("ROOT-A")]), "gpt");
        assert_eq!((word(Content::Empty), word(Content::Known("xfs"))), ("empty".into(), "xfs".into()));
    }

    #[test]
    fn a_partition_is_on_its_own_disk_only() {
        assert!(holds("sda", "sda") && holds("sda", "sda2") && holds("nvme0n1", "nvme0n1p1"));
        assert!(!holds("sda", "sdaa1") && !holds("nvme0n1", "nvme0n11") && !holds("sdb", "sda"));
    }

    #[test]
    fn facts_of_the_disk_are_not_lost_on_the_way() {
        let disk =
            Disk { wwid: "w".into(), ids: vec!["virtio-a".into()], removable: true, ..Disk::default() };
        let found = Found { disk, partitions: vec![partition("A")] };
        let status = status(&found, "gpt".into(), true);
        assert_eq!((status.wwid.as_str(), status.removable, status.system), ("w", true, true));
        assert_eq!((status.ids.len(), status.partitions[0].label.as_str()), (1, "A"));
    }
}
