//! From power on to the API and off again.

use anyhow::{Context as _, Result, ensure};
use corten_api::v1;
use corten_vm_tests::{TestNode, vm_test};

/// What machined logs in each boot, once it has checked the file system.
pub(crate) const MOUNTED: &str = "mounted volume=\"EPHEMERAL\"";

#[test]
fn a_node_finds_its_config_in_qemu_and_tells_how_it_started_and_why_it_is_not_ready() {
    vm_test(async |lab| {
        let node = lab.fresh_node().await?;
        let status = node.status().await?;
        ensure!(status.hostname == node.name(), "the hostname is {}", status.hostname);
        ensure!(status.cluster == "fresh" && status.role == "controlplane", "{status:?}");
        ensure!(status.stage() == v1::Stage::Running && !status.ready, "{status:?}");
        // What Kubernetes lacks is known once EPHEMERAL is there, and the API does not wait for that.
        let says = |text: &str| text.contains("bootstrap");
        let said = node.osctl().until(&["status"], lab.timeouts().seconds(10), says).await;
        said.context("the status does not say what is missing")?;

        let version = node.osctl().ok(&["version"]).await?;
        ensure!(version.contains(corten_constants::VERSION), "{version}");
        keeps_its_boot_timeline(&node).await
    });
}

async fn keeps_its_boot_timeline(node: &TestNode) -> Result<()> {
    let answer = node.client().await?.machine().boot_timeline(v1::BootTimelineRequest {}).await?;
    let phases = answer.into_inner().phases;
    let times: Vec<u64> = phases.iter().map(|phase| phase.at_us).collect();
    ensure!(phases.len() >= 5, "only {phases:?}");
    ensure!(times.is_sorted() && times.iter().all(|time| *time > 0), "out of order: {phases:?}");
    let text = node.osctl().ok(&["boot"]).await?;
    ensure!(phases.iter().all(|phase| text.contains(&phase.name)), "{text}");
    Ok(())
}

#[test]
fn a_node_switches_itself_off_when_asked_by_osctl_or_by_its_power_button() {
    vm_test(async |lab| {
        let node = lab.fresh_node().await?;
        let machine_id = node.status().await?.machine_id;
        node.osctl().ok(&["shutdown"]).await?;
        node.machine().wait_off(lab.timeouts().power_off()).await?;

        node.machine().start().await?;
        node.wait_api().await?;
        ensure!(
            node.status().await?.machine_id == machine_id,
            "the machine has another identity after a boot"
        );
        let seeded = |log: &str| log.contains("the last boot's seed went into the kernel's random numbers");
        node.osctl().until(&["logs", "machined"], lab.timeouts().api(), seeded).await?;
        // Its driver comes a moment after the API; until then a press is not felt, so press as a person does.
        let deadline = tokio::time::Instant::now() + lab.timeouts().power_off();
        while node.machine().power_button().await.is_ok() {
            ensure!(tokio::time::Instant::now() < deadline, "the power button does nothing");
            let _ = node.machine().wait_off(std::time::Duration::from_secs(4)).await;
        }
        Ok(())
    });
}

#[test]
fn a_node_restarts_in_order_when_ctrl_alt_del_is_pressed_at_its_console() {
    vm_test(async |lab| {
        let node = lab.fresh_node().await?;
        let before = node.status().await?;
        let mark = node.machine().console().mark();
        node.machine().press(&["ctrl", "alt", "delete"]).await?;
        node.machine().wait_console("corten: rebooting", mark, lab.timeouts().power_off()).await?;
        let after = node.wait_reboot(&before.boot_id).await?;
        ensure!(after.machine_id == before.machine_id, "{before:?} became {after:?}");
        found_its_disk_in_order(&node).await
    });
}

/// Wants that the boot before unmounted what it had.
pub(crate) async fn found_its_disk_in_order(node: &TestNode) -> Result<()> {
    let (patience, mounted) = (node.machine().timeouts().api(), |log: &str| log.contains(MOUNTED));
    let log = node.osctl().until(&["logs", "machined"], patience, mounted).await?;
    ensure!(!log.contains("not unmounted in order"), "the node went down at once: {log}");
    Ok(())
}

/// Fills everything between a program on the node and the end of the serial line.
async fn fill_console(node: &TestNode) -> Result<()> {
    let pod = node.privileged_pod("writer").await?;
    let text = "nobody reads this line of the console\r\n".repeat(3000);
    for _ in 0..4 {
        let (pod, text) = (pod.clone(), text.clone());
        // It ends when the console is read again, or with the node.
        tokio::spawn(async move { pod.exec(&["write", "/host/dev/console", &text]).await });
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    }
    Ok(())
}

#[test]
fn a_console_that_nobody_reads_holds_up_nothing() {
    vm_test(async |lab| {
        let node = lab.ready_node().await?;
        let _does_not_read = std::os::unix::net::UnixStream::connect(node.machine().console_socket())?;
        fill_console(&node).await?;
        node.osctl().ok(&["services", "restart", "kube-scheduler"]).await?;
        node.expect_restart("kube-scheduler");
        node.check_clean().await?;
        node.osctl().ok(&["shutdown"]).await?;
        Ok(node.machine().wait_off(lab.timeouts().power_off()).await?)
    });
}
