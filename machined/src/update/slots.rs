//! Which slot holds what: the partitions on one side, the boot loader's entries on the other.
//!
//! An entry belongs to the slot whose partition UUID is the first half of the root hash on the entry's command line, so
//! nothing has to be remembered for it.

use camino::Utf8PathBuf;
use corten_constants::labels;
use corten_resources::update::SlotStatus;
use installer::entry::EntryName;

use crate::boot::cmdline::RootHash;

/// A root partition of the system disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotPartition {
    /// `ROOT-A` or `ROOT-B`.
    pub label: String,
    /// Device node.
    pub device: Utf8PathBuf,
    /// Number in the partition table.
    pub number: u32,
    /// UUID in the partition table.
    pub uuid: String,
    /// First byte on the disk.
    pub start: u64,
    /// Bytes.
    pub size: u64,
}

/// A kernel image on the EFI partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootEntry {
    /// Its file name, taken apart.
    pub name: EntryName,
    /// Root hash on its command line.
    pub root_hash: RootHash,
}

/// Every slot with what it holds, in the order of the partitions.
pub fn combine(
    partitions: &[SlotPartition],
    entries: &[BootEntry],
    running: &str,
) -> Vec<(String, SlotStatus)> {
    let next = next(entries).map(|entry| entry.root_hash.as_str());
    partitions
        .iter()
        .map(|partition| {
            let entry =
                newest(entries.iter().filter(|entry| entry.root_hash.partition_uuid() == partition.uuid));
            let running = uuid_of(running).as_deref() == Some(partition.uuid.as_str());
            let mut status =
                SlotStatus { device: partition.device.to_string(), running, ..SlotStatus::default() };
            if let Some(entry) = entry {
                let hash = entry.root_hash.as_str();
                status.version = entry.name.version.to_string();
                status.root_hash = hash.to_owned();
                status.next = next == Some(hash);
                status.blessed = entry.name.tries.is_none();
                status.tries_left = entry.name.tries.map_or(0, |tries| tries.left);
                status.tries_done = entry.name.tries.map_or(0, |tries| tries.done);
                status.entry = entry.name.to_string();
            }
            (partition.label.clone(), status)
        })
        .collect()
}

/// The slot that an update may overwrite: the one that does not run.
pub fn target<'a>(partitions: &'a [SlotPartition], running: &str) -> Option<&'a SlotPartition> {
    let running = uuid_of(running);
    let label =
        match partitions.iter().find(|partition| Some(&partition.uuid) == running.as_ref())?.label.as_str() {
            labels::ROOT_A => labels::ROOT_B,
            _ => labels::ROOT_A,
        };
    partitions.iter().find(|partition| partition.label == label)
}

/// The entry that the boot loader takes next.
pub fn next(entries: &[BootEntry]) -> Option<&BootEntry> {
    newest(entries.iter())
}

fn newest<'a>(entries: impl Iterator<Item = &'a BootEntry>) -> Option<&'a BootEntry> {
    let mut sorted: Vec<_> = entries.collect();
    sorted.sort_by(|a, b| installer::entry::boot_order(&a.name, &b.name));
    sorted.first().copied()
}

/// Partition UUID that derives from a root hash.
pub fn uuid_of(root_hash: &str) -> Option<String> {
    RootHash::parse(root_hash).ok().map(|hash| hash.partition_uuid())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(digit: char) -> String {
        digit.to_string().repeat(64)
    }

    fn partition(label: &str, digit: char, number: u32) -> SlotPartition {
        SlotPartition {
            label: label.to_owned(),
            device: format!("/dev/vda{number}").into(),
            number,
            uuid: uuid_of(&hash(digit)).unwrap(),
            start: 0,
            size: 2 << 30,
        }
    }

    fn entry(name: &str, digit: char) -> BootEntry {
        BootEntry { name: name.parse().unwrap(), root_hash: RootHash::parse(&hash(digit)).unwrap() }
    }

    fn both() -> [SlotPartition; 2] {
        [partition("ROOT-A", 'a', 3), partition("ROOT-B", 'b', 4)]
    }

    #[test]
    fn a_fresh_disk_has_one_slot_that_runs_and_is_next() {
        let slots = combine(&both(), &[entry("corten-000001-0.1.0.efi", 'a')], &hash('a'));
        let (a, b) = (&slots[0].1, &slots[1].1);
        assert!(a.running && a.next && a.blessed && a.version == "0.1.0");
        assert!(!b.running && !b.next && b.version.is_empty());
    }

    #[test]
    fn a_staged_update_is_next_until_its_tries_are_used_up() {
        let old = entry("corten-000001-0.2.0.efi", 'a');
        for (name, next) in [
            ("corten-000002-0.1.0+3.efi", true),
            ("corten-000002-0.1.0+1-2.efi", true),
            ("corten-000002-0.1.0+0-3.efi", false),
        ] {
            let slots = combine(&both(), &[old.clone(), entry(name, 'b')], &hash('a'));
            assert_eq!((slots[0].1.next, slots[1].1.next), (!next, next), "{name}");
            assert!(!slots[1].1.blessed && slots[1].1.tries_left + slots[1].1.tries_done == 3);
        }
    }

    #[test]
    fn the_slot_that_does_not_run_is_the_target() {
        assert_eq!(target(&both(), &hash('a')).unwrap().label, "ROOT-B");
        assert_eq!(target(&both(), &hash('b')).unwrap().label, "ROOT-A");
        assert_eq!(target(&both(), &hash('c')), None);
    }
}
