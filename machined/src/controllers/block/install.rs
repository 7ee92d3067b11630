//! The volumes of a disk that was just written by the installer.

use std::fs::{self, File};
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use corten_constants::labels;
use corten_sys::block::{self, Disk};
use corten_sys::mount::{Flags, Mount};
use corten_sys::process::Reaper;

use super::disks::Found;
use super::filesystem::{self, FilesystemError};
use super::volumes::complete;

/// Why a fresh disk has no STATE.
#[derive(Debug, thiserror::Error)]
pub enum FreshError {
    /// The kernel still has the old table.
    #[error("read the new partition table of {0}")]
    Reread(Utf8PathBuf, #[source] io::Error),
    /// The table.
    #[error("{0}")]
    Table(String),
    /// Ours is not in it.
    #[error("there is no partition STATE on {0}")]
    NoState(Utf8PathBuf),
}

/// Makes the kernel see what is in the table of a disk that nobody uses, with STATE and EPHEMERAL added to it. Answers
/// the device node of STATE.
///
/// # Errors
/// When the disk is in use, or its table is not ours.
pub fn announce_all(disk: Disk) -> Result<Utf8PathBuf, FreshError> {
    let path = disk.path.clone();
    block::reread_partitions(&disk).map_err(|source| FreshError::Reread(path.clone(), source))?;
    let Found { disk, partitions, .. } = complete(disk).map_err(FreshError::Table)?;
    let state = partitions.iter().find(|partition| partition.label == labels::STATE);
    Ok(block::partition_node(&disk, state.ok_or(FreshError::NoState(path))?.number))
}

/// Makes the file system of STATE; what was there is lost.
///
/// # Errors
/// When the disk or mkfs fails.
pub async fn format_state(reaper: &Reaper, device: &Utf8Path) -> Result<(), FilesystemError> {
    filesystem::format(reaper, device, labels::STATE).await
}

/// Mounts STATE at `mount_point` for as long as `fill` works on it. Everything is on the disk afterwards.
///
/// # Errors
/// When it cannot be mounted, filled or unmounted.
pub fn with_state(
    device: &Utf8Path,
    mount_point: &Utf8Path,
    fill: impl FnOnce(&Utf8Path) -> io::Result<()>,
) -> io::Result<()> {
    fs::create_dir_all(mount_point)?;
    let mount = Mount {
        source: device.to_string(),
        target: mount_point.to_owned(),
        fstype: "ext4",
        flags: Flags::MS_NODEV | Flags::MS_NOSUID | Flags::MS_NOEXEC | Flags::MS_NOATIME,
        options: "errors=remount-ro".into(),
    };
    mount.mount().map_err(io::Error::other)?;
    let filled = fill(mount_point).and_then(|()| File::open(mount_point)?.sync_all());
    let unmounted = corten_sys::mount::unmount(mount_point).map_err(io::Error::other);
    filled?;
    unmounted?;
    File::open(device)?.sync_all()
}
