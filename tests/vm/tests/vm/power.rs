//! Power that goes at any moment.

use anyhow::{Context as _, Result, ensure};
use corten_lab::Cache;
use corten_vm_tests::{TestNode, long, manifest, vm_test};

async fn cut_and_return(node: &TestNode, round: usize, hold: std::time::Duration) -> Result<()> {
    let name = format!("before-cut-{round}");
    node.kubectl().ok(&["create", "configmap", &name, &format!("--from-literal=round={round}")]).await?;
    // The power goes at another point of what follows each time, not only while nothing happens.
    node.apply(&manifest(&format!("pod-{round}"), &["sleep"])).await?;
    tokio::time::sleep(hold).await;
    node.machine().power_cut().await?;
    node.machine().start().await?;
    node.wait_api().await?;
    node.wait_ready().await?;
    for earlier in 0..=round {
        let name = format!("before-cut-{earlier}");
        let value = node.kubectl().ok(&["get", "configmap", &name, "-o", "jsonpath={.data.round}"]).await?;
        ensure!(value == earlier.to_string(), "object {name} holds {value:?}");
    }
    Ok(())
}

#[test]
fn after_each_power_cut_the_node_is_ready_again_and_has_lost_no_object() {
    vm_test(async |lab| {
        let mut options = lab.options("cut");
        options.disk.cache = Cache::Writeback;
        let node = lab.bootstrapped_node(&options).await?;
        for round in 0..if long() { 10 } else { 2 } {
            let hold = std::time::Duration::from_millis(700 * u64::try_from(round)?);
            cut_and_return(&node, round, hold).await.with_context(|| format!("power cut {round}"))?;
        }
        let pod = node.pod("after", &["sleep"]).await?;
        pod.delete().await
    });
}

#[test]
fn a_ready_node_with_stubborn_pods_is_off_in_time() {
    vm_test(async |lab| {
        let node = lab.ready_node().await?;
        let mut pod = manifest("stubborn", &["ignore-term"]);
        pod["spec"]["terminationGracePeriodSeconds"] = 3600.into();
        node.apply(&pod).await?;
        let patience = lab.timeouts().seconds(20);
        let phase = ["get", "pod", "stubborn", "-o", "jsonpath={.status.phase}"];
        node.kubectl().until(&phase, patience, |text| text == "Running").await?;
        node.osctl().ok(&["shutdown"]).await?;
        Ok(node.machine().wait_off(lab.timeouts().power_off()).await?)
    });
}
