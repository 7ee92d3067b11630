//! Where META is: by label and type, as everything on our disks.

use camino::Utf8PathBuf;
use corten_constants::labels;
use corten_sys::block::{self, Disk, gpt};
use installer::layout::TYPE_META;

/// META on the disk with this kernel name.
pub fn meta_of(disk: &str) -> Option<Utf8PathBuf> {
    on(&block::disk(disk)?)
}

/// META on any disk, the first that has one.
pub fn meta_of_any() -> Option<Utf8PathBuf> {
    block::disks().iter().find_map(on)
}

fn on(disk: &Disk) -> Option<Utf8PathBuf> {
    let of_meta = TYPE_META.to_string();
    let partitions = gpt::read(&disk.path, disk.sector_size).ok()?;
    let hit = partitions.iter().find(|part| part.label == labels::META && part.type_uuid == of_meta)?;
    block::has_partition(disk, hit.number).then(|| block::partition_node(disk, hit.number))
}
