//! One volume, from its partition to its mount.

use std::io;

use camino::Utf8Path;
use corten_constants::{labels, paths};
use corten_resources::block::VolumePhase;
use corten_sys::block::probe;
use corten_sys::mount::{self, Flags, Mount, MountError};
use corten_sys::process::Reaper;
use tracing::info;

use super::filesystem::{self, FilesystemError};
use super::plan::{self, Step};
use super::{marker, prepare};

/// A volume that every node has.
#[derive(Debug, Clone, Copy)]
pub struct Volume {
    /// Label of its partition.
    pub label: &'static str,
    /// Where it is mounted.
    pub mount_point: &'static str,
    flags: Flags,
    prepare: fn(&Utf8Path) -> io::Result<()>,
}

/// No device nodes, no setuid programs; STATE has no programs at all.
const COMMON: Flags = Flags::MS_NODEV.union(Flags::MS_NOSUID).union(Flags::MS_NOATIME);

/// STATE first: everything waits for the config.
pub const VOLUMES: [Volume; 2] = [
    Volume {
        label: labels::STATE,
        mount_point: paths::STATE,
        flags: COMMON.union(Flags::MS_NOEXEC),
        prepare: prepare::state,
    },
    Volume {
        label: labels::EPHEMERAL,
        mount_point: paths::EPHEMERAL,
        flags: COMMON,
        prepare: prepare::ephemeral,
    },
];

/// Why a volume cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// The partition cannot be read.
    #[error("look at {device}")]
    Probe {
        /// Device node.
        device: String,
        /// Cause.
        source: io::Error,
    },
    /// It holds something else.
    #[error("{device} is not used: {reason}")]
    Refused {
        /// Device node.
        device: String,
        /// What is on it.
        reason: String,
    },
    /// Its file system.
    #[error("prepare the file system on {device}")]
    Filesystem {
        /// Device node.
        device: String,
        /// Cause.
        source: FilesystemError,
    },
    /// It cannot be mounted.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// It cannot be written to.
    #[error("prepare {mount_point}")]
    Prepare {
        /// Where it is mounted.
        mount_point: &'static str,
        /// Cause.
        source: io::Error,
    },
}

/// Formats when empty, checks, mounts and prepares; tells each phase. Answers whether it was formatted. A volume that is
/// mounted already is left as it is.
pub async fn bring_up(
    volume: &Volume,
    device: &Utf8Path,
    reaper: &Reaper,
    tell: impl Fn(VolumePhase),
) -> Result<bool, VolumeError> {
    let target = Utf8Path::new(volume.mount_point);
    let mut formatted = false;
    if !mount::is_mounted(target).unwrap_or(false) {
        match look(device).await? {
            Step::Refuse(reason) => {
                return Err(VolumeError::Refused { device: device.to_string(), reason });
            }
            step @ (Step::Format | Step::Erase) => {
                tell(VolumePhase::Formatting);
                if step == Step::Erase {
                    info!(volume = volume.label, %device, "a reset was cut off: erasing the rest");
                    if !crate::shutdown::erase_partition(device, volume.label).await {
                        let reason = "the disk does not end what a reset began to erase".to_owned();
                        return Err(VolumeError::Refused { device: device.to_string(), reason });
                    }
                }
                filesystem::format(reaper, device, volume.label).await.map_err(on(device))?;
                info!(volume = volume.label, %device, "formatted");
                formatted = true;
            }
            Step::Check => {
                tell(VolumePhase::Checking);
                filesystem::check(reaper, device).await.map_err(on(device))?;
            }
        }
        blocking(mount_of(volume, device), |mount| mount.mount()).await?;
    }
    let (prepare, mount_point) = (volume.prepare, volume.mount_point);
    let prepared = tokio::task::spawn_blocking(move || prepare(mount_point.into())).await;
    let failed = |source| VolumeError::Prepare { mount_point, source };
    prepared.map_err(io::Error::other).flatten().map_err(failed)?;
    Ok(formatted)
}

fn on(device: &Utf8Path) -> impl Fn(FilesystemError) -> VolumeError {
    move |source| VolumeError::Filesystem { device: device.to_string(), source }
}

fn mount_of(volume: &Volume, device: &Utf8Path) -> Mount {
    Mount {
        source: device.to_string(),
        target: volume.mount_point.into(),
        fstype: "ext4",
        flags: volume.flags,
        // A damaged disk must not be written to any further; the services on it fail, and are seen to fail.
        options: "errors=remount-ro".into(),
    }
}

async fn look(device: &Utf8Path) -> Result<Step, VolumeError> {
    let path = device.to_owned();
    let looked =
        tokio::task::spawn_blocking(move || Ok(plan::step(probe::probe(&path)?, marker::read(&path)?)));
    let step = looked.await.map_err(io::Error::other).flatten();
    step.map_err(|source| VolumeError::Probe { device: device.to_string(), source })
}

async fn blocking(
    mount: Mount,
    work: impl FnOnce(&Mount) -> Result<(), MountError> + Send + 'static,
) -> Result<(), VolumeError> {
    let target = mount.target.clone();
    match tokio::task::spawn_blocking(move || work(&mount)).await {
        Ok(result) => Ok(result?),
        Err(panic) => {
            Err(VolumeError::Probe { device: target.into_string(), source: io::Error::other(panic) })
        }
    }
}
