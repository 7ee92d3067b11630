//! What goes wrong with a machine's hardware: bad sectors, a full partition, what is pulled out, a clock that is off.

use anyhow::{Context as _, Result, ensure};
use corten_api::v1;
use corten_lab::BadSector;
use corten_vm_tests::{TestNode, vm_test};

use crate::versions::{bundle, further, patient};

/// A place in the second slot that every version writes to.
fn in_second_slot() -> Result<u64> {
    let layout = installer::layout::place(20 << 30)?;
    let slot = layout.into_iter().find(|extent| extent.spec.label == "ROOT-B");
    Ok(slot.context("the layout has a second slot")?.start + (40 << 20))
}

async fn update_status(node: &TestNode) -> Result<v1::UpdateStatusResponse> {
    let client = node.client().await?;
    Ok(client.updates().status(v1::UpdateStatusRequest {}).await?.into_inner())
}

/// What the slots hold, and which one comes next.
fn slots(status: &v1::UpdateStatusResponse) -> Vec<(&str, &str, bool, bool)> {
    let slots = status.slots.iter();
    slots.map(|slot| (slot.label.as_str(), slot.version.as_str(), slot.running, slot.next)).collect()
}

#[test]
fn a_bad_sector_in_the_other_slot_ends_the_upgrade_and_the_old_version_stays() {
    vm_test(async |lab| {
        let mut options = lab.options("bad-sector");
        let sector = in_second_slot()? / 512;
        options.disk.bad_sectors = vec![BadSector { sector, read: false, write: true }];
        let node = lab.node(&options).await?;
        let before = update_status(&node).await?;
        let path = bundle(lab, "next", &further(lab, "next")?)?;
        let ended = patient(&node).run(&["upgrade", "-f", path.as_str(), "--no-reboot"]).await?;
        ended.fails(1, &["update.write", "ROOT-B", "input/output error", "hint:", "osctl dmesg"])?;

        let after = update_status(&node).await?;
        ensure!(after.pending.is_none(), "something is left of it: {after:?}");
        ensure!(slots(&after) == slots(&before), "{before:?} became {after:?}");
        let log = node.osctl().ok(&["dmesg"]).await?;
        ensure!(log.contains("I/O error"), "the kernel has no word on the disk");
        node.osctl().ok(&["status"]).await?;
        Ok(())
    });
}
