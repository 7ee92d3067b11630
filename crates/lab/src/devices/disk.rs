//! A disk: the file behind it, filters in between, and the device in front.

use super::Device;
use crate::spec::{BadSector, Bus, Cache, DiskSpec, NodeSpec};
use serde_json::{Value, json};

/// What makes up a disk, in the order in which QEMU wants to hear of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DiskParts {
    /// For `-blockdev`; its node has the disk's name.
    pub(crate) block: Value,
    /// The disk itself; its id is the disk's name.
    pub(crate) device: Device,
}

/// Controllers and slots that the disks sit in.
pub(crate) fn controllers(spec: &NodeSpec) -> Vec<Device> {
    let scsi = spec.disks.iter().any(|disk| disk.bus == Bus::Scsi);
    let scsi = scsi.then(|| Device::new("virtio-scsi-pci").with("id", "scsi"));
    let slots = spec.disks.iter().enumerate().filter(|(_, disk)| slot(disk).is_some());
    // Chassis 0 is the board's own.
    let port = |(index, disk): (usize, &DiskSpec)| {
        Device::new("pcie-root-port").with("id", format!("slot-{}", disk.name)).with("chassis", index + 1)
    };
    scsi.into_iter().chain(slots.map(port)).collect()
}

/// The PCIe slot of a disk that can be pulled; on a SCSI bus anything can.
fn slot(disk: &DiskSpec) -> Option<String> {
    (disk.hotplug && matches!(disk.bus, Bus::Virtio | Bus::Nvme)).then(|| format!("slot-{}", disk.name))
}

/// The disk at that place among the node's disks, which is also the order in which the firmware tries them.
pub(crate) fn disk(spec: &NodeSpec, index: usize, disk: &DiskSpec) -> DiskParts {
    let driver = match disk.bus {
        Bus::Virtio => "virtio-blk-pci",
        Bus::Nvme => "nvme",
        Bus::Sata => "ide-hd",
        Bus::Scsi => "scsi-hd",
    };
    let mut device = Device::new(driver)
        .with("id", disk.name.as_str())
        .with("drive", disk.name.as_str())
        .with("serial", disk.serial.as_str())
        .with("bootindex", boot_index(spec, index));
    if disk.sector_size != 512 {
        device = device.with("logical_block_size", disk.sector_size);
        device = device.with("physical_block_size", disk.sector_size);
    }
    if disk.record && disk.bus == Bus::Virtio {
        // QEMU merges neighbours into requests of up to IOV_MAX pieces; the filter adds two, and such a write fails.
        device = device.with("request-merging", "off");
    }
    device = match (disk.bus, slot(disk)) {
        (Bus::Sata, _) => device.with("bus", format!("ide.{index}")),
        (Bus::Scsi, _) => device.with("bus", "scsi.0").with("scsi-id", index),
        (_, Some(slot)) => device.with("bus", slot),
        _ => device,
    };
    if let Some(model) = &disk.model {
        let name = if disk.bus == Bus::Scsi { "product" } else { "model" };
        device = device.with(name, model.as_str());
    }
    DiskParts { block: block(spec, disk), device }
}

/// Places begin at 1; a medium that goes first takes it.
fn boot_index(spec: &NodeSpec, index: usize) -> usize {
    let before = spec.medium.as_ref().is_some_and(|medium| medium.first);
    index + 1 + usize::from(before)
}

fn block(spec: &NodeSpec, disk: &DiskSpec) -> Value {
    let mut top = if disk.record { recorded(spec, disk) } else { layer(spec, disk) };
    top["discard"] = "unmap".into();
    if !disk.bad_sectors.is_empty() {
        let errors: Vec<Value> = disk.bad_sectors.iter().flat_map(errors).collect();
        top = json!({ "driver": "blkdebug", "discard": "unmap", "image": top, "inject-error": errors });
    }
    top["node-name"] = disk.name.as_str().into();
    top
}

fn layer(spec: &NodeSpec, disk: &DiskSpec) -> Value {
    let cache = json!({ "no-flush": disk.cache == Cache::Unsafe });
    let file = json!({ "driver": "file", "filename": spec.file(&disk.file_name()), "cache": cache });
    json!({ "driver": "qcow2", "cache": cache, "file": file })
}

/// The guest's flushes have to arrive at the filter that writes them down; below it nobody needs them, because
/// what a power cut leaves is made from the log.
fn recorded(spec: &NodeSpec, disk: &DiskSpec) -> Value {
    let quick = json!({ "no-flush": true });
    let file = |name: &str| {
        let file = json!({ "driver": "file", "filename": spec.file(name), "cache": quick });
        json!({ "driver": "raw", "cache": quick, "file": file })
    };
    let mut disk_file = file(&disk.file_name());
    disk_file["discard"] = "unmap".into();
    let log = file(&disk.log_name(None));
    json!({ "driver": "blklogwrites", "log-sector-size": 512, "file": disk_file, "log": log })
}

/// `none` is the event that happens when the disk is made: the error is there from then on.
fn errors(bad: &BadSector) -> Vec<Value> {
    let error = |kind: &str| json!({ "event": "none", "iotype": kind, "errno": 5, "sector": bad.sector, "once": false, "immediately": false });
    let read = bad.read.then(|| error("read"));
    let write = bad.write.then(|| error("write"));
    read.into_iter().chain(write).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Accel;
    use crate::spec::Medium;
    use camino::Utf8Path;

    fn node(disks: Vec<DiskSpec>) -> NodeSpec {
        NodeSpec { disks, ..NodeSpec::new("n1", Utf8Path::new("/lab/n1"), Accel::Tcg) }
    }

    fn word(disk_spec: DiskSpec) -> String {
        let spec = node(vec![disk_spec]);
        disk(&spec, 0, &spec.disks[0]).device.word()
    }

    #[test]
    fn each_bus_has_its_device() {
        let on = |bus| word(DiskSpec { bus, ..DiskSpec::blank("data", 1) });
        assert_eq!(on(Bus::Virtio), "virtio-blk-pci,id=data,drive=data,serial=data,bootindex=1");
        assert_eq!(on(Bus::Nvme), "nvme,id=data,drive=data,serial=data,bootindex=1");
        assert_eq!(on(Bus::Sata), "ide-hd,id=data,drive=data,serial=data,bootindex=1,bus=ide.0");
        assert_eq!(on(Bus::Scsi), "scsi-hd,id=data,drive=data,serial=data,bootindex=1,bus=scsi.0,scsi-id=0");
    }

    #[test]
    fn a_disk_that_can_be_pulled_has_a_slot_of_its_own() {
        let spec = node(vec![DiskSpec { hotplug: true, ..DiskSpec::blank("data", 1) }]);
        assert_eq!(controllers(&spec)[0].word(), "pcie-root-port,id=slot-data,chassis=1");
        assert!(disk(&spec, 0, &spec.disks[0]).device.word().ends_with(",bus=slot-data"));
    }

    #[test]
    fn a_medium_that_goes_first_moves_the_disks_back() {
        let mut spec = node(vec![DiskSpec::blank("data", 1)]);
        spec.medium = Some(Medium { first: true, ..Medium::cdrom(Utf8Path::new("/x.iso")) });
        assert!(disk(&spec, 0, &spec.disks[0]).device.word().contains("bootindex=2"));
    }

    #[test]
    fn a_recorded_disk_hears_every_flush_and_its_files_none() {
        let spec = node(vec![DiskSpec { record: true, ..DiskSpec::blank("data", 1) }]);
        let DiskParts { block, device } = disk(&spec, 0, &spec.disks[0]);
        assert!(device.word().ends_with(",request-merging=off"), "{}", device.word());
        assert_eq!(block["driver"], "blklogwrites");
        assert_eq!(block["node-name"], "data");
        assert!(block["cache"].is_null());
        assert_eq!(block["file"]["cache"]["no-flush"], true);
        assert_eq!(block["log"]["file"]["filename"], "/lab/n1/disk-data.writes");
    }

    #[test]
    fn a_bad_sector_is_bad_for_what_it_says() {
        let bad = BadSector { sector: 7, read: true, write: false };
        let spec = node(vec![DiskSpec { bad_sectors: vec![bad], ..DiskSpec::blank("data", 1) }]);
        let block = disk(&spec, 0, &spec.disks[0]).block;
        assert_eq!(block["inject-error"].as_array().unwrap().len(), 1);
        assert_eq!(block["inject-error"][0]["iotype"], "read");
        assert!(block["image"]["node-name"].is_null());
    }
}
