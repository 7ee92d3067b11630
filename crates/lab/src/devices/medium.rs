//! The install medium: its file and its drive.

use super::Device;
use crate::spec::{MediumKind, NodeSpec, files};
use serde_json::{Value, json};

/// Id of the drive, and name of the block node.
pub(crate) const MEDIUM: &str = "medium";

/// What makes up the medium, in the order in which QEMU wants to hear of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MediumParts {
    /// For `-blockdev`.
    pub(crate) block: Value,
    /// The controller that it needs, which stays when the medium is taken out.
    pub(crate) controller: Option<Device>,
    /// The drive.
    pub(crate) device: Device,
}

/// The medium of a node that has one.
pub(crate) fn medium(spec: &NodeSpec) -> Option<MediumParts> {
    let medium = spec.medium.as_ref()?;
    let file = json!({ "driver": "file", "filename": spec.file(files::MEDIUM), "read-only": true });
    let block = json!({ "driver": "raw", "node-name": MEDIUM, "read-only": true, "file": file });
    let index = if medium.first { 1 } else { spec.disks.len() + 1 };
    let drive = |driver, bus: &str| {
        Device::new(driver).with("id", MEDIUM).with("drive", MEDIUM).with("bus", bus).with("bootindex", index)
    };
    let (controller, device) = match medium.kind {
        // The last port of the board's controller; SATA disks begin at the first.
        MediumKind::Cdrom => (None, drive("ide-cd", "ide.5")),
        MediumKind::Usb => {
            let controller = Device::new("qemu-xhci").with("id", "usb");
            (Some(controller), drive("usb-storage", "usb.0").with("removable", true))
        }
        MediumKind::Stick => {
            let controller = Device::new("virtio-scsi-pci").with("id", "stick");
            (Some(controller), drive("scsi-hd", "stick.0").with("removable", true))
        }
    };
    Some(MediumParts { block, controller, device })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Accel;
    use crate::spec::Medium;
    use camino::Utf8Path;

    #[test]
    fn a_medium_boots_after_the_disks_unless_it_goes_first() {
        let mut spec = NodeSpec::new("n1", Utf8Path::new("/lab/n1"), Accel::Tcg);
        assert_eq!(medium(&spec), None);
        let cdrom = Medium::cdrom(Utf8Path::new("/x.iso"));
        spec.medium = Some(cdrom.clone());
        assert_eq!(
            medium(&spec).unwrap().device.word(),
            "ide-cd,id=medium,drive=medium,bus=ide.5,bootindex=2"
        );
        spec.medium = Some(Medium { first: true, kind: MediumKind::Usb, ..cdrom });
        let parts = medium(&spec).unwrap();
        assert_eq!(parts.controller.unwrap().word(), "qemu-xhci,id=usb");
        assert!(parts.device.word().contains("usb-storage") && parts.device.word().contains("bootindex=1"));
    }
}
