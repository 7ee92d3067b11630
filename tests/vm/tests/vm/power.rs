//! Power that goes at any moment.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use corten_lab::Mark;
use corten_vm_tests::{TestNode, manifest, rotating_in_turn, vm_test, vm_test_in_turn};

use crate::boot::{MOUNTED, found_its_disk_in_order};

/// Milliseconds from an object's creation until the power goes: at another point of what follows each time, not only
/// while nothing happens.
const HOLDS: [u64; 10] = [0, 700, 1400, 2100, 2800, 3500, 4200, 4900, 5600, 6300];
/// Power cuts a run: the node starts anew after each.
const CUTS_A_RUN: usize = 1;

fn object(hold: u64) -> String {
    format!("before-cut-{hold}")
}

async fn cut_and_return(node: &TestNode, hold: u64) -> Result<()> {
    let value = format!("--from-literal=hold={hold}");
    node.kubectl().ok(&["create", "configmap", &object(hold), &value]).await?;
    node.apply(&manifest(&format!("pod-{hold}"), &["sleep"])).await?;
    tokio::time::sleep(Duration::from_millis(hold)).await;
    node.machine().power_cut().await?;
    node.machine().start().await?;
    node.wait_api().await?;
    node.wait_ready().await
}

async fn has_kept(node: &TestNode, hold: u64) -> Result<()> {
    let wanted = ["get", "configmap", &object(hold), "-o", "jsonpath={.data.hold}"];
    let value = node.kubectl().ok(&wanted).await?;
    ensure!(value == hold.to_string(), "object {} holds {value:?}", object(hold));
    Ok(())
}

#[test]
fn after_each_power_cut_the_node_is_ready_again_and_has_lost_no_object() {
    vm_test_in_turn(1, async |lab| {
        let node = lab.ready_node().await?;
        let holds = rotating_in_turn(&HOLDS, CUTS_A_RUN);
        for (number, hold) in holds.iter().enumerate() {
            cut_and_return(&node, *hold).await.with_context(|| format!("power cut after {hold} ms"))?;
            for earlier in &holds[..=number] {
                has_kept(&node, *earlier).await?;
            }
        }
        let pod = node.pod("after", &["sleep"]).await?;
        pod.delete().await
    });
}

/// The machine would be off in time too if nobody killed the pod: every step of a shutdown has a deadline.
fn nothing_was_left_behind(node: &TestNode, since: Mark) -> Result<()> {
    let said = node.machine().console().since(since);
    ensure!(!said.contains("is cut short"), "the shutdown took too long: {said}");
    let disk = node.raw_disk()?;
    ensure!(disk.holds(MOUNTED.as_bytes())?, "the log file is not on the disk in the clear");
    ensure!(!disk.holds(b"processes could not be killed")?, "the log file tells of processes that stayed");
    Ok(())
}

#[test]
fn a_ready_node_with_stubborn_pods_is_off_in_time_and_leaves_its_disk_in_order() {
    vm_test(async |lab| {
        let node = lab.ready_node().await?;
        let mut pod = manifest("stubborn", &["ignore-term"]);
        pod["spec"]["terminationGracePeriodSeconds"] = 3600.into();
        node.apply(&pod).await?;
        let patience = lab.timeouts().seconds(20);
        let phase = ["get", "pod", "stubborn", "-o", "jsonpath={.status.phase}"];
        node.kubectl().until(&phase, patience, |text| text == "Running").await?;
        let mark = node.machine().console().mark();
        node.osctl().ok(&["shutdown"]).await?;
        node.machine().wait_off(lab.timeouts().power_off()).await?;
        nothing_was_left_behind(&node, mark)?;
        node.machine().start().await?;
        node.wait_api().await?;
        found_its_disk_in_order(&node).await
    });
}
