//! Disks that are damaged, missing or too small.

use anyhow::{Result, ensure};
use corten_lab::{Node, NodeSpec};
use corten_vm_tests::{TestNode, vm_test};
use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::versions::start_of;

/// Where a squashfs says how long it is.
const SQUASHFS_BYTES_USED: u64 = 40;

/// Damages the last bytes of the squashfs: the table of ids, which every mount reads.
fn flip_a_byte(node: &TestNode) -> Result<()> {
    let image = File::open(node.machine().image().disk())?;
    let start = start_of("ROOT-A")?;
    let mut magic = [0; 4];
    image.read_exact_at(&mut magic, start)?;
    ensure!(&magic == b"hsqs", "slot A does not begin at {start}");
    let mut used = [0; 8];
    image.read_exact_at(&mut used, start + SQUASHFS_BYTES_USED)?;
    let offset = start + u64::from_le_bytes(used) - 4;
    let mut byte = [0];
    image.read_exact_at(&mut byte, offset)?;
    Ok(node.machine().overwrite_disk(offset, 1, !byte[0])?)
}

#[test]
fn a_flipped_byte_in_the_root_image_stops_the_boot() {
    vm_test(async |lab| {
        let node = lab.prepare(&lab.options("flipped")).await?;
        flip_a_byte(&node)?;
        let mark = node.machine().start().await?;
        node.machine().wait_console("is corrupted", mark, lab.timeouts().seconds(20)).await?;
        // It does not hang either: the machine starts again by itself.
        node.machine().wait_console("Restarting system", mark, lab.timeouts().seconds(10)).await?;
        ensure!(node.status().await.is_err(), "the API answers from a damaged root");
        Ok(node.machine().power_cut().await?)
    });
}

#[test]
fn a_machine_without_its_disk_says_so_and_tries_again() {
    vm_test(async |lab| {
        let accel = corten_lab::Accel::detect(lab.image()).await;
        let spec =
            NodeSpec { disks: Vec::new(), ..NodeSpec::new("diskless", &lab.dir().join("diskless"), accel) };
        let machine = Node::create(spec, lab.image())?;
        let mark = machine.start().await?;
        let patience = machine.timeouts().seconds(30);
        machine.wait_console("no partition has the UUID", mark, patience).await?;
        machine.wait_console("Restarting system", mark, patience).await?;
        Ok(machine.power_cut().await?)
    });
}

#[test]
fn a_disk_that_is_too_small_is_named_on_the_console() {
    vm_test(async |lab| {
        let node = lab.prepare(&lab.options("small")).await?;
        // As when the image is written to a disk that ends before it: the root is there, the rest is not.
        node.machine().resize_disk(5200)?;
        let mark = node.machine().start().await?;
        node.machine().wait_console("too small", mark, lab.timeouts().seconds(30)).await?;
        Ok(node.machine().power_cut().await?)
    });
}
