//! What tells a disk from all others: serial number, world wide id, its place on the bus, and the names below
//! `/dev/disk/by-id` that udev would make.
//!
//! There is no udev here. The names are built from the same facts by the same rules (`60-persistent-storage.rules`, with
//! `ata_id`, `scsi_id` and `usb_id`), so that what an operator copies from another system works.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

use super::{first_text, text};

/// Where devices are below sysfs.
const DEVICES: &str = "/sys/devices";
/// Where the answer to IDENTIFY begins in the VPD page for ATA devices, and its length.
const IDENTIFY: std::ops::Range<usize> = 60..572;

/// Facts of one disk, as sysfs gives them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Identity {
    pub(super) model: String,
    pub(super) serial: String,
    pub(super) wwid: String,
    /// Below `/sys/devices`, without the disk's own name.
    pub(super) bus_path: String,
    pub(super) transport: String,
    pub(super) ids: Vec<String>,
}

/// Reads what identifies the disk whose folder in sysfs is `dir`.
pub(super) fn read(name: &str, dir: &Utf8Path) -> Identity {
    let real = dir.canonicalize_utf8().unwrap_or_else(|_| dir.to_owned());
    let bus_path = bus_path(name, &real);
    let transport = transport(name, &bus_path);
    let mut facts = Facts {
        transport,
        vendor: text(&dir.join("device/vendor")),
        model: first_text(&[dir.join("device/model"), dir.join("device/name")]),
        serial: first_text(&[dir.join("serial"), dir.join("device/serial")]),
        wwid: first_text(&[dir.join("wwid"), dir.join("device/wwid")]),
    };
    if facts.serial.is_empty() {
        facts.serial =
            fs::read(dir.join("device/vpd_pg80")).map(|page| unit_serial(&page)).unwrap_or_default();
    }
    match transport {
        // The model of the SCSI layer ends after 16 letters.
        "sata" => {
            let page = fs::read(dir.join("device/vpd_pg89")).unwrap_or_default();
            if let Some((model, serial)) = identify(&page) {
                (facts.model, facts.serial) = (model, serial);
            }
        }
        "usb" => {
            if let Some(serial) = usb_serial(&real) {
                facts.serial = serial;
            }
        }
        _ => {}
    }
    let ids = facts.ids();
    let Facts { model, serial, wwid, .. } = facts;
    Identity { model, serial, wwid, bus_path, transport: transport.to_owned(), ids }
}

/// The device that the disk belongs to.
fn bus_path(name: &str, real: &Utf8Path) -> String {
    let path = real.strip_prefix(DEVICES).unwrap_or(real).as_str();
    let path = path.strip_suffix(name).unwrap_or(path).trim_end_matches('/');
    path.strip_suffix("/block").unwrap_or(path).to_owned()
}

/// How the disk is connected; empty when it is none that we know.
fn transport(name: &str, bus_path: &str) -> &'static str {
    let on = |prefix: &str| {
        bus_path.split('/').any(|part| {
            part.strip_prefix(prefix)
                .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
        })
    };
    match name {
        _ if name.starts_with("nvme") => "nvme",
        _ if name.starts_with("mmcblk") => "mmc",
        _ if name.starts_with("vd") => "virtio",
        _ if on("usb") => "usb",
        _ if on("ata") => "sata",
        _ if name.starts_with("sd") => "scsi",
        _ => "",
    }
}

/// VPD page 0x80: two bytes of length at 2, then text.
fn unit_serial(page: &[u8]) -> String {
    let length = page.get(2..4).map_or(0, |bytes| usize::from(u16::from_be_bytes([bytes[0], bytes[1]])));
    let bytes = page.get(4..4 + length).unwrap_or_default();
    String::from_utf8_lossy(bytes)
        .trim_matches(|letter: char| letter.is_whitespace() || letter == '\0')
        .to_owned()
}

/// Model and serial number from VPD page 0x89, in which the bytes of each word are swapped.
fn identify(page: &[u8]) -> Option<(String, String)> {
    let answer = page.get(IDENTIFY)?;
    let words = |range: std::ops::Range<usize>| {
        let swapped: Vec<u8> =
            answer.get(range)?.chunks_exact(2).flat_map(|pair| [pair[1], pair[0]]).collect();
        let text = String::from_utf8_lossy(&swapped).trim_matches(['\0', ' ']).to_owned();
        (!text.is_empty()).then_some(text)
    };
    Some((words(54..94)?, words(20..40)?))
}

/// Serial number of the USB device; the disk behind the bridge may tell none.
fn usb_serial(real: &Utf8Path) -> Option<String> {
    let device = real.ancestors().find(|dir| dir.join("idVendor").exists()).map(Utf8PathBuf::from)?;
    Some(text(&device.join("serial"))).filter(|serial| !serial.is_empty())
}

#[derive(Debug, Clone, Default)]
struct Facts {
    transport: &'static str,
    vendor: String,
    model: String,
    serial: String,
    wwid: String,
}

impl Facts {
    fn ids(&self) -> Vec<String> {
        let (model, serial) = (escape(&self.model), escape(&self.serial));
        let mut ids = match self.transport {
            "virtio" if !serial.is_empty() => vec![format!("virtio-{serial}")],
            "nvme" if !serial.is_empty() => vec![format!("nvme-{model}_{serial}")],
            "sata" if !serial.is_empty() => vec![format!("ata-{model}_{serial}")],
            "mmc" if !serial.is_empty() => vec![format!("mmc-{model}_{serial}")],
            "usb" => {
                let parts = [escape(&self.vendor), model, serial];
                let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
                vec![format!("usb-{}-0:0", parts.join("_"))]
            }
            "scsi" => self.scsi_id().into_iter().collect(),
            _ => Vec::new(),
        };
        match self.transport {
            "nvme" if !self.wwid.is_empty() => ids.push(format!("nvme-{}", escape(&self.wwid))),
            "sata" | "scsi" | "usb" => {
                let number = self.wwid.strip_prefix("naa.").or_else(|| self.wwid.strip_prefix("eui."));
                ids.extend(number.map(|number| format!("wwn-0x{}", escape(number))));
            }
            _ => {}
        }
        ids
    }

    /// The digit tells the kind of the id: 3 NAA, 2 EUI-64, 1 T10, 0 the vendor's own, as in `scsi_id`.
    fn scsi_id(&self) -> Option<String> {
        let kinds = [("naa.", '3'), ("eui.", '2'), ("t10.", '1')];
        let known = kinds.iter().find_map(|(prefix, digit)| Some((digit, self.wwid.strip_prefix(prefix)?)));
        match known {
            Some((digit, id)) => Some(format!("scsi-{digit}{}", escape(id))),
            None if self.serial.is_empty() => None,
            None => {
                Some(format!("scsi-0{}", escape(&format!("{} {} {}", self.vendor, self.model, self.serial))))
            }
        }
    }
}

/// As udev does: white space becomes one underscore, and so does every character that is not safe in a name.
fn escape(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    let safe = |letter: char| letter.is_ascii_alphanumeric() || "#+-.:=@_".contains(letter);
    words.join("_").chars().map(|letter| if safe(letter) { letter } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(transport: &'static str, vendor: &str, model: &str, serial: &str, wwid: &str) -> Vec<String> {
        let [vendor, model, serial, wwid] = [vendor, model, serial, wwid].map(str::to_owned);
        Facts { transport, vendor, model, serial, wwid }.ids()
    }

    #[test]
    fn names_are_those_of_udev() {
        assert_eq!(facts("virtio", "", "", "disk0", ""), ["virtio-disk0"]);
        assert_eq!(facts("virtio", "", "", "", ""), [""; 0], "it has no serial number");
        assert_eq!(
            facts("nvme", "", "QEMU NVMe Ctrl", "deadbeef", "nvme.8086-64-51-1"),
            ["nvme-QEMU_NVMe_Ctrl_deadbeef", "nvme-nvme.8086-64-51-1"]
        );
        assert_eq!(
            facts("sata", "ATA", "Samsung SSD 860 EVO 1TB", "S3Z8N", "naa.5002538e40a1b2c3"),
            ["ata-Samsung_SSD_860_EVO_1TB_S3Z8N", "wwn-0x5002538e40a1b2c3"]
        );
        assert_eq!(facts("scsi", "QEMU", "QEMU HARDDISK", "abc", ""), ["scsi-0QEMU_QEMU_HARDDISK_abc"]);
        assert_eq!(facts("scsi", "SEAGATE", "X", "y", "naa.5000c500"), ["scsi-35000c500", "wwn-0x5000c500"]);
        assert_eq!(facts("usb", "SanDisk", "Ultra", "4C53", ""), ["usb-SanDisk_Ultra_4C53-0:0"]);
        assert_eq!(facts("mmc", "", "SD32G", "0x1234", ""), ["mmc-SD32G_0x1234"]);
        assert_eq!(facts("", "a", "b", "c", "d"), [""; 0]);
    }

    #[test]
    fn transports_follow_from_the_place() {
        let check = |name, path, expect| assert_eq!(transport(name, path), expect, "{path}");
        check("vda", "pci0000:00/0000:00:04.0/virtio1", "virtio");
        check("nvme0n1", "pci0000:00/0000:00:05.0/nvme/nvme0", "nvme");
        check("sda", "pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0", "sata");
        check("sda", "pci0000:00/0000:00:04.0/virtio1/host0/target0:0:0/0:0:0:0", "scsi");
        check("sdb", "pci0000:00/0000:00:1d.7/usb1/1-1/1-1:1.0/host6/target6:0:0/6:0:0:0", "usb");
        check("xvda", "vbd-51712", "");
    }

    #[test]
    fn the_place_leaves_out_the_disk_itself() {
        let path = |name, path: &str| bus_path(name, path.into());
        assert_eq!(path("vda", "/sys/devices/pci0000:00/virtio1/block/vda"), "pci0000:00/virtio1");
        assert_eq!(path("nvme0n1", "/sys/devices/pci0000:00/nvme/nvme0/nvme0n1"), "pci0000:00/nvme/nvme0");
    }

    #[test]
    fn pages_of_a_disk_are_read() {
        assert_eq!(unit_serial(b"\0\x80\0\x06 disk1garbage"), "disk1");
        assert_eq!(unit_serial(b"\0\x80\0\x40short"), "");
        let mut page = vec![0; 572];
        page[60 + 20..60 + 40].copy_from_slice(b"2143                ");
        page[60 + 54..60 + 94].copy_from_slice(b"EQUMH RADDSI K                          ");
        assert_eq!(identify(&page), Some(("QEMU HARDDISK".into(), "1234".into())));
        assert_eq!(identify(&page[..200]), None);
    }
}
