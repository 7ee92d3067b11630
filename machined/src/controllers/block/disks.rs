//! What disks there are, and what is on them.
//!
//! Only looks: nothing here writes.

use std::time::Duration;

use corten_resources::block::{DiskStatus, PartitionStatus};
use corten_sys::block::gpt::{GptError, Partition, Reader};
use corten_sys::block::{self, Disk};
use installer::content::{self, Content};
use installer::device;

use crate::errors::chain;

/// How long a disk may take for its table.
const PATIENCE: Duration = Duration::from_secs(10);

/// A disk with its table; no table is an empty list, and so is one that could not be read.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) disk: Disk,
    pub(super) partitions: Vec<Partition>,
    /// Why nothing can be read from it.
    pub(super) failure: Option<String>,
}

impl Found {
    fn new(disk: Disk, table: Result<Vec<Partition>, GptError>) -> Self {
        let (partitions, failure) = match table {
            Ok(partitions) => (partitions, None),
            Err(GptError::Invalid { .. }) => (Vec::new(), None),
            Err(error) => (Vec::new(), Some(chain(&error))),
        };
        Self { disk, partitions, failure }
    }

    /// What is on it, in words. One that hangs is not asked again.
    pub(super) fn content(&self) -> String {
        match self.failure.clone() {
            Some(failure) => Content::Unreadable(failure),
            None => content(&self.disk),
        }
        .to_string()
    }
}

/// Every disk.
pub(super) fn find(reader: &Reader) -> Vec<Found> {
    let disks = block::disks();
    let tables = reader.read(&disks, PATIENCE);
    disks.into_iter().zip(tables).map(|(disk, table)| Found::new(disk, table)).collect()
}

/// What is on it, as an installation sees it.
pub(crate) fn content(disk: &Disk) -> Content {
    let opened = disk.sector_size.try_into().map_err(std::io::Error::other);
    match opened.and_then(|sectors| device::Disk::look_at(&disk.path, sectors)) {
        Ok(device) => content::look(&device),
        Err(error) => Content::Unreadable(error.to_string()),
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
    fn a_partition_is_on_its_own_disk_only() {
        assert!(holds("sda", "sda") && holds("sda", "sda2") && holds("nvme0n1", "nvme0n1p1"));
        assert!(!holds("sda", "sdaa1") && !holds("nvme0n1", "nvme0n11") && !holds("sdb", "sda"));
    }

    #[test]
    fn a_disk_that_cannot_be_read_is_not_taken_for_an_empty_one() {
        let silent = Err(GptError::Silent { device: "/dev/sda".into() });
        let found = Found::new(Disk::default(), silent);
        assert!(found.content().contains("/dev/sda does not answer"), "{}", found.content());
        assert_eq!(
            Found::new(Disk::default(), Err(GptError::Invalid { device: String::new() })).failure,
            None
        );
    }

    #[test]
    fn facts_of_the_disk_are_not_lost_on_the_way() {
        let disk =
            Disk { wwid: "w".into(), ids: vec!["virtio-a".into()], removable: true, ..Disk::default() };
        let found = Found::new(disk, Ok(vec![partition("A")]));
        let status = status(&found, "gpt".into(), true);
        assert_eq!((status.wwid.as_str(), status.removable, status.system), ("w", true, true));
        assert_eq!((status.ids.len(), status.partitions[0].label.as_str()), (1, "A"));
    }
}
