//! The install medium.

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

/// What the medium is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MediumKind {
    /// A CD in a SATA drive: `/dev/sr0`.
    Cdrom,
    /// A USB stick: `/dev/sda` of a machine without SATA or SCSI disks.
    Usb,
    /// A removable SCSI disk, such as the virtual media of a server's management controller.
    Stick,
}

/// A medium that is in the machine. It is never written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Medium {
    /// The ISO image.
    pub iso: Utf8PathBuf,
    /// What it is.
    pub kind: MediumKind,
    /// The firmware tries it before the disks; otherwise after them, so that an empty disk boots the medium and
    /// an installed one itself.
    pub first: bool,
}

impl Medium {
    /// A CD that boots when no disk does.
    #[must_use]
    pub fn cdrom(iso: &Utf8Path) -> Self {
        Self { iso: iso.to_owned(), kind: MediumKind::Cdrom, first: false }
    }
}

impl MediumKind {
    /// `cdrom`, `usb` or `stick`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cdrom => "cdrom",
            Self::Usb => "usb",
            Self::Stick => "stick",
        }
    }
}
