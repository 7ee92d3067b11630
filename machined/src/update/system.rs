//! The system disk as updates see it: its EFI, META and root partitions.

use camino::Utf8PathBuf;
use corten_constants::labels;
use corten_meta::MetaFile;
use corten_sys::block::gpt::{self, GptError, Partition};
use corten_sys::block::{self, Disk};
use installer::layout;

use super::slots::SlotPartition;

/// Where everything is.
#[derive(Debug, Clone)]
pub struct System {
    /// The disk.
    pub disk: Disk,
    /// Device node of the EFI partition.
    pub esp: Utf8PathBuf,
    /// Device node of META.
    pub meta: Utf8PathBuf,
    /// The root partitions.
    pub slots: Vec<SlotPartition>,
}

/// Why there is nothing to update.
#[derive(Debug, thiserror::Error)]
pub enum SystemError {
    /// The machine was not started from a disk of ours.
    #[error("the running system is not on a disk: it was started from an install medium or from outside")]
    NoDisk,
    /// The table cannot be read.
    #[error("read the partition table of the system disk")]
    Table(#[from] GptError),
    /// A partition is missing.
    #[error("the system disk {disk} has no partition {label}")]
    NoPartition {
        /// Device node.
        disk: String,
        /// What is missing.
        label: &'static str,
    },
}

impl System {
    /// Looks at the disk with this kernel name.
    ///
    /// # Errors
    /// When it is not there or not laid out as ours.
    pub fn find(disk: Option<&str>) -> Result<Self, SystemError> {
        let disk = disk.and_then(block::disk).ok_or(SystemError::NoDisk)?;
        let partitions = gpt::read(&disk.path, disk.sector_size)?;
        let one = |label, type_guid: uuid::Uuid| {
            let ours = |p: &&Partition| p.label == label && p.type_uuid == type_guid.to_string();
            let missing = || SystemError::NoPartition { disk: disk.path.to_string(), label };
            partitions.iter().find(ours).ok_or_else(missing)
        };
        let slot = |label| {
            let partition = one(label, layout::TYPE_ROOT)?;
            Ok::<_, SystemError>(SlotPartition {
                label: partition.label.clone(),
                device: block::partition_node(&disk, partition.number),
                number: partition.number,
                uuid: partition.uuid.clone(),
                start: partition.start,
                size: partition.size,
            })
        };
        Ok(Self {
            esp: block::partition_node(&disk, one(labels::EFI, layout::TYPE_EFI)?.number),
            meta: block::partition_node(&disk, one(labels::META, layout::TYPE_META)?.number),
            slots: vec![slot(labels::ROOT_A)?, slot(labels::ROOT_B)?],
            disk,
        })
    }

    /// META.
    pub fn meta_file(&self) -> MetaFile {
        MetaFile::new(&self.meta)
    }
}
