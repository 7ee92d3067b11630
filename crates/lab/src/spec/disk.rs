//! Disks of a node: what they hold at first, and which hardware they look like.

use crate::LabError;
use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

/// What a disk holds before the first boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The disk image of the node's image.
    Image,
    /// Nothing: the disk of a new machine.
    Blank,
    /// What a raw file holds, which stays as it is and where it is: a replayed disk, for example.
    File(Utf8PathBuf),
}

/// What a disk is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bus {
    /// virtio-blk: `/dev/vda`.
    Virtio,
    /// NVMe: `/dev/nvme0n1`.
    Nvme,
    /// The AHCI controller of the board: `/dev/sda`.
    Sata,
    /// A SCSI controller (virtio-scsi): `/dev/sda`.
    Scsi,
}

/// What a write to the disk means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cache {
    /// What the guest syncs outlives QEMU, and not the host: quickest.
    Unsafe,
    /// What the guest syncs is synced by the host: as slow as its disk.
    Writeback,
}

/// A sector that cannot be read or written, from power on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BadSector {
    /// Its number, in units of 512 bytes whatever the sector size of the disk.
    pub sector: u64,
    /// Reading it fails.
    pub read: bool,
    /// Writing it fails.
    pub write: bool,
}

/// A disk. The first one of a node is its system disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DiskSpec {
    /// Name within the node: `system`, `data`, ...
    pub name: String,
    /// What it holds at first.
    pub source: Source,
    /// Its size; as small as its source when not given. A blank disk needs one.
    pub size_mib: Option<u64>,
    /// What it is connected to.
    pub bus: Bus,
    /// Bytes of a sector: 512 or 4096 (not with SATA).
    pub sector_size: u32,
    /// Its serial number, at most 20 characters.
    pub serial: String,
    /// Its model, with SATA and SCSI only.
    pub model: Option<String>,
    /// What a write means. It does not matter to a disk whose writes are recorded.
    pub cache: Cache,
    /// Whether it can be pulled while the machine runs: sits in a hot-plug slot. SCSI disks always do.
    pub hotplug: bool,
    /// Keep every write, so that a power cut at any of them can be replayed.
    pub record: bool,
    /// Sectors with errors.
    pub bad_sectors: Vec<BadSector>,
}

impl DiskSpec {
    /// The default system disk: virtio, 512-byte sectors, a layer over the disk image.
    #[must_use]
    pub fn system(size_gib: Option<u32>, cache: Cache) -> Self {
        let size_mib = size_gib.map(|gib| u64::from(gib) << 10);
        Self { source: Source::Image, size_mib, cache, ..Self::blank("system", 0) }
    }

    /// An empty virtio disk.
    #[must_use]
    pub fn blank(name: &str, size_gib: u32) -> Self {
        Self {
            name: name.to_owned(),
            source: Source::Blank,
            size_mib: Some(u64::from(size_gib) << 10),
            bus: Bus::Virtio,
            sector_size: 512,
            serial: name.to_owned(),
            model: None,
            cache: Cache::Unsafe,
            hotplug: false,
            record: false,
            bad_sectors: Vec::new(),
        }
    }

    /// Refuses what QEMU could not make, in better words than QEMU's.
    pub(crate) fn check(&self) -> Result<(), LabError> {
        let problem = self.problem().map(|problem| format!("disk {} {problem}", self.name));
        problem.map_or(Ok(()), |text| Err(LabError::Unsupported(text)))
    }

    fn problem(&self) -> Option<&'static str> {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let good = self.name.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
        if !good || !self.name.bytes().all(word) || self.name.len() > 24 || self.name == "medium" {
            return Some("needs a name of at most 24 letters, digits and -, beginning with a letter");
        }
        match self {
            Self { sector_size, .. } if ![512, 4096].contains(sector_size) => {
                Some("has sectors of neither 512 nor 4096 bytes")
            }
            Self { sector_size: 4096, bus: Bus::Sata, .. } => Some("cannot have 4096-byte sectors on SATA"),
            Self { hotplug: true, bus: Bus::Sata, .. } => Some("cannot be pulled from SATA"),
            Self { model: Some(_), bus: Bus::Virtio | Bus::Nvme, .. } => {
                Some("cannot have a model on its bus")
            }
            Self { source: Source::Blank, size_mib: None | Some(0), .. } => Some("is blank and has no size"),
            Self { serial, .. } if serial.len() > 20 => Some("has a serial number over 20 characters"),
            _ => None,
        }
    }

    /// The file with its content, within the node's folder.
    pub(crate) fn file_name(&self) -> String {
        format!("disk-{}.{}", self.name, if self.record { "raw" } else { "qcow2" })
    }

    /// What a recorded disk held before the first recorded write.
    pub(crate) fn base_name(&self) -> String {
        format!("disk-{}.base.raw", self.name)
    }

    /// The log of a recorded disk: of this power-on, or of an earlier one.
    pub(crate) fn log_name(&self, earlier: Option<usize>) -> String {
        match earlier {
            None => format!("disk-{}.writes", self.name),
            Some(number) => format!("disk-{}.{number}.writes", self.name),
        }
    }
}

impl Bus {
    /// `virtio`, `nvme`, `sata` or `scsi`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Virtio => "virtio",
            Self::Nvme => "nvme",
            Self::Sata => "sata",
            Self::Scsi => "scsi",
        }
    }
}

impl std::str::FromStr for Bus {
    type Err = LabError;

    fn from_str(text: &str) -> Result<Self, LabError> {
        let all = [Self::Virtio, Self::Nvme, Self::Sata, Self::Scsi];
        let known = all.into_iter().find(|bus| bus.name() == text);
        known.ok_or_else(|| LabError::Unsupported(format!("{text} is no bus: virtio, nvme, sata or scsi")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_qemu_cannot_make_is_refused_with_the_name_of_the_disk() {
        let good = DiskSpec::blank("data", 1);
        assert!(good.check().is_ok());
        let bad = [
            DiskSpec { sector_size: 4096, bus: Bus::Sata, ..good.clone() },
            DiskSpec { sector_size: 1024, ..good.clone() },
            DiskSpec { hotplug: true, bus: Bus::Sata, ..good.clone() },
            DiskSpec { model: Some("X".to_owned()), ..good.clone() },
            DiskSpec { size_mib: None, ..good.clone() },
            DiskSpec { serial: "1".repeat(21), ..good.clone() },
        ];
        for disk in bad {
            let error = disk.check().unwrap_err().to_string();
            assert!(error.starts_with("disk data "), "{error}");
        }
        for name in ["", "medium", "a/b", "1"] {
            assert!(DiskSpec { name: name.to_owned(), ..good.clone() }.check().is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_bus_is_read_by_its_name() {
        for bus in [Bus::Virtio, Bus::Nvme, Bus::Sata, Bus::Scsi] {
            assert_eq!(bus.name().parse::<Bus>().unwrap(), bus);
        }
        assert!("floppy".parse::<Bus>().is_err());
    }
}
