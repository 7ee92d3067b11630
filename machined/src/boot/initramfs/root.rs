//! The root partition: found by UUID, verified, mounted.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use corten_sys::block::gpt::Reader;
use corten_sys::block::{self, Disk};
use corten_sys::dm::{DeviceMapper, OnCorruption, Verity};
use corten_sys::mount::{Flags, Mount};

use super::InitramfsError;
use super::search::{Look, Search};
use super::superblock::{self, BLOCK, SQUASHFS_SIZE, VERITY_SIZE};
use crate::boot::cmdline::RootHash;

/// Where the root is mounted until it becomes `/`.
pub(super) const SYSROOT: &str = "/sysroot";
const NAME: &str = "root";
/// How long the search waits for the slowest disk before it takes what the others say.
const PATIENCE: Duration = Duration::from_secs(2);

/// A partition with a root image.
pub(super) struct Found {
    pub(super) disk: Disk,
    pub(super) number: u32,
}

impl Found {
    pub(super) fn node(&self) -> Utf8PathBuf {
        block::partition_node(&self.disk, self.number)
    }

    /// Kernel name.
    pub(super) fn name(&self) -> String {
        self.node().file_name().unwrap_or_default().to_owned()
    }
}

/// Looks until the partition is there.
pub(super) fn find(hash: &RootHash, search: &Search<'_>) -> Result<Found, InitramfsError> {
    let (uuid, reader) = (hash.partition_uuid(), Reader::default());
    search.run(|| look(&uuid, &reader)).map_err(|late| InitramfsError::NoRoot {
        uuid,
        seconds: late.seconds,
        seen: late.seen,
    })
}

/// The partition, if the kernel knows it too, or a summary of what there is.
fn look(uuid: &str, reader: &Reader) -> Look<Found> {
    let (mut seen, disks) = (Vec::new(), block::disks());
    let tables = reader.read(&disks, PATIENCE);
    for (disk, table) in disks.into_iter().zip(tables) {
        let partitions = match table {
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
            return Ok(Found { disk, number });
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
    Err(seen)
}

/// Puts verity over the image on a block device and mounts the file system in it.
pub(super) fn mount(hash: &RootHash, image: &Utf8Path) -> Result<(), InitramfsError> {
    let verity = describe(hash, image, OnCorruption::Restart)?;
    // A hash that does not match would restart the machine, and nobody would learn why.
    check_root_hash(&verity)?;
    let device = DeviceMapper::open()?.create_verity(NAME, &verity)?;
    let mount = Mount {
        source: device.into_string(),
        target: SYSROOT.into(),
        fstype: "squashfs",
        flags: Flags::MS_RDONLY | Flags::MS_NODEV | Flags::MS_NOSUID,
        options: String::new(),
    };
    mount.mount().map_err(|source| InitramfsError::MountRoot { partition: image.to_string(), source })
}

/// Whether the top of the hash tree is the one that the root hash vouches for.
fn check_root_hash(verity: &Verity) -> Result<(), InitramfsError> {
    let read = |source| InitramfsError::Read { partition: verity.device.to_string(), source };
    let mut top = [0; 4096];
    let file = File::open(&verity.device).map_err(read)?;
    file.read_exact_at(&mut top, verity.hash_start * BLOCK).map_err(read)?;
    let hash = superblock::hash(&verity.salt, &top);
    // A tree of one block of data has no top of its own.
    if verity.data_blocks > 1 && hash != verity.root_hash {
        return Err(InitramfsError::WrongHash { image: verity.device.to_string(), hash });
    }
    Ok(())
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
