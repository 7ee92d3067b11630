//! Disks, volumes and mounts.
//!
//! The volume controller writes all three: what disks there are, how STATE and EPHEMERAL are doing, and what is mounted
//! for them.

use corten_store::{Kind, Store};
use serde::{Deserialize, Serialize};

/// A disk; the id is its kernel name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DiskStatus {
    /// Device node.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Bytes of a logical sector.
    pub sector_size: u64,
    /// Model, as the disk tells it.
    pub model: String,
    /// Serial number, as the disk tells it.
    pub serial: String,
    /// World wide id, as the kernel gives it; may be empty.
    pub wwid: String,
    /// Its place on the bus, below `/sys/devices`.
    pub bus_path: String,
    /// `virtio`, `nvme`, `sata`, `scsi`, `usb`, `mmc`, or empty.
    pub transport: String,
    /// Names below `/dev/disk/by-id` that other systems give it.
    pub ids: Vec<String>,
    /// Whether the medium can be taken out.
    pub removable: bool,
    /// What is on it: `empty`, `corten 0.1.0`, `gpt`, `ext4`, `data`.
    pub content: String,
    /// Whether it spins.
    pub rotational: bool,
    /// Whether writes are refused.
    pub read_only: bool,
    /// Whether this machine runs from it, or was started from it.
    pub system: bool,
    /// Its partitions, in the order of the table.
    pub partitions: Vec<PartitionStatus>,
}

/// A partition of a disk.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PartitionStatus {
    /// Number in the table.
    pub number: u32,
    /// Name in the table.
    pub label: String,
    /// Unique id.
    pub uuid: String,
    /// Bytes.
    pub size: u64,
}

/// Where a volume is on its way to being usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VolumePhase {
    /// Its disk is not there yet.
    #[default]
    Waiting,
    /// Its partition is being made.
    Partitioning,
    /// Its file system is being made.
    Formatting,
    /// Its file system is being checked.
    Checking,
    /// It can be used.
    Mounted,
    /// It cannot be used; the message says why.
    Failed,
    /// It was unmounted for the shutdown.
    Unmounted,
}

/// A volume that the machine needs; the id is its partition label.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct VolumeStatus {
    /// Label of its partition.
    pub label: String,
    /// Where it is on its way.
    pub phase: VolumePhase,
    /// Its partition's device node.
    pub device: String,
    /// Type of its file system.
    pub filesystem: String,
    /// Where it is mounted.
    pub mount_point: String,
    /// Bytes of its partition.
    pub size: u64,
    /// Whether what is written to it is encrypted.
    pub encrypted: bool,
    /// Whether it was formatted in this boot.
    pub formatted: bool,
    /// The phase in words, with the causes of a failure.
    pub message: String,
}

/// A mounted file system of ours; the id is its mount point.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MountStatus {
    /// Device, or name.
    pub source: String,
    /// Type of the file system.
    pub filesystem: String,
    /// Options of the mount.
    pub options: String,
}

impl DiskStatus {
    /// Whether an installed system of ours is on it.
    pub fn is_ours(&self) -> bool {
        self.content.split(' ').next() == Some("corten")
    }
}

impl VolumeStatus {
    /// Whether it can be used.
    pub fn is_mounted(&self) -> bool {
        self.phase == VolumePhase::Mounted
    }

    /// Whether it never will be, without help.
    pub fn is_failed(&self) -> bool {
        self.phase == VolumePhase::Failed
    }
}

impl Kind for DiskStatus {
    const NAME: &'static str = "DiskStatus";
    const NAMESPACE: &'static str = "block";
    const ALIASES: &'static [&'static str] = &["diskstatus", "disks", "disk"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[
            ("PATH", "/path"),
            ("SIZE", "/size"),
            ("MODEL", "/model"),
            ("SERIAL", "/serial"),
            ("TRANSPORT", "/transport"),
            ("CONTENT", "/content"),
            ("SYSTEM", "/system"),
        ]
    }
}

impl Kind for VolumeStatus {
    const NAME: &'static str = "VolumeStatus";
    const NAMESPACE: &'static str = "block";
    const ALIASES: &'static [&'static str] = &["volumestatus", "volumes", "volume"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[
            ("PHASE", "/phase"),
            ("DEVICE", "/device"),
            ("FILESYSTEM", "/filesystem"),
            ("SIZE", "/size"),
            ("MOUNT POINT", "/mount_point"),
            ("MESSAGE", "/message"),
        ]
    }
}

impl Kind for MountStatus {
    const NAME: &'static str = "MountStatus";
    const NAMESPACE: &'static str = "block";
    const ALIASES: &'static [&'static str] = &["mountstatus", "mounts", "mount"];
    type Spec = Self;
    fn columns() -> &'static [(&'static str, &'static str)] {
        &[("SOURCE", "/source"), ("FILESYSTEM", "/filesystem"), ("OPTIONS", "/options")]
    }
}

/// Makes the kinds of this area known.
pub fn register(store: &Store) {
    store.register::<DiskStatus>();
    store.register::<VolumeStatus>();
    store.register::<MountStatus>();
}
