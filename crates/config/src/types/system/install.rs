//! `Install`: the disk that an install medium writes the system to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::types::glob::Glob;
use crate::types::size::SizeRange;
use crate::types::text;

/// Which disk the system is installed to. It is read once, when the machine runs from an install medium; later changes
/// of it do nothing. At most one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Install {
    /// Properties by which the disk is found. All that are given must fit, at least one must be given, and exactly one
    /// disk of the machine must fit; `osctl disks` lists them.
    #[schemars(extend("x-effect" = "live"))]
    pub disk: DiskSelector,
    /// Whether a disk with a system or data on it may be erased. An earlier installation that was not finished is
    /// written over without it.
    #[serde(default)]
    #[schemars(extend("x-effect" = "live"))]
    pub wipe: bool,
}

/// How a disk is found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DiskSelector {
    /// Size, or a range of sizes. A single size fits disks that differ from it by less than one percent.
    /// Example: `">=20GiB"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<text::DiskSize>")]
    pub size: Option<SizeRange>,
    /// Model, as the disk gives it; `*` stands for any characters, `?` for one. Example: `Samsung SSD 970*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<text::Pattern>")]
    pub model: Option<Glob>,
    /// Serial number. Example: `S4EWNX0M123456`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<text::Line>")]
    pub serial: Option<String>,
    /// World wide id, as the kernel gives it. Example: `eui.0025385b71b09cd2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<text::Line>")]
    pub wwid: Option<String>,
    /// Path of the device below `/sys/devices`; `*` stands for any characters, `?` for one.
    /// Example: `pci0000:00/0000:00:1f.2/*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<text::Pattern>")]
    pub bus_path: Option<Glob>,
    /// How the disk is attached. Example: `nvme`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    /// Whether it has turning platters. Example: `false`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotational: Option<bool>,
    /// A name that other systems give it below `/dev/disk/by-id`. Example: `nvme-Samsung_SSD_970_S4EWNX0M123456`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<text::DiskId>")]
    pub by_id: Option<String>,
}

/// How a disk is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// virtio-blk, in virtual machines.
    Virtio,
    /// NVM Express.
    Nvme,
    /// Serial ATA.
    Sata,
    /// SCSI and SAS, virtual ones too.
    Scsi,
    /// USB.
    Usb,
    /// eMMC and SD cards.
    Mmc,
}

impl Transport {
    /// The word for it in configs and listings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Virtio => "virtio",
            Self::Nvme => "nvme",
            Self::Sata => "sata",
            Self::Scsi => "scsi",
            Self::Usb => "usb",
            Self::Mmc => "mmc",
        }
    }
}

impl DiskSelector {
    /// Whether no property is given, so that every disk would fit.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
