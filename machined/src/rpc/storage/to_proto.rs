//! Domain to wire.

use corten_api::v1;
use corten_resources::block::{DiskStatus, PartitionStatus};
use corten_resources::install::InstallStatus;

pub(super) fn disk(name: &str, disk: &DiskStatus) -> v1::Disk {
    let disk = disk.clone();
    v1::Disk {
        name: name.to_owned(),
        path: disk.path,
        size_bytes: disk.size,
        sector_size: u32::try_from(disk.sector_size).unwrap_or(0),
        model: disk.model,
        serial: disk.serial,
        wwid: disk.wwid,
        bus_path: disk.bus_path,
        transport: disk.transport,
        rotational: disk.rotational,
        removable: disk.removable,
        read_only: disk.read_only,
        system: disk.system,
        content: disk.content,
        partitions: disk.partitions.into_iter().map(partition).collect(),
        ids: disk.ids,
    }
}

pub(super) fn progress(status: &InstallStatus) -> v1::Progress {
    v1::Progress {
        step: status.step.clone(),
        message: status.message.clone(),
        done_bytes: status.done,
        total_bytes: status.total,
        bytes_per_second: status.rate,
        remaining_ms: status.remaining_ms,
        finished: false,
    }
}

fn partition(partition: PartitionStatus) -> v1::DiskPartition {
    let PartitionStatus { number, label, uuid, size } = partition;
    v1::DiskPartition { number, label, uuid, size_bytes: size }
}
