//! Disks that are damaged, missing or too small.

use anyhow::{Result, ensure};
use corten_lab::{Node, NodeSpec};
use corten_vm_tests::{Lab, vm_test};

use crate::versions::{CORRUPTED, flip_a_byte};

#[test]
fn a_flipped_byte_in_the_root_image_stops_the_boot() {
    vm_test(async |lab| {
        let node = lab.prepare(&lab.options("flipped")).await?;
        flip_a_byte(&node, "ROOT-A", lab.image().dir().join("root.img"))?;
        let mark = node.machine().start().await?;
        node.machine().wait_console(CORRUPTED, mark, lab.timeouts().seconds(20)).await?;
        // It does not hang either: the machine starts again by itself.
        node.machine().wait_console("Restarting system", mark, lab.timeouts().seconds(10)).await?;
        ensure!(node.status().await.is_err(), "the API answers from a damaged root");
        Ok(node.machine().power_cut().await?)
    });
}

async fn without_its_disk(lab: &Lab) -> Result<()> {
    let accel = corten_lab::Accel::detect(lab.image()).await;
    let spec =
        NodeSpec { disks: Vec::new(), ..NodeSpec::new("diskless", &lab.dir().join("diskless"), accel) };
    let machine = Node::create(spec, lab.image())?;
    let mark = machine.start().await?;
    let patience = machine.timeouts().seconds(30);
    machine.wait_console("no partition has the UUID", mark, patience).await?;
    machine.wait_console("Restarting system", mark, patience).await?;
    Ok(machine.power_cut().await?)
}

async fn with_a_disk_too_small(lab: &Lab) -> Result<()> {
    let node = lab.prepare(&lab.options("small")).await?;
    // As when the image is written to a disk that ends before it: the root is there, the rest is not.
    node.machine().resize_disk(5200)?;
    let mark = node.machine().start().await?;
    node.machine().wait_console("too small", mark, lab.timeouts().seconds(30)).await?;
    Ok(node.machine().power_cut().await?)
}

#[test]
fn a_machine_whose_disk_is_missing_or_too_small_says_so_and_tries_again() {
    // Both wait for a disk most of the time, so they can do it together.
    vm_test(async |lab| {
        tokio::try_join!(without_its_disk(lab), with_a_disk_too_small(lab))?;
        Ok(())
    });
}
