//! Erasing on a loop device: the kernel's own discard and zeroing, and what is left afterwards.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};

use anyhow::{Context, Result, ensure};
use camino::Utf8Path;
use corten_sys::block::loopdev::LoopDevice;
use installer::device::{Disk, SectorSize};
use installer::layout::{self, Extent};
use installer::table::{Partition, Table};
use machined::node::{WipeMethod, WipePlan};

const SECRET: &[u8] = b"the key of the cluster's authority";
const IMAGE: &str = "/images/disk";

/// Volumes are erased and nothing beside them; then the whole disk is, and no block of the file holds anything.
pub(super) async fn erase() -> Result<()> {
    super::volumes::enter_root()?;
    for method in [WipeMethod::Default, WipeMethod::Headers] {
        let size = layout::minimum_disk();
        let extents = layout::place(size)?;
        let file = disk(size, &extents)?;
        let device = LoopDevice::attach(Utf8Path::new(IMAGE))?;
        let name = device.path().file_name().context("a device without a name")?.to_owned();
        let plan = |state, disk| WipePlan { state, disk, method, device: name.clone(), ..Default::default() };

        machined::shutdown::erase(plan(true, false)).await;
        for extent in &extents {
            let erased = extent.spec.label == "STATE";
            for at in secrets(extent) {
                // By its headers only, the middle of it stays.
                let gone = erased && (method == WipeMethod::Default || at == extent.start);
                ensure!(holds(&file, at)? != gone, "{} at {at}, {method:?}", extent.spec.label);
            }
        }
        let mut mark = [9; 512];
        let end = extents.iter().find(|extent| extent.spec.label == "STATE").context("no STATE")?;
        file.read_exact_at(&mut mark, end.start + end.length - 512)?;
        ensure!(mark == [0; 512], "the mark that it is half formatted is gone too");

        machined::shutdown::erase(plan(false, true)).await;
        for at in [512, size - 512] {
            let mut header = [0; 8];
            file.read_exact_at(&mut header, at)?;
            ensure!(header == [0; 8], "a copy of the table is left at {at}");
        }
        if method == WipeMethod::Default {
            ensure!(extents.iter().flat_map(secrets).all(|at| !holds(&file, at).unwrap_or(true)));
            // Zeros that were written to the ends are all that the file has left.
            let left = fs::metadata(IMAGE)?.blocks() * 512;
            ensure!(left <= 64 << 20, "{left} bytes are left");
        }
        drop(device);
        fs::remove_file(IMAGE)?;
    }
    Ok(())
}

/// A partitioned disk with a secret at the start and in the middle of each partition.
fn disk(size: u64, extents: &[Extent]) -> Result<File> {
    let file = File::options().read(true).write(true).create_new(true).open(IMAGE)?;
    file.set_len(size)?;
    let partition =
        |extent: &Extent| Partition::new(extent, uuid::Uuid::from_u128(u128::from(extent.number)));
    let table = Table { guid: uuid::Uuid::from_u128(7), partitions: extents.iter().map(partition).collect() };
    table.write(&Disk::new(file.try_clone()?, SectorSize::B512)?)?;
    for at in extents.iter().flat_map(secrets) {
        file.write_all_at(SECRET, at)?;
    }
    file.sync_all()?;
    Ok(file)
}

fn secrets(extent: &Extent) -> [u64; 2] {
    [extent.start, extent.start + extent.length / 2]
}

fn holds(file: &File, at: u64) -> Result<bool> {
    let mut bytes = vec![0; SECRET.len()];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes == SECRET)
}
