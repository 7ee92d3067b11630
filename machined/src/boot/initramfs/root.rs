//! The root partition: found by UUID, verified, mounted.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use corten_sys::block::{self, Disk, gpt};
use corten_sys::dm::{DeviceMapper, OnCorruption, Verity};
use corten_sys::mount::{Flags, Mount};
use corten_sys::uevent::Listener;

use super::InitramfsError;
use super::drivers::Drivers;
use super::superblock::{self, BLOCK, SQUASHFS_SIZE, VERITY_SIZE};
use crate::boot::cmdline::RootHash;

/// Where the root is mounted until it becomes `/`.
pub(super) const SYSROOT: &str = "/sysroot";
const NAME: &str = "root";
/// How long to wait for an event before looking anyway.
const POLL: Duration = Duration::from_millis(100);

/// How long the likely disks have, before the drivers of others are loaded.
const PATIENCE: Duration = Duration::from_millis(400);

/// A partition with a root image.
pub(super) struct Found {
    pub(super) disk: Disk,
    pub(super) number: u32,
}

impl Found {
    fn node(&self) -> Utf8PathBuf {
        block::partition_node(&self.disk, self.number)
    }

    /// Kernel name.
    pub(super) fn name(&self) -> String {
        self.node().file_name().unwrap_or_default().to_owned()
    }
}

/// Looks until the partition is there, loading drivers of devices that appear meanwhile.
pub(super) fn find(hash: &RootHash, drivers: &Drivers, deadline: Duration) -> Result<Found, InitramfsError> {
    let uuid = hash.partition_uuid();
    let start = Instant::now();
    // Before the first look: what appears between the look and the wait must wake us.
    let listener = Listener::open().ok();
    loop {
        let (found, seen) = look(&uuid);
        if let Some(found) = found {
            return Ok(found);
        }
        if start.elapsed() >= deadline {
            return Err(InitramfsError::NoRoot { uuid, seconds: deadline.as_secs(), seen });
        }
        if drivers.found_none() || start.elapsed() >= PATIENCE {
            drivers.load_present();
        }
        match listener.as_ref().map(|listener| listener.wait(POLL)) {
            Some(Ok(Some(event))) => event.modalias().into_iter().for_each(|alias| drivers.load_alias(alias)),
            Some(Ok(None)) => {}
            _ => std::thread::sleep(POLL),
        }
    }
}

/// The partition, if the kernel knows it too, and a summary of what there is.
fn look(uuid: &str) -> (Option<Found>, String) {
    let mut seen = Vec::new();
    for disk in block::disks() {
        let partitions = match gpt::read(&disk.path, disk.sector_size) {
            Ok(partitions) => partitions,
            Err(error) => {
                seen.push(error.to_string());
                continue;
            }
        };
        let hit = partitions.iter().find(|partition| partition.uuid == uuid);
        if let Some(number) = hit.map(|partition| partition.number)
            && block::has_partition(&disk, number)
            && block::partition_node(&disk, number).exists()
        {
            return (Some(Found { disk, number }), String::new());
        }
        if hit.is_some() {
            // The kernel takes no table that names sectors beyond the end of the disk.
            let mib = disk.size >> 20;
            seen.push(format!(
                "{} has it, but its {mib} MiB are too small for its partition table",
                disk.path
            ));
            continue;
        }
        let labels: Vec<_> = partitions.iter().map(|partition| partition.label.as_str()).collect();
        seen.push(format!("{} has {}", disk.path, labels.join(" ")));
    }
    let seen = if seen.is_empty() { "no disk was found".to_owned() } else { seen.join(", ") };
    (None, seen)
}

/// Puts verity over the partition and mounts the file system in it.
pub(super) fn mount(hash: &RootHash, found: &Found) -> Result<(), InitramfsError> {
    let partition = found.node();
    let verity = describe(hash, &partition, OnCorruption::Restart)?;
    let device = DeviceMapper::open()?.create_verity(NAME, &verity)?;
    let mount = Mount {
        source: device.into_string(),
        target: SYSROOT.into(),
        fstype: "squashfs",
        flags: Flags::MS_RDONLY | Flags::MS_NODEV | Flags::MS_NOSUID,
        options: String::new(),
    };
    mount.mount().map_err(|source| InitramfsError::MountRoot { partition: partition.into_string(), source })
}

/// The verity device of the image in a partition, as its superblocks tell.
pub(crate) fn describe(
    hash: &RootHash,
    partition: &Utf8Path,
    on_corruption: OnCorruption,
) -> Result<Verity, InitramfsError> {
    let read = |source| InitramfsError::Read { partition: partition.to_string(), source };
    let wrong = |reason| InitramfsError::NotAnImage { partition: partition.to_string(), reason };
    let file = File::open(partition).map_err(read)?;
    let mut squashfs = [0; SQUASHFS_SIZE];
    file.read_exact_at(&mut squashfs, 0).map_err(read)?;
    let data_blocks = superblock::data_blocks(&squashfs).map_err(wrong)?;
    let mut verity = [0; VERITY_SIZE];
    file.read_exact_at(&mut verity, data_blocks * BLOCK).map_err(read)?;
    Ok(Verity {
        device: partition.to_owned(),
        data_blocks,
        // Its superblock takes one block.
        hash_start: data_blocks + 1,
        block_size: u32::try_from(BLOCK).unwrap_or(0),
        root_hash: hash.as_str().to_owned(),
        salt: superblock::salt(&verity, data_blocks).map_err(wrong)?,
        on_corruption,
    })
}
